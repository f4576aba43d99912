"""Model cards: what is on the page, and where it comes from."""

import json
import re
from dataclasses import replace

import pytest
from bundle_folders import make

from model_export.bundles import card_sections as sections
from model_export.bundles.card import card
from model_export.errors import ExportError
from model_export.registry import Recipe, Task
from model_export.training.run import Order, write_order

PNG = b"\x89PNG\r\n"


@pytest.fixture
def manifest(tmp_path):
    file = make(tmp_path / "scenes", 1) / "1.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"metrics": {"accuracy": 0.98765}}))
    return file


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    order = Order(
        family="fake", preset="small", data="folder:pictures", data_digest="sha256:" + "ab" * 32,
        classes=("cat", "dog|wolf"), license="CC-BY-4.0", seed=7,
        recipe=Recipe(epochs=1, batch_size=1, learning_rate=1.0),
    )  # fmt: skip
    write_order(folder, order)
    (folder / "results.json").write_text(json.dumps({"data": "pictures", "data_digest": "sha256:cd", "accuracy": 1}))
    report = folder / "report"
    report.mkdir()
    (report / "report.md").write_text(
        "# r\n\n![Examples](examples.png)\n\n![Gone](gone.png)\n\n![Out](../../secret.png)\n"
    )
    (report / "examples.png").write_bytes(PNG)
    return folder


def part(text, title):
    return re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE).group(1)


def test_the_latency_of_every_batch_size_is_shown_where_it_was_measured(tmp_path, manifest):
    before = part(card(manifest, None, tmp_path / "cards").read_text(), "Measured")
    assert "| one request | 1.0 ms (median) |" in before
    assert "batch of" not in before
    content = json.loads(manifest.read_text())
    content["measured"]["latency_ms_by_batch"] = {"1": 1.0, "2": 1.75}
    manifest.write_text(json.dumps(content))
    after = part(card(manifest, None, tmp_path / "cards").read_text(), "Measured")
    assert "| one request | 1.0 ms (median) |\n| batch of 2 | 1.8 ms (median) |" in after
    assert "batch of 1 " not in after


def test_a_bundle_alone_gives_a_page_with_everything_its_manifest_says(tmp_path, manifest):
    page = card(manifest, None, tmp_path / "cards")
    text = page.read_text()
    assert page.name == "scenes-1.md"
    assert text.startswith("# scenes, version 1\n")
    assert "| licence | Apache-2.0 |" in part(text, "What it is")
    assert part(text, "Classes").strip() == "2: cat, dog."
    assert "| accuracy | 0.9877 |" in part(text, "Metrics")
    assert "without a training run" in part(text, "Training data")
    assert "Not for decisions about persons" in part(text, "Limits")
    assert "| serving\\_default | input | x | string \\[any\\] | bytes |" in part(text, "Signatures")
    assert "on none." in part(text, "Measured")
    assert "| digest | sha256:" in part(text, "Provenance")
    assert "## Pictures" not in text
    assert [each.name for each in page.parent.iterdir()] == ["scenes-1.md"]


def test_a_run_adds_its_data_and_its_reports_pictures(tmp_path, manifest, run):
    page = card(manifest, run, tmp_path / "cards")
    text = page.read_text()
    training = part(text, "Training data")
    assert "| data | folder:pictures |" in training
    assert "| licence of the data | CC-BY-4.0 |" in training
    assert "| evaluated on | pictures (sha256:cd) |" in training
    assert "dog\\|wolf" in part(text, "Classes")
    assert re.findall(r"!\[.*?\]\((.*?)\)", part(text, "Pictures")) == ["scenes-1/examples.png"]
    assert (page.parent / "scenes-1" / "examples.png").read_bytes() == PNG
    assert [each.name for each in (page.parent / "scenes-1").iterdir()] == ["examples.png"]


def test_a_card_is_written_again_and_leaves_other_files_alone(tmp_path, manifest, run):
    out = tmp_path / "cards"
    out.mkdir()
    (out / "mine.md").write_text("mine")
    first = card(manifest, run, out).read_text()
    assert card(manifest, run, out).read_text() == first
    assert sorted(each.name for each in out.iterdir()) == ["mine.md", "scenes-1", "scenes-1.md"]


@pytest.mark.parametrize("changes", [{"family": "vgg16"}, {"classes": ("cat",)}])
def test_another_models_run_is_refused(tmp_path, manifest, run, changes):
    from model_export.training.run import read_order

    write_order(run, replace(read_order(run), **changes))
    with pytest.raises(ExportError, match=r"--run: .* the bundle holds fake with 2; give the run that was exported"):
        card(manifest, run, tmp_path / "cards")
    assert not (tmp_path / "cards").exists()


def test_a_bundle_whose_archive_is_elsewhere_says_how_many_classes_there_are(tmp_path, manifest):
    for archive in manifest.parent.glob("*.tar"):
        archive.unlink()
    text = card(manifest, None, tmp_path / "cards").read_text()
    assert part(text, "Classes").strip() == "2 classes; their names are in the archive."


@pytest.mark.parametrize("task", list(Task))
def test_every_task_has_a_use_and_limits_of_its_own(task):
    lines = sections.use(task)
    assert lines != sections.use("")
    assert lines[0] == "## Intended use"
    assert "## Limits" in lines
    known = {tuple(sections.use(other)) for other in Task}
    assert len(known) == len(list(Task))


def test_long_lists_of_classes_are_cut_and_what_would_be_markup_is_not():
    assert "and 900 more." in sections.class_list([f"c{n}" for n in range(1000)], 1000)[2]
    assert sections.class_list(["<b>x</b>", "a\nb"], 2)[2] == "2: \\<b\\>x\\</b\\>, a b."


def test_what_newer_manifests_say_is_shown():
    content = {
        "digest": "sha256:ab", "framework": {"keras": "3"},
        "provenance": {"revision": "f00d", "data": {"digest": "x"}}, "options": {"frozen": True},
        "dependencies": {"numpy": "2.0"},
    }  # fmt: skip
    text = "\n".join(sections.origin(content))
    for row in (
        "| revision | f00d |", '| data | {"digest": "x"} |', "| option frozen | true |", "| numpy | 2.0 |"
    ):  # fmt: skip
        assert row in text
    listed = "\n".join(sections.origin({**content, "dependencies": ["numpy==2.0"], "provenance": None}))
    assert "| numpy==2.0 |" in listed
