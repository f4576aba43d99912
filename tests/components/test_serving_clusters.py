"""What the serving clusters of all clouds have in common; golden files show every resource of each."""

import functools
import json

import pulumi
import pytest

import components
from components._capacity import CapacityPolicy
from tests.components.cloud_answers import INLINE_SECRET
from tests.components.clusters import ARCHIVE, CLOUDS, KEY, NAMESPACE, SERVICE_ACCOUNT, declare_all_of

pytestmark = pytest.mark.parametrize("cloud", CLOUDS)

STATEFUL = {
    "aws": {
        "aws:eks/cluster:Cluster",
        "aws:s3/bucket:Bucket",
        "aws:ecr/repository:Repository",
        "aws:ec2/eip:Eip",
        "aws:kms/key:Key",
    },
    "gcp": {
        "gcp:container/cluster:Cluster",
        "gcp:storage/bucket:Bucket",
        "gcp:artifactregistry/repository:Repository",
        "gcp:compute/address:Address",
        "gcp:kms/cryptoKey:CryptoKey",
    },
    "azure": {
        "azure-native:containerservice:ManagedCluster",
        "azure-native:storage:StorageAccount",
        "azure-native:storage:BlobContainer",
        "azure-native:containerregistry:Registry",
        "azure-native:network:PublicIPAddress",
        "azure-native:keyvault:Vault",
        "azure-native:keyvault:Key",
        "azure-native:operationalinsights:Workspace",
    },
}
"""Types of which at least one resource per cluster holds what nobody can rebuild."""
ADDRESS_OF_THE_NAT = {"site-network-nat", "site-network-nat-us-east-1a", "site-network-nat-us-east-1b"}
"""Replaceable, unlike the load balancer's addresses: nobody outside knows it."""
CACHES = {f"site-registry-{upstream}" for upstream in ("docker", "ghcr", "quay", "k8s")}
"""Refilled from where the images come from."""


@pytest.fixture(scope="module")
def recorded(run):
    """A cloud's cluster with everything, recorded once per mode; `value` is its kubeconfig."""

    @functools.cache
    def of(cloud, preview=False):
        return run(lambda: declare_all_of(cloud).kubeconfig, preview=preview)

    return of


def test_a_serving_cluster_declares_what_its_golden_file_says(recorded, golden, cloud):
    golden(CLOUDS[cloud].module, recorded(cloud))


def test_every_input_is_known_after_an_update(recorded, cloud):
    """An output the component reads and the cloud does not give would drop out of the inputs without a word."""
    up, preview = recorded(cloud), recorded(cloud, preview=True)
    keys = {(row.type, row.name): set(row.inputs) for row in up.rows}
    assert keys == {(row.type, row.name): set(row.inputs) for row in preview.rows}
    assert "<unknown>" not in json.dumps(up.snapshot())
    assert "<unknown>" in json.dumps(preview.snapshot())


def test_the_attributes_of_every_cloud_have_values(run, cloud):
    def build():
        cluster = declare_all_of(cloud)
        return {
            "addresses": cluster.addresses,
            "registry_url": cluster.registry_url,
            "bucket": cluster.store_bucket,
            "account": cluster.store_account,
            "annotations": [cluster.load_balancer_annotations, cluster.service_account_annotations],
            "plain": [cluster.store_kind, cluster.store_region, cluster.pod_labels],
            "provider": cluster.provider.urn,
        }

    value = run(build).value
    assert len(value["addresses"]) == (2 if cloud == "aws" else 1)
    assert all(value["addresses"])
    assert "://" not in value["registry_url"]
    assert value["bucket"]
    assert (value["account"] is not None) == (cloud == "azure")
    assert value["plain"][0] == {"aws": "s3", "gcp": "gcs", "azure": "azureblob"}[cloud]
    assert value["plain"][1] == {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}[cloud]
    assert value["provider"].endswith("::site-k8s")
    assert all(isinstance(text, str) and text for annotations in value["annotations"] for text in annotations.values())


def test_every_child_belongs_to_its_component_and_carries_its_name(recorded, cloud, preview):
    recording = recorded(cloud, preview)
    components_made = {row.name for row in recording.rows if not row.custom}
    roots = [row for row in recording.rows if row.parent == ""]
    assert [row.name for row in roots] == ["site"]
    for row in recording.rows:
        if row.name != "site":
            assert row.parent in components_made, row
            assert row.name.startswith(f"{row.parent}-"), row


def test_the_callers_provider_reaches_every_resource_and_every_call(run, cloud, preview):
    def build():
        CLOUDS[cloud].declare(opts=pulumi.ResourceOptions(provider=CLOUDS[cloud].provider()))

    recording = run(build, preview=preview)
    in_cluster = [row for row in recording.children() if row.type.startswith("kubernetes:")]
    in_cloud = [row for row in recording.children() if not row.type.startswith("kubernetes:")]
    assert len(in_cloud) >= 15
    assert {row.provider for row in in_cloud} == {"mine"}
    assert {row.provider for row in in_cluster} <= {"site-k8s"}
    assert {call.provider for call in recording.calls} <= {"mine"}
    if cloud == "azure" and not preview:
        assert recording.calls


def test_two_clusters_live_in_one_stack(run, cloud, preview):
    def build():
        for name in ("one", "two"):
            CLOUDS[cloud].declare(name).upload("scenes", KEY, ARCHIVE)

    recording = run(build, preview=preview)
    ones = sorted(row.name.removeprefix("one") for row in recording.rows if row.name.startswith("one"))
    twos = sorted(row.name.removeprefix("two") for row in recording.rows if row.name.startswith("two"))
    assert ones == twos
    assert len(ones) == len(recording.rows) / 2


def test_options_reach_the_component(run, cloud):
    def build():
        parent = pulumi.ComponentResource("test:index:Parent", "above")
        opts = pulumi.ResourceOptions(parent=parent, aliases=[pulumi.Alias(name="former")])
        CLOUDS[cloud].declare(opts=opts)

    row = run(build).one(f"tricorn:index:{CLOUDS[cloud].component}")
    assert row.parent == "above"
    assert row.aliases == ("name=former parentUrn=",)


def test_what_nobody_can_rebuild_is_protected_unless_the_switch_is_off(run, recorded, cloud):
    on = recorded(cloud)
    off = run(lambda: CLOUDS[cloud].declare(protect=False))
    kept = {row.type for row in on.rows if row.protect}
    assert kept == STATEFUL[cloud]
    unprotected = {row.name for row in on.rows if row.type in STATEFUL[cloud] and not row.protect}
    assert unprotected <= ADDRESS_OF_THE_NAT | CACHES
    assert not [row.name for row in off.rows if row.protect]


def test_the_kubeconfig_holds_no_credentials(recorded, cloud):
    recording = recorded(cloud)
    kubeconfig = json.loads(recording.value)
    # The DNS name of a GKE cluster has a certificate that every client trusts.
    authority = set() if cloud == "gcp" else {"certificate-authority-data"}
    assert set(kubeconfig["clusters"][0]["cluster"]) == {"server"} | authority
    assert kubeconfig["clusters"][0]["cluster"]["server"].startswith("https://")
    assert [set(user["user"]) for user in kubeconfig["users"]] == [{"exec"}]
    assert "env" not in kubeconfig["users"][0]["user"]["exec"]
    everything = json.dumps([recording.snapshot(), recording.outputs])
    assert INLINE_SECRET not in everything
    assert "<secret>" not in everything


def test_the_kubernetes_provider_survives_a_changed_kubeconfig(recorded, cloud):
    row = recorded(cloud).one("pulumi:providers:kubernetes")
    assert row.name == "site-k8s"
    assert row.inputs["clusterIdentifier"]
    assert row.inputs["enableServerSideApply"] == "true"


def test_the_caller_adds_labels_but_overrides_none_of_ours(recorded, cloud):
    recording = recorded(cloud)
    places = [
        place
        for row in recording.children()
        for place in (row.inputs, row.inputs.get("nodeConfig", {}))
        if not row.type.startswith("kubernetes:")
    ]
    found = [place.get(key, {}) for place in places for key in ("tags", "labels", "resourceLabels")]
    labelled = [labels for labels in found if "managed-by" in labels]
    assert len(labelled) >= 7
    for labels in labelled:
        assert labels["managed-by"] == "pulumi"
        assert labels["owner"] == "platform"
        assert {"project", "stack", "component"} <= set(labels)


def test_the_device_plugin_comes_only_where_the_cloud_brings_none(run, recorded, cloud):
    with_gpus = recorded(cloud)
    without = run(lambda: CLOUDS[cloud].declare(gpu_pools={}))
    plugin = "nvidia-device-plugin"
    releases = [row.inputs for row in with_gpus.all("kubernetes:helm.sh/v3:Release") if row.inputs["chart"] == plugin]
    assert len(releases) == (0 if cloud == "gcp" else 1)
    assert plugin not in [row.inputs["chart"] for row in without.all("kubernetes:helm.sh/v3:Release")]
    for release in releases:
        terms = release["values"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["t4"]


def test_a_bundle_is_one_object_named_by_its_digest(run, cloud):
    recording = run(lambda: CLOUDS[cloud].declare().upload("scenes", KEY, ARCHIVE))
    rows = [row for row in recording.rows if row.name == "site-models-scenes-abababababab"]
    assert len(rows) == 1
    assert rows[0].inputs["source"] == {"<asset>": ARCHIVE}
    assert KEY in rows[0].inputs.values()
    assert not rows[0].protect
    assert recording.value == KEY


def test_only_the_model_servers_may_read_the_store(recorded, cloud):
    text = json.dumps(recorded(cloud).snapshot())
    if cloud == "aws":
        assert f'"namespace": "{NAMESPACE}"' in text
        assert f'"serviceAccount": "{SERVICE_ACCOUNT}"' in text
    else:
        subject = "subject/ns/{}/sa/{}" if cloud == "gcp" else "system:serviceaccount:{}:{}"
        assert subject.format(NAMESPACE, SERVICE_ACCOUNT) in text


def test_all_mistakes_are_named_at_once_and_nothing_is_declared(run, cloud):
    def build():
        CLOUDS[cloud].declare(
            kubernetes_version="1.3",
            system_min_nodes=0,
            system_max_nodes=-1,
            cidr="10.0.0.1/24",
            gpu_pools={
                "system": CapacityPolicy(gpu_class="T4-class", max_nodes=1),
                "Too-Long-Name": CapacityPolicy(gpu_class="B200", max_nodes=1),
                "odd": CapacityPolicy(gpu_class="V100", max_nodes=1),
            },
        )

    with pytest.raises(pulumi.InputPropertiesError) as caught:
        run(build)
    lines = str(caught.value)
    for path in (
        "kubernetesVersion",
        "systemMinNodes",
        "systemMaxNodes",
        "cidr",
        "gpuPools.system",
        "gpuPools.Too-Long-Name",
        "gpuPools.Too-Long-Name.gpuClass",
        "gpuPools.odd.gpuClass",
    ):
        assert f"  {path}: " in lines
    assert "Blackwell" in lines
    assert "use one of T4-class" in lines


def test_every_annotated_output_is_registered(recorded, cloud):
    recording = recorded(cloud)
    checked = set()
    for row in recording.rows:
        if row.type.startswith("tricorn:index:"):
            cls = getattr(components, row.type.rpartition(":")[2])
            absent = set() if cloud == "azure" else {"store_account"}
            assert set(recording.outputs[row.urn]) == set(cls.__annotations__) - absent, row.type
            checked.add(row.type)
    assert len(checked) >= 8
