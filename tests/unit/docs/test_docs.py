"""The reference pages: current, complete, and true to what the program takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, find, settings

import components
from docs import generate
from docs.components_page import components_page, public_names
from docs.conformance_page import conformance_page
from docs.policy_page import policy_page
from docs.schema import stack_file_schema
from docs.settings_page import sections, settings_page
from policy.registry import CHECKS, STACK_CHECKS
from serving.settings import Settings, parse_settings
from tests.unit.serving.settings_breakers import BY_VALIDATOR, Breaker
from tests.unit.serving.test_settings_properties import BREAKERS, broken

ROOT = Path(__file__).resolve().parents[3]
STACK_FILES = [*sorted(ROOT.glob("Pulumi.*.yaml")), ROOT / "docs" / "Pulumi.example.yaml"]
VALIDATOR = jsonschema.Draft202012Validator(stack_file_schema())


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_page_is_current(name):
    """Not current: run `python -m docs.generate` (make docs) and commit what it writes."""
    text = (ROOT / "docs" / name).read_text()
    assert text == generate.PAGES[name](), f"docs/{name} is not current; run `{generate.COMMAND}` (make docs)"


def test_a_stale_page_is_named_with_the_command_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"a.md": lambda: "new\n", "b.md": lambda: "same\n"})
    (tmp_path / "a.md").write_text("old\n")
    (tmp_path / "b.md").write_text("same\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == "docs/a.md is not current; run `python -m docs.generate` (make docs)\n"
    assert (tmp_path / "a.md").read_text() == "old\n"
    assert generate.main([]) == 0
    assert (tmp_path / "a.md").read_text() == "new\n"
    assert generate.main(["--check"]) == 0
    (tmp_path / "b.md").unlink()
    assert generate.main(["--check"]) == 1


def test_a_wrong_argument_shows_the_usage():
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--chek"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr == "usage: python -m docs.generate [--check]\n"


def rows(page: str) -> list[list[str]]:
    """Cells of every row of every table, without heads."""
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_key_of_the_settings_has_its_path_type_and_meaning():
    example = yaml.safe_load((ROOT / "docs" / "Pulumi.example.yaml").read_text())["config"]["tricorn:settings"]
    expected = [
        f"{section.path}.{field.alias}" if section.path else str(field.alias)
        for section in sections(Settings, "", example)
        for field in section.model.model_fields.values()
    ]
    found = rows(settings_page())
    assert [row[0].strip("`") for row in found] == expected
    assert len(expected) > 100
    for row in found:
        assert row[1], row
        assert row[2], row
        discriminator = row[0].endswith(".cloud`")
        assert discriminator or len(row) < 5 or row[-2] or row[-1], row


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("sites.<site>.weight", ["whole number", "required", "0 to 255", "share of DNS answers", "`40`"]),
        ("sites.<site>.cidr", ["text", "none", "a private IPv4 network from /16 to /20", "`10.10.0.0/16`"]),
        ("cluster.logRetentionDays", ["one of `1`, `7`", "`90`"]),
        ("pools.<pool>.spot.share", ["required", "%", "`50%`"]),
        ("models.<model>.resources.memoryMib", ["256 or more", "none", "`2048`"]),
        ("images.server", ["registry/repository with a tag other than latest"]),
        ("dns.route53.zoneId", ["`^Z[A-Z0-9]{1,31}$`"]),
    ],
)
def test_a_row_says_what_the_schema_says(path, parts):
    (line, *_) = [each for each in settings_page().splitlines() if each.startswith(f"| `{path}` ")]
    for part in parts:
        assert part in line


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.name)
def test_every_stack_file_keeps_the_schema_and_names_it(file):
    text = file.read_text()
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []
    first = text.splitlines()[0]
    where = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert where
    assert (file.parent / where[1]).resolve() == ROOT / "docs" / "settings.schema.json"


def test_the_example_is_right():
    document = yaml.safe_load((ROOT / "docs" / "Pulumi.example.yaml").read_text())
    parse_settings(document["config"]["tricorn:settings"])


IN_SCHEMA = [
    (document, breaker)
    for document, breaker in BREAKERS
    if breaker.kind not in BY_VALIDATOR and not (breaker.kind == "null" and document is not None and not breaker.path)
]


@pytest.mark.parametrize(("document", "breaker"), IN_SCHEMA[::4], ids=[b.id for _, b in IN_SCHEMA[::4]])
def test_an_editor_sees_what_the_program_refuses(document: dict[str, Any], breaker: Breaker):
    """Everything but what only code can check, such as networks and image references."""
    quick = settings(derandomize=True, max_examples=1, database=None, suppress_health_check=list(HealthCheck))
    value = find(breaker.values, lambda each: True, settings=quick)
    raw, _, _ = broken(document, breaker, value)
    assert list(VALIDATOR.iter_errors({"config": {"tricorn:settings": raw}})), value


def test_a_stack_file_may_hold_other_configuration_and_pulumis_own_keys():
    base = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    VALIDATOR.validate({**base, "encryptionsalt": "v1:x", "config": {**base["config"], "aws:region": "us-east-1"}})
    assert list(VALIDATOR.iter_errors({"encryptionsalt": "v1:x"}))
    assert list(VALIDATOR.iter_errors({"config": {"aws:region": "us-east-1"}}))


def test_every_public_component_is_on_the_page_with_its_arguments():
    page = components_page()
    names = [name for name in components.__all__ if f"{name}Args" in components.__all__]
    assert len(names) >= 30
    for name in components.__all__:
        if not name.endswith("Args"):
            assert f"\n### {name}\n" in page
    assert set(public_names()) == set(components.__all__)
    for line in page.splitlines():
        assert "Optional[" not in line
        assert "pulumi.Input" not in line


def test_a_component_shows_arguments_outputs_cloud_and_permissions():
    page = components_page()
    aws, address = page.index("## AWS"), page.index("### EksAddress")
    assert aws < address < page.index("## Google Cloud")
    part = page[address : page.index("### ", address + 5)]
    assert "| `zones` | `list[str]` | yes | Availability zones of the load balancer's subnets" in part
    assert "| `addresses` | `list[str]` | Public IPv4 addresses" in part
    assert "Permissions: Needs permission for `ec2:*Address*`." in part
    assert page.index("## Any cluster") < page.index("### ModelServer")


def test_every_argument_and_output_has_a_meaning():
    empty = [row[0] for row in rows(components_page()) if not row[-1]]
    assert empty == []


def test_the_policy_page_has_every_check():
    page = policy_page()
    for check in (*CHECKS, *STACK_CHECKS):
        assert f"| `{check.name}` | " in page
        assert check.source in page


def test_the_conformance_page_takes_what_the_tests_declare(monkeypatch):
    import types

    from docs import conformance_page as page

    module = types.ModuleType("made_up_api")
    module.COVERAGE = {"x:b:B": "b.CreateB (made up)", "x:a:A": "a.CreateA (made up)"}  # type: ignore[attr-defined]
    module.NOT_COMPARED = {"x:c:C": "nobody publishes it"}  # type: ignore[attr-defined]
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(page.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(page, "_MODULES", {"Cloud X": "made_up_api"})
    text = conformance_page()
    assert "## Cloud X" in text
    assert text.index("| `x:a:A` | a.CreateA (made up) |") < text.index("| `x:b:B` |")
    assert "| `x:c:C` | not compared: nobody publishes it |" in text
