"""Checks of resources on Google Cloud."""

from collections.abc import Iterator
from typing import Any

from policy.check import UNKNOWN, Check, Finding, Resource, Rule, at, equals, given, items, not_true, open_to_all, true

CLUSTER, NODE_POOL = "gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"
BUCKET, REPOSITORY = "gcp:storage/bucket:Bucket", "gcp:artifactregistry/repository:Repository"
_EVERYBODY = ("allUsers", "allAuthenticatedUsers")
_DEFAULT_ACCOUNT = "-compute@developer.gserviceaccount.com"


def _endpoint(cluster: Resource, production: bool) -> Iterator[Finding]:
    by_address = at(cluster.props, "controlPlaneEndpointsConfig.ipEndpointsConfig.enabled")
    private = at(cluster.props, "privateClusterConfig.enablePrivateEndpoint")
    path = "masterAuthorizedNetworksConfig.cidrBlocks"
    networks = at(cluster.props, path)
    if by_address is False or true(private) or UNKNOWN in (by_address, private, networks):
        return
    ranges = [at(each, "cidrBlock") for each in items(networks)]
    if not ranges or open_to_all(ranges):
        yield Finding(
            cluster,
            path,
            networks,
            "must name ranges other than the whole internet where the API server has a public address",
            "turn the address off (controlPlaneEndpointsConfig.ipEndpointsConfig), or name your ranges",
        )


def _network_policy(cluster: Resource, production: bool) -> Iterator[Finding]:
    path, enforced = "datapathProvider", at(cluster.props, "networkPolicy.enabled")
    provider = at(cluster.props, path)
    if UNKNOWN in (provider, enforced) or provider == "ADVANCED_DATAPATH" or true(enforced):
        return
    yield Finding(
        cluster,
        path,
        provider,
        "must be ADVANCED_DATAPATH where networkPolicy is off",
        "set it at the cluster's creation",
    )


def _account(account: Any) -> bool:
    return given(account) and account != "default" and not str(account).endswith(_DEFAULT_ACCOUNT)


def _immutable(repository: Resource, production: bool) -> Iterator[Finding]:
    """A cache of another registry takes over what the other does and has no such switch."""
    path = "dockerConfig.immutableTags"
    mode, immutable = at(repository.props, "mode"), at(repository.props, path)
    own = at(repository.props, "format") == "DOCKER" and mode in (None, "STANDARD_REPOSITORY")
    if own and immutable is not UNKNOWN and not true(immutable):
        yield Finding(repository, path, immutable, "must be true", "make tags immutable")


def _public_members(grant: Resource, production: bool) -> Iterator[Finding]:
    for path in ("member", "members"):
        value = at(grant.props, path)
        for member in [value, *items(value)]:
            if member in _EVERYBODY:
                yield Finding(grant, path, member, "must not be everybody", "name an account, a group or a workload")


CHECKS = (
    Check(
        "gcp-gke-endpoint",
        "Nodes of GKE have no public address; the API server is private, or open to named ranges only.",
        "CKV_GCP_64, CKV_GCP_20, CKV_GCP_18, CIS GKE 5.6.4",
        (CLUSTER,),
        (Rule("privateClusterConfig.enablePrivateNodes", "must be true", true, "make nodes private"),),
        _endpoint,
    ),
    Check(
        "gcp-gke-workload-identity",
        "Pods on GKE have identities of their own.",
        "CKV_GCP_69",
        (CLUSTER,),
        (
            Rule(
                "workloadIdentityConfig.workloadPool",
                "must be the project's pool",
                given,
                "set it to <project>.svc.id.goog",
            ),
        ),
    ),
    Check(
        "gcp-node-metadata",
        "Pods on GKE cannot take the node's identity.",
        "CKV_GCP_69",
        (NODE_POOL,),
        (
            Rule(
                "nodeConfig.workloadMetadataConfig.mode",
                "must be GKE_METADATA",
                equals("GKE_METADATA"),
                "set it, so that pods get their own identity",
            ),
        ),
    ),
    Check(
        "gcp-gke-legacy",
        "A GKE cluster has none of the old ways in, and follows a release channel.",
        "CKV_GCP_7, CKV_GCP_13, CKV_GCP_70",
        (CLUSTER,),
        (
            Rule("enableLegacyAbac", "must not be true", not_true, "remove it"),
            Rule(
                "masterAuth.clientCertificateConfig.issueClientCertificate",
                "must not be true",
                not_true,
                "remove it; callers have tokens of their own",
            ),
            Rule(
                "releaseChannel.channel",
                "must be a release channel",
                lambda value: given(value) and value != "UNSPECIFIED",
                "use REGULAR or STABLE",
            ),
        ),
    ),
    Check(
        "gcp-gke-isolation",
        "A GKE cluster enforces network policies and encrypts its secrets with a key of ours.",
        "CKV_GCP_12, CIS GKE 5.3.1",
        (CLUSTER,),
        (
            Rule(
                "databaseEncryption.state",
                "must be ENCRYPTED",
                equals("ENCRYPTED"),
                "name a key in keyName",
                production=True,
            ),
        ),
        _network_policy,
    ),
    Check(
        "gcp-gke-supply-chain",
        "A GKE cluster watches what it runs, and cannot be deleted by mistake.",
        "CKV_GCP_66, CIS GKE 5.10.4",
        (CLUSTER,),
        (
            Rule(
                "binaryAuthorization.evaluationMode",
                "must be on",
                lambda value: given(value) and value != "DISABLED",
                "use PROJECT_SINGLETON_POLICY_ENFORCE",
                production=True,
            ),
            Rule(
                "securityPostureConfig.mode",
                "must be BASIC or ENTERPRISE",
                equals("BASIC", "ENTERPRISE"),
                "turn on the security posture",
                production=True,
            ),
            # The provider's default is true.
            Rule(
                "deletionProtection",
                "must be true",
                lambda value: value is None or true(value),
                "turn on deletion protection",
                production=True,
            ),
        ),
    ),
    Check(
        "gcp-node-pool",
        "Nodes of GKE are repaired, upgraded, shielded, and have an account that can do little.",
        "CKV_GCP_9, CKV_GCP_10, CKV_GCP_68, CKV_GCP_72",
        (NODE_POOL,),
        (
            Rule("management.autoRepair", "must be true", true, "turn on repair"),
            Rule("management.autoUpgrade", "must be true", true, "turn on upgrades"),
            Rule(
                "nodeConfig.shieldedInstanceConfig.enableSecureBoot",
                "must be true",
                true,
                "turn it on; the managed GPU driver is signed",
            ),
            # Integrity monitoring is on unless it is turned off.
            Rule(
                "nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring",
                "must not be false",
                lambda value: value is not False,
                "turn it on",
            ),
            Rule(
                "nodeConfig.serviceAccount",
                "must be an account other than the project's default one",
                _account,
                "make a service account with the node roles only",
            ),
        ),
    ),
    Check(
        "gcp-bucket",
        "Buckets are closed to the public and keep old versions.",
        "CKV_GCP_29, CKV_GCP_114, CKV_GCP_78",
        (BUCKET,),
        (
            Rule("uniformBucketLevelAccess", "must be true", true, "turn off object ACLs"),
            Rule("publicAccessPrevention", "must be enforced", equals("enforced"), "set it"),
            Rule("versioning.enabled", "must be true", true, "keep old versions"),
        ),
    ),
    Check(
        "gcp-artifact-registry",
        "Tags of an Artifact Registry repository never move; images are encrypted with a key of ours.",
        "CKV_GCP_84",
        (REPOSITORY,),
        (Rule("kmsKeyName", "must name a key", given, "set it to a key of the region", production=True),),
        _immutable,
    ),
    Check(
        "gcp-public-grant",
        "Nothing is granted to everybody.",
        "CKV_GCP_28, CKV_GCP_101",
        (
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            "gcp:storage/bucketIAMBinding:BucketIAMBinding",
            "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
            "gcp:artifactregistry/repositoryIamBinding:RepositoryIamBinding",
            "gcp:projects/iAMMember:IAMMember",
            "gcp:projects/iAMBinding:IAMBinding",
            "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
            "gcp:kms/cryptoKeyIAMBinding:CryptoKeyIAMBinding",
            "gcp:serviceaccount/iAMMember:IAMMember",
        ),
        judge=_public_members,
    ),
)
