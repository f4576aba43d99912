"""What the simulated Google Cloud refuses of services, keys, identities and endpoints, as the real one does."""

import pytest
from provider_client import Refusal, provider

from localcloud.providers import rules
from localcloud.providers.wire import UNKNOWN

CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
SERVICE, IDENTITY = "gcp:projects/service:Service", "gcp:projects/serviceIdentity:ServiceIdentity"
RING, KEY = "gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"
GRANT = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
BUCKET, REPOSITORY = "gcp:storage/bucket:Bucket", "gcp:artifactregistry/repository:Repository"
PROVIDER = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
ENDPOINTS = "controlPlaneEndpointsConfig"


@pytest.fixture
def gcp(tmp_path, monkeypatch):
    with provider("gcp", tmp_path, monkeypatch) as client:
        yield client


def cluster(gcp, **more):
    inputs = {"name": "one", "location": "us-central1", "removeDefaultNodePool": True, "initialNodeCount": 1}
    return gcp.create(CLUSTER, {**inputs, "deletionProtection": False, **more})


def key(gcp, agent=None, location="us-central1"):
    ring, _ = gcp.create(RING, {"name": f"ring-{location}", "location": location})
    made, _ = gcp.create(KEY, {"name": "key", "keyRing": ring, "rotationPeriod": "7776000s"})
    if agent:
        member = f"serviceAccount:service-100000000001@{agent}.iam.gserviceaccount.com"
        role = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
        gcp.create(GRANT, {"cryptoKeyId": made, "role": role, "member": member})
    return made


def test_a_service_that_is_off_refuses_everything_once_services_are_switched(gcp):
    gcp.create(RING, {"name": "before", "location": "us-central1"})
    gcp.create(SERVICE, {"service": "compute.googleapis.com"}, name="compute")
    with pytest.raises(Refusal, match=r"cloudkms\.googleapis\.com has not been used in project tricorn-local"):
        gcp.create(RING, {"name": "after", "location": "us-central1"})
    gcp.create(SERVICE, {"service": "cloudkms.googleapis.com"}, name="kms")
    gcp.create(RING, {"name": "after", "location": "us-central1"})


def test_a_service_of_two_programs_stays_on_when_one_goes(gcp):
    first, _ = gcp.create(SERVICE, {"service": "cloudkms.googleapis.com"}, name="one")
    gcp.create(SERVICE, {"service": "cloudkms.googleapis.com"}, name="two")
    gcp.create(SERVICE, {"service": "compute.googleapis.com"}, name="three")
    gcp.delete(SERVICE, first)
    gcp.create(RING, {"name": "ring", "location": "us-central1"})


def test_an_agent_is_named_by_most_services_and_not_by_cloud_storage(gcp):
    _, named = gcp.create(IDENTITY, {"service": "container.googleapis.com"}, name="container")
    assert named["email"] == "service-100000000001@container-engine-robot.iam.gserviceaccount.com"
    _, unnamed = gcp.create(IDENTITY, {"service": "storage.googleapis.com"}, name="storage")
    assert unnamed["email"] == ""
    with pytest.raises(Refusal, match="has not been configured for service identities"):
        gcp.create(IDENTITY, {"service": "sts.googleapis.com"})


@pytest.mark.parametrize(
    ("agent", "use"),
    [
        ("container-engine-robot", lambda gcp, made: cluster(
            gcp, databaseEncryption={"state": "ENCRYPTED", "keyName": made})),
        ("gs-project-accounts", lambda gcp, made: gcp.create(
            BUCKET, {"name": "models", "location": "us-central1", "encryption": {"defaultKmsKeyName": made}})),
        ("gcp-sa-artifactregistry", lambda gcp, made: gcp.create(
            REPOSITORY, {"repositoryId": "images", "location": "us-central1", "format": "DOCKER", "kmsKeyName": made})),
        ("compute-system", lambda gcp, made: gcp.create(
            POOL, {"cluster": cluster(gcp)[0], "name": "a", "nodeCount": 1, "nodeConfig": {"bootDiskKmsKey": made}})),
    ],
)  # fmt: skip
def test_a_key_encrypts_only_for_the_agent_that_may_use_it(gcp, agent, use):
    made = key(gcp, agent="somebody-else")
    with pytest.raises(Refusal, match=f"useToEncrypt' denied on {made} for .*@{agent}"):
        use(gcp, made)
    for row in gcp.store.resources("gcp", CLUSTER):
        gcp.delete(CLUSTER, row.id)
    member = f"serviceAccount:service-100000000001@{agent}.iam.gserviceaccount.com"
    gcp.create(GRANT, {"cryptoKeyId": made, "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "member": member})
    use(gcp, made)


def test_a_key_elsewhere_or_missing_is_refused(gcp):
    far = key(gcp, "gs-project-accounts", "europe-west1")
    encryption = {"defaultKmsKeyName": far}
    with pytest.raises(Refusal, match="is in europe-west1, not in us-central1"):
        gcp.create(BUCKET, {"name": "models", "location": "us-central1", "encryption": encryption})
    with pytest.raises(Refusal, match="was not found"):
        cluster(gcp, databaseEncryption={"state": "ENCRYPTED", "keyName": "projects/p/keyRings/none"})
    ring = gcp.store.resources("gcp", RING)[0].id
    with pytest.raises(Refusal, match="rotation period must be at least 24 hours"):
        gcp.create(KEY, {"name": "fast", "keyRing": ring, "rotationPeriod": "60s"})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"databaseEncryption": {"state": "ENCRYPTED"}}, "needs a keyName"),
        ({ENDPOINTS: {"ipEndpointsConfig": {"enabled": False}}}, "DNS endpoint must allow external traffic"),
        (
            {
                ENDPOINTS: {
                    "ipEndpointsConfig": {"enabled": False},
                    "dnsEndpointConfig": {"allowExternalTraffic": True},
                },
                "masterAuthorizedNetworksConfig": {"cidrBlocks": []},
            },
            "authorized networks need IP endpoints",
        ),
    ],
)
def test_a_cluster_that_nobody_could_reach_or_encrypt_is_refused(gcp, inputs, message):
    with pytest.raises(Refusal, match=message):
        cluster(gcp, **inputs)


def test_a_preview_does_not_know_the_endpoint_of_a_new_cluster_and_keeps_that_of_an_old_one(gcp):
    named = {"dnsEndpointConfig": {"allowExternalTraffic": True}, "ipEndpointsConfig": {"enabled": False}}
    inputs = {"location": "us-central1", "removeDefaultNodePool": True, "initialNodeCount": 1, ENDPOINTS: named}
    _, planned = gcp.create(CLUSTER, {"name": "one", **inputs}, preview=True)
    assert planned[ENDPOINTS]["dnsEndpointConfig"]["endpoint"] == planned["endpoint"] == UNKNOWN
    _, made = cluster(gcp, **{ENDPOINTS: named})
    host = made[ENDPOINTS]["dnsEndpointConfig"]["endpoint"]
    assert f"https://{host}" == gcp.store.cluster("gcp", "one").endpoint


def test_caches_and_repositories_are_different_things(gcp):
    common = {"location": "us-central1", "format": "DOCKER"}
    remote = {"mode": "REMOTE_REPOSITORY", "remoteRepositoryConfig": {"commonRepository": {"uri": "https://quay.io"}}}
    gcp.create(REPOSITORY, {"repositoryId": "cache", **common, **remote})
    with pytest.raises(Refusal, match="needs a remoteRepositoryConfig"):
        gcp.create(REPOSITORY, {"repositoryId": "bare", **common, "mode": "REMOTE_REPOSITORY"})
    with pytest.raises(Refusal, match="immutable tags are for standard repositories"):
        gcp.create(REPOSITORY, {"repositoryId": "odd", **common, **remote, "dockerConfig": {"immutableTags": True}})


def test_a_reservation_needs_its_name_and_nodes_on_demand(gcp):
    id_, _ = cluster(gcp)
    specific = {"consumeReservationType": "SPECIFIC_RESERVATION"}
    named = {**specific, "key": "compute.googleapis.com/reservation-name", "values": ["block"]}
    for node, message in (
        ({"reservationAffinity": specific}, "needs key and values"),
        ({"reservationAffinity": named, "spot": True}, "spot nodes cannot consume"),
    ):
        with pytest.raises(Refusal, match=message):
            gcp.create(POOL, {"cluster": id_, "name": "a", "nodeCount": 1, "nodeConfig": node})
    with pytest.raises(Refusal, match="us-east1-b is not in us-central1"):
        gcp.create(POOL, {"cluster": id_, "name": "a", "nodeCount": 1, "nodeLocations": ["us-east1-b"]})


def test_a_pool_of_strangers_tokens_needs_a_condition(gcp):
    pool = {"workloadIdentityPoolId": "pipeline"}
    gcp.create("gcp:iam/workloadIdentityPool:WorkloadIdentityPool", pool)
    inputs = {**pool, "workloadIdentityPoolProviderId": "ci", "oidc": {"issuerUri": "https://ci.example.com"}}
    with pytest.raises(Refusal, match="attribute condition must reference"):
        gcp.create(PROVIDER, inputs)
    _, made = gcp.create(PROVIDER, {**inputs, "attributeCondition": "assertion.sub == 'a'"})
    assert made["name"].startswith("projects/100000000001/locations/global/workloadIdentityPools/pipeline/")


@pytest.mark.parametrize(
    ("token", "path", "replaced"),
    [
        (KEY, "rotationPeriod", False),
        (KEY, "purpose", True),
        (REPOSITORY, "kmsKeyName", True),
        (REPOSITORY, "labels", False),
        (CLUSTER, "databaseEncryption", False),
        (CLUSTER, ENDPOINTS, False),
        (CLUSTER, "nodeLocations", False),
        (POOL, "nodeConfig.bootDiskKmsKey", True),
        (POOL, "nodeLocations", False),
        (PROVIDER, "attributeCondition", False),
    ],
)
def test_changes_replace_what_the_real_provider_replaces(token, path, replaced):
    assert rules.replaces(token, path) is replaced
