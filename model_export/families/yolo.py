"""YOLOv3: boxes from three scales of one convolutional body; https://arxiv.org/abs/1804.02767.

Two later changes of the family make it train in few epochs: a centre may lie half a cell outside its cell, so that the
neighbouring cells answer for an object, too (https://arxiv.org/abs/2004.10934), and boxes are fitted by their
generalised overlap (https://arxiv.org/abs/1902.09630).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_export.registry import FULL, SMALL, Augmentation, Family, ImageInput, Preset, Recipe, Task
from model_export.training.losses import cross_entropy_of_each, giou, iou

_FULL_SIZE, _SMALL_SIZE = 416, 96
_FULL_ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
"""Widths and heights in pixels of 416, fine scale first, as the paper gives them."""
_SMALL_ANCHORS = (((18, 18), (28, 28)),)
_NEAR = 0.5
"""A prediction that overlaps an object more than this is not told that it is wrong."""
_BOX_WEIGHT, _CLASS_WEIGHT = 2.0, 1.0
_LARGEST = 4.0
"""Most that a side is longer than its anchor, as a power of e."""


@dataclass(frozen=True)
class YoloDetector:
    """See `Detector`.

    A network returns a list, fine scale first, of float32 [batch, g, g, anchors x (5 + classes)]: for every anchor the
    centre's place in the cell (across, down), the logarithms of width and height over the anchor's, whether there is an
    object, and the classes.
    """

    classes: int
    anchors: Sequence[Sequence[tuple[float, float]]]
    """Widths and heights by scale, as parts of the picture's side."""

    def loss(self, boxes: Any, labels: Any, outputs: Any) -> Any:
        """See `Detector`: generalised overlap of the boxes, cross-entropy of object or not and of each class."""
        import tensorflow as tf

        made, raw = self._decoded(outputs)
        places, known = self._responsible(boxes, labels, outputs)
        answers = tf.gather(made, places, batch_dims=1)
        truth = tf.repeat(boxes, 3, axis=1)
        weights = tf.cast(known, tf.float32)
        fit = giou(answers, truth, weights=weights)
        logits = tf.gather(raw[..., 5:], places, batch_dims=1)
        kinds = tf.one_hot(tf.repeat(labels, 3, axis=1), self.classes)
        named = cross_entropy_of_each(logits, kinds, weights=weights[..., None] * tf.ones_like(kinds))
        objects = tf.scatter_nd(_rows(places), weights, tf.shape(raw)[:2])
        is_object = tf.cast(objects > 0, tf.float32)
        near = tf.stop_gradient(tf.reduce_max(_overlap(made, boxes, labels), axis=-1)) > _NEAR
        counted = tf.where(near, is_object, tf.ones_like(is_object))
        found = cross_entropy_of_each(raw[..., 4], is_object, weights=counted)
        # The mean over all places would drown the few that hold an object.
        balance = tf.reduce_sum(counted) / tf.maximum(1.0, tf.reduce_sum(is_object))
        return _BOX_WEIGHT * fit + balance * found + _CLASS_WEIGHT * self.classes * named

    def candidates(self, outputs: Any) -> tuple[Any, Any]:
        """See `Detector`."""
        import tensorflow as tf

        made, raw = self._decoded(outputs)
        return made[:, :, None], tf.sigmoid(raw[..., 4:5]) * tf.sigmoid(raw[..., 5:])

    def _decoded(self, outputs: Any) -> tuple[Any, Any]:
        """Return boxes, float32 [batch, n, 4], and what was made into them, float32 [batch, n, 5 + classes]."""
        import tensorflow as tf

        boxes, raw = [], []
        for output, anchors in zip(_scales(outputs), self.anchors, strict=True):
            grid, each = int(output.shape[1]), 5 + self.classes
            values = tf.reshape(tf.cast(output, tf.float32), [-1, grid, grid, len(anchors), each])
            cells = tf.range(grid, dtype=tf.float32)
            across = (cells[None, None, :, None] + 2 * tf.sigmoid(values[..., 0]) - 0.5) / grid
            down = (cells[None, :, None, None] + 2 * tf.sigmoid(values[..., 1]) - 0.5) / grid
            sides = tf.exp(tf.minimum(values[..., 2:4], _LARGEST)) * tf.constant(anchors, tf.float32)
            width, height = sides[..., 0] / 2, sides[..., 1] / 2
            corners = tf.stack([down - height, across - width, down + height, across + width], axis=-1)
            boxes.append(tf.reshape(corners, [-1, grid * grid * len(anchors), 4]))
            raw.append(tf.reshape(values, [-1, grid * grid * len(anchors), each]))
        return tf.concat(boxes, axis=1), tf.concat(raw, axis=1)

    def _responsible(self, boxes: Any, labels: Any, outputs: Any) -> tuple[Any, Any]:
        """Return the places, int32 [batch, 3 n], that answer for each object, and which of them count.

        The anchor is the one whose sides fit best; the cells are the one with the centre and its nearest neighbour on
        each axis.
        """
        import tensorflow as tf

        grids = [int(output.shape[1]) for output in _scales(outputs)]
        flat = tf.constant([anchor for scale in self.anchors for anchor in scale], tf.float32)
        sides = tf.stack([boxes[..., 3] - boxes[..., 1], boxes[..., 2] - boxes[..., 0]], axis=-1)
        shared = tf.reduce_prod(tf.minimum(sides[..., None, :], flat), axis=-1)
        union = tf.reduce_prod(sides, axis=-1)[..., None] + tf.reduce_prod(flat, axis=-1) - shared
        best = tf.argmax(shared / union, axis=-1, output_type=tf.int32)
        scale_of = [scale for scale, anchors in enumerate(self.anchors) for _ in anchors]
        counts = [len(anchors) for anchors in self.anchors]
        starts = [sum(g * g * a for g, a in zip(grids[:s], counts[:s], strict=True)) for s in range(len(grids))]
        first = [sum(counts[:scale]) for scale in range(len(counts))]

        def of_anchor(values: list[int]) -> Any:
            return tf.gather(tf.constant(values, tf.int32), best)

        grid, start = of_anchor([grids[s] for s in scale_of]), of_anchor([starts[s] for s in scale_of])
        many = of_anchor([counts[s] for s in scale_of])
        anchor = best - of_anchor([first[s] for s in scale_of])
        centre = (boxes[..., :2] + boxes[..., 2:]) / 2 * tf.cast(grid, tf.float32)[..., None]
        cell = tf.clip_by_value(tf.cast(centre, tf.int32), 0, grid[..., None] - 1)
        side = tf.where(centre - tf.cast(cell, tf.float32) < 0.5, -1, 1)
        steps = tf.stack([tf.zeros_like(side), side * tf.constant([1, 0]), side * tf.constant([0, 1])], axis=2)
        cells = cell[:, :, None] + steps
        inside = tf.reduce_all((cells >= 0) & (cells < grid[..., None, None]), axis=-1)
        places = (cells[..., 0] * grid[..., None] + cells[..., 1]) * many[..., None] + anchor[..., None]
        known = inside & (labels[..., None] >= 0)
        places = tf.where(known, places + start[..., None], 0)
        return tf.reshape(places, [tf.shape(boxes)[0], -1]), tf.reshape(known, [tf.shape(boxes)[0], -1])


def _scales(outputs: Any) -> list[Any]:
    """Return a network's outputs by scale; Keras makes one output out of a list of one."""
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _rows(places: Any) -> Any:
    """Return int32 [batch, n, 2]: each place with its row in the batch."""
    import tensorflow as tf

    rows = tf.range(tf.shape(places)[0])[:, None] * tf.ones_like(places)
    return tf.stack([rows, places], axis=-1)


def _overlap(made: Any, boxes: Any, labels: Any) -> Any:
    """Return the intersection over union of predictions and objects, float32 [batch, n, objects]."""
    import tensorflow as tf

    return tf.where(labels[:, None] >= 0, iou(made[:, :, None], boxes[:, None]), 0.0)


def _convolved(x: Any, channels: int, kernel: int = 3, stride: int = 1) -> Any:
    import keras

    x = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.LeakyReLU(negative_slope=0.1)(x)


def full(classes: int) -> Any:
    """Return the paper's network for 416 x 416 pixels: 62,001,757 parameters for 80 classes.

    61,949,149 of them are trained; the rest are the averages of batch normalisation.
    """
    import keras

    layers = keras.layers
    image = keras.Input((_FULL_SIZE, _FULL_SIZE, 3), dtype="float32")
    x = _convolved(layers.Rescaling(1 / 255)(image), 32)
    scales = []
    for channels, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = _convolved(x, channels, stride=2)
        for _ in range(blocks):
            x = layers.Add()([x, _convolved(_convolved(x, channels // 2, 1), channels)])
        scales.append(x)
    outputs: list[Any] = []
    for scale, channels in zip(reversed(scales[2:]), (512, 256, 128), strict=True):
        if outputs:
            x = layers.UpSampling2D()(_convolved(x, channels, 1))
            x = layers.Concatenate()([x, scale])
        for kernel in (1, 3, 1, 3, 1):
            x = _convolved(x, channels if kernel == 1 else 2 * channels, kernel)
        outputs.insert(0, layers.Conv2D(3 * (5 + classes), 1, dtype="float32")(_convolved(x, 2 * channels)))
    return keras.Model(image, outputs, name="yolo")


def small(classes: int) -> Any:
    """Return one scale of 12 x 12 cells over a narrow residual body for 96 x 96 pixels."""
    import keras

    layers = keras.layers
    image = keras.Input((_SMALL_SIZE, _SMALL_SIZE, 3), dtype="float32")
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    for channels in (16, 32, 64):
        x = _convolved(x, channels, stride=2)
        x = layers.Add()([x, _convolved(_convolved(x, channels // 2, 1), channels)])
    deep = _convolved(x, 96, stride=2)
    deep = layers.Add()([deep, _convolved(_convolved(deep, 48, 1), 96)])
    x = layers.Concatenate()([x, layers.UpSampling2D()(_convolved(deep, 32, 1))])
    x = _convolved(_convolved(x, 64, 1), 96)
    each = 5 + classes
    anchors = len(_SMALL_ANCHORS[0])
    return keras.Model(image, [layers.Conv2D(anchors * each, 1, dtype="float32")(x)], name="yolo_small")


def _detector(anchors: Sequence[Sequence[tuple[int, int]]], size: int, classes: int) -> YoloDetector:
    parts = tuple(tuple((width / size, height / size) for width, height in scale) for scale in anchors)
    return YoloDetector(classes, parts)


FAMILY = Family(
    name="yolo",
    title="YOLOv3, one-stage detector: 416 x 416 pixels, 62 million parameters; small: 96 x 96 pixels",
    task=Task.DETECT,
    paper="https://arxiv.org/abs/1804.02767",
    presets={
        FULL: Preset(
            input=ImageInput(size=_FULL_SIZE),
            network=full,
            recipe=Recipe(
                epochs=270, batch_size=64, learning_rate=1e-3, optimizer="sgd", schedule="step", weight_decay=5e-4,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.2),
            ),
            parameters=62_001_757,
            classes=80,
            detector=lambda classes: _detector(_FULL_ANCHORS, _FULL_SIZE, classes),
        ),
        SMALL: Preset(
            input=ImageInput(size=_SMALL_SIZE),
            network=small,
            recipe=Recipe(
                epochs=24, batch_size=16, learning_rate=4e-3,
                augmentation=Augmentation(shift=0.1, flip=True, brightness=0.1),
            ),
            detector=lambda classes: _detector(_SMALL_ANCHORS, _SMALL_SIZE, classes),
        ),
    },
    batch_sizes=(1, 2, 4, 8),
)  # fmt: skip
