"""Training with fused batch norms is training with those of Keras."""

import numpy as np
import pytest

from deepfake.models.batch_norm import fuse_batch_norms
from deepfake.models.runtime import keras, set_precision

CROPS = np.random.default_rng(0).uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)
LABELS = np.array([[0], [1]] * 3, np.float32)


def model_with_batch_norms() -> keras.Model:
    """A backbone within a model; its batch norms have a scale and an offset, or one of them, or neither."""
    keras.utils.set_random_seed(1)
    crops = keras.Input((16, 16, 3))
    x = crops
    for scale, center in ((True, True), (False, True), (True, False), (False, False)):
        x = keras.layers.Conv2D(4, 3, activation="silu")(x)
        x = keras.layers.BatchNormalization(scale=scale, center=center, momentum=0.9)(x)
    backbone = keras.Model(crops, keras.layers.GlobalAveragePooling2D()(x), name="backbone")
    inputs = keras.Input((16, 16, 3))
    features = keras.layers.BatchNormalization()(backbone(keras.layers.Rescaling(1 / 255)(inputs)))  # of B x C
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(features))


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_losses_weights_and_moving_statistics_are_those_of_keras(precision, tolerance):
    plain, fused = model_with_batch_norms(), model_with_batch_norms()
    before = fused.to_json()
    fuse_batch_norms(fused)
    assert fused.to_json() == before
    losses = []
    for model in (plain, fused):
        set_precision(model, precision)
        model.compile(keras.optimizers.SGD(0.1), loss="binary_crossentropy")
        losses.append([float(model.train_on_batch(CROPS, LABELS)) for _ in range(3)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    for ours, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)
    np.testing.assert_allclose(fused(CROPS), plain(CROPS), atol=3 * tolerance)


def test_frozen_batch_norms_keep_their_statistics():
    model = model_with_batch_norms()
    fuse_batch_norms(model)
    model.trainable = False
    before = model.get_weights()
    np.testing.assert_allclose(model(CROPS, training=True), model(CROPS), atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
