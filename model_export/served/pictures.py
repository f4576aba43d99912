"""Pictures to warm up with and to compare on, made here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.protos import example_pb2
from model_export.signatures import EXAMPLE_FEATURE

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

    found = np.empty(len(pixels), object)
    found[:] = [bytes(tf.io.encode_png(each).numpy()) for each in pixels]
    return found


def example_of(files: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return encoded pictures as serialized tf.Example messages, bytes [n], dtype object."""
    found = np.empty(len(files), object)
    for row, file in enumerate(files):
        example = example_pb2.Example()
        example.features.feature[EXAMPLE_FEATURE].bytes_list.value.append(file)
        found[row] = example.SerializeToString(deterministic=True)
    return found
