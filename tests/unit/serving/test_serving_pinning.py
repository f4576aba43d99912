"""`python -m serving pin`: digests from a registry, written into a stack file."""

import hashlib
import http.server
import json
import threading

import pytest
import yaml

from serving.images import parse_image
from serving.pinning import PinError, pin
from serving.registry import RegistryError, digest_of

DIGEST = "sha256:" + "0a" * 32
TOKEN = "anonymous"


class Registry(http.server.BaseHTTPRequestHandler):
    """A registry with one image and, below `asks/`, the token dance of Docker Hub."""

    def do_HEAD(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if "/asks/" in self.path and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            port = self.server.server_address[1]
            self.send_response(401)
            challenge = f'Bearer realm="http://127.0.0.1:{port}/token",service="here",scope="repository:asks/tool:pull"'
            self.send_header("WWW-Authenticate", challenge)
        elif self.path.endswith("/manifests/1.0") and "index" in self.headers["Accept"]:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST if "broken" not in self.path else "md5:1")
        else:
            self.send_response(403 if "secret" in self.path else 404)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append((self.path, None))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": TOKEN}).encode())

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(registry, repository: str, tag: str = "1.0") -> str:
    image = parse_image(f"127.0.0.1:{registry.server_address[1]}/{repository}:{tag}")
    return digest_of(image, scheme="http")


def test_the_digest_of_a_tag_is_the_one_of_its_index(registry):
    assert ask(registry, "open/tool") == DIGEST


def test_a_registry_that_wants_a_token_gets_an_anonymous_one(registry):
    assert ask(registry, "asks/tool") == DIGEST
    assert registry.asked[1][0] == "/token?service=here&scope=repository%3Aasks%2Ftool%3Apull"
    assert [header for _, header in registry.asked if header] == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    ("repository", "tag", "said"),
    [
        ("open/tool", "2.0", "knows no such tag"),
        ("secret/tool", "2.0", "refuses"),
        ("broken/tool", "1.0", "names no digest"),
    ],
)
def test_a_registry_that_gives_no_digest_is_one_clear_error(registry, repository, tag, said):
    with pytest.raises(RegistryError, match=said) as caught:
        ask(registry, repository, tag)
    assert f"/{repository}:{tag}: " in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_registry_that_does_not_answer_is_one_clear_error():
    with pytest.raises(RegistryError, match="does not answer"):
        digest_of(parse_image("127.0.0.1:1/a/b:1"), scheme="http")


def stack(tmp_path, images: str):
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        f"# of the team\nconfig:\n  tricorn:settings:\n    domain: a.example.com  # ours\n{images}    owner: ml\n"
    )
    return file


def numbered(image) -> str:
    return "sha256:" + hashlib.sha256(image.repository.encode()).hexdigest()


@pytest.mark.parametrize(
    "images",
    [
        "",
        "    images: {mirror: false}\n",
        "    images:\n      mirror: false  # why not\n",
        "    images: {server: docker.io/tensorflow/serving:2.19.0-gpu}\n",
        '    images:\n      # the old one\n      server: "docker.io/tensorflow/serving:2.19.0"\n      mirror: false\n',
        f"    images: {{puller: 'docker.io/rclone/rclone:1.2@{DIGEST}'}}\n",
    ],
)
def test_a_stack_file_gets_digests_and_keeps_everything_else(tmp_path, images):
    file = stack(tmp_path, images)
    before = file.read_text()
    had = yaml.safe_load(before)["config"]["tricorn:settings"].get("images", {})
    written = pin(file, numbered)
    now = yaml.safe_load(file.read_text())["config"]["tricorn:settings"]
    for name in ("server", "puller"):
        reference = parse_image(now["images"][name])
        if "@" in had.get(name, ""):
            assert now["images"][name] == had[name]
            assert name not in written
        else:
            assert reference.digest == numbered(reference)
            assert written[name] == now["images"][name]
            assert reference.tag == (parse_image(had[name]).tag if name in had else reference.tag)
    assert {key: value for key, value in now["images"].items() if key not in ("server", "puller")} == {
        key: value for key, value in had.items() if key not in ("server", "puller")
    }
    assert (now["domain"], now["owner"]) == ("a.example.com", "ml")
    for comment in ("# of the team", "# ours", "# why not", "# the old one"):
        assert (comment in before) == (comment in file.read_text())
    assert [each.name for each in tmp_path.iterdir()] == [file.name]
    assert pin(file, numbered) == {}


def test_zeros_that_stand_for_a_digest_are_replaced(tmp_path):
    zeros = "sha256:" + "0" * 64
    file = stack(tmp_path, f"    images:\n      server: docker.io/tensorflow/serving:2.20.0@{zeros}  # of prod\n")
    written = pin(file, numbered)
    assert written["server"].startswith("docker.io/tensorflow/serving:2.20.0@sha256:")
    assert zeros not in file.read_text()
    assert "# of prod" in file.read_text()
    assert pin(file, numbered) == {}


def test_zeros_without_a_tag_name_nothing_to_ask_for_and_stay(tmp_path):
    zeros = "sha256:" + "0" * 64
    file = stack(tmp_path, f"    images: {{server: docker.io/tensorflow/serving@{zeros}}}\n")
    assert "server" not in pin(file, numbered)
    assert zeros in file.read_text()


def test_nothing_is_written_when_one_image_gives_no_digest(tmp_path):
    file = stack(tmp_path, "")
    before = file.read_text()

    def fails_later(image):
        if "rclone" in image.repository:
            raise RegistryError("no")
        return DIGEST

    with pytest.raises(RegistryError):
        pin(file, fails_later)
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("config: [", "is not YAML"),
        ("config: {}\n", "has no tricorn:settings"),
        ("config:\n  tricorn:settings:\n    images: {server: serving}\n", "images.server: must be registry/repository"),
    ],
)
def test_a_stack_file_that_cannot_be_pinned_is_one_clear_error(tmp_path, content, said):
    file = tmp_path / "Pulumi.prod.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PinError, match=said):
        pin(file, lambda image: DIGEST)
