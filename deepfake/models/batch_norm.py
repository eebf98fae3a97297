"""Train batch norms with TensorFlow's fused operation; that of Keras 3 consists of eight others, which take longer."""

from types import MethodType

from deepfake.models.runtime import keras, tf


def fuse_batch_norms(model: keras.Model) -> None:
    """Let each batch norm of a model train in one operation; its file, its weights and its predictions stay the same.

    Outputs, gradients and moving statistics differ from those of Keras by rounding errors only.
    """
    for layer in model._flatten_layers():  # also those within a backbone
        if type(layer) is keras.layers.BatchNormalization and _can_be_fused(layer):
            layer.call = MethodType(_call, layer)


def _can_be_fused(layer: keras.layers.BatchNormalization) -> bool:
    ndim, ((axis, _),) = layer.input_spec.ndim, layer.input_spec.axes.items()
    return ndim == 4 and axis in (-1, 3) and not (layer.renorm or layer.synchronized)


def _call(
    self: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Normalize B x H x W x C as `BatchNormalization.call` does, which still predicts."""
    if not (training and self.trainable) or mask is not None:
        return keras.layers.BatchNormalization.call(self, inputs, training=training, mask=mask)
    channels = tf.ones(inputs.shape[-1:])
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(inputs, tf.float32),
        scale=channels if self.gamma is None else self.gamma.value,
        offset=tf.zeros_like(channels) if self.beta is None else self.beta.value,
        mean=[],
        variance=[],
        epsilon=self.epsilon,
        is_training=True,
    )
    # the operation returns the unbiased variance, while Keras averages the biased one
    count = tf.cast(tf.size(inputs) // tf.size(channels), tf.float32)
    for average, value in ((self.moving_mean, mean), (self.moving_variance, variance * ((count - 1) / count))):
        average.assign(average * self.momentum + value * (1 - self.momentum))
    return tf.cast(outputs, self.compute_dtype)
