"""Checks of resources on AWS."""

import re
from collections.abc import Iterable, Iterator, Sequence

from policy.aws_access import findings as access_findings
from policy.aws_access import public_statements, tls_only
from policy.check import (
    UNKNOWN,
    Check,
    Finding,
    Resource,
    Rule,
    StackCheck,
    at,
    equals,
    given,
    holds,
    items,
    open_to_all,
    refers,
    true,
)

CLUSTER, NODE_GROUP = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
BUCKET = "aws:s3/bucket:Bucket"
_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_VERSIONING = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketVersioningV2:BucketVersioningV2",
)
_PUBLIC = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_LOGGING = ("aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketLoggingV2:BucketLoggingV2")
_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
_GPU_INSTANCE = re.compile(r"^(g[0-9]+(?!ad)[a-z]*|gr[0-9]+[a-z]*|p[0-9]+[a-z]*)\.")
"""Families with NVIDIA GPUs; g4ad has AMD's."""
GPU_KEY = "nvidia.com/gpu"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def _endpoint(cluster: Resource, production: bool) -> Iterator[Finding]:
    public, path = at(cluster.props, "vpcConfig.endpointPublicAccess"), "vpcConfig.publicAccessCidrs"
    ranges = at(cluster.props, path)
    if public is UNKNOWN or public is False or ranges is UNKNOWN:
        return
    if not ranges or open_to_all(ranges):
        yield Finding(
            cluster,
            path,
            ranges,
            "must name ranges other than the whole internet where the API server is public",
            "set endpointPublicAccess to false, or name the ranges of your offices and runners",
        )


def _node_group(group: Resource, production: bool) -> Iterator[Finding]:
    types = [each for each in items(at(group.props, "instanceTypes")) if isinstance(each, str)]
    gpus = [each for each in types if _GPU_INSTANCE.match(each)]
    if not gpus:
        return
    image = at(group.props, "amiType")
    if image is not UNKNOWN and "NVIDIA" not in str(image):
        yield Finding(
            group, "amiType", image, f"must be one with NVIDIA's driver for {gpus[0]}", "use AL2023_x86_64_NVIDIA"
        )
    taints = at(group.props, "taints")
    keys = [UNKNOWN] if taints is UNKNOWN else [at(each, "key") for each in items(taints)]
    if UNKNOWN not in keys and GPU_KEY not in keys:
        yield Finding(
            group,
            "taints",
            taints,
            f"must keep pods without GPUs away from {gpus[0]}",
            f"add the taint {GPU_KEY}=present with effect NO_SCHEDULE",
        )


def _launch_template(template: Resource, production: bool) -> Iterator[Finding]:
    for position, disk in enumerate(items(at(template.props, "blockDeviceMappings"))):
        encrypted = at(disk, "ebs.encrypted")
        if encrypted is not UNKNOWN and at(disk, "ebs") is not None and not true(encrypted):
            path = f"blockDeviceMappings.{position}.ebs.encrypted"
            yield Finding(template, path, encrypted, "must be true", "encrypt the nodes' disks")
    for position, interface in enumerate(items(at(template.props, "networkInterfaces"))):
        public = at(interface, "associatePublicIpAddress")
        if true(public):
            path = f"networkInterfaces.{position}.associatePublicIpAddress"
            yield Finding(template, path, public, "must not be true", "nodes reach the internet through NAT")


def _repository(repository: Resource, production: bool) -> Iterator[Finding]:
    path = "encryptionConfigurations"
    settings = at(repository.props, path)
    kinds = [at(each, "encryptionType") for each in items(settings)]
    known = settings is not UNKNOWN and UNKNOWN not in [*kinds, *items(settings)]
    if production and known and not {"KMS", "KMS_DSSE"} & set(kinds):
        yield Finding(repository, path, settings, "must encrypt with KMS", "add encryptionType KMS and a key")


def _key(key: Resource, production: bool) -> Iterator[Finding]:
    kind = at(key.props, "customerMasterKeySpec")
    if kind in (None, "SYMMETRIC_DEFAULT"):
        rotated = at(key.props, "enableKeyRotation")
        if rotated is not UNKNOWN and not true(rotated):
            yield Finding(key, "enableKeyRotation", rotated, "must be true", "turn on rotation")
    for statement in public_statements(at(key.props, "policy")):
        yield Finding(key, "policy", statement, "must not allow everybody", "name the principals")


def _buckets(resources: Sequence[Resource], production: bool) -> Iterator[Finding]:
    def about(bucket: Resource, types: Iterable[str], path: str = "bucket") -> list[Resource]:
        return [each for each in resources if each.type in types and refers(each, path, bucket, "bucket", "id")]

    for bucket in (each for each in resources if each.type == BUCKET):
        blocks = about(bucket, [_PUBLIC])
        if not blocks:
            yield Finding(bucket, "bucket", None, "must have a BucketPublicAccessBlock", "add one with all four flags")
        for block in blocks:
            for flag in _BLOCKS:
                value = at(block.props, flag)
                if value is not UNKNOWN and not true(value):
                    yield Finding(block, flag, value, "must be true", f"close {bucket.name} to the public")
        yield from _encrypted(
            bucket, about(bucket, _ENCRYPTION), production and not about(bucket, _LOGGING, "targetBucket")
        )
        versions = [at(each.props, "versioningConfiguration.status") for each in about(bucket, _VERSIONING)]
        if not {UNKNOWN, "Enabled"} & set(versions):
            yield Finding(bucket, "versioning", versions, "must be Enabled", "add a BucketVersioning")
        policies = [at(each.props, "policy") for each in about(bucket, [_POLICY])]
        if not any(policy is UNKNOWN or tls_only(policy) for policy in policies):
            yield Finding(
                bucket,
                "policy",
                policies,
                "must refuse requests without TLS",
                "add a BucketPolicy that denies where aws:SecureTransport is false",
            )


def _encrypted(bucket: Resource, settings: list[Resource], with_kms: bool) -> Iterator[Finding]:
    """A bucket that takes access logs cannot have a KMS key: the log service does not use one."""
    path = "applyServerSideEncryptionByDefault"
    rules = [rule for each in settings for rule in items(at(each.props, "rules")) or [at(each.props, "rules")]]
    kinds = [UNKNOWN if rule is UNKNOWN else at(rule, f"{path}.sseAlgorithm") for rule in rules]
    allowed = {"aws:kms", "aws:kms:dsse"} if with_kms else {"aws:kms", "aws:kms:dsse", "AES256"}
    if UNKNOWN not in kinds and not allowed & set(kinds):
        wanted = "a KMS key" if with_kms else "a key"
        yield Finding(
            bucket, "encryption", kinds, f"must encrypt with {wanted}", "add a BucketServerSideEncryptionConfiguration"
        )


CHECKS = (
    Check(
        "aws-eks-endpoint",
        "The API server of an EKS cluster is private, or open to named ranges only.",
        "CKV_AWS_38, CKV_AWS_39, EKS.1",
        (CLUSTER,),
        judge=_endpoint,
    ),
    Check(
        "aws-eks-logs",
        "An EKS cluster keeps every kind of control plane log.",
        "CKV_AWS_37, CIS EKS 2.1",
        (CLUSTER,),
        (Rule("enabledClusterLogTypes", f"must hold {', '.join(LOGS)}", holds(*LOGS), "add the missing ones"),),
    ),
    Check(
        "aws-eks-secrets",
        "Kubernetes secrets of an EKS cluster are encrypted with a key of ours.",
        "CKV_AWS_58",
        (CLUSTER,),
        (
            Rule(
                "encryptionConfig.resources",
                "must hold secrets",
                holds("secrets"),
                "name a KMS key for secrets",
                production=True,
            ),
        ),
    ),
    Check(
        "aws-eks-access",
        "Access to an EKS cluster is by access entries alone, and the cluster cannot be deleted by mistake.",
        "CIS EKS 4.1",
        (CLUSTER,),
        (
            Rule("accessConfig.authenticationMode", "must be API", equals("API"), "use access entries, not aws-auth"),
            Rule(
                "accessConfig.bootstrapClusterCreatorAdminPermissions",
                "must be false",
                equals(False),
                "give administrators access entries of their own",
            ),
            Rule("deletionProtection", "must be true", true, "turn on deletion protection", production=True),
        ),
    ),
    Check(
        "aws-eks-node-group",
        "Nodes of EKS take no SSH key; nodes with GPUs have the driver's image and the GPU taint.",
        "CKV_AWS_100, Tricorn",
        (NODE_GROUP,),
        (Rule("remoteAccess", "must be absent", equals(None), "remove it; use Session Manager to reach a node"),),
        _node_group,
    ),
    Check(
        "aws-launch-template",
        "Nodes use IMDSv2 out of pods' reach, encrypted disks and no public address.",
        "CKV_AWS_79, CKV_AWS_341, CKV_AWS_88",
        ("aws:ec2/launchTemplate:LaunchTemplate",),
        (
            Rule("metadataOptions.httpTokens", "must be required", equals("required"), "require IMDSv2"),
            Rule(
                "metadataOptions.httpPutResponseHopLimit",
                "must be 1",
                equals(1),
                "set it, so that pods cannot take the node's identity",
            ),
            Rule("blockDeviceMappings", "must say that disks are encrypted", given, "add one with encrypted: true"),
        ),
        _launch_template,
    ),
    Check(
        "aws-ecr-repository",
        "Tags of an ECR repository never move; images are scanned and encrypted with a key of ours.",
        "CKV_AWS_51, CKV_AWS_163, CKV_AWS_136",
        ("aws:ecr/repository:Repository",),
        (
            Rule("imageTagMutability", "must be IMMUTABLE", equals("IMMUTABLE"), "set it"),
            Rule("imageScanningConfiguration.scanOnPush", "must be true", true, "scan images on push", production=True),
        ),
        _repository,
        ("encryptionConfigurations",),
    ),
    Check(
        "aws-kms-key",
        "KMS keys rotate and are not everybody's.",
        "CKV_AWS_7, CKV_AWS_33",
        ("aws:kms/key:Key",),
        judge=_key,
    ),
    Check(
        "aws-iam-statements",
        "IAM policies allow neither every action nor every resource, and roles trust exactly whom they are for.",
        "CIS EKS 4, CKV_AWS_62, CKV_AWS_63, CKV_AWS_355",
        ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy", "aws:iam/role:Role"),
        judge=access_findings,
    ),
)
STACK_CHECKS = (
    StackCheck(
        "aws-s3-bucket",
        "Buckets are closed to the public, versioned, encrypted with a key of ours, and reached by TLS only.",
        "CKV2_AWS_6, CKV_AWS_145, CKV_AWS_21, CKV_AWS_379",
        _buckets,
        ("a KMS key",),
    ),
)
