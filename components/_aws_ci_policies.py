"""What pipelines may do on AWS, as IAM policies."""

from typing import Any

from components._aws_policies import allow, document

READ_POLICIES = ("SecurityAudit", "job-function/ViewOnlyAccess")
"""AWS's own policies that show how everything is set up, and no data."""
ATTACHABLE = (
    "AmazonEKSClusterPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
    "service-role/AmazonEBSCSIDriverPolicy",
)
"""AWS's own policies that the components attach to roles."""
PARTS = ("read", "network", "cluster", "identity", "data")
"""Names of the policies of the role that deploys."""
PASSED_TO = (
    "eks.amazonaws.com",
    "ec2.amazonaws.com",
    "pods.eks.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
    "ecr.amazonaws.com",
)
_NETWORK = (
    "Address", "InternetGateway", "NatGateway", "Route", "RouteTable", "SecurityGroup", "Subnet", "Vpc", "VpcEndpoint",
    "FlowLogs", "LaunchTemplate", "LaunchTemplateVersion", "Tags",
)  # fmt: skip
_SECURITY_GROUP = [f"ec2:{verb}SecurityGroup{way}" for verb in ("Authorize", "Revoke") for way in ("Ingress", "Egress")]
_EC2 = [
    *[f"ec2:Create{part}" for part in _NETWORK if part != "Address"],
    *[f"ec2:Delete{part}" for part in _NETWORK if part not in ("Address", "VpcEndpoint", "LaunchTemplateVersion")],
    "ec2:AllocateAddress", "ec2:ReleaseAddress", "ec2:AssociateRouteTable", "ec2:DisassociateRouteTable",
    "ec2:ReplaceRoute", "ec2:ReplaceRouteTableAssociation", "ec2:AttachInternetGateway", "ec2:DetachInternetGateway",
    "ec2:DeleteVpcEndpoints", "ec2:ModifyVpcEndpoint", "ec2:ModifyVpcAttribute", "ec2:ModifySubnetAttribute",
    "ec2:ModifyLaunchTemplate", "ec2:DeleteLaunchTemplateVersions", "ec2:RunInstances", *_SECURITY_GROUP,
]  # fmt: skip
_CLUSTER_PARTS = ("cluster", "nodegroup", "addon", "access-entry", "podidentityassociation")
_READ = [
    "ec2:Describe*", "eks:Describe*", "eks:List*", "elasticloadbalancing:Describe*", "ecr:Describe*",
    "ecr:GetAuthorizationToken", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource", "kms:DescribeKey", "kms:List*",
    "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "logs:Describe*", "logs:List*", "iam:Get*", "iam:List*",
    "route53:Get*", "route53:List*", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
    "s3:GetAccelerateConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "servicequotas:Get*",
    "servicequotas:List*", "sts:GetCallerIdentity",
]  # fmt: skip
_DATA = ["s3:GetObject*", "secretsmanager:GetSecretValue", "ssm:GetParameter*", "kms:Decrypt", "dynamodb:GetItem"]
_LASTING = [
    "iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateServiceSpecificCredential",
    "iam:UpdateLoginProfile", "iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:AddUserToGroup",
    "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion",
]  # fmt: skip


def preview_policy() -> str:
    """Policy beside `READ_POLICIES`: quotas and Kubernetes access may be asked for, data may not be read."""
    return document(
        allow(["servicequotas:Get*", "servicequotas:List*", "eks:Describe*", "eks:List*"], ["*"]),
        {"Effect": "Deny", "Action": _DATA, "Resource": ["*"]},
    )


def deploy_policies(account: str, project: str, own_roles: list[str]) -> dict[str, str]:
    """Policies of the role that deploys, by the names in `PARTS`.

    IAM limits the length of all inline policies of a role together to 10,240 characters.

    Args:
        account: AWS account.
        project: Value of the tag `project` on everything the components make, and path of their roles.
        own_roles: ARNs of the pipeline's roles, which it must not change.
    """
    new = {"StringEquals": {"aws:RequestTag/project": project}}
    ours = {"StringEquals": {"aws:ResourceTag/project": project}}
    roles = f"arn:aws:iam::{account}:role/{project}/*"
    allowed_policies = [f"arn:aws:iam::aws:policy/{each}" for each in ATTACHABLE]
    attaching: dict[str, Any] = {**ours, "ArnEquals": {"iam:PolicyARN": allowed_policies}}
    linked = {"StringLike": {"iam:AWSServiceName": ["eks*.amazonaws.com", "elasticloadbalancing.amazonaws.com"]}}
    identity = [
        allow(["iam:CreateRole", "iam:TagRole"], [roles], new),
        allow(
            ["iam:DeleteRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:UpdateAssumeRolePolicy",
             "iam:UntagRole"], [roles], ours,
        ),
        allow(["iam:AttachRolePolicy", "iam:DetachRolePolicy"], [roles], attaching),
        allow(["iam:PassRole"], [roles], {"StringEquals": {"iam:PassedToService": list(PASSED_TO)}}),
        allow(["iam:CreateServiceLinkedRole"], [f"arn:aws:iam::{account}:role/aws-service-role/*"], linked),
        allow(["iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"],
              [f"arn:aws:iam::{account}:oidc-provider/*"], new),
        allow(["iam:DeleteOpenIDConnectProvider", "iam:AddClientIDToOpenIDConnectProvider",
               "iam:UpdateOpenIDConnectProviderThumbprint"], [f"arn:aws:iam::{account}:oidc-provider/*"], ours),
        {"Effect": "Deny", "Action": _LASTING, "Resource": ["*"]},
        {"Effect": "Deny", "NotAction": ["iam:Get*", "iam:List*"], "Resource": own_roles},
    ]  # fmt: skip
    data = [
        allow(["kms:CreateKey", "kms:TagResource"], ["*"], new),
        allow(
            ["kms:PutKeyPolicy", "kms:EnableKeyRotation", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
             "kms:CreateGrant", "kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:UntagResource",
             "kms:UpdateKeyDescription"],
            [f"arn:aws:kms:*:{account}:key/*"], ours,
        ),
        # Bucket names begin with the logical name; S3 conditions know no tag of a bucket that is being made.
        allow(
            ["s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucket*", "s3:DeleteBucketPolicy",
             "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"],
            ["arn:aws:s3:::*-models-*"],
        ),
        allow(["s3:PutObject*", "s3:GetObject*", "s3:DeleteObject*"], ["arn:aws:s3:::*-models-*/bundles/*"]),
        allow(
            ["ecr:CreateRepository", "ecr:DeleteRepository", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy",
             "ecr:PutImageScanningConfiguration", "ecr:DeleteLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource"],
            [f"arn:aws:ecr:*:{account}:repository/*"],
        ),
        allow([f"ecr:{verb}{what}" for verb in ("Create", "Delete", "Update")
               for what in ("PullThroughCacheRule", "RepositoryCreationTemplate")], ["*"],
              {"StringEquals": {"aws:PrincipalAccount": account}}),
        allow(["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource",
               "logs:AssociateKmsKey"], [f"arn:aws:logs:*:{account}:log-group:*"]),
        allow(["route53:ChangeResourceRecordSets", "route53:CreateHealthCheck", "route53:UpdateHealthCheck",
               "route53:DeleteHealthCheck", "route53:ChangeTagsForResource"],
              ["arn:aws:route53:::hostedzone/*", "arn:aws:route53:::healthcheck/*"]),
    ]  # fmt: skip
    cluster = [f"arn:aws:eks:*:{account}:{kind}/*" for kind in _CLUSTER_PARTS]
    verbs = ("Create", "Update", "Delete", "Associate", "Disassociate", "Tag", "Untag")
    return {
        "read": document(allow(_READ, ["*"])),
        "network": document(allow(_EC2, [f"arn:aws:ec2:*:{account}:*", "arn:aws:ec2:*::image/*"])),
        "cluster": document(allow([f"eks:{verb}*" for verb in verbs], cluster)),
        "identity": document(*identity),
        "data": document(*data),
    }
