"""`python -m deploy`: what it hands to Pulumi, what it returns, and what it says about a user's mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import __main__ as deploy
from policy.registry import configuration

ROOT = Path(__file__).resolve().parents[3]
SETTINGS: dict[str, Any] = {
    "domain": "serve.example.com",
    "sites": {
        "aws-virginia": {"cloud": "aws", "region": "us-east-1", "weight": 50},
        "gcp-iowa": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 50},
    },
}
STATE = {
    "deployment": {
        "resources": [
            {"urn": "urn:pulumi:prod::tricorn::pulumi:pulumi:Stack::tricorn-prod", "type": "pulumi:pulumi:Stack"},
            {
                "urn": "urn:pulumi:prod::tricorn::tricorn:index:GkeServingCluster::gcp-iowa",
                "type": "tricorn:index:GkeServingCluster",
                "parent": "urn:pulumi:prod::tricorn::pulumi:pulumi:Stack::tricorn-prod",
            },
        ]
    }
}
FAKE = """
#!{python}
import json, os, pathlib, signal, sys, time
here = pathlib.Path({log!r})
if sys.argv[1:3] == ["stack", "export"]:
    print((here / "state.json").read_text())
    sys.exit(int((here / "export-code").read_text()) if (here / "export-code").exists() else 0)
config = sys.argv.index("--policy-pack-config") + 1 if "--policy-pack-config" in sys.argv else 0
seen = {{
    "arguments": sys.argv[1:], "directory": os.getcwd(), "exclude": os.environ.get("PULUMI_OPTION_EXCLUDE"),
    "config": json.loads(pathlib.Path(sys.argv[config]).read_text()) if config else None,
}}
if "--slow" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: (here / "interrupted").write_text("x"))
    (here / "started").write_text("x")
    for _ in range(100):
        time.sleep(0.05)
        if (here / "interrupted").exists():
            break
(here / "seen.json").write_text(json.dumps(seen))
sys.exit(int((here / "code").read_text()) if (here / "code").exists() else 0)
"""


class Pulumi:
    """A program in the CLI's place that writes down how it was called."""

    def __init__(self, directory: Path) -> None:
        self.project, self.log = directory / "project", directory / "log"
        for each in (self.project, self.log, directory / "bin"):
            each.mkdir()
        program = directory / "bin" / "pulumi"
        program.write_text(textwrap.dedent(FAKE).lstrip().format(python=sys.executable, log=str(self.log)))
        program.chmod(0o755)
        (self.log / "state.json").write_text(json.dumps(STATE))
        self.path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"

    def stack(self, name: str = "prod", **changes: Any) -> None:
        document = {"config": {"tricorn:settings": {**SETTINGS, **changes}}}
        (self.project / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document))

    def answer(self, **values: int) -> None:
        for name, value in values.items():
            (self.log / name.replace("_", "-")).write_text(str(value))

    def deploy(self, *arguments: str) -> int:
        return deploy.main(list(arguments), self.project)

    @property
    def seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads((self.log / "seen.json").read_text())
        return seen

    @property
    def was_run(self) -> bool:
        return (self.log / "seen.json").exists()


@pytest.fixture
def pulumi(tmp_path, monkeypatch):
    fake = Pulumi(tmp_path)
    monkeypatch.setenv("PATH", fake.path)
    monkeypatch.delenv("PULUMI_OPTION_EXCLUDE", raising=False)
    return fake


@pytest.mark.parametrize("operation", ["preview", "up"])
@pytest.mark.parametrize("protect", [True, False])
def test_previews_and_updates_are_checked_against_the_pack_as_the_stack_deserves(pulumi, operation, protect):
    pulumi.stack(protect=protect)
    assert pulumi.deploy(operation, "-s", "prod", "--", "--diff", "--", "x") == 0
    seen = pulumi.seen
    assert seen["arguments"][:3] == [operation, "--stack", "prod"]
    assert seen["arguments"][3:5] == ["--policy-pack", str(ROOT / "policy" / "run")]
    assert seen["arguments"][-3:] == ["--diff", "--", "x"]
    assert seen["config"] == configuration(production=protect)
    assert seen["directory"] == str(pulumi.project)
    assert seen["exclude"] is None


@pytest.mark.parametrize("operation", ["refresh", "destroy"])
def test_other_operations_take_no_policy_pack(pulumi, operation):
    pulumi.stack()
    assert pulumi.deploy(operation, "-s", "prod") == 0
    assert pulumi.seen["arguments"] == [operation, "--stack", "prod"]


@pytest.mark.parametrize("operation", ["preview", "up", "refresh", "destroy"])
def test_what_is_frozen_is_left_out_of_every_operation(pulumi, capsys, operation):
    pulumi.stack(frozen=["gcp-iowa"])
    assert pulumi.deploy(operation, "-s", "prod") == 0
    assert pulumi.seen["exclude"] == "urn:pulumi:prod::tricorn::tricorn:index:GkeServingCluster::gcp-iowa"
    said = capsys.readouterr()
    assert said.err == "frozen: 1 resources of gcp-iowa are left as they are\n"
    assert said.out == ""


def test_a_site_that_was_never_deployed_cannot_be_frozen(pulumi, capsys):
    pulumi.stack(frozen=["aws-virginia"])
    assert pulumi.deploy("up", "-s", "prod") == 2
    assert capsys.readouterr().err.startswith("frozen: aws-virginia must be deployed already")
    assert not pulumi.was_run


def test_a_state_that_cannot_be_read_stops_a_frozen_stack(pulumi, capsys):
    pulumi.stack(frozen=["gcp-iowa"])
    pulumi.answer(export_code=255)
    assert pulumi.deploy("up", "-s", "prod") == 2
    assert "the stack's state, which says what is frozen, cannot be read" in capsys.readouterr().err
    assert not pulumi.was_run


def test_more_than_a_variable_can_hold_is_refused(pulumi, capsys):
    pulumi.stack(frozen=["gcp-iowa"])
    big = json.loads((pulumi.log / "state.json").read_text())
    root = big["deployment"]["resources"][1]
    big["deployment"]["resources"] += [
        {"urn": f"urn:pulumi:prod::tricorn::a:b:C::gcp-iowa-{n:0100}", "type": "a:b:C", "parent": root["urn"]}
        for n in range(1000)
    ]
    (pulumi.log / "state.json").write_text(json.dumps(big))
    assert pulumi.deploy("up", "-s", "prod") == 2
    assert "freeze fewer sites at once" in capsys.readouterr().err
    assert not pulumi.was_run


@pytest.mark.parametrize("code", [1, 255])
def test_the_exit_code_is_pulumis_own(pulumi, code):
    pulumi.stack()
    pulumi.answer(code=code)
    assert pulumi.deploy("preview", "-s", "prod") == code


@pytest.mark.parametrize("stack", ["prod", "acme/prod", "acme/tricorn/prod"])
def test_a_stack_may_have_its_organization_before_it(pulumi, stack):
    pulumi.stack()
    assert pulumi.deploy("preview", "--stack", stack) == 0
    assert pulumi.seen["arguments"][2] == stack


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        ("prdo", "Pulumi.prdo.yaml: there is no such stack file; did you mean prod?"),
        ("staging", "Pulumi.staging.yaml: there is no such stack file; there are: prod"),
    ],
)
def test_an_unknown_stack_is_one_line_with_what_there_is(pulumi, capsys, stack, said):
    pulumi.stack()
    assert pulumi.deploy("preview", "-s", stack) == 2
    assert capsys.readouterr().err == said + "\n"
    assert not pulumi.was_run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "Pulumi.prod.yaml: is not valid YAML"),
        ("", "Pulumi.prod.yaml: has no tricorn:settings"),
        ("config: [1]", "Pulumi.prod.yaml: has no tricorn:settings"),
        ("config: {aws:region: a}", "Pulumi.prod.yaml: has no tricorn:settings"),
        ("config: {tricorn:settings: {}}", "Pulumi.prod.yaml is not valid:\n  tricorn:settings.domain: is required"),
    ],
)
def test_a_bad_stack_file_is_told_without_a_traceback_and_before_pulumi_runs(pulumi, capsys, text, said):
    (pulumi.project / "Pulumi.prod.yaml").write_text(text)
    assert pulumi.deploy("up", "-s", "prod") == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert "Traceback" not in error
    assert not pulumi.was_run


@pytest.mark.parametrize("arguments", [[], ["preview"], ["apply", "-s", "prod"], ["up", "-s"]])
def test_a_wrong_command_line_shows_the_usage(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        deploy.main(arguments)
    assert stopped.value.code == 2
    assert "usage: python -m deploy preview|up|refresh|destroy" in capsys.readouterr().err.replace("[-h] -s STACK ", "")


def test_a_machine_without_pulumi_is_told_how_to_get_it(pulumi, capsys, monkeypatch, tmp_path):
    pulumi.stack()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    from toolchain import cache

    monkeypatch.setattr(cache, "tools_dir", lambda: tmp_path / "none")
    assert pulumi.deploy("up", "-s", "prod") == 2
    assert "pulumi: must be on PATH (got nothing); install it" in capsys.readouterr().err


def test_ctrl_c_lets_pulumi_save_its_state_first(pulumi):
    pulumi.stack()
    program = (
        "import sys, pathlib; from deploy.__main__ import main; "
        f"sys.exit(main(sys.argv[1:], pathlib.Path({str(pulumi.project)!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "up", "-s", "prod", "--", "--slow"],
        cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(200):
        if (pulumi.log / "started").exists():
            break
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 0
    assert error == ""
    assert pulumi.was_run
