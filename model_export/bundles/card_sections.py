"""The sections of a model card: each function returns Markdown lines, the last of them empty."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model_export.bundles.diff import tensor_text
from model_export.manifest import Manifest
from model_export.training.run import Order

_CLASSES_SHOWN = 100
_MIB = 1 << 20
_TASKS = {
    "classify": "image classification",
    "detect": "object detection",
    "segment": "segmentation",
    "label": "text classification",
}
_USES = {
    "classify": (
        "Naming what a whole picture shows, out of the classes above.",
        (
            "It always answers with one of its classes, also for a picture of none of them; scores are not calibrated "
            "unless the metrics say so. It does not say where something is."
        ),
    ),
    "detect": (
        "Finding and counting objects of the classes above in single pictures.",
        (
            "Objects much smaller, more crowded or seen from another angle than in the training data are missed. It "
            "does not follow objects from frame to frame and does not tell persons apart."
        ),
    ),
    "segment": (
        "Marking which pixels of a picture belong to which of the classes above.",
        (
            "Thin structures and edges are less sure than the mean suggests, because the picture is resized. Areas in "
            "pixels are no measurements without the scale of the picture."
        ),
    ),
    "label": (
        "Sorting short texts into the classes above.",
        (
            "Text is cut after a length that the graph fixes, and words that the training data lacks do not count. "
            "It always answers with one of its classes, also for a text in another language."
        ),
    ),
}
_GENERAL = (
    "Not for decisions about persons or their safety without a person who checks each of them. Measure it on data of "
    "your own first: the metrics hold for data like that of the evaluation only."
)
_RANGES = {
    "image_bytes": "encoded JPEG, PNG, BMP or GIF",
    "image": "RGB, 0 to 255",
    "scores": "0 to 1",
    "boxes": "ymin, xmin, ymax, xmax, 0 to 1",
    "count": "0 to 100",
    "mask": "class ids",
}
_DTYPES = {"uint8": "0 to 255", "string": "bytes"}


def class_names(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return the class names from the archive; empty when it is not there."""
    try:
        with tarfile.open(folder / manifest.archive, "r:") as tar:
            stream = tar.extractfile(manifest.labels.file)
            return () if stream is None else tuple(stream.read().decode().splitlines())
    except (OSError, tarfile.TarError, KeyError, UnicodeDecodeError):
        return ()


def about(content: Mapping[str, Any], task: str) -> list[str]:
    """What the model is."""
    source = content["source"]
    rows = [
        ("task", _TASKS.get(task, task) or "not stated"),
        ("family", source["family"]),
        ("parameters", f"{content['parameters']:,}"),
        ("weights", source["weights"]),
        ("from", source["url"]),
        ("licence", content["license"]),
    ]
    return _section("What it is", "", ("", ""), rows)


def class_list(classes: Sequence[str], count: int) -> list[str]:
    """The class names, as far as they fit a page."""
    if not classes:
        return _section("Classes", f"{count} classes; their names are in the archive.")
    more = f" and {len(classes) - _CLASSES_SHOWN} more" if len(classes) > _CLASSES_SHOWN else ""
    return _section("Classes", f"{count}: {', '.join(map(_plain, classes[:_CLASSES_SHOWN]))}{more}.")


def metrics(content: Mapping[str, Any]) -> list[str]:
    """The results that the manifest states."""
    found = content["metrics"]
    if not found:
        return _section("Metrics", "The bundle states none.")
    rows = [(name, f"{value:.4f}") for name, value in found.items()]
    return _section("Metrics", "On data that was not trained on.", ("metric", "value"), rows)


def training(order: Order | None, results: Mapping[str, Any] | None) -> list[str]:
    """What the model was trained and evaluated on."""
    if order is None:
        return _section("Training data", "See where the weights are from; this bundle was made without a training run.")
    rows = [("data", order.data), ("digest", order.data_digest), ("licence of the data", order.license)]
    if results is not None:
        rows.append(("evaluated on", f"{results.get('data')} ({results.get('data_digest')})"))
    rows += [("preset", order.preset), ("seed", str(order.seed))]
    return _section("Training data", "", ("", ""), rows)


def use(task: str) -> list[str]:
    """What the model is for, and its limits."""
    meant, limits = _USES.get(task, ("What its classes and metrics show.", ""))
    return [*_section("Intended use", meant), *_section("Limits", f"{limits} {_GENERAL}".strip())]


def signatures(content: Mapping[str, Any]) -> list[str]:
    """Inputs and outputs."""
    rows = []
    for name, signature in content["signatures"].items():
        for kind in ("inputs", "outputs"):
            for tensor, spec in signature[kind].items():
                meaning = _range(tensor, spec, kind, content["labels"]["count"])
                rows.append((name, kind.removesuffix("s"), tensor, tensor_text(spec), meaning))
    sizes = ", ".join(map(str, content["batching"]["allowed_batch_sizes"]))
    text = f"The first dimension is the batch; the server batches requests to sizes {sizes}."
    return _section("Signatures", text, ("signature", "", "tensor", "type and shape", "range"), rows)


def measured(content: Mapping[str, Any]) -> list[str]:
    """Size, and what the verification measured."""
    found = content["measured"]
    rows = [
        ("archive", f"{content['size'] / _MIB:.1f} MiB"),
        ("one request", f"{found['latency_ms']:.1f} ms (median)"),
        *((f"batch of {size}", f"{ms:.1f} ms (median)") for size, ms in _batches(found).items()),
        ("loading", f"{found['load_s']:.1f} s"),
        ("peak memory", f"{found['peak_memory_mib']:.0f} MiB"),
    ]
    return _section("Measured", f"By the verification at export, on {found['machine']}.", ("", ""), rows)


def _batches(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the latencies of the batches of more than one, which older manifests lack."""
    return {size: ms for size, ms in found.get("latency_ms_by_batch", {}).items() if size != "1"}


def origin(content: Mapping[str, Any]) -> list[str]:
    """Where the bundle comes from and what it needs, with what newer manifests say about it where they do."""
    rows = [("digest", content["digest"]), *((key, str(value)) for key, value in content["framework"].items())]
    for key, title in (("provenance", ""), ("options", "option ")):
        rows += [(f"{title}{name}", _value(value)) for name, value in (content.get(key) or {}).items()]
    lines = _section("Provenance", "", ("", ""), rows)
    if dependencies := content.get("dependencies"):
        named = dependencies.items() if isinstance(dependencies, Mapping) else ((each, "") for each in dependencies)
        lines += _section("Dependencies", "", ("package", "version"), [(_value(a), _value(b)) for a, b in named])
    return lines


def _range(name: str, spec: Mapping[str, Any], kind: str, classes: int) -> str:
    if name in ("class_ids", "label_ids"):
        return f"0 to {classes - 1}"
    if name in ("labels", "classes") and kind == "outputs" and spec["dtype"] == "string":
        return "class names"
    if name == "inputs" and spec["dtype"] == "string":
        return "serialized tf.Example"
    return _RANGES.get(name) or _DTYPES.get(spec["dtype"], "")


def _section(title: str, text: str, head: Sequence[str] = (), rows: Iterable[Sequence[str]] = ()) -> list[str]:
    lines = [f"## {title}", ""]
    if text:
        lines += [text, ""]
    if head:
        lines += [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        lines += [f"| {' | '.join(map(_plain, row))} |" for row in rows]
        lines.append("")
    return lines


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    """Escape what would end a cell or begin markup: class names and licences come from outside."""
    flat = " ".join(text.split())
    for character in "\\`*_|[]<>":
        flat = flat.replace(character, f"\\{character}")
    return flat
