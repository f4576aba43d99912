"""What the controllers have in common that act on AWS from inside an EKS cluster."""

from typing import Any, Optional

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components._aws_policies import pod_trust, role_path
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

NAMESPACE = "kube-system"


def declare_identity(
    name: str,
    cluster_name: pulumi.Input[str],
    service_account: str,
    policy: pulumi.Input[str],
    own: dict[str, str],
    parent: pulumi.Resource,
) -> aws.eks.PodIdentityAssociation:
    """Declare a role with a policy that only the pods of one service account of `kube-system` can use."""
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role", path=role_path(), assume_role_policy=pod_trust(NAMESPACE, service_account), tags=own, opts=child
    )
    allowed = aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=policy, opts=child)
    return aws.eks.PodIdentityAssociation(
        f"{name}-association",
        cluster_name=cluster_name,
        namespace=NAMESPACE,
        service_account=service_account,
        role_arn=role.arn,
        tags=own,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[allowed]),
    )


def declare_release(
    name: str,
    *,
    chart: str,
    version: str,
    repo: str,
    values: dict[str, Any],
    image_repository: Optional[pulumi.Input[str]],
    parent: pulumi.Resource,
    identity: pulumi.Resource,
) -> k8s.helm.v3.Release:
    """Declare a chart whose pods run on the system pool, once their identity is there: pods started before have none.

    Args:
        name: Logical name of the component.
        chart: Name of the chart.
        version: Its version.
        repo: Address of its repository.
        values: Values beside those of the image and of where the pods run.
        image_repository: Repository of the image, without tag; the chart's own if None.
        parent: The component.
        identity: What `declare_identity` returned.
    """
    image = {"image": {"repository": image_repository}} if image_repository is not None else {}
    return k8s.helm.v3.Release(
        f"{name}-release",
        chart=chart,
        version=version,
        namespace=NAMESPACE,
        repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=repo),
        values={
            "nodeSelector": {POOL_LABEL: SYSTEM_POOL},
            "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
            **image,
            **values,
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[identity]),
    )
