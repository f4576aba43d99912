import pytest

from localcloud.nodes.registries import PullError, Reference, cut_off, pull, reconnect
from localcloud.nodes.status import image_id
from localcloud.store import Resource, Store

DIGEST = "sha256:" + "ab" * 32
HUB = f"docker.io/tensorflow/serving:2.20.0-gpu@{DIGEST}"
ECR_HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ECR = f"{ECR_HOST}/tricorn/docker-hub/tensorflow/serving:2.20.0-gpu@{DIGEST}"
GAR = f"europe-west4-docker.pkg.dev/my-project/cache-docker/tensorflow/serving:2.20.0-gpu@{DIGEST}"
ACR = f"tricornimages.azurecr.io/docker-hub/tensorflow/serving:2.20.0-gpu@{DIGEST}"
OWN = {"aws": ECR, "gcp": GAR, "azure": ACR}
RULES = {
    "aws": (
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        {"ecrRepositoryPrefix": "tricorn/docker-hub", "upstreamRegistryUrl": "registry-1.docker.io"},
        {"registryId": "123456789012"},
    ),
    "gcp": (
        "gcp:artifactregistry/repository:Repository",
        {
            "repositoryId": "cache-docker", "location": "europe-west4", "mode": "REMOTE_REPOSITORY",
            "remoteRepositoryConfig": {"dockerRepository": {"publicRepository": "DOCKER_HUB"}},
        },
        {"project": "my-project"},
    ),
    "azure": (
        "azure-native:containerregistry:CacheRule",
        {
            "registryName": "TricornImages", "sourceRepository": "docker.io/*", "targetRepository": "docker-hub/*",
        },
        {},
    ),
}  # fmt: skip
CLOUDS = sorted(OWN)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state.db")
    store.create()
    return store


def add_rule(store, cloud, **changed):
    kind, inputs, outputs = RULES[cloud]
    store.put_resource(Resource(cloud, kind, "rule", "urn", "active", {**inputs, **changed}, outputs))


def get(store, image, cloud="aws", node="n1", policy="IfNotPresent"):
    return pull(store, cloud, node, image, policy)


@pytest.mark.parametrize(
    ("text", "host", "path", "content"),
    [
        ("rclone/rclone:1.75.1", "docker.io", "rclone/rclone", "1.75.1"),
        ("nginx", "docker.io", "library/nginx", "latest"),
        ("registry-1.docker.io/a/b:1", "docker.io", "a/b", "1"),
        ("localhost:5000/a:1", "localhost:5000", "a", "1"),
        (HUB, "docker.io", "tensorflow/serving", DIGEST),
        (f"quay.io/a/b@{DIGEST}", "quay.io", "a/b", DIGEST),
    ],
)
def test_references_are_read_as_a_kubelet_does(text, host, path, content):
    found = Reference.parse(text)
    assert (found.host, found.path, found.content) == (host, path, content)


def test_a_node_pulls_an_image_once_and_then_has_it(store):
    assert get(store, HUB)
    assert not get(store, HUB)
    assert get(store, HUB, node="n2")
    assert get(store, HUB, policy="Always")
    assert get(store, HUB.replace("ab" * 32, "cd" * 32))


def test_an_image_that_must_not_be_pulled_is_refused_by_its_own_reason(store):
    with pytest.raises(PullError, match="pull policy is Never") as error:
        get(store, HUB, policy="Never")
    assert error.value.reason == "ErrImageNeverPull"
    get(store, HUB)
    assert not get(store, HUB, policy="Never")


def test_without_docker_hub_new_nodes_get_no_image_of_it_and_others_go_on(store):
    get(store, HUB)
    cut_off(store, "docker.io")
    assert not get(store, HUB)
    with pytest.raises(PullError, match=r"docker\.io: connection timed out"):
        get(store, HUB, node="n2")
    assert get(store, f"quay.io/a/b@{DIGEST}", node="n2")
    reconnect(store, "docker.io")
    assert get(store, HUB, node="n2")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_that_has_pulled_an_image_starts_pods_without_docker_hub(store, cloud):
    add_rule(store, cloud)
    assert get(store, OWN[cloud], cloud)
    cut_off(store, "docker.io")
    assert get(store, OWN[cloud], cloud, node="another")
    # The tag alone names what was pulled by tag and digest.
    assert get(store, OWN[cloud].partition("@")[0], cloud, node="third")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_that_never_pulled_an_image_cannot_start_it_without_docker_hub(store, cloud):
    add_rule(store, cloud)
    cut_off(store, "docker.io")
    with pytest.raises(PullError, match=r"is not cached yet, and docker\.io"):
        get(store, OWN[cloud], cloud)
    reconnect(store, "docker.io")
    assert get(store, OWN[cloud], cloud)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_registry_without_a_rule_has_no_such_image(store, cloud):
    with pytest.raises(PullError, match="no cache rule"):
        get(store, OWN[cloud], cloud)


@pytest.mark.parametrize(
    ("cloud", "change"),
    [
        ("aws", {"ecrRepositoryPrefix": "other"}),
        ("aws", {"region": "eu-west-1"}),
        ("aws", {"registryId": "999999999999"}),
        ("gcp", {"mode": "STANDARD_REPOSITORY"}),
        ("gcp", {"project": "other"}),
        ("gcp", {"location": "us-central1"}),
        ("azure", {"registryName": "another"}),
        ("azure", {"targetRepository": "hub/*"}),
    ],
)
def test_only_the_rule_of_that_registry_counts(store, cloud, change):
    add_rule(store, cloud, **change)
    with pytest.raises(PullError, match="no cache rule"):
        get(store, OWN[cloud], cloud)


def test_a_rule_for_another_upstream_does_not_need_docker_hub(store):
    add_rule(store, "aws", upstreamRegistryUrl="quay.io")
    cut_off(store, "docker.io")
    assert get(store, ECR)
    cut_off(store, "quay.io")
    with pytest.raises(PullError, match=r"quay\.io"):
        get(store, ECR.replace("ab" * 32, "cd" * 32))


def test_another_clouds_registry_can_be_asked_and_cut_off(store):
    add_rule(store, "aws")
    assert get(store, ECR, "gcp")
    cut_off(store, ECR_HOST)
    with pytest.raises(PullError, match=ECR_HOST):
        get(store, ECR, "gcp", node="n2")


def test_the_status_shows_the_digest_and_no_tag():
    assert image_id(ECR) == f"{ECR_HOST}/tricorn/docker-hub/tensorflow/serving@{DIGEST}"
    assert image_id("docker.io/rclone/rclone:1.75.1") == ""
