"""Results on parts of the evaluation data."""

import io

import numpy as np
import pytest
from PIL import Image

from model_export.datasets import load
from model_export.datasets.records import Dataset, Examples, objects
from model_export.errors import ExportError
from model_export.evaluation import coco, slices
from model_export.evaluation.slices import Slice, SliceResult
from model_export.registry import SMALL, Task, find


def rows_of(found):
    return [each.rows.tolist() for each in found]


def png(value, size=(4, 4)):
    stream = io.BytesIO()
    Image.new("L", size, value).save(stream, "PNG")
    return stream.getvalue()


def test_thirds_are_named_with_their_range():
    found = slices.thirds("length", np.array([9, 1, 5, 2, 6, 8]), ("short", "medium", "long"), str)
    assert [each.name for each in found] == ["short (1 to 2)", "medium (5 to 6)", "long (8 to 9)"]
    assert rows_of(found) == [[1, 3], [2, 4], [0, 5]]


def test_equal_numbers_stay_together_and_what_is_all_equal_is_no_slice():
    names = ("short", "medium", "long")
    assert rows_of(slices.thirds("length", np.array([3, 3, 3, 3, 3, 9]), names, str)) == [[0, 1, 2, 3, 4], [5]]
    assert slices.thirds("length", np.array([3, 3, 3]), names, str) == []


def test_pictures_are_told_apart_by_light_and_by_the_size_of_their_files():
    values = [10, 240, 100, 12, 238, 98]
    sizes = [(8, 8), (8, 8), (20, 5), (20, 5), (30, 30), (30, 30)]
    examples = Examples(inputs=objects([png(*each) for each in zip(values, sizes, strict=True)]), targets={})
    pictures = np.repeat(np.array(values, np.uint8)[:, None], 4 * 4 * 3, axis=1).reshape(6, 4, 4, 3)
    found = slices.of_pictures(pictures, examples)
    assert [(each.group, each.name) for each in found if each.group != "contrast"] == [
        ("brightness", "dark (10 to 12)"),
        ("brightness", "medium (98 to 100)"),
        ("brightness", "bright (238 to 240)"),
        ("size in pixels", "small (8 to 8)"),
        ("size in pixels", "medium (10 to 10)"),
        ("size in pixels", "large (30 to 30)"),
    ]
    assert rows_of(found)[:3] == [[0, 3], [2, 5], [1, 4]]


def test_ignored_pixels_are_no_foreground():
    masks = np.zeros((3, 2, 5), np.uint8)
    masks[0], masks[1, 0, 0], masks[2, :, :3] = 255, 2, 1
    found = slices.of_masks(masks, 255)
    assert [each.name for each in found] == [
        "little (0.0% to 0.0%)",
        "medium (10.0% to 10.0%)",
        "much (60.0% to 60.0%)",
    ]


def test_pictures_are_counted_by_their_objects():
    found = slices.of_counts(np.array([0, 1, 2, 4, 12, 4]))
    assert [each.name for each in found] == ["0", "1", "2 to 4", "10 and more"]
    assert rows_of(found) == [[0], [1], [2, 3, 5], [4]]


def test_texts_bring_their_slices(tmp_path):
    lines = [f"text {each},{'ab'[each % 2]},{('news', '', ' chat ')[each % 3]}" for each in range(24)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,slice", *lines]))
    rows = [f'{{"text": "{a}", "label": "{b}", "slice": "{c}"}}' for a, b, c in (line.split(",") for line in lines)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    for kind in ("csv", "jsonl"):
        dataset = load(f"{kind}:{tmp_path / 'a'}.{kind}", 0)
        names = {
            each: name for part in (dataset.train, dataset.test)
            for each, name in zip(part.inputs, part.slices, strict=True)
        }  # fmt: skip
        assert [names[f"text {each}".encode()] for each in range(3)] == ["news", "", "chat"]
        found = slices.given(dataset.test)
        assert {each.name for each in found} <= {"news", "chat"}
        for each in found:
            assert {names[text] for text in dataset.test.inputs[each.rows]} == {each.name}


def test_a_slice_of_no_printable_name_is_a_bad_record(tmp_path):
    rows = [f"text {each},{'ab'[each % 2]},x" for each in range(16)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,slice", *rows, 'more,a,"two\nlines"']))
    assert ["a slice" if "slice" in each.reason else each for each in load(f"csv:{tmp_path / 'a.csv'}", 0).bad] == [
        "a slice"
    ]


@pytest.fixture
def pictures(tmp_path):
    """A data set of three pictures kept for evaluation, and one to train on."""
    names = ["data/test/ant/1.png", "data/test/bee/1.png", "data/test/bee/2.png", "data/train/bee/3.png"]
    files = Examples(
        inputs=objects([str(tmp_path / each) for each in names]), targets={"label": np.zeros(4, np.int32)}, files=True
    )
    return Dataset(
        name="data", task=Task.CLASSIFY, classes=("ant", "bee"), train=files.pick([3]), test=files.pick([0, 1, 2]),
        license="", source="",
    )  # fmt: skip


def of_file(folder, dataset, text):
    (folder / "slices.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return slices.of_file(folder / "slices.csv", dataset)


def test_a_file_names_slices_by_the_end_of_the_paths(tmp_path, pictures):
    text = (
        f"file,slice,note\nant/1.png,night,\n2.png,night,\n2.png,fog,x\n3.png,fog,\n{tmp_path}/data/test/bee/1.png,fog,"
    )
    found = of_file(tmp_path, pictures, text)
    assert [(each.group, each.name, each.rows.tolist()) for each in found] == [
        ("given", "fog", [1, 2]),
        ("given", "night", [0, 2]),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file,slice\n1.png,night", r"slices\.csv:2: '1.png' fits 2 pictures; write more of its path"),
        ("file,slice\n2.png,night\n4.png,night", r"slices\.csv:3: '4.png' is no picture of the data"),
        ("file,slice\n,night", "'' is no picture of the data"),
        ("file,slice\n2.png,", "slice must be a name on one line, got ''"),
        ('file,slice\n2.png,"a\nb"', "slice must be a name on one line"),
        ("picture,slice\n2.png,night", "line 1 must name the columns file and slice"),
        ('file,slice\n2.png,"night', "cannot be read"),
        (b"file,slice\n2.png,\xff", "cannot be read"),
        ("", "line 1 must name"),
    ],
)
def test_a_wrong_file_of_slices_is_told(tmp_path, pictures, text, reason):
    with pytest.raises(ExportError, match=reason):
        of_file(tmp_path, pictures, text)


def test_examples_that_are_no_files_have_no_file_of_slices(tmp_path):
    with pytest.raises(ExportError, match="name the slices of texts in a column slice"):
        slices.of_file(tmp_path / "any.csv", load("digits", 0))


def test_few_examples_are_shown_and_not_judged():
    found = [
        SliceResult("light", "day", 20, 0.5),
        SliceResult("light", "night", 19, 0.5),
        SliceResult("light", "dusk", 30, np.nan),
    ]
    rows = slices.section(found, 0.75, "accuracy").table
    assert [(row["accuracy"], row["difference"], row[""]) for row in rows] == [
        (0.5, "-0.2500", ""),
        (0.5, "-", "too few to judge"),
        ("-", "-", "nothing to find"),
    ]
    stored = slices.as_json(found, 0.75)
    assert [(each["value"], each["difference"]) for each in stored] == [(0.5, -0.25), (0.5, None), (None, None)]


def test_of_many_slices_the_worst_are_shown():
    found = [SliceResult("given", str(each), 30, each / 100) for each in range(100, 0, -1)]
    section = slices.section([*found, SliceResult("given", "tiny", 2, 0.0)], 0.5, "accuracy")
    assert [row["slice"] for row in section.table] == [f"given: {each}" for each in range(1, 41)]
    assert "The 40 worst of 101." in section.text


def test_objects_of_another_size_count_neither_way():
    """One small object is found, one large one is not, and a large answer is wrong."""
    small, large, elsewhere = [0.1, 0.1, 0.14, 0.14], [0.3, 0.3, 0.8, 0.8], [0.0, 0.5, 0.3, 1.0]
    truth = (np.array([[small, large]], np.float32), np.array([[0, 0]], np.int32))
    found = (np.array([[small, elsewhere]], np.float32), np.array([[0.5, 0.9]], np.float32), np.array([[0, 0]]))
    by_size = {name: coco.at_half(coco.average_precision(truth, found, 1, areas)) for name, areas in coco.AREAS.items()}
    assert list(by_size.values()) == [pytest.approx(1), pytest.approx(np.nan, nan_ok=True), pytest.approx(0)]
    assert 0.2 < coco.at_half(coco.average_precision(truth, found, 1)) < 0.3


def task_of(name, dataset):
    from model_export.tasks import training_of

    preset = find(name).preset(SMALL)
    return training_of(dataset, preset, preset.recipe)


def test_a_classifier_that_is_wrong_in_the_dark_shows_it():
    dataset = load("digits", 0)
    task, labels = task_of("vgg16", dataset), dataset.test.targets["label"]
    answers = np.eye(10, dtype=np.float32)[labels]
    whole, found = task.slices(answers, [Slice("given", "first", np.arange(30))])
    assert whole == 1
    assert {each.value for each in found} == {1.0}
    light = np.array([np.asarray(Image.open(io.BytesIO(each))).mean() for each in dataset.test.inputs])
    dark = light < np.quantile(light, 0.2)
    answers[dark] = np.roll(answers[dark], 1, axis=1)
    whole, found = task.slices(answers, [])
    by_name = {f"{each.group}: {each.name.split()[0]}": each for each in found}
    assert whole == pytest.approx(0.8, abs=0.01)
    assert by_name["brightness: dark"].value == pytest.approx(0.4, abs=0.02)
    assert by_name["brightness: bright"].value == 1
    assert sum(each.examples for name, each in by_name.items() if name.startswith("brightness")) == 450


def test_a_segmenters_slice_counts_the_classes_it_holds():
    dataset = load("shapes-masks", 0)
    task = task_of("unet", dataset)
    masks = np.stack([np.asarray(Image.open(io.BytesIO(each))) for each in dataset.test.targets["mask"]])
    without = np.flatnonzero((masks != 3).all(axis=(1, 2)))
    answers = masks.copy()
    answers[without[0], 0, :2] = 3
    whole, (*_, found) = task.slices(answers, [Slice("given", "no triangle", without)])
    assert 0.99 < found.value < 1
    assert 0.99 < whole < 1
