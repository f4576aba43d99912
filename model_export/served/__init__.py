"""The signatures of every task: how a trained network becomes what the server answers with."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy.typing as npt

from model_export.registry import Task

if TYPE_CHECKING:
    from model_export.exportable import Exportable


class Endpoint(NamedTuple):
    """One signature to be exported: a function of tensors and the specification of its inputs."""

    function: Any
    inputs: list[Any]
    tables: tuple[Any, ...] = ()
    """Lookup tables it uses beside that of the class names; the SavedModel has to hold them."""


class Served(Protocol):
    """A task's module in this package."""

    def endpoints(self, network: Any, labels: Any, model: Exportable) -> dict[str, Endpoint]:
        """Return the endpoints by signature name.

        Args:
            network: Keras model with its weights.
            labels: Lookup table int64 class id -> string class name.
            model: What is known about it.
        """
        ...

    def warmup_input(self, model: Exportable) -> bytes:
        """Return a small encoded input, an image or a text, for the warm-up requests."""
        ...

    def probes(self, model: Exportable) -> dict[str, npt.NDArray[Any]]:
        """Return an input for every signature that the loaded model is compared on with Keras; strings as objects."""
        ...


def served(task: Task) -> Served:
    """Return the module of a task."""
    module: Any = importlib.import_module(f"model_export.served.{task.value}")
    found: Served = module
    return found
