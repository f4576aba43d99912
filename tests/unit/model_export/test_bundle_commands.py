"""The commands about bundles, as typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_folders import make, names

ROOT = Path(__file__).resolve().parents[3]


def command(*arguments):
    words = [sys.executable, "-m", "model_export", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)


def said(*arguments):
    result = command(*arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_version_is_signed_published_pulled_and_described(tmp_path):
    folder = make(tmp_path / "scenes", 1, 2)
    (tmp_path / "key.pem").write_text(said("keygen", "--out", tmp_path / "key"))
    assert "signed with the key sha256:" in said("sign", folder / "2.json", "--key", tmp_path / "key")
    assert said("publish", folder, tmp_path / "remote", "--version", 2).endswith("2.json: published\n")
    out = tmp_path / "out"
    assert "pulled" in said("pull", tmp_path / "remote", out, "--signed-by", tmp_path / "key.pem")
    assert names(out) == ["2.json", "2.sig", "tar"]
    (line,) = said("bundles", out).splitlines()
    assert line.split()[:3] == ["2", "scenes", "fake"]
    assert "signed by sha256:" in line
    changes = json.loads(said("diff", folder / "1.json", out / "2.json", "--json"))
    assert {"field": "version", "before": 1, "after": 2, "relative": None} in changes
    assert "files.saved_model.pb" in said("diff", folder / "1.json", out / "2.json")
    assert said("card", out / "2.json", "--out", tmp_path / "cards").strip() == str(tmp_path / "cards" / "scenes-2.md")
    assert "would remove" in said("prune", folder, "--keep", 1, "--dry-run")
    said("prune", folder, "--keep", 1)
    assert names(folder) == ["2.json", "2.sig", "tar"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sign", "1.json"], 1, "--key: give exactly one of --key and --signer"),
        (["sign", "1.json", "--key", "a", "--signer", "b"], 1, "--key: give exactly one of --key and --signer"),
        (["sign", "1.json", "--signer", "b"], 1, "--public-key: goes with --signer"),
        (["sign", "1.json", "--key", "b", "--public-key", "c"], 1, "--public-key: goes with --signer"),
        (["verify", "{out}/1.json", "--signed-by", "{out}/no.pem"], 1, "--signed-by: "),
        (["bundles", "{out}"], 1, "cannot be read: No such file"),
        (["pull", "{out}", "{out}/here"], 1, "does not have a version (there are: none)"),
        (["publish", "{out}", "{out}/there"], 1, "FOLDER: {out} cannot be read"),
        (["prune", "{out}", "--keep", "0"], 2, "Invalid value for '--keep'"),
        (["diff", "{out}/1.json", "{out}/2.json"], 1, "1.json: there is no such manifest"),
        (["card", "{out}/1.json", "--out", "{out}"], 1, "1.json: there is no such manifest"),
        (["keygen", "--out", "{out}/none/key"], 1, "cannot be written: No such file"),
    ],
)
def test_bad_input_is_one_message_and_makes_nothing(tmp_path, arguments, code, message):
    out = tmp_path / "out"
    result = command(*(argument.format(out=out) for argument in arguments))
    assert result.returncode == code
    assert message.format(out=out) in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert not out.exists()


def test_a_version_that_is_not_signed_by_the_key_is_not_verified_any_further(tmp_path):
    folder = make(tmp_path / "scenes", 1)
    (tmp_path / "key.pem").write_text(said("keygen", "--out", tmp_path / "key"))
    result = command("verify", folder / "1.json", "--signed-by", tmp_path / "key.pem")
    assert result.returncode == 1
    assert "1.sig: there is no such signature" in result.stderr
    assert "checking" not in result.stdout
