"""Names of frames and crops: read as they were written, and nothing else is one."""

import pytest

from deepfake.core.naming import crop_name, crop_parts, file_in_set, frame_name, is_crop, is_frame, parse_crop_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a-000-00.png", ("a", 0, 0)),
        ("a-b-c-010-01.png", ("a-b-c", 10, 1)),
        ("a-000-00-005-12.png", ("a-000-00", 5, 12)),
        ("é 🙂.x-1000-00.png", ("é 🙂.x", 1000, 0)),
    ],
)
def test_a_crop_name_is_read_from_the_right(name, parts):
    assert parse_crop_name(name) == parts and crop_name(*parts) == name
    assert is_crop(name) and is_crop(name, parts[0]) and not is_crop(name, "b")


@pytest.mark.parametrize("name", ["a.png", "a-000.png", "a-x-00.png", "a/a-000-00.png", "a-000-00.jpg", "notes.txt"])
def test_a_name_of_another_form_is_no_crop(name):
    with pytest.raises(ValueError):
        parse_crop_name(name)
    assert not is_crop(name)


def test_numbers_of_fewer_digits_are_read_but_not_taken_for_ours():
    assert parse_crop_name("a-1-0.png") == ("a", 1, 0)
    assert crop_parts("a-1-0.png") == ("a", 1, 0) and crop_parts("a-1.png") is None and not is_crop("a-1-0.png")


def test_frames_and_crops_are_told_apart_and_from_those_of_other_videos():
    names = [frame_name("a", 7), frame_name("a-b", 1000), crop_name("a", 7, 1), crop_name("a-b", 0, 10)]
    assert names == ["a-007.png", "a-b-1000.png", "a-007-01.png", "a-b-000-10.png"]
    assert [is_frame(name) for name in names] == [True, True, False, False]
    assert [is_crop(name) for name in names] == [False, False, True, True]
    assert [name for name in names if is_frame(name, "a") or is_crop(name, "a")] == ["a-007.png", "a-007-01.png"]


def test_a_crop_of_a_set_is_in_the_folder_of_its_label():
    assert [file_in_set(label, "a", 3, 0) for label in (1, 0)] == ["real/a-003-00.png", "fake/a-003-00.png"]
