"""Augment crops at random during training, so that the model learns faces rather than simpler cues.

Everything works on batches and is deterministic given the seed. Images are B x S x S x 3 with pixels of 0 to 255;
`draws` are random numbers of -1 to 1, one row of B for each choice.
"""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from deepfake.models.runtime import keras, tf

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG
# to brightness and two axes of colour, about which hue turns (the YIQ of NTSC)
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)

BLUR_RADIUS = 4  # pixels


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the augmentations (uniform up to this maximum), and the shares of the images that get them."""

    rotation: float = math.radians(10)
    shift: float = 0.08  # share of the image's side
    shear: float = 0.1
    zoom: float = 0.1
    coloured: float = 0.0  # share of images
    brightness: float = 40.0  # of 255
    contrast: float = 0.3
    saturation: float = 0.3
    hue: float = math.radians(15)
    grey: float = 0.0  # share of images
    blurred: float = 0.0  # share of images
    blur: float = 1.5  # standard deviation in pixels
    shrunk: float = 0.0  # share of images
    shrink: float = 2.5  # times smaller, and back
    noisy: float = 0.0  # share of images
    noise: float = 12.0  # standard deviation, of 255
    cut: float = 0.0  # share of images in which a part of the face is blacked out
    compressed: float = 0.0  # share of images
    quality: int = 40  # lowest JPEG quality


LEVELS: dict[str, Augmentation | None] = {
    "none": None,
    "standard": Augmentation(),
    # the kinds of augmentation that the DFDC's winner used (Seferbekov 2020)
    "strong": Augmentation(coloured=0.5, grey=0.1, blurred=0.2, shrunk=0.3, noisy=0.2, cut=0.2, compressed=0.5),
}


def distort(
    images: np.ndarray, landmarks: np.ndarray, seed: tuple[int, ...], level: Augmentation, alike: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Warp, downscale and compress uint8 images at random with OpenCV (on the CPU, where this is fastest).

    `landmarks` are B x 5 x 2 float32 in shares of the crop's sides and are warped too. Each run of `alike` images (the
    frames of a sequence) gets the same change.
    """
    rng = np.random.default_rng(seed)
    size, count = images.shape[1], len(images) // alike
    matrices = random_warps(rng, count, size, level)
    shrunk = np.where(rng.random(count) < level.shrunk, rng.uniform(1, level.shrink, count), 1)
    quality = np.where(rng.random(count) < level.compressed, rng.integers(level.quality, 96, count), 0)
    matrices, shrunk, quality = (np.repeat(values, alike, axis=0) for values in (matrices, shrunk, quality))
    distorted = np.empty_like(images)
    for image, matrix, factor, jpeg, result in zip(images, matrices, shrunk, quality, distorted, strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
        if factor > 1:
            image = shrink(image, factor)
        if jpeg:
            image = compress(image, int(jpeg))
        result[:] = image
    return distorted, warp_points(landmarks, matrices, size)


def shrink(image: np.ndarray, factor: float) -> np.ndarray:
    """Downscale an image (S x S x 3 uint8) by a factor and upscale it back."""
    size = len(image)
    small = cv2.resize(image, (max(1, round(size / factor)),) * 2, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """Compress an image (H x W x 3 uint8 RGB) as JPEG with a quality of 1 to 100, and decode it."""
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]


def random_warps(rng: np.random.Generator, count: int, size: int, level: Augmentation) -> np.ndarray:
    """Draw affine matrices (B x 2 x 3, from new to old pixels) that flip, rotate, shift, shear and zoom."""
    draws = rng.uniform(-1, 1, (7, count))
    flip = np.sign(draws[0])
    angle, shear = draws[1] * level.rotation, draws[2] * level.shear
    zoom_x, zoom_y = 1 + draws[3] * level.zoom, 1 + draws[4] * level.zoom
    # zoom and flip, then shear, then rotation
    a, b = zoom_x * flip * np.cos(angle), zoom_y * (shear * np.cos(angle) - np.sin(angle))
    c, d = zoom_x * flip * np.sin(angle), zoom_y * (shear * np.sin(angle) + np.cos(angle))
    centre = (size - 1) / 2
    shift_x, shift_y = draws[5] * level.shift * size, draws[6] * level.shift * size
    rows = [[a, b, centre - (a + b) * centre + shift_x], [c, d, centre - (c + d) * centre + shift_y]]
    return np.moveaxis(np.array(rows), 2, 0)


def warp_points(points: np.ndarray, matrices: np.ndarray, size: int) -> np.ndarray:
    """Warp points (B x N x 2, in shares of the sides) by matrices (B x 2 x 3, from new to old pixels)."""
    pixels = points * size - 0.5 - matrices[:, None, :, 2]
    moved = np.linalg.solve(matrices[:, None, :, :2], pixels[..., None])[..., 0]
    return ((moved + 0.5) / size).astype(np.float32)


def augment(images: tf.Tensor, landmarks: tf.Tensor, seed: tf.Tensor, level: Augmentation, alike: int = 1) -> tf.Tensor:
    """Change the pixels of a distorted batch at random: uint8 in, float32 out; `seed` is two integers.

    Runs on the GPU if there is one. Each run of `alike` images gets the same change.
    """
    images = tf.cast(images, tf.float32)
    seeds = tf.random.split(seed, 4)
    if level.cut:
        images = cut_out(images, landmarks, _draw(2, images, seeds[0], alike), level)
    if level.coloured or level.grey:
        images = recolour(images, _draw(6, images, seeds[1], alike), level)
    if level.blurred:
        images = blur(images, _draw(2, images, seeds[2], alike), level)
    if level.noisy:
        images = add_noise(images, _draw(2, images, seeds[3], alike), seeds[3] + 1, level)
    return images


def _draw(count: int, images: tf.Tensor, seed: tf.Tensor, alike: int) -> tf.Tensor:
    """Draw `count` random numbers of -1 to 1 for each of B images: count x B."""
    draws = tf.random.stateless_uniform((count, tf.shape(images)[0] // alike), seed, -1.0, 1.0)
    return tf.repeat(draws, alike, axis=1)


def recolour(images: tf.Tensor, draws: tf.Tensor, level: Augmentation) -> tf.Tensor:
    """Change brightness, contrast, saturation and hue of some images, and turn a few grey."""
    count = tf.shape(images)[0]
    some = _chosen(draws[0], level.coloured)
    contrast = 1 + some * draws[1] * level.contrast
    saturation = (1 + some * draws[2] * level.saturation) * (1 - _chosen(draws[5], level.grey))
    angle = some * draws[3] * level.hue
    cos, sin, zeros = saturation * tf.cos(angle), saturation * tf.sin(angle), tf.zeros_like(angle)
    turn = tf.reshape(
        tf.stack([tf.ones_like(angle), zeros, zeros, zeros, cos, -sin, zeros, sin, cos], axis=1), (-1, 3, 3)
    )
    matrix = contrast[:, None, None] * (tf.linalg.inv(TO_YIQ) @ turn @ TO_YIQ)
    mean = tf.einsum("bhwc,c->b", images, GREY) / tf.cast(tf.shape(images)[1] * tf.shape(images)[2], tf.float32)
    offset = (1 - contrast) * mean + some * draws[4] * level.brightness
    flat = tf.reshape(images, (count, -1, 3))
    changed = tf.matmul(flat, matrix, transpose_b=True) + offset[:, None, None]
    return tf.reshape(tf.clip_by_value(changed, 0.0, 255.0), tf.shape(images))


def blur(images: tf.Tensor, draws: tf.Tensor, level: Augmentation) -> tf.Tensor:
    """Blur some images with Gaussians of different widths."""
    deviation = tf.where(_chosen(draws[0], level.blurred) > 0, level.blur * (draws[1] + 1.2) / 2.2, 1e-3)
    places = tf.range(-BLUR_RADIUS, BLUR_RADIUS + 1, dtype=tf.float32)
    weights = tf.nn.softmax(-(places**2) / (2 * deviation[:, None] ** 2))
    shape = tf.shape(images)
    # turn images into channels, since a depthwise convolution has one kernel per channel
    stacked = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (1, shape[1], shape[2], -1))
    kernel = tf.repeat(tf.transpose(weights), 3, axis=1)[:, None, :, None]
    for each in (kernel, tf.transpose(kernel, (1, 0, 2, 3))):
        sides = [[0, 0], *([BLUR_RADIUS if n > 1 else 0] * 2 for n in each.shape[:2]), [0, 0]]
        stacked = tf.nn.depthwise_conv2d(tf.pad(stacked, sides, "REFLECT"), each, (1, 1, 1, 1), "VALID")
    return tf.transpose(tf.reshape(stacked, (shape[1], shape[2], shape[0], 3)), (2, 0, 1, 3))


def add_noise(images: tf.Tensor, draws: tf.Tensor, seed: tf.Tensor, level: Augmentation) -> tf.Tensor:
    """Add Gaussian noise to some images."""
    deviation = _chosen(draws[0], level.noisy) * level.noise * (draws[1] + 1) / 2
    noise = tf.random.stateless_normal(tf.shape(images), seed)
    return tf.clip_by_value(images + deviation[:, None, None, None] * noise, 0.0, 255.0)


def cut_out(images: tf.Tensor, landmarks: tf.Tensor, draws: tf.Tensor, level: Augmentation) -> tf.Tensor:
    """Black out eyes, nose or mouth of some faces, so that the model uses the whole face (Seferbekov 2020)."""
    left_eye, right_eye, nose, left_mouth, right_mouth = tf.unstack(landmarks, axis=1)
    unit = tf.norm(right_eye - left_eye, axis=1, keepdims=True)
    centres = tf.stack([(left_eye + right_eye) / 2, left_eye, right_eye, nose, (left_mouth + right_mouth) / 2], axis=1)
    halves = tf.constant([[0.9, 0.35], [0.4, 0.35], [0.4, 0.35], [0.35, 0.4], [0.6, 0.35]])  # of the eyes' distance
    part = tf.cast((draws[1] + 1) / 2 * 4.999, tf.int32)
    centre, half = tf.gather(centres, part, batch_dims=1), unit * tf.gather(halves, part)
    places = (tf.range(tf.shape(images)[1], dtype=tf.float32) + 0.5) / tf.cast(tf.shape(images)[1], tf.float32)
    inside = tf.abs(places[None, :, None] - centre[:, None, :]) < half[:, None, :]  # B x S x (x, y)
    hole = inside[:, :, 1][:, :, None] & inside[:, :, 0][:, None, :]
    hole = hole & (_chosen(draws[0], level.cut) > 0)[:, None, None]
    return tf.where(hole[..., None], 0.0, images)


def _chosen(draws: tf.Tensor, share: float) -> tf.Tensor:
    """Return 1 for this share of draws of -1 to 1, else 0."""
    return tf.cast((draws + 1) / 2 < share, tf.float32)


class Augment(keras.layers.Layer):
    """`augment` as a layer, so that it runs on the GPU within the training step; no effect in evaluation."""

    def __init__(self, level: Augmentation, **options: Any) -> None:
        super().__init__(**options)
        self.level = level

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> tf.Tensor:
        images, landmarks, seeds = inputs
        # each replica has its part of the batch and of the seeds
        return augment(images, landmarks, seeds[0], self.level) if training else tf.cast(images, tf.float32)


def augmenting(model: keras.Model, level: Augmentation) -> keras.Model:
    """Wrap a model so that it augments its training input; takes crops, landmarks and seeds (B x 2), shares weights."""
    inputs = [
        keras.Input(model.input_shape[1:], dtype="uint8", name="crop"),
        keras.Input((5, 2), name="landmarks"),
        keras.Input((2,), dtype="int64", name="seed"),
    ]
    result = keras.Model(inputs, model(Augment(level)(inputs)))
    result.dtype_policy = model.dtype_policy  # Keras scales the loss by it
    return result
