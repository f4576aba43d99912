"""The manifest of every trained family's bundle states the signatures that are documented, and no others."""

import importlib
import json

import pytest
from trained_models import FAMILIES

from model_export.registry import SMALL, Task, find

pytestmark = pytest.mark.model

ANY = None
TEXTS = ("string", [ANY])
BEST = {"scores": ("float32", [ANY, 5]), "class_ids": ("int32", [ANY, 5]), "labels": ("string", [ANY, 5])}
OF_EXAMPLES = ("classify", {"inputs": TEXTS}, {"classes": BEST["labels"], "scores": BEST["scores"]})


def of_pictures(size, outputs):
    image = ("uint8", [ANY, size, size, 3])
    return {
        "serving_default": ("predict", {"image_bytes": TEXTS}, outputs),
        "image_uint8": ("predict", {"image": image}, outputs),
    }


def documented(family, classes):
    """Return method, inputs and outputs by signature as model_export/served and docs/models.md have them."""
    task = find(family).task
    if task is Task.LABEL:
        return {"serving_default": ("predict", {"text": TEXTS}, BEST), "classify": OF_EXAMPLES}
    size = find(family).preset(SMALL).image.size
    if task is Task.CLASSIFY:
        return of_pictures(size, BEST) | {"classify": OF_EXAMPLES}
    if task is Task.SEGMENT:
        each = {"scores": ("float32", [ANY, classes]), "labels": ("string", [ANY, classes])}
        return of_pictures(size, {"mask": ("uint8", [ANY, size, size]), **each})
    found = {"scores": ("float32", [ANY, 100]), "class_ids": ("int32", [ANY, 100]), "labels": ("string", [ANY, 100])}
    return of_pictures(size, {"boxes": ("float32", [ANY, 100, 4]), "count": ("int32", [ANY]), **found})


def stated(manifest):
    return {
        name: (
            each["method"],
            *({k: (v["dtype"], v["shape"]) for k, v in each[s].items()} for s in ("inputs", "outputs")),
        )
        for name, each in manifest["signatures"].items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_has_the_documented_signatures(models, family):
    manifest = json.loads((models.bundle(family) / "1.json").read_text())
    assert stated(manifest) == documented(family, manifest["labels"]["count"])
    text = importlib.import_module(f"model_export.served.{find(family).task.value}").__doc__
    for name, (_, inputs, outputs) in stated(manifest).items():
        assert {f"`{each}`" for each in (name, *inputs, *outputs)} <= set(
            text.replace(",", " ").replace(":", " ").split()
        )
