"""What the image tasks share: their two signatures, and pictures made here to warm up with and to compare on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.records import objects
from model_export.images import decode_batch
from model_export.registry import ImageInput
from model_export.served import Endpoint

_PROBES = 4
_WARMUP_SIDE = 64


def warmup_picture() -> bytes:
    """Return a JPEG file of 64 x 64 pixels."""
    import tensorflow as tf

    ramp = np.arange(_WARMUP_SIDE, dtype=np.uint8) * (256 // _WARMUP_SIDE)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    return bytes(tf.io.encode_jpeg(pixels, quality=80).numpy())


def smooth(size: int) -> npt.NDArray[np.uint8]:
    """Return seeded pictures of soft colours, uint8 [4, size, size, 3]."""
    import tensorflow as tf

    coarse = np.random.default_rng(0).uniform(0, 255, (_PROBES, 8, 8, 3)).astype(np.float32)
    pixels = tf.clip_by_value(tf.image.resize(coarse, [size, size], method="bicubic"), 0, 255)
    return np.asarray(pixels).astype(np.uint8)


def encoded(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return pictures as PNG files, bytes [n], dtype object."""
    import tensorflow as tf

    return objects([bytes(tf.io.encode_png(each).numpy()) for each in pixels])


def endpoints(answer: Any, image: ImageInput) -> dict[str, Endpoint]:
    """Return the two signatures of every image task, `serving_default` and `image_uint8`.

    Args:
        answer: float32 [batch, size, size, 3], RGB in [0, 255] -> the outputs by name.
        image: The network's input.
    """
    import tensorflow as tf

    def serving_default(image_bytes: Any) -> dict[str, Any]:
        found: dict[str, Any] = answer(decode_batch(image_bytes, image))
        return found

    def image_uint8(pixels: Any) -> dict[str, Any]:
        found: dict[str, Any] = answer(tf.cast(pixels, tf.float32))
        return found

    size = image.size
    return {
        "serving_default": Endpoint(serving_default, [tf.TensorSpec([None], tf.string, name="image_bytes")]),
        "image_uint8": Endpoint(image_uint8, [tf.TensorSpec([None, size, size, 3], tf.uint8, name="image")]),
    }


def probes(image: ImageInput) -> dict[str, npt.NDArray[Any]]:
    """Return inputs for the two signatures: the same pictures, as files and as pixels."""
    pixels = smooth(image.size)
    return {"image_uint8": pixels, "serving_default": encoded(pixels)}
