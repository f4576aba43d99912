"""Cases of AWS."""

from __future__ import annotations

from tests.unit.policy.policy_cases import REMOVED, Bad, Case, document

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
CLUSTER, NODES = "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/1"


def web_identity(**condition: object) -> str:
    return document(
        Principal={"Federated": f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"},
        Action="sts:AssumeRoleWithWebIdentity",
        Condition=condition,
    )


CASES = (
    Case(
        "aws-eks-endpoint", CLUSTER,
        {"vpcConfig": {"subnetIds": ["a"], "endpointPublicAccess": True, "publicAccessCidrs": ["198.51.100.0/24"]}},
        (
            Bad("vpcConfig.publicAccessCidrs", ["198.51.100.0/24", "0.0.0.0/0"]),
            Bad("vpcConfig.publicAccessCidrs", ["::/0"]),
            Bad("vpcConfig.publicAccessCidrs", []),
            Bad("vpcConfig", {"subnetIds": ["a"]}, "vpcConfig.publicAccessCidrs"),
        ),
        (("vpcConfig", {"endpointPublicAccess": False}),),
    ),
    Case(
        "aws-eks-logs", CLUSTER, {"enabledClusterLogTypes": LOGS},
        (Bad("enabledClusterLogTypes", LOGS[1:]), Bad("enabledClusterLogTypes", REMOVED)),
    ),
    Case(
        "aws-eks-secrets", CLUSTER, {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": KEY}}},
        (
            Bad("encryptionConfig", REMOVED, "encryptionConfig.resources", production=True),
            Bad("encryptionConfig.resources", [], production=True),
        ),
    ),
    Case(
        "aws-eks-access", CLUSTER,
        {
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            "deletionProtection": True,
        },
        (
            Bad("accessConfig.authenticationMode", "API_AND_CONFIG_MAP"),
            Bad("accessConfig.bootstrapClusterCreatorAdminPermissions", True),
            Bad("accessConfig.bootstrapClusterCreatorAdminPermissions", REMOVED),
            Bad("deletionProtection", False, production=True),
            Bad("deletionProtection", REMOVED, production=True),
        ),
    ),
    Case(
        "aws-eks-node-group", NODES,
        {
            "amiType": "AL2023_x86_64_NVIDIA", "instanceTypes": ["g4dn.xlarge"],
            "taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}],
        },
        (
            Bad("remoteAccess", {"ec2SshKey": "mine"}),
            Bad("amiType", "AL2023_x86_64_STANDARD"),
            Bad("amiType", REMOVED),
            Bad("taints", []),
            Bad("taints.0.key", "gpu", "taints"),
            Bad("taints", REMOVED),
        ),
        (("instanceTypes", ["m7i.xlarge"]), ("instanceTypes", ["g4ad.xlarge"]), ("instanceTypes", ["p5.48xlarge"])),
    ),
    Case(
        "aws-launch-template", "aws:ec2/launchTemplate:LaunchTemplate",
        {
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeSize": 150}}],
            "networkInterfaces": [{"associatePublicIpAddress": "false"}],
        },
        (
            Bad("metadataOptions.httpTokens", "optional"),
            Bad("metadataOptions.httpPutResponseHopLimit", 2),
            Bad("metadataOptions.httpPutResponseHopLimit", REMOVED),
            Bad("blockDeviceMappings", REMOVED),
            Bad("blockDeviceMappings.0.ebs.encrypted", "false"),
            Bad("blockDeviceMappings.0.ebs.encrypted", REMOVED),
            Bad("networkInterfaces.0.associatePublicIpAddress", "true"),
        ),
        (("networkInterfaces", []),),
    ),
    Case(
        "aws-ecr-repository", "aws:ecr/repository:Repository",
        {
            "imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": KEY}],
        },
        (
            Bad("imageTagMutability", "MUTABLE"),
            Bad("imageTagMutability", REMOVED),
            Bad("imageScanningConfiguration.scanOnPush", False, production=True),
            Bad("encryptionConfigurations.0.encryptionType", "AES256", "encryptionConfigurations", production=True),
            Bad("encryptionConfigurations", REMOVED, production=True),
        ),
    ),
    Case(
        "aws-kms-key", "aws:kms/key:Key",
        {
            "enableKeyRotation": True,
            "policy": document(Principal={"AWS": "arn:aws:iam::123456789012:root"}, Action="kms:*", Resource="*"),
        },
        (
            Bad("enableKeyRotation", False),
            Bad("enableKeyRotation", REMOVED),
            Bad("policy", document(Principal="*", Action="kms:Decrypt", Resource="*")),
            Bad("policy", document(Principal={"AWS": ["*"]}, Action="kms:Decrypt", Resource="*")),
        ),
        (
            ("policy", document(Principal="*", Action="kms:Decrypt", Condition={"StringEquals": {"a": "b"}})),
            ("policy", REMOVED),
        ),
    ),
    Case(
        "aws-kms-key", "aws:kms/key:Key",
        {"customerMasterKeySpec": "ECC_NIST_P256", "keyUsage": "SIGN_VERIFY"}, (),
    ),
    Case(
        "aws-iam-statements", "aws:iam/rolePolicy:RolePolicy",
        {"role": "a", "policy": document(Action=["s3:GetObject"], Resource=["arn:aws:s3:::models/bundles/*"])},
        (
            Bad("policy", document(Action="*", Resource="arn:aws:s3:::models")),
            Bad("policy", document(Action=["s3:*"], Resource="arn:aws:s3:::models")),
            Bad("policy", document(Action="s3:GetObject", Resource="*")),
            Bad("policy", document(Action="secretsmanager:ListSecrets", Resource="*")),
            Bad("policy", document(Action=["ec2:DescribeSubnets", "ec2:CreateTags"], Resource=["*"])),
            Bad("policy", document(NotAction="iam:PassRole", Resource="arn:aws:s3:::models")),
        ),
        (
            ("policy", document(Action=["ec2:DescribeSubnets", "ecr:GetAuthorizationToken"], Resource="*")),
            ("policy", document(Action="ec2:CreateTags", Resource="*", Condition={"StringEquals": {"a": "b"}})),
            ("policy", document(Effect="Deny", Action="*", Resource="*")),
        ),
    ),
    Case(
        "aws-iam-statements", "aws:iam/role:Role",
        {"assumeRolePolicy": web_identity(StringEquals={f"{ISSUER}:sub": "system:serviceaccount:serving:models"})},
        (
            Bad("assumeRolePolicy", web_identity(StringLike={f"{ISSUER}:sub": "system:serviceaccount:*:*"})),
            Bad("assumeRolePolicy", web_identity(StringEquals={f"{ISSUER}:aud": "sts.amazonaws.com"})),
            Bad("assumeRolePolicy", document(Principal="*", Action="sts:AssumeRole")),
            Bad("assumeRolePolicy", document(Principal={"AWS": "*"}, Action="sts:AssumeRole")),
            Bad("inlinePolicies", [{"name": "a", "policy": document(Action="*", Resource="arn:aws:s3:::a")}],
                "inlinePolicies.0.policy"),
        ),
        (("assumeRolePolicy", document(Principal={"Service": "pods.eks.amazonaws.com"}, Action="sts:AssumeRole")),),
    ),
)  # fmt: skip
