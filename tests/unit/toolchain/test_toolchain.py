import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import toolchain
from toolchain import build, definitions, pins
from toolchain.cache import built, tools_dir

ROOT = Path(__file__).resolve().parents[3]
FAKE_GO = """#!/bin/sh
case "$1" in
  env) echo {version};;
  build)
    echo "$*" >> {log}
    {build}
    while [ "$1" != "-o" ]; do shift; done
    printf '#!/bin/sh\\necho built\\n' > "$2"; chmod +x "$2";;
  list) echo {module};;
esac
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A cache, a PATH with nothing of ours on it, and a fake Go whose build step can be chosen."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tools_dir.cache_clear()
    module = tmp_path / "module" / "charts" / "gateway-crds-helm" / "templates"
    (module / "generated").mkdir(parents=True)
    (module / "experimental-gatewayapi-crds.yaml").write_text("{{- if .Values.x }}\nkind: A\n{{- end }}\n")
    (module / "generated" / "own.yaml").write_text("{{- if .Values.y }}\nkind: B\n{{- end }}\n")
    crds = tmp_path / "module" / "deploy" / "crds"
    crds.mkdir(parents=True)
    (crds / "cert-manager.io_issuers.yaml").write_text("kind: C\n")
    binaries = tmp_path / "bin"
    binaries.mkdir()

    def write(step=":", version="go1.26.8"):
        go = binaries / "go"
        go.write_text(FAKE_GO.format(version=version, log=tmp_path / "go.log", build=step, module=tmp_path / "module"))
        go.chmod(0o755)

    write()
    environment = {**os.environ, "PATH": f"{binaries}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*arguments):
        command = [sys.executable, "-m", "toolchain", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)

    yield type("World", (), {"run": staticmethod(run), "go": staticmethod(write), "env": environment, "dir": tmp_path})
    tools_dir.cache_clear()


def builds(world):
    log = world.dir / "go.log"
    return log.read_text().splitlines() if log.exists() else []


def test_everything_is_built_once_and_found_afterwards(world):
    done = world.run()
    assert done.returncode == 0, done.stderr
    assert len(builds(world)) == len(pins.TOOLS)
    for tool in pins.TOOLS:
        assert toolchain.find(tool.name).exists()
    assert [p.name for p in sorted(toolchain.gateway_crds().iterdir())] == [
        "experimental-gatewayapi-crds.yaml",
        "own.yaml",
    ]
    assert [p.read_text() for p in toolchain.cert_manager_crds().iterdir()] == ["kind: C\n"]
    again = world.run()
    assert again.returncode == 0
    assert again.stdout == ""
    assert len(builds(world)) == len(pins.TOOLS)


def test_builds_are_reproducible_and_pinned(world):
    world.run()
    assert all("-mod=readonly" in line and "-trimpath" in line for line in builds(world))
    assert any(f"Version=v{pins._PULUMI}" in line for line in builds(world))


def test_a_fitting_program_on_path_is_used_and_an_unfitting_one_is_not(world):
    for name, version in (("kubectl", "Client Version: v1.36.9"), ("etcd", "etcd Version: 3.4.1")):
        program = world.dir / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{version}'\n")
        program.chmod(0o755)
    world.run()
    assert toolchain.find("kubectl").resolve() == world.dir / "bin" / "kubectl"
    assert toolchain.find("etcd").resolve() != world.dir / "bin" / "etcd"


def test_without_go_one_message_names_tools_and_cure(world):
    (world.dir / "bin" / "go").unlink()
    done = world.run()
    assert done.returncode == 1
    assert "no Go compiler" in done.stderr
    assert "kube-apiserver" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_old_go_is_refused(world):
    world.go(version="go1.21.3")
    done = world.run()
    assert done.returncode == 1
    assert "go1.21.3" in done.stderr
    assert "1.26" in done.stderr


def test_a_failing_network_keeps_what_is_built_and_hides_addresses(world):
    message = 'go: x@v1: Get \\"https://proxy.example/x\\": dial tcp: i/o timeout'
    fail = f'case "$*" in *rclone*) echo "{message}" >&2; exit 1;; esac'
    world.go(step=fail)
    done = world.run()
    assert done.returncode == 1
    assert "rclone" in done.stderr
    assert "run again" in done.stderr
    assert "proxy.example" not in done.stderr
    assert toolchain.find("etcd").exists()
    before = len(builds(world))
    world.go()
    assert world.run().returncode == 0
    assert len(builds(world)) - before == 2  # rclone and pulumi, which comes after it


def test_a_wrong_checksum_is_named(world):
    world.go(step='echo "verifying x: checksum mismatch" >&2; exit 1')
    done = world.run()
    assert done.returncode == 1
    assert "checksum" in done.stderr


def test_ctrl_c_ends_the_build_and_leaves_nothing_half_done(world):
    world.go(step="sleep 60")
    process = subprocess.Popen(
        [sys.executable, "-m", "toolchain"],
        cwd=ROOT,
        env=world.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 10
    while not builds(world) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    first = pins.TOOLS[0]
    assert not built(first).exists()
    assert list(built(first).parent.iterdir()) == []
    with pytest.raises(toolchain.ToolchainError, match="make tools"):
        toolchain.find(first.name)


def test_two_runs_at_once_build_each_tool_once(world):
    world.go(step="sleep 0.2")
    command = [sys.executable, "-m", "toolchain"]
    runs = [subprocess.Popen(command, cwd=ROOT, env=world.env, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [each.wait(60) for each in runs] == [0, 0]
    assert len(builds(world)) == len(pins.TOOLS)


def test_wrong_arguments_show_the_usage(world):
    done = world.run("--nonsense")
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_a_directive_inside_yaml_is_refused():
    assert definitions.plain("{{- if .Values.a }}\nkind: A\n{{- end }}\n") == "kind: A\n"
    with pytest.raises(ValueError, match="not understood"):
        definitions.plain("kind: {{ .Values.kind }}\n")


@pytest.mark.parametrize(
    ("name", "output", "good"),
    [
        ("pulumi", "v3.259.9", True), ("pulumi", "v3.260.0", False), ("pulumi", "", False),
        ("kubectl", "Client Version: v1.36.0", True), ("kubectl", "Client Version: v1.35.0", False),
        ("rclone", "rclone v1.60.0", True),
    ],
)  # fmt: skip
def test_versions_that_fit(name, output, good):
    assert next(tool for tool in pins.TOOLS if tool.name == name).accepts(output) is good


def test_the_modules_pin_what_the_table_says():
    for tool in pins.TOOLS:
        text = (pins.MODULES / tool.module / "go.mod").read_text()
        assert f"v{tool.version}" in text, tool.name
        assert (pins.MODULES / tool.module / "go.sum").stat().st_size > 1000
    for each in (pins.GATEWAY, pins.CERT_MANAGER):
        assert f"{each.source} v{each.version}" in (pins.MODULES / each.module / "go.mod").read_text()
        assert f"{each.source} v{each.version} h1:" in (pins.MODULES / each.module / "go.sum").read_text()
    pulumi = (pins.MODULES / "pulumi" / "go.mod").read_text()
    assert "github.com/pulumi/pulumi/sdk/v3 v3.259.0" in pulumi


def test_messages_of_go_are_explained():
    assert "disk is full" in build.explain("etcd", "write x: no space left on device")
    assert "the build failed: x.go:1: undefined: y" in build.explain("etcd", "# pkg\nx.go:1: undefined: y")
