"""A Pulumi project in a temporary directory, run by the real CLI over the providers of the local clouds."""

import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import toolchain
from localcloud.addresses import ENDPOINT_HTTP_PORT, endpoint_address
from localcloud.certificates import ensure_certificate_authority
from localcloud.paths import RunPaths
from localcloud.store import Store

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


class Alive:
    """Answers `/-/alive` for one cloud, as its daemon does; `die` makes the cloud look dead."""

    def __init__(self, cloud):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        address = (endpoint_address(cloud), ENDPOINT_HTTP_PORT)
        try:
            self._server = http.server.ThreadingHTTPServer(address, Handler)
        except OSError as error:
            pytest.fail(f"{address[0]}:{address[1]} cannot be had ({error}); end a local run with `make down` first")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def die(self):
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class Result:
    """What a command printed and returned."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def text(self):
        return self.out + self.err


class Project:
    """One project with one stack."""

    def __init__(self, directory, program):
        self.directory = directory / "project"
        self.directory.mkdir()
        self.paths = RunPaths(directory / "run")
        self.store = Store(self.paths.database)
        self.store.create()
        ensure_certificate_authority(self.paths)
        (directory / "backend").mkdir()
        (self.directory / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
        (self.directory / "__main__.py").write_text(program)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
            "PATH": os.pathsep.join([str(ROOT / "localcloud" / "plugins"), str(Path(toolchain.find("pulumi")).parent),
                                     os.environ["PATH"]]),
            "TRICORN_LOCAL": str(self.paths.root),
            "PULUMI_BACKEND_URL": f"file://{directory / 'backend'}",
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_COMMANDS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_PYTHON_CMD": sys.executable,
        }  # fmt: skip
        self.run("stack", "init", "dev", expect=0)

    def run(self, *arguments, expect=None):
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"], cwd=self.directory,
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
        )  # fmt: skip
        result = Result(done)
        assert expect is None or result.code == expect, result.text
        return result

    def config(self, **values):
        for key, value in values.items():
            self.run("config", "set", key, str(value), expect=0)

    def up(self, *arguments, expect=0):
        return self.run("up", "--yes", "--skip-preview", *arguments, expect=expect)

    def state(self):
        """Return the resources of the state that a provider made, by id."""
        deployment = json.loads(self.run("stack", "export", expect=0).out)["deployment"]
        found = [
            each
            for each in deployment.get("resources", [])
            if each.get("id") and "pulumi:providers" not in each["type"]
        ]
        return {each["id"]: each for each in found}

    def rows(self):
        """Return the ids of everything the clouds hold."""
        return {row.id for cloud in ("aws", "gcp", "azure") for row in self.store.resources(cloud)}

    def leaked(self):
        """Return what the clouds hold and the state does not know."""
        return self.rows() - set(self.state())
