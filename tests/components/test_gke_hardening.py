"""How closed a GKE site is: what production has by default, and what each switch changes."""

import json

import pytest

import components
from components._hardening import Hardening
from components.artifact_registry import UPSTREAMS
from components.gcp_ci_identity import GRANTABLE
from tests.components.cloud_answers import CA, GCP_PROJECT, GCP_PROJECT_NUMBER, GKE_DNS_ENDPOINT
from tests.components.clusters import CLOUDS
from tests.components.test_arguments import VALID

CLUSTER, POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
BUCKET, REPOSITORY = "gcp:storage/bucket:Bucket", "gcp:artifactregistry/repository:Repository"
MEMBER = "gcp:projects/iAMMember:IAMMember"
RANGES = ["198.51.100.0/24", "203.0.113.9/32"]
IMAGE = "tensorflow/serving:2.20.0-gpu@sha256:" + "ab" * 32


def site(run, **changes):
    return run(lambda: CLOUDS["gcp"].declare(**changes).kubeconfig)


@pytest.fixture(scope="module")
def production(run):
    return site(run)


def test_the_api_server_is_reached_by_its_dns_name_alone(production):
    cluster = production.one(CLUSTER).inputs
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True}
    assert cluster["controlPlaneEndpointsConfig"] == {
        "dnsEndpointConfig": {"allowExternalTraffic": True},
        "ipEndpointsConfig": {"enabled": False},
    }
    assert "masterAuthorizedNetworksConfig" not in cluster
    server = json.loads(production.value)["clusters"][0]["cluster"]
    assert server == {"server": f"https://{GKE_DNS_ENDPOINT}"}


def test_a_public_api_server_lets_the_authorized_ranges_in_and_nobody_else(run):
    recording = site(run, hardening=Hardening(public_endpoint=True, authorized_ranges=RANGES))
    cluster = recording.one(CLUSTER).inputs
    assert cluster["controlPlaneEndpointsConfig"] == {
        "dnsEndpointConfig": {"allowExternalTraffic": False},
        "ipEndpointsConfig": {"enabled": True},
    }
    assert cluster["masterAuthorizedNetworksConfig"] == {
        "cidrBlocks": [{"cidrBlock": each} for each in RANGES],
        "gcpPublicCidrsAccessEnabled": False,
    }
    assert cluster["privateClusterConfig"]["enablePrivateNodes"] is True
    entry = json.loads(recording.value)["clusters"][0]["cluster"]
    assert entry == {"server": "https://198.51.100.9", "certificate-authority-data": CA}


def test_nobody_enters_by_old_ways(production):
    cluster = production.one(CLUSTER).inputs
    assert cluster["enableLegacyAbac"] is False
    assert cluster["masterAuth"] == {"clientCertificateConfig": {"issueClientCertificate": False}}
    assert cluster["anonymousAuthenticationConfig"] == {"mode": "LIMITED"}
    assert set(cluster["rbacBindingConfig"].values()) == {False}
    assert cluster["workloadIdentityConfig"] == {"workloadPool": f"{GCP_PROJECT}.svc.id.goog"}


def test_the_cluster_is_kept_up_to_date_and_watched(production):
    cluster = production.one(CLUSTER).inputs
    assert cluster["releaseChannel"] == {"channel": "REGULAR"}
    assert cluster["maintenancePolicy"]["recurringWindow"]["recurrence"] == "FREQ=WEEKLY;BYDAY=SA,SU"
    assert {"APISERVER", "WORKLOADS"} <= set(cluster["loggingConfig"]["enableComponents"])
    assert {"APISERVER", "DCGM"} <= set(cluster["monitoringConfig"]["enableComponents"])
    assert cluster["datapathProvider"] == "ADVANCED_DATAPATH"
    assert cluster["enableShieldedNodes"] is cluster["enableIntranodeVisibility"] is True
    assert cluster["binaryAuthorization"] == {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"}
    assert cluster["securityPostureConfig"] == {"mode": "BASIC"}


def test_everything_is_encrypted_with_keys_of_the_stack(production):
    keys = {row.name.rpartition("-")[2]: row for row in production.all("gcp:kms/cryptoKey:CryptoKey")}
    assert all(row.inputs["rotationPeriod"] == "7776000s" for row in keys.values())
    assert production.one(CLUSTER).inputs["databaseEncryption"]["state"] == "ENCRYPTED"
    nodes = [row.inputs["nodeConfig"] for row in (production.one(CLUSTER), *production.all(POOL))]
    users = {
        "secrets": [production.one(CLUSTER).inputs["databaseEncryption"]["keyName"]],
        "disks": [each["bootDiskKmsKey"] for each in nodes],
        "images": [row.inputs["kmsKeyName"] for row in production.all(REPOSITORY)],
        "models": [production.one(BUCKET).inputs["encryption"]["defaultKmsKeyName"]],
    }
    for use, ids in users.items():
        assert all(each.endswith(f"/site-keys-{use}-x1") for each in ids), (use, ids)
    agents = {row.inputs["member"] for row in production.all("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")}
    domains = ("container-engine-robot", "compute-system", "gcp-sa-artifactregistry", "gs-project-accounts")
    assert agents == {
        f"serviceAccount:service-{GCP_PROJECT_NUMBER}@{domain}.iam.gserviceaccount.com" for domain in domains
    }


def test_without_keys_of_its_own_a_stack_has_none_and_asks_for_no_key_service(run):
    recording = site(run, hardening=Hardening(customer_keys=False))
    assert not [row for row in recording.rows if row.type.startswith("gcp:kms/")]
    assert recording.one(CLUSTER).inputs["databaseEncryption"] == {"state": "DECRYPTED"}
    assert "encryption" not in recording.one(BUCKET).inputs
    assert all("bootDiskKmsKey" not in row.inputs["nodeConfig"] for row in recording.all(POOL))
    services = {row.inputs["service"] for row in recording.all("gcp:projects/service:Service")}
    assert "cloudkms.googleapis.com" not in services
    assert "container.googleapis.com" in services


def test_nodes_boot_what_is_signed_and_show_pods_no_foreign_metadata(production):
    emails = set()
    for row in production.all(POOL):
        node = row.inputs["nodeConfig"]
        assert node["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
        assert node["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
        assert node["gvnic"] == node["gcfsConfig"] == {"enabled": True}
        assert row.inputs["networkConfig"] == {"enablePrivateNodes": True}
        assert row.inputs["management"] == {"autoRepair": True, "autoUpgrade": True}
        emails.add(node["serviceAccount"])
    (email,) = emails
    assert "-compute@developer" not in email
    granted = {
        row.inputs["role"] for row in production.all(MEMBER) if row.inputs["member"] == f"serviceAccount:{email}"
    }
    assert granted == {"roles/container.defaultNodeServiceAccount", "roles/serviceusage.serviceUsageConsumer"}


def test_the_network_logs_and_refuses_what_nobody_let_in(production):
    deny, probes = production.all("gcp:compute/firewall:Firewall")
    assert (deny.inputs["denies"], deny.inputs["sourceRanges"]) == ([{"protocol": "all"}], ["0.0.0.0/0"])
    assert "allows" not in deny.inputs
    assert deny.inputs["logConfig"] == {"metadata": "INCLUDE_ALL_METADATA"}
    assert probes.inputs["targetServiceAccounts"]
    assert "0.0.0.0/0" not in probes.inputs["sourceRanges"]
    subnetwork = production.one("gcp:compute/subnetwork:Subnetwork").inputs
    assert subnetwork["privateIpGoogleAccess"] is True
    assert subnetwork["logConfig"]["metadata"] == "INCLUDE_ALL_METADATA"
    assert production.one("gcp:compute/routerNat:RouterNat").inputs["logConfig"]["enable"] is True


def test_flow_logs_and_the_private_way_can_be_left_out(run):
    recording = site(run, hardening=Hardening(flow_logs=False, private_links=False))
    subnetwork = recording.one("gcp:compute/subnetwork:Subnetwork").inputs
    assert "logConfig" not in subnetwork
    assert all("logConfig" not in row.inputs for row in recording.all("gcp:compute/firewall:Firewall"))
    assert subnetwork["privateIpGoogleAccess"] is False
    # Image streaming needs the private way.
    assert all(row.inputs["nodeConfig"]["gcfsConfig"] == {"enabled": False} for row in recording.all(POOL))


def test_scanning_can_be_left_out(run):
    recording = site(run, hardening=Hardening(scanning=False))
    assert recording.one(CLUSTER).inputs["securityPostureConfig"] == {"mode": "DISABLED"}
    modes = {row.inputs["vulnerabilityScanningConfig"]["enablementConfig"] for row in recording.all(REPOSITORY)}
    assert modes == {"DISABLED"}
    services = {row.inputs["service"] for row in recording.all("gcp:projects/service:Service")}
    assert not {"containerscanning.googleapis.com", "containersecurity.googleapis.com"} & services


def test_logs_are_kept_as_long_as_wanted_and_outlive_the_site(run):
    recording = site(run, hardening=Hardening(log_retention_days=365))
    retention = recording.one("gcp:logging/projectBucketConfig:ProjectBucketConfig")
    reads = recording.one("gcp:projects/iAMAuditConfig:IAMAuditConfig")
    assert retention.inputs["retentionDays"] == 365
    assert reads.inputs["auditLogConfigs"] == [{"logType": "DATA_READ"}]
    assert retention.retained
    assert reads.retained


def test_the_store_is_private_and_keeps_what_was_overwritten(production):
    bucket = production.one(BUCKET).inputs
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["softDeletePolicy"] == {"retentionDurationSeconds": 7 * 24 * 3600}
    (old, parts) = bucket["lifecycleRules"]
    assert old["condition"] == {"daysSinceNoncurrentTime": 90, "withState": "ARCHIVED"}
    assert parts["action"] == {"type": "AbortIncompleteMultipartUpload"}


def test_a_model_server_reads_bundles_and_nothing_else(production):
    binding = production.one("gcp:storage/bucketIAMMember:BucketIAMMember").inputs
    assert binding["member"] == (
        f"principal://iam.googleapis.com/projects/{GCP_PROJECT_NUMBER}/locations/global/workloadIdentityPools/"
        f"{GCP_PROJECT}.svc.id.goog/subject/ns/serving/sa/model-server"
    )
    assert binding["role"] == "roles/storage.objectViewer"
    prefix = "projects/_/buckets/site-models-bucket-x1/objects/bundles/"
    assert binding["condition"]["expression"] == f'resource.name.startsWith("{prefix}")'


def test_groups_administer_this_cluster_and_no_other(production):
    mine = [row.inputs for row in production.all(MEMBER) if row.inputs["member"] == "group:platform@example.com"]
    (admin,) = mine
    assert admin["role"] == "roles/container.admin"
    assert admin["condition"]["expression"] == (
        f'resource.name.startsWith("projects/{GCP_PROJECT}/locations/us-central1/clusters/site-cluster-gke-x1")'
    )
    # Google Cloud tells grants apart by it: two clusters must not share one.
    assert admin["condition"]["title"] == "cluster-site-cluster"


def test_zones_are_those_of_the_cluster(production):
    assert production.one(CLUSTER).inputs["nodeLocations"] == ["us-central1-a", "us-central1-b"]


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        (f"docker.io/{IMAGE}", f"-registry-docker-{{hash}}/{IMAGE}"),
        (IMAGE, f"-registry-docker-{{hash}}/{IMAGE}"),
        ("docker.io/nginx:1", "-registry-docker-{hash}/library/nginx:1"),
        ("quay.io/jetstack/cert-manager-controller:v1", "-registry-quay-{hash}/jetstack/cert-manager-controller:v1"),
        ("registry.k8s.io/pause:3", "-registry-k8s-{hash}/pause:3"),
        ("ghcr.io/a/b@sha256:" + "cd" * 32, "-registry-ghcr-{hash}/a/b@sha256:" + "cd" * 32),
    ],
)
def test_a_public_image_comes_from_the_cache_with_its_tag_and_digest(run, preview, reference, path):
    name = run(lambda: CLOUDS["gcp"].declare().image(reference), preview=preview).value
    head, _, tail = path.partition("{hash}")
    assert name.startswith(f"us-central1-docker.pkg.dev/{GCP_PROJECT}/site{head}")
    assert name.endswith(tail)
    assert len(name.partition(head)[2].removesuffix(tail)) == 8


@pytest.mark.parametrize(("mirror", "reference"), [(False, f"docker.io/{IMAGE}"), (True, "nvcr.io/nvidia/a:1")])
def test_an_image_without_a_cache_keeps_its_name(run, mirror, reference):
    assert run(lambda: CLOUDS["gcp"].declare(mirror=mirror).image(reference)).value == reference


def test_caches_are_read_by_the_nodes_and_refuse_tags_to_move_where_images_are_pushed(production):
    own, *caches = production.all(REPOSITORY)
    assert own.inputs["dockerConfig"] == {"immutableTags": True}
    assert len(caches) == len(UPSTREAMS)
    readers = production.all("gcp:artifactregistry/repositoryIamMember:RepositoryIamMember")
    assert {row.inputs["repository"] for row in readers} == {
        row.inputs["repositoryId"] for row in production.all(REPOSITORY)
    }
    assert {row.inputs["role"] for row in readers} == {"roles/artifactregistry.reader"}
    assert len({row.inputs["member"] for row in readers}) == 1


# -- the pipeline


@pytest.fixture(scope="module")
def pipeline(run):
    def build():
        ci = components.GcpCiIdentity("ci", components.GcpCiIdentityArgs(**VALID["GcpCiIdentity"]))
        return [ci.preview_service_account, ci.deploy_service_account, ci.provider_name]

    return run(build)


def test_two_exact_subjects_of_one_issuer_are_trusted(pipeline):
    provider = pipeline.one("gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider").inputs
    preview, deploy = VALID["GcpCiIdentity"]["preview_subject"], VALID["GcpCiIdentity"]["deploy_subject"]
    assert provider["attributeCondition"] == f'assertion.sub in ["{preview}", "{deploy}"]'
    assert provider["oidc"] == {"issuerUri": VALID["GcpCiIdentity"]["issuer"]}
    users = {row.name: row.inputs for row in pipeline.all("gcp:serviceaccount/iAMMember:IAMMember")}
    for use, subject in (("preview", preview), ("deploy", deploy)):
        user = users[f"ci-{use}-subject"]
        assert user["role"] == "roles/iam.workloadIdentityUser"
        assert user["member"].startswith(f"principal://iam.googleapis.com/projects/{GCP_PROJECT_NUMBER}/locations/")
        assert user["member"].endswith(f"/subject/{subject}")
        assert use in user["serviceAccountId"]


def roles(pipeline, use):
    return {row.inputs["role"]: row.inputs for row in pipeline.all(MEMBER) if row.name.startswith(f"ci-{use}-")}


def test_previews_only_read_and_no_model(pipeline):
    verbs = {role.rpartition(".")[2] for role in roles(pipeline, "preview")}
    allowed = {"reader", "viewer", "securityReviewer", "serviceAccountViewer", "workloadIdentityPoolViewer"}
    assert verbs <= allowed | {"serviceUsageViewer"}
    assert not [role for role in roles(pipeline, "preview") if role.startswith("roles/storage.")]


def test_the_deploying_pipeline_owns_nothing_and_grants_known_roles_alone(pipeline):
    found = roles(pipeline, "deploy")
    assert not {"roles/owner", "roles/editor", "roles/iam.workloadIdentityPoolAdmin"} & found.keys()
    condition = found["roles/resourcemanager.projectIamAdmin"]["condition"]["expression"]
    assert condition.endswith(f".hasOnly({json.dumps(list(GRANTABLE))})")
    assert "roles/owner" not in condition
    unconditional = [role for role, each in found.items() if "condition" not in each]
    assert not [role for role in unconditional if "IamAdmin" in role]


def test_no_key_is_made_for_anybody(pipeline, production):
    assert not [row for row in (*pipeline.rows, *production.rows) if "serviceaccount/key" in row.type]
    assert not [row for row in (*pipeline.rows, *production.rows) if "hmacKey" in row.type]
