import cv2
import numpy as np
import pytest

from deepfake.files import UserError
from deepfake.inputs import augment, crop_batches, readable_crops, resize_crop
from deepfake.splits import Entry

SIZE = 32


def entry(number: int, label: int) -> Entry:
    name = f"{'real' if label else 'fake'}/v{number}-000-00.png"
    return Entry("train", label, name, f"v{number}", f"v{number}", "", "", 0, 0, "", "", 0)


@pytest.fixture
def crops(tmp_path):
    """Real crops are white and fake ones black, each with its number as the level of blue."""
    entries = [entry(number, number % 2) for number in range(20)]
    for number, item in enumerate(entries):
        path = tmp_path / "train" / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((40 + number, 50, 3), 255 * item.label, np.uint8)
        image[..., 0] = number
        cv2.imwrite(str(path), image)
    return tmp_path, entries


def collect(batches):
    pairs = list(batches.as_numpy_iterator())
    return np.concatenate([images for images, _ in pairs]), np.concatenate([labels for _, labels in pairs])


def test_without_augmentation_crops_come_in_order_with_their_labels_and_pixels(crops):
    images, labels = collect(crop_batches(crops[1], crops[0], SIZE, batch_size=8))
    assert images.shape == (20, SIZE, SIZE, 3) and images.dtype == np.float32
    assert labels[:, 0].tolist() == [item.label for item in crops[1]]
    assert images[:, 0, 0, 2].tolist() == list(range(20))  # blue is last in RGB
    assert images[:, 5, 5, 0].tolist() == [255.0 * item.label for item in crops[1]]


def test_shuffling_and_augmentation_keep_each_label_with_its_crop(crops):
    images, labels = collect(crop_batches(crops[1], crops[0], SIZE, batch_size=8, augment_seed=1))
    assert sorted(images[:, 5, 5, 2].round()) == list(range(20))
    assert images[:, 5, 5, 2].round().tolist() != list(range(20))
    assert (images[:, 5, 5, 0].round() == 255 * labels[:, 0]).all()


def test_the_same_seed_gives_the_same_batches_and_each_pass_gives_others(crops):
    first, second, other = (crop_batches(crops[1], crops[0], SIZE, 8, augment_seed=seed) for seed in (3, 3, 4))
    passes = [collect(first)[0], collect(first)[0]]
    assert np.array_equal(passes[0], collect(second)[0])
    assert not np.array_equal(passes[0], passes[1])
    assert not np.array_equal(passes[0], collect(other)[0])


def test_augmentation_flips_half_of_the_images_and_moves_them_only_a_little():
    image = np.zeros((SIZE, SIZE, 3), np.float32)
    image[12:20, 4:10] = 200  # a patch on the left
    augmented = augment(np.repeat(image[None], 400, axis=0), (1, 2)).numpy()
    weights = augmented[..., 0] / augmented[..., 0].sum(axis=(1, 2), keepdims=True)
    x = (weights * np.arange(SIZE)).sum(axis=(1, 2))
    y = (weights * np.arange(SIZE)[:, None]).sum(axis=(1, 2))
    flipped = x > SIZE / 2
    assert 0.4 < flipped.mean() < 0.6
    assert abs(np.where(flipped, SIZE - 1 - x, x) - 6.5).max() < 6
    assert abs(y - 15.5).max() < 6 and y.std() > 0.5
    assert augmented.min() >= 0 and augmented.max() <= 200


def test_augmentation_leaves_no_empty_border():
    assert np.allclose(augment(np.full((50, SIZE, SIZE, 3), 130, np.uint8), (1, 2)), 130)


@pytest.mark.parametrize("shape", [(300, 200, 3), (20, 90, 3), (1, 1, 3), (SIZE, SIZE, 3)])
def test_a_crop_of_any_shape_is_resized_to_a_square_of_the_same_colour(shape):
    resized = resize_crop(np.full(shape, (10, 20, 30), np.uint8), SIZE).numpy()
    assert resized.shape == (SIZE, SIZE, 3) and resized.dtype == np.uint8
    assert (resized == (10, 20, 30)).all()


def test_shrinking_averages_rather_than_skips_pixels():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    assert abs(resize_crop(stripes, SIZE).numpy().astype(int) - 100).max() <= 6


def test_a_file_that_is_no_image_is_named_as_the_users_error(crops):
    (crops[0] / "train" / crops[1][3].file).write_text("not an image")
    with pytest.raises(UserError, match="not an image") as error, readable_crops(crops[0]):
        collect(crop_batches(crops[1], crops[0], SIZE, 8))
    assert str(crops[0]) in str(error.value)
