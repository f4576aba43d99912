"""Cases of Google Cloud."""

from __future__ import annotations

from tests.unit.policy.policy_cases import REMOVED, Bad, Case

CLUSTER, NODES = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
OFFICE = {"cidrBlocks": [{"cidrBlock": "198.51.100.0/24"}]}

CASES = (
    Case(
        "gcp-gke-endpoint", CLUSTER,
        {
            "privateClusterConfig": {"enablePrivateNodes": True, "enablePrivateEndpoint": False},
            "masterAuthorizedNetworksConfig": OFFICE,
        },
        (
            Bad("privateClusterConfig.enablePrivateNodes", False),
            Bad("privateClusterConfig.enablePrivateNodes", REMOVED),
            Bad("masterAuthorizedNetworksConfig", REMOVED, "masterAuthorizedNetworksConfig.cidrBlocks"),
            Bad("masterAuthorizedNetworksConfig.cidrBlocks", []),
            Bad("masterAuthorizedNetworksConfig.cidrBlocks.0.cidrBlock", "0.0.0.0/0",
                "masterAuthorizedNetworksConfig.cidrBlocks"),
        ),
        (
            ("controlPlaneEndpointsConfig", {"ipEndpointsConfig": {"enabled": False}}),
            ("privateClusterConfig", {"enablePrivateNodes": True, "enablePrivateEndpoint": True}),
        ),
    ),
    Case(
        "gcp-gke-workload-identity", CLUSTER, {"workloadIdentityConfig": {"workloadPool": "acme.svc.id.goog"}},
        (Bad("workloadIdentityConfig", REMOVED, "workloadIdentityConfig.workloadPool"),),
    ),
    Case(
        "gcp-node-metadata", NODES, {"nodeConfig": {"workloadMetadataConfig": {"mode": "GKE_METADATA"}}},
        (
            Bad("nodeConfig.workloadMetadataConfig.mode", "GCE_METADATA"),
            Bad("nodeConfig", REMOVED, "nodeConfig.workloadMetadataConfig.mode"),
        ),
    ),
    Case(
        "gcp-gke-legacy", CLUSTER,
        {
            "enableLegacyAbac": False, "releaseChannel": {"channel": "STABLE"},
            "masterAuth": {"clientCertificateConfig": {"issueClientCertificate": False}},
        },
        (
            Bad("enableLegacyAbac", True),
            Bad("masterAuth.clientCertificateConfig.issueClientCertificate", True),
            Bad("releaseChannel.channel", "UNSPECIFIED"),
            Bad("releaseChannel", REMOVED, "releaseChannel.channel"),
        ),
        (("masterAuth", REMOVED),),
    ),
    Case(
        "gcp-gke-isolation", CLUSTER,
        {"datapathProvider": "ADVANCED_DATAPATH", "databaseEncryption": {"state": "ENCRYPTED", "keyName": "a"}},
        (
            Bad("datapathProvider", "LEGACY_DATAPATH"),
            Bad("datapathProvider", REMOVED),
            Bad("databaseEncryption.state", "DECRYPTED", production=True),
            Bad("databaseEncryption", REMOVED, "databaseEncryption.state", production=True),
        ),
    ),
    Case(
        "gcp-gke-isolation", CLUSTER,
        {"networkPolicy": {"enabled": True}, "databaseEncryption": {"state": "ENCRYPTED"}},
        (Bad("networkPolicy.enabled", False, "datapathProvider"),),
    ),
    Case(
        "gcp-gke-supply-chain", CLUSTER,
        {
            "binaryAuthorization": {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
            "securityPostureConfig": {"mode": "BASIC"}, "deletionProtection": True,
        },
        (
            Bad("binaryAuthorization.evaluationMode", "DISABLED", production=True),
            Bad("binaryAuthorization", REMOVED, "binaryAuthorization.evaluationMode", production=True),
            Bad("securityPostureConfig.mode", "DISABLED", production=True),
            Bad("deletionProtection", False, production=True),
        ),
        (("deletionProtection", REMOVED),),
    ),
    Case(
        "gcp-node-pool", NODES,
        {
            "management": {"autoRepair": True, "autoUpgrade": True},
            "nodeConfig": {
                "serviceAccount": "nodes@acme.iam.gserviceaccount.com",
                "shieldedInstanceConfig": {"enableSecureBoot": True, "enableIntegrityMonitoring": True},
            },
        },
        (
            Bad("management.autoRepair", False),
            Bad("management.autoUpgrade", REMOVED),
            Bad("nodeConfig.shieldedInstanceConfig.enableSecureBoot", False),
            Bad("nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring", False),
            Bad("nodeConfig.serviceAccount", "default"),
            Bad("nodeConfig.serviceAccount", "123-compute@developer.gserviceaccount.com"),
            Bad("nodeConfig.serviceAccount", REMOVED),
        ),
        (("nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring", REMOVED),),
    ),
    Case(
        "gcp-bucket", "gcp:storage/bucket:Bucket",
        {"uniformBucketLevelAccess": True, "publicAccessPrevention": "enforced", "versioning": {"enabled": True}},
        (
            Bad("uniformBucketLevelAccess", REMOVED),
            Bad("publicAccessPrevention", "inherited"),
            Bad("versioning.enabled", False),
            Bad("versioning", REMOVED, "versioning.enabled"),
        ),
    ),
    Case(
        "gcp-artifact-registry", "gcp:artifactregistry/repository:Repository",
        {"format": "DOCKER", "kmsKeyName": "a", "dockerConfig": {"immutableTags": True}},
        (
            Bad("kmsKeyName", REMOVED, production=True),
            Bad("dockerConfig.immutableTags", False),
            Bad("dockerConfig", REMOVED, "dockerConfig.immutableTags"),
        ),
    ),
    Case(
        "gcp-artifact-registry", "gcp:artifactregistry/repository:Repository",
        {"format": "DOCKER", "mode": "REMOTE_REPOSITORY", "kmsKeyName": "a"}, (),
    ),
    Case(
        "gcp-public-grant", "gcp:storage/bucketIAMMember:BucketIAMMember", {"member": "group:readers@example.com"},
        (Bad("member", "allUsers"), Bad("member", "allAuthenticatedUsers")),
    ),
    Case(
        "gcp-public-grant", "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
        {"members": ["group:readers@example.com"]},
        (Bad("members", ["group:readers@example.com", "allUsers"]),),
    ),
)  # fmt: skip
