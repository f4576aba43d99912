import json
import subprocess
import sys

import pytest
import yaml
from fake_sites import DOMAIN

from serving.__main__ import main
from serving.status import models_of_stack


@pytest.fixture
def photo(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8 a photo")
    return str(file)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder; return code, output and error output."""
    monkeypatch.chdir(tmp_path)

    def run_(*arguments: str, world=None) -> tuple[int, str, str]:
        where = ["--domain", DOMAIN, "--port", str(world.port), "--dns", world.dns.address] if world else []
        monkeypatch.setattr(sys, "argv", ["serving", *arguments, *where])
        code = main()
        output = capsys.readouterr()
        assert "Traceback" not in output.out + output.err
        return code, output.out, output.err

    return run_


def one_line(text: str) -> str:
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


def test_predict_shows_labels_best_first_site_transport_and_latency(world, run, photo):
    world.only("gcp")
    code, output, _ = run("predict", "scenes", photo, world=world)
    assert code == 0
    name, best, second, who = output.splitlines()
    assert name == photo
    assert best.split() == ["75.00%", "dog"]
    assert second.split() == ["25.00%", "cat"]
    assert who.strip().startswith("answered by gcp over gRPC in ")
    assert "attempts" not in who


def test_predict_says_when_it_took_several_attempts(world, run, photo):
    world.only("gcp")
    world.sites["gcp"].stop()
    code, output, _ = run("predict", "scenes", photo, world=world)
    assert code == 0
    assert "answered by gcp" not in output


def test_predict_over_rest_as_json_names_everything(rest_world, run, photo):
    code, output, _ = run("predict", "scenes", photo, photo, "--rest", "--site", "azure", "--json", world=rest_world)
    assert code == 0
    answer = json.loads(output)
    assert (answer["model"], answer["transport"], answer["site"]) == ("scenes", "REST", "azure")
    assert len(answer["predictions"]) == 2
    first = answer["predictions"][0]
    assert first["labels"][0] == {"label": "dog", "score": 0.75}
    assert (first["site"], first["address"], first["attempts"]) == ("azure", "127.0.0.23", 1)
    assert first["latency_ms"] > 0


@pytest.mark.parametrize("transport", [[], ["--rest"]])
def test_a_corrupt_image_is_one_line_with_the_servers_reason_and_exit_code_1(world, rest_world, run, photo, transport):
    here = rest_world if transport else world
    for site in here.sites.values():
        site.behaviour.refuses_inputs = True
        site.behaviour.message = "Input is not a JPEG,\n PNG, BMP or GIF: \x1b[31m"
    code, output, error = run("predict", "scenes", photo, *transport, world=here)
    assert code == 1
    assert output == ""
    assert "INVALID_ARGUMENT: Input is not a JPEG, PNG, BMP or GIF: ?[31m" in one_line(error)


def test_an_input_that_is_no_file_is_refused_for_a_model_of_images(world, run):
    code, _, error = run("predict", "scenes", "missing.jpg", world=world)
    assert code == 1
    assert "missing.jpg: is not a file" in one_line(error)


def test_no_input_is_sent_when_one_of_them_is_wrong(world, run, photo):
    run("predict", "scenes", photo, "missing.jpg", world=world)
    assert sum(world.asked().values()) == 1  # the question for the signatures


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("nothing", "scenes has no signature 'nothing'; it has: image_uint8, serving_default, two"),
        ("image_uint8", "input 'image' is a tensor of type DT_UINT8"),
        ("two", "takes 2 inputs (a, b)"),
    ],
)
def test_a_signature_that_files_cannot_fill_is_refused_with_the_reason(world, run, photo, signature, reason):
    code, _, error = run("predict", "scenes", photo, "--signature", signature, world=world)
    assert code == 1
    assert reason in one_line(error)


def test_an_unknown_host_is_one_line_that_says_what_to_check(world, run, photo):
    code, _, error = run("predict", "scenes", photo, "--domain", "no.test", "--dns", world.dns.address)
    assert code == 1
    assert "no.test: no A record; check the domain" in one_line(error)


def test_a_refused_connection_is_one_line_with_the_address(world, run, photo):
    for site in world.sites.values():
        site.stop()
    code, _, error = run("predict", "scenes", photo, "--timeout", "0.5", world=world)
    assert code == 1
    assert f":{world.port}: " in one_line(error)
    assert "refused" in error.lower()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predict", "scenes", "x"], "--domain: is required"),
        (["status"], "--domain: is required"),
        (["predict", "scenes", "x", "--domain", "a.test", "--dns", "x:y"], "such as 127.0.0.1:53"),
        (["status", "--domain", "a.test"], "--model: is required"),
    ],
)
def test_what_is_missing_or_malformed_is_named_with_the_way_to_mend_it(run, arguments, hint):
    code, _, error = run(*arguments)
    assert code == 1
    assert hint in one_line(error)


@pytest.mark.parametrize("arguments", [["predict"], ["fly"], ["predict", "m", "x", "--port", "99999"]])
def test_a_wrong_command_line_is_exit_code_2(run, arguments):
    code, _, error = run(*arguments)
    assert code == 2
    assert "Error" in error


def test_status_shows_every_site_its_health_versions_and_share_of_the_answers(rest_world, run):
    rest_world.only("aws")
    rest_world.sites["gcp"].states = {"1": "AVAILABLE", "2": "LOADING"}
    rest_world.sites["azure"].stop()
    code, output, _ = run("status", "--model", "scenes", "--json", world=rest_world)
    assert code == 0
    sites = {each["site"]: each for each in json.loads(output)["sites"]}
    assert {name: each["healthy"] for name, each in sites.items()} == {"aws": True, "gcp": True, "azure": False}
    assert {name: each["weight"] for name, each in sites.items()} == {"aws": 50, "gcp": 30, "azure": 20}
    assert {name: each["dns_share"] for name, each in sites.items()} == {"aws": 1.0, "gcp": 0.0, "azure": 0.0}
    assert sites["gcp"]["models"][1] == {"model": "scenes", "version": "2", "state": "LOADING"}
    assert "refused" in sites["azure"]["problem"]
    paths = [each["path"] for each in rest_world.sites["aws"].behaviour.requests]
    assert paths == ["/-/local-health/scenes", "/v1/models/scenes"]


def test_status_without_a_terminal_is_one_plain_line_a_site(rest_world, run):
    rest_world.sites["gcp"].stop()
    code, output, _ = run("status", "--model", "scenes", world=rest_world)
    assert code == 0
    lines = output.splitlines()
    assert lines[0].startswith("aws: up, weight 50, ")
    assert lines[0].endswith("127.0.0.21: scenes v1 AVAILABLE")
    assert lines[2].startswith("gcp: DOWN, weight 30, ")


def test_status_fails_when_no_site_serves(rest_world, run):
    for site in rest_world.sites.values():
        site.states = {"1": "LOADING"}
    code, output, _ = run("status", "--model", "scenes", world=rest_world)
    assert code == 1
    assert output.count("DOWN") == 3
    assert "no version is available" in output


def test_status_of_an_unknown_domain_is_one_line(rest_world, run):
    code, _, error = run("status", "--model", "m", "--domain", "no.test", "--dns", rest_world.dns.address)
    assert code == 1
    assert "no.test" in one_line(error)


def test_status_takes_the_models_of_the_stack_with_the_domain(rest_world, run, tmp_path):
    (tmp_path / "Pulumi.broken.yaml").write_text("{")
    (tmp_path / "Pulumi.other.yaml").write_text(yaml.safe_dump({"config": {"tricorn:settings": {"domain": "x.test"}}}))
    settings = {"domain": DOMAIN, "models": {"scenes": {}}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": {"tricorn:settings": settings}}))
    assert models_of_stack(DOMAIN, tmp_path) == ["scenes"]
    assert models_of_stack("x.test", tmp_path) == []
    code, output, _ = run("status", world=rest_world)
    assert code == 0
    assert "scenes v1 AVAILABLE" in output


def test_on_a_terminal_there_are_tables(world, rest_world, run, photo, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _, output, _ = run("predict", "scenes", photo, world=world)
    assert "dog" in output
    assert "answered by" in output
    assert "│" in output or "|" in output
    _, output, _ = run("status", "--model", "scenes", world=rest_world)
    assert "DNS answers" in output
    assert "┃" in output or "|" in output


def test_the_module_runs_from_a_shell_with_the_environment_of_a_deployment(world, photo, monkeypatch):
    for name, value in (("DOMAIN", DOMAIN), ("PORT", world.port), ("DNS", world.dns.address)):
        monkeypatch.setenv(f"TRICORN_{name}", str(value))
    command = [sys.executable, "-m", "serving", "predict", "scenes", photo]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "75.00%  dog" in done.stdout
    assert done.stderr == ""
