"""What the tasks on images share: their data and their batches."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.datasets.pipeline import ImagePipeline
from model_export.datasets.records import Dataset, whole_batches
from model_export.evaluation.slices import Slice, of_pictures
from model_export.registry import Preset, Recipe


class ImageTraining:
    """The part of a `TaskTraining` that does not depend on what is asked about an image."""

    def __init__(self, dataset: Dataset, preset: Preset, recipe: Recipe) -> None:
        self._recipe = recipe
        self._names = dataset.classes
        self._examples = dataset.train
        self._test_examples = dataset.test
        self._image = preset.image
        self._test = ImagePipeline(dataset.test, preset.image, recipe.batch_size)
        self.steps = whole_batches(len(dataset.train), recipe.batch_size)

    @functools.cached_property
    def _train(self) -> ImagePipeline:
        # An evaluation has no use for it, and decoding takes time and memory.
        return ImagePipeline(self._examples, self._image, self._recipe.batch_size)

    @functools.cached_property
    def _pictures(self) -> npt.NDArray[np.uint8]:
        return self._test.pictures()

    def _known_slices(self) -> list[Slice]:
        return of_pictures(self._pictures, self._test_examples)

    def batches(self, epochs: range, seed: int) -> Any:
        """Return tf.data of epochs on end: (pixels, targets by name)."""
        return self._train.training(epochs, seed, self._recipe.augmentation)
