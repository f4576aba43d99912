"""A stack of several sites on running local clouds, and an existing cluster beside them.

The project's own program and the real engine; only the settings differ from the stack `local`. The existing cluster is
a control plane of this run that no simulated cloud knows of, with a plain file server for its bundles.
"""

import copy
import functools
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import yaml
from dnslib import QTYPE, RR, DNSRecord
from kubernetes.client import CoreV1Api

from localcloud import engine, ledger, lifecycle, processes
from localcloud.addresses import DNS_PORT, endpoint_address, to_loopback
from localcloud.clusters.access import admin_kubeconfig_file, cluster_client
from localcloud.paths import CLOUDS, RunPaths
from localcloud.store import Pool, Store

ROOT = Path(__file__).resolve().parents[3]
DOMAIN, PORT = "sites.tricorn.test", 8080
LIMIT_S = 280
HOST, HOST_ID, HOST_NUMBER = "azure", "premises", 6
"""The daemon that runs the existing cluster; nothing of the azure cloud's API is used for it."""
DEAD_API = ("create", "read", "update", "delete", "invoke")


class Files(http.server.SimpleHTTPRequestHandler):
    """A plain file server, without its log on stderr."""

    def log_message(self, *arguments):
        pass


class SitesRun:
    """Local clouds with a stack; `settings` is what its next command sees."""

    def __init__(self, root):
        self.paths = RunPaths(root / "run")
        self.store = Store(self.paths.database)
        self.bundles = self._bundles(root)
        self._config = root / "Pulumi.local.yaml"
        self._events = root / "events"
        os.environ["TRICORN_LOCAL"] = str(self.paths.root)
        lifecycle.create_run(self.paths)
        for cloud in CLOUDS:
            lifecycle.start_cloud(self.paths, cloud)
        # The state is written once per update, and not at every step: no update of these is cut off.
        checkpoints = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
        self.environment = {**engine.environment(self.paths), **checkpoints}
        self._files = self._serve_files()
        self.address = ledger.allocate_address(self.store, HOST, "premises", "premises").ip
        self.kubeconfig = self._existing_cluster()
        self.namespaces_before = self.namespaces()
        self.added = None
        self.settings = self.base()
        self.pulumi("stack", "init", "local", expect=0)

    def base(self):
        """Settings of two AWS regions, Google Cloud and the existing cluster."""
        annotations = {"service.beta.kubernetes.io/azure-load-balancer-ipv4": self.address}
        return {
            "domain": DOMAIN,
            "protect": False,
            "sites": {
                "virginia": {"cloud": "aws", "region": "us-east-1", "weight": 40, "cidr": "10.10.0.0/16"},
                "ireland": {"cloud": "aws", "region": "eu-west-1", "weight": 30, "cidr": "10.20.0.0/16"},
                "iowa": {"cloud": "gcp", "project": "tricorn-local", "region": "us-central1", "weight": 30},
                "premises": {
                    "cloud": "kubernetes", "kubeconfig": str(self.kubeconfig), "addresses": [self.address],
                    "store": self._files, "weight": 20, "loadBalancerAnnotations": annotations,
                },
            },
            "models": {"scenes": {"bundle": str(self.bundles / "bundles" / "scenes"), "stable": 1}},
            "ingress": {"port": PORT, "peerFallback": False},
            "images": {"mirror": False},
            "dns": {"ttl": 5, "route53": {}, "cloudDns": {"project": "tricorn-local"}},
            # Pods that go are waited for where a site goes.
            "serving": {"warmupIterations": 1, "drainS": 5},
        }  # fmt: skip

    @staticmethod
    def _bundles(root):
        """Return a folder with two versions of the example, laid out as a model store is."""
        lifecycle.ensure_bundles(print)
        target = root / "files" / "bundles" / "scenes"
        shutil.copytree(ROOT / "build" / "bundles" / "scenes", target)
        manifest = json.loads((target / "1.json").read_text())
        # The same files in another archive: blocks of zeros end a tar, any number of them.
        content = (target / manifest["archive"]).read_bytes() + bytes(10240)
        digest = hashlib.sha256(content).hexdigest()
        archive = {"archive": f"{digest}.tar", "digest": f"sha256:{digest}", "size": len(content)}
        (target / archive["archive"]).write_bytes(content)
        (target / "2.json").write_text(json.dumps({**manifest, **archive, "version": 2}))
        return root / "files"

    def _serve_files(self):
        handler = functools.partial(Files, directory=str(self.bundles))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def _existing_cluster(self):
        """Start a control plane with one node that no program has made."""
        with self.store.connect() as db:
            db.execute(
                "insert into clusters(cloud,id,name,number,version,region,status) values(?,?,?,?,?,?,?)",
                (HOST, HOST_ID, HOST_ID, HOST_NUMBER, "1.36", "eastus", "creating"),
            )
        spec = {
            "machine_type": "server", "gpus": 0, "labels": {"tricorn.dev/pool": "system"}, "taints": [], "min": 1,
            "max": 2, "zones": ["rack-1"], "spot": False, "vcpus": 8, "memory_gib": 32,
        }  # fmt: skip
        self.store.put_pool(Pool(HOST, f"{HOST_ID}/system", HOST_ID, "system", spec, "creating", ""))
        deadline = time.monotonic() + 120
        while (found := self.store.cluster(HOST, HOST_ID)).status != "active":
            assert found.status == "creating", found.message
            assert time.monotonic() < deadline, "the existing cluster does not start"
            time.sleep(0.2)
        return admin_kubeconfig_file(self.paths, HOST, HOST_ID)

    def namespaces(self):
        """Return the names of the namespaces of the existing cluster."""
        core = CoreV1Api(cluster_client(self.paths, self.store.cluster(HOST, HOST_ID)))
        return {each.metadata.name for each in core.list_namespace().items}

    def pulumi(self, *arguments, expect=None, **variables):
        """Run the CLI; `variables` are added to its environment."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"], cwd=ROOT,
            env={**self.environment, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LIMIT_S,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    def _operate(self, operation, *arguments, expect=0, **variables):
        document = {"config": {"localcloud:run": "true", "tricorn:settings": self.settings}}
        stack = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())
        self._config.write_text(yaml.safe_dump({**document, "encryptionsalt": stack["encryptionsalt"]}))
        return self.pulumi(
            operation, "--stack", "local", "--config-file", str(self._config), *arguments, expect=expect, **variables
        )

    def preview(self, *arguments, expect=0, **variables):
        return self._operate("preview", *arguments, expect=expect, **variables)

    def up(self, *arguments, expect=0, **variables):
        """Update; return the result. `steps` holds what it did."""
        self._events.unlink(missing_ok=True)
        return self._operate(
            "up", "--yes", "--skip-preview", "--event-log", str(self._events), *arguments, expect=expect, **variables
        )

    def steps(self):
        """Return (operation, URN, moment it began, moment it ended) of everything the last update did, by its end."""
        begun, found = {}, []
        for number, line in enumerate(self._events.read_text().splitlines()):
            event = json.loads(line)
            for kind in ("resourcePreEvent", "resOutputsEvent"):
                metadata = event.get(kind, {}).get("metadata")
                if metadata is None or metadata["op"] == "same":
                    continue
                if kind == "resourcePreEvent":
                    begun[metadata["op"], metadata["urn"]] = number
                else:
                    found.append((metadata["op"], metadata["urn"], begun[metadata["op"], metadata["urn"]], number))
        return found

    def state(self):
        """Return the resources of the stack's state by URN; decrypted, because each export encrypts anew."""
        deployment = json.loads(self.pulumi("stack", "export", "--show-secrets", "--stack", "local", expect=0).stdout)[
            "deployment"
        ]
        return {each["urn"]: each for each in deployment.get("resources") or []}

    def outputs(self):
        return json.loads(self.pulumi("stack", "output", "--json", "--stack", "local", expect=0).stdout)

    def with_sites(self, *names, **weights):
        """Make the settings those of some sites, with other weights where given."""
        self.settings = copy.deepcopy(self.base())
        self.settings["sites"] = {name: site for name, site in self.settings["sites"].items() if name in names}
        for name, weight in weights.items():
            self.settings["sites"][name]["weight"] = weight

    def break_api(self, cloud):
        """Make every call of a cloud's API fail; its clusters and what runs in them go on."""
        for operation in DEAD_API:
            self.store.add_fault(cloud, operation, "*", "error", "the region is lost", times=10**6)

    def mend_api(self, cloud):
        with self.store.connect() as db:
            db.execute("delete from faults where cloud=?", (cloud,))

    def api_server(self, address):
        """Return the API server that listens on an address."""
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if command and command[0].endswith("kube-apiserver") and any(address in word for word in command):
                return process
        raise AssertionError(f"no API server listens on {address}")

    def close(self):
        self._server.shutdown()
        for process in psutil.process_iter():
            try:
                if process.environ().get("TRICORN_LOCAL") == str(self.paths.root):
                    process.send_signal(signal.SIGCONT)
            except psutil.Error:
                continue
        processes.kill_all(self.paths)
        os.environ.pop("TRICORN_LOCAL", None)


def healthy(address, model="scenes"):
    """Return whether a public address serves a model, asked as a health check asks."""
    request = f"GET /-/local-health/{model} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((to_loopback(address), PORT), 2) as link:
            link.settimeout(2)
            link.sendall(request.encode())
            answer = b""
            while chunk := link.recv(4096):
                answer += chunk
    except OSError:
        return False
    return b"AVAILABLE" in answer


def wait_healthy(addresses, seconds=120):
    """Wait until every public address serves."""
    deadline = time.monotonic() + seconds
    while silent := [address for address in addresses if not healthy(address)]:
        assert time.monotonic() < deadline, f"{silent} do not serve"
        time.sleep(0.5)


def answers(cloud, name=DOMAIN, kind="A"):
    """Return what an authority answers; None when it does not answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(1)
        try:
            link.sendto(DNSRecord.question(name, kind).pack(), (endpoint_address(cloud), DNS_PORT))
            reply = DNSRecord.parse(link.recv(4096))
        except OSError:
            return None
    return [str(each.rdata) for each in reply.rr if isinstance(each, RR) and each.rtype == getattr(QTYPE, kind)]


class Asking(threading.Thread):
    """Asks an authority again and again, and every address it answers with, as clients without a cache would."""

    def __init__(self, *clouds):
        super().__init__(daemon=True)
        self._clouds, self._over = clouds, threading.Event()
        self.asked = Counter()
        self.empty, self.dead = [], []

    def run(self):
        while not self._over.wait(0.05):
            for cloud in self._clouds:
                found = answers(cloud)
                self.asked[cloud] += 1
                if not found:
                    self.empty.append((time.monotonic(), cloud, found))
                elif not any(map(healthy, found)):
                    self.dead.append((time.monotonic(), cloud, found))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join(10)
