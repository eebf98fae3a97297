"""Datasets with own splits or identities: an official split is kept, and no identity is in two of our sets."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from deepfake.core.errors import UserError
from deepfake.core.labels import FAKE, REAL
from deepfake.datasets.video import Video, source_groups
from deepfake.split.assign import _disjoint, _few_of_each, assign_identities, divide, take_apart
from deepfake.split.crops import Crops

SETS = ("train", "val", "test")


def crops_of(videos: Iterable[Video], each: int = 4) -> list[Crops]:
    """The videos with their source groups, with as many crops each."""
    videos = list(videos)
    groups = source_groups(videos)
    return [
        Crops(video, groups[video.id], tuple(Path(f"{video.id}-{i:03d}-00.png") for i in range(each)))
        for video in sorted(videos, key=lambda video: video.id)
    ]


def real(id: str, split: str | None = None, ties: tuple[str, ...] = ()) -> Video:
    return Video(id, f"{id}.mp4", REAL, split=split, ties=ties)


def fake(id: str, original: str | None, split: str | None = None, ties: tuple[str, ...] = ()) -> Video:
    return Video(id, f"{id}.mp4", FAKE, original, "swap", split=split, ties=ties)


def celebrities(identities: int = 59, videos: int = 10, pairs: float = 0.95, others: int = 0, seed: int = 0):
    """Videos in the shape of Celeb-DF: `pairs` of the ordered pairs of identities have one or two fakes."""
    rng = np.random.default_rng(seed)
    for target in range(identities):
        for number in range(videos):
            yield real(f"id{target}_{number:04d}", ties=(f"id{target}",))
        for source in range(identities):
            if source != target and rng.random() < pairs:
                for number in rng.choice(videos, rng.integers(1, 3), replace=False):
                    id = f"id{target}_id{source}_{number:04d}"
                    yield fake(id, f"id{target}_{number:04d}", ties=(f"id{target}", f"id{source}"))
    for number in range(others):
        yield real(f"{number:05d}")


def count(items: Iterable[Crops], label: int) -> int:
    return sum(len(item) for item in items if item.video.label == label)


def ids(items: Iterable[Crops]) -> list[str]:
    return [item.video.id for item in items]


def check_identities(sets: dict[str, list[Crops]], splits: Iterable[str] = SETS) -> None:
    """Each set has both labels, and no identity and no original is in two."""
    place: dict[str, str] = {}
    for split in splits:
        assert count(sets[split], REAL) and count(sets[split], FAKE)
        for item in sets[split]:
            for name in (*item.video.ties, item.video.original or item.video.id):
                assert place.setdefault(name, split) == split


# identities


@pytest.mark.parametrize("others", [0, 300])
def test_celebrities_that_fakes_tie_together_are_divided_by_identity(others, capsys):
    crops = crops_of(celebrities(others=others))
    assert len({item.group for item in crops}) == 1 + others
    sets = divide(crops)
    check_identities(sets)
    for split, share in zip(SETS, (0.8, 0.1, 0.1), strict=True):
        assert count(sets[split], REAL) == pytest.approx(share * count(crops, REAL), rel=0.05)
        assert count(sets[split], FAKE) >= 100
    kept = [id for items in sets.values() for id in ids(items)]
    assert len(set(kept)) == len(kept)
    left_out = [item for item in crops if item.video.id not in kept]
    assert all(item.video.label == FAKE for item in left_out)
    tied = len(crops) - others
    assert (
        f"02: 1 source group divided by 59 identities; {len(left_out)} of {tied} videos are left out"
        in capsys.readouterr().out
    )


def test_the_group_of_a_video_is_then_its_target(capsys):
    sets = divide(crops_of(celebrities(identities=12, others=20)))
    for items in sets.values():
        for item in items:
            assert item.group == (item.video.ties[0] if item.video.ties else item.video.id)


@pytest.mark.parametrize("seed", range(10))
def test_few_fakes_among_the_identities_of_a_set_are_found(seed, capsys):
    """One pair in twenty has a fake: six identities drawn at random would have one or two among them, or none."""
    sets = divide(crops_of(celebrities(identities=40, videos=3, pairs=0.05, seed=seed)))
    check_identities(sets)
    for split in ("val", "test"):
        assert count(sets[split], FAKE) >= 3 * 4


def test_a_pair_is_not_chosen_if_another_set_would_get_none(capsys):
    """The pair with most fakes would leave two pairs for three sets."""
    pairs = {("a", "b"): 2, ("c", "d"): 2, ("e", "f"): 2, ("b", "c"): 9, ("d", "e"): 1}
    videos = [real(f"{name}_{number}", ties=(name,)) for name in "abcdef" for number in range(3)]
    videos += [
        fake(f"{one}_{other}_{number}", f"{one}_0", ties=(one, other))
        for (one, other), fakes in pairs.items()
        for number in range(fakes)
    ]
    check_identities(divide(crops_of(videos)))


def test_celebrities_in_any_order_give_the_same_sets(capsys):
    crops = crops_of(celebrities(identities=20, others=9))
    shuffled = [crops[i] for i in np.random.default_rng(1).permutation(len(crops))]
    assert divide(shuffled) == divide(crops)


def test_a_video_without_ties_goes_with_its_original(capsys):
    videos = [*celebrities(identities=10), fake("late", "id3_0000"), fake("lost", "away", ties=("id4",))]
    crops = crops_of([*videos, fake("stray", "away")])
    assert len({item.group for item in crops}) == 1
    names = take_apart(crops, crops, SETS)
    assert (names["late"], names["lost"], names["stray"]) == (("id3",), ("id4",), ("away",))
    place = {id: split for split, items in divide(crops).items() for id in ids(items)}
    assert place["late"] == place["id3_0000"]


def test_an_original_without_ties_is_not_separated_from_its_fakes(capsys):
    crops = crops_of([*celebrities(identities=10), real("plain"), fake("x", "plain", ties=("id1",))])
    assert take_apart(crops, crops, SETS)["x"] == ("id1", "plain")
    check_identities(divide(crops))


def test_groups_divided_by_identity_are_counted(capsys):
    videos = [
        Video(
            **vars(video)
            | {"id": f"{side}-{video.id}", "original": video.original and f"{side}-{video.original}"}
            | {"ties": tuple(f"{side}-{tie}" for tie in video.ties)}
        )
        for side in "ab"
        for video in celebrities(identities=12)
    ]
    check_identities(divide(crops_of(videos)))
    assert "02: 2 source groups divided by 24 identities; " in capsys.readouterr().out


def test_with_only_one_set_no_group_is_divided(capsys):
    videos = [*pairs_with_split(["val", "test"]), *celebrities(identities=12)]
    sets = divide(crops_of(videos), official=True)
    assert len({item.group for item in sets["train"]}) == 1 and len(sets["train"]) == len(videos) - 6
    assert "identities" not in capsys.readouterr().out


def test_a_large_group_without_ties_stays_whole_and_is_named(capsys):
    videos = [real(f"o{number}") for number in range(10)]
    videos += [fake(f"f{number}", f"o{number}") for number in range(10)]
    videos += [fake(f"more{number}", "o7") for number in range(20)]
    sets = divide(crops_of(videos))
    assert len({split for split, items in sets.items() for item in items if item.group == "o7"}) == 1
    assert "one source group (o7) holds 55% of the crops; it stays whole" in capsys.readouterr().out


def test_a_group_of_two_identities_is_not_taken_apart(capsys):
    videos = []
    for one, other in (("000", "003"), ("001", "870"), ("002", "006")):
        videos += [real(one, ties=(one,)), real(other, ties=(other,))]
        videos += [fake(f"{a}_{b}", a, ties=(a, b)) for a, b in ((one, other), (other, one))]
    sets = divide(crops_of(videos))
    assert sorted(id for items in sets.values() for id in ids(items)) == sorted(video.id for video in videos)
    check_identities(sets)


def test_too_few_pairs_for_three_sets_are_an_error_that_says_so():
    videos = [real(f"{name}_0", ties=(name,)) for name in "abcdefg"]
    videos += [fake(f"a_{name}", "a_0", ties=("a", name)) for name in "bcdefg"]
    with pytest.raises(UserError, match="no source groups with fake crops besides the one divided by identities"):
        divide(crops_of(videos))


def test_the_small_sets_take_about_their_share_of_the_real_crops():
    crops = crops_of(celebrities(identities=30))
    names = take_apart(crops, crops, SETS)
    place = assign_identities(crops, names)
    assert [list(place.values()).count(split) for split in SETS] == [24, 3, 3]


# the dataset's own sets


def pairs_with_split(splits: Iterable[str | None], start: int = 0) -> list[Video]:
    """An original and two fakes for each split."""
    videos = []
    for number, split in enumerate(splits, start):
        videos += [real(f"o{number:02d}", split), *(fake(f"f{number:02d}-{i}", f"o{number:02d}", split) for i in "ab")]
    return videos


def test_all_three_official_sets_are_kept_as_they_are(capsys):
    videos = pairs_with_split(["train", "test", "val", "test", "train"])
    sets = divide(crops_of(videos), official=True)
    for split in SETS:
        assert ids(sets[split]) == sorted(video.id for video in videos if video.split == split)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("rest", ["train", None])
def test_without_a_val_set_of_its_own_one_in_nine_groups_becomes_it(rest, capsys):
    videos = pairs_with_split([rest] * 18 + ["test"] * 5)
    sets = divide(crops_of(videos), official=True)
    assert set(ids(sets["test"])) == {video.id for video in videos if video.split == "test"}
    assert len({item.group for item in sets["val"]}) == 2 and len({item.group for item in sets["train"]}) == 16
    assert not {item.group for item in sets["val"]} & {item.group for item in sets["train"]}


@pytest.mark.slow
def test_videos_in_no_official_set_are_trained_on_unless_they_leak(capsys):
    videos = [*pairs_with_split(["train", "val", "test"]), *pairs_with_split([None], start=3)]
    videos += [fake("of-test", "o02"), fake("of-val", "o01"), fake("of-train", "o00")]
    sets = divide(crops_of(videos), official=True)
    assert ids(sets["train"]) == ["f00-a", "f00-b", "f03-a", "f03-b", "o00", "o03", "of-train"]
    assert len(sets["val"]) == len(sets["test"]) == 3
    assert "02: 2 videos left out of training" in capsys.readouterr().out


def test_the_leak_of_the_dataset_itself_is_reported_and_kept(capsys):
    videos = [
        *pairs_with_split(["train", "train", "val", "test"]),
        real("p", "test", ties=("anna",)),
        real("q", "train", ties=("anna",)),
        fake("r", "o00", "test"),
    ]
    sets = divide(crops_of(videos), official=True)
    assert all(item.video.split == split for split, items in sets.items() for item in items)
    assert sum(map(len, sets.values())) == len(videos)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith("2 source groups and 1 identity in more than one set, such as anna in train and test")


def test_our_own_split_ignores_the_official_one():
    videos = pairs_with_split(["train"] * 8 + ["test"] * 8)
    crops = crops_of(videos)
    without = crops_of(Video(**(vars(video) | {"split": None})) for video in videos)
    assert {split: ids(items) for split, items in divide(crops).items()} == {
        split: ids(items) for split, items in divide(without).items()
    }


@pytest.mark.parametrize(
    ("videos", "says"),
    [
        ([*pairs_with_split(["train"] * 3), real("t", "test")], "own test set has no fake crops.*--split own"),
        ([*pairs_with_split(["train"] * 3), fake("t", None, "test")], "own test set has no real crops.*--split own"),
        ([*pairs_with_split(["train", "test"]), real("v", "val")], "own val set has no fake crops"),
        (pairs_with_split(["train", "test"]), "1 source group with real crops; train and val need one each"),
        (pairs_with_split(["val", "test"]), "no source groups with real crops; train needs one, so at least 1"),
    ],
    ids=["test without fakes", "test without real ones", "val without fakes", "nothing for val", "nothing for train"],
)
def test_an_official_set_that_lacks_a_label_is_an_error(videos, says):
    with pytest.raises(UserError, match=says):
        divide(crops_of(videos), official=True)


def test_with_an_official_test_set_train_and_val_are_split_by_identity(capsys):
    rng = np.random.default_rng(3)
    videos = [
        Video(**(vars(video) | {"split": "test" if rng.random() < 0.08 else "train"}))
        for video in celebrities(others=50)
    ]
    sets = divide(crops_of(videos), official=True)
    assert ids(sets["test"]) == sorted(video.id for video in videos if video.split == "test")
    check_identities(sets, ("train", "val"))
    assert all(item.group == item.video.ties[0] for items in sets.values() for item in items if item.video.ties)
    out = capsys.readouterr().out
    assert "1 source group and 59 identities in more than one set, such as id0 in train and test" in out
    divided = sum(video.split == "train" and bool(video.ties) for video in videos)
    left_out = len(videos) - sum(map(len, sets.values()))
    assert f"{left_out} of {divided} videos are left out: fakes whose identities fall into different sets" in out


def test_unassigned_celebrities_with_a_tested_identity_are_left_out(capsys):
    videos = [
        Video(**(vars(video) | {"split": "test" if set(video.ties) <= {"id0", "id1", "id2"} else None}))
        for video in celebrities(identities=20)
    ]
    sets = divide(crops_of(videos), official=True)
    check_identities(sets)
    assert len({item.group for item in sets["train"]} | {item.group for item in sets["val"]}) == 17


# real crops only


def test_three_groups_suffice_for_real_crops_only():
    sets = divide(crops_of(real(f"o{number}") for number in range(3)), labels=(REAL,))
    assert [len(sets[split]) for split in SETS] == [1, 1, 1]
    with pytest.raises(UserError, match=r"2 source groups with real crops.*at least 3"):
        divide(crops_of(real(f"o{number}") for number in range(2)), labels=(REAL,))


@pytest.mark.parametrize("seed", range(20))
def test_few_pairs_of_each_identity_are_enough_to_find_disjoint_ones(seed):
    rng = np.random.default_rng(seed)
    hubs, others = [f"hub{n}" for n in range(1 + seed % 4)], [f"id{n}" for n in range(15)]
    pairs = {frozenset((str(rng.choice(hubs)), str(rng.choice(others)))) for _ in range(80)}
    pairs |= {frozenset((a, b)) for a, b in rng.choice(others, (seed % 3, 2)) if a != b}
    pairs = [sorted(pairs, key=sorted)[number] for number in rng.permutation(len(pairs))]
    for count in (1, 2, 3):
        assert _disjoint(_few_of_each(pairs, 6), count) == _disjoint(pairs, count)


def test_few_pairs_are_tried_for_two_people_with_thousands_of_others():
    names = [frozenset((hub, f"id{number}")) for hub in ("a", "b") for number in range(4000)]
    few = _few_of_each(names, 6)
    assert len(few) <= 2 * 6 and _disjoint(few, 3) is None
