"""Names of public images in a cloud's own registry."""

import pytest

from components._image_cache import cached_path

PREFIXES = {"docker.io": "docker-hub", "registry.k8s.io": "kubernetes"}
DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        (f"docker.io/tensorflow/serving:2.20.0@{DIGEST}", f"docker-hub/tensorflow/serving:2.20.0@{DIGEST}"),
        (f"docker.io/tensorflow/serving@{DIGEST}", f"docker-hub/tensorflow/serving@{DIGEST}"),
        ("registry.k8s.io/pause:3.10", "kubernetes/pause:3.10"),
        ("docker.io/library/docker.io:1", "docker-hub/library/docker.io:1"),
    ],
)
def test_a_cached_image_keeps_repository_tag_and_digest(reference, path):
    assert cached_path(reference, PREFIXES) == path


@pytest.mark.parametrize("reference", ["quay.io/a/b:1", "docker.io:5000/a/b:1", "mirror.example.com/docker.io/a:1"])
def test_an_image_of_another_registry_is_not_cached(reference):
    assert cached_path(reference, PREFIXES) is None


def test_an_image_without_a_registry_is_of_docker_hub():
    assert cached_path("tensorflow/serving:2.20.0", PREFIXES) == "docker-hub/tensorflow/serving:2.20.0"
    assert cached_path("busybox:1", PREFIXES) == "docker-hub/library/busybox:1"
