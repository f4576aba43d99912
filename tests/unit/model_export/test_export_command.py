import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_export import children, registry
from model_export.errors import ExportError

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "model_export", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def run_child(mode, timeout_s=20.0, say=lambda _: None):
    return children.run("misbehaving_child", [mode], HERE, timeout_s, say)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export", "resnet", "--out", "{out}"], 1, "family: 'resnet' is not known; choose one of: "),
        (["export", "efficientnet-lite0", "--out", "{out}", "--name", "A_b"], 1, "--name: must be 1 to 40 lower-case"),
        (
            ["export", "efficientnet-lite0", "--out", "{out}", "--version", "0"],
            1,
            "--version: must be at least 1, got 0",
        ),
        (["export", "efficientnet-lite0"], 2, "Missing option '--out'"),
        (["verify", "{out}/1.json"], 1, "there is no such manifest; give the path of a bundle's <version>.json"),
    ],
)
def test_bad_input_is_one_message_and_makes_nothing(tmp_path, arguments, code, message):
    out = tmp_path / "out"
    result = command(*(argument.format(out=out) for argument in arguments))
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert not out.exists()


def test_list_shows_every_family():
    shown = [line.split()[0] for line in command("list").stdout.splitlines()]
    assert shown == list(registry.all_families())
    assert {"efficientnet-b0", "efficientnet-lite0", "vgg16"} <= set(shown)


def test_the_command_imports_neither_tensorflow_nor_pulumi_nor_our_other_packages():
    script = (
        "import sys, model_export.__main__, model_export.registry as r; r.all_families();"
        "print(sorted({m.split('.')[0] for m in sys.modules}"
        " & {'keras', 'pulumi', 'torch', 'serving', 'components', 'localcloud', 'toolchain'}),"
        " 'tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[0] == "[] False"


def test_every_family_names_its_classes_once():
    for family in registry.all_families().values():
        if family.pretrained:
            names = family.pretrained.read_labels()
            assert len(names) == len(set(names)) > 1
        assert list(family.batch_sizes) == sorted(set(family.batch_sizes))


def test_the_labels_are_the_imagenet_classes_in_their_order():
    names = registry.find("efficientnet-lite0").pretrained.read_labels()
    assert len(names) == 1000
    expected = {
        0: "tench",
        207: "golden retriever",
        285: "Egyptian cat",
        657: "missile",
        967: "espresso",
        999: "toilet tissue",
    }
    assert {number: names[number] for number in expected} == expected


@pytest.mark.parametrize("lines", ["cat\n\ndog\n", "cat\ndog\ncat\n"])
def test_empty_and_double_labels_are_refused(tmp_path, lines):
    (tmp_path / "labels.txt").write_text(lines)
    broken = dataclasses.replace(registry.find("efficientnet-lite0").pretrained, labels=tmp_path / "labels.txt")
    with pytest.raises(ExportError, match=r"labels\.txt: line [23]: '(cat)?' must be a class name that occurs once"):
        broken.read_labels()


def test_a_child_reports_its_result_and_its_progress():
    said = []
    assert run_child("answer", say=said.append) == {"answer": 42}
    assert said == ["working"]


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("refuse", "^a reason\nof two lines$"),
        ("crash", "misbehaving_child was ended by SIGSEGV"),
        ("defect", "misbehaving_child ended with exit code 1: RuntimeError: a defect"),
        ("silent", "misbehaving_child ended with exit code 0: it printed no reason"),
    ],
)
def test_a_child_that_fails_is_one_clear_error(mode, reason):
    with pytest.raises(ExportError, match=reason):
        run_child(mode)


def test_a_child_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(children, "_STATUS_EVERY_S", 0.2)
    said = []
    started = time.monotonic()
    with pytest.raises(ExportError, match="took longer than 1 s"):
        run_child("hang", 1.0, said.append)
    assert time.monotonic() - started < 20
    pid = int(said[0].removeprefix("pid "))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert any("so far" in line for line in said)


def test_a_child_dies_with_its_parent():
    script = (
        "import sys; from pathlib import Path; from model_export import children;"
        f"children.run('misbehaving_child', ['hang'], Path({str(HERE)!r}), 60, lambda line: print(line, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent:
        pid = int(parent.stdout.readline().removeprefix("pid "))
        parent.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    assert time.monotonic() < deadline
