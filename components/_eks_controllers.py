"""What the controllers have in common that act on AWS from inside an EKS cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components._aws_policies import pod_trust, role_path
from serving.cluster import POOL_LABEL
from serving.settings_sites import SYSTEM_POOL

NAMESPACE = "kube-system"


@dataclass(frozen=True)
class ClusterPlace:
    """Where a cluster is, as its ARN tells."""

    partition: str
    region: str
    account: str
    cluster: str

    @classmethod
    def of(cls, arn: str) -> "ClusterPlace":
        """Take an ARN apart: `arn:aws:eks:us-east-1:123456789012:cluster/name`."""
        _, partition, _, region, account, resource = arn.split(":", 5)
        return cls(partition, region, account, resource.partition("/")[2])


def declare_controller(
    name: str,
    *,
    cluster_name: pulumi.Input[str],
    cluster_arn: pulumi.Input[str],
    service_account: str,
    policy: Callable[[ClusterPlace], str],
    chart: str,
    version: str,
    repo: str,
    values: dict[str, Any],
    image_repository: Optional[pulumi.Input[str]],
    own: dict[str, str],
    parent: pulumi.Resource,
) -> k8s.helm.v3.Release:
    """Declare a chart on the system pool, and a role that only the pods of its service account can use.

    The chart comes after the role: pods that were started before have no identity.

    Args:
        name: Logical name of the component.
        cluster_name: Physical name of the cluster.
        cluster_arn: Its ARN.
        service_account: Service account of the pods, in `kube-system`.
        policy: What the role may do, for the place of the cluster.
        chart: Name of the chart.
        version: Its version.
        repo: Address of its repository.
        values: Values beside those of the image and of where the pods run.
        image_repository: Repository of the image, without tag; the chart's own if None.
        own: Tags.
        parent: The component.
    """
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role", path=role_path(), assume_role_policy=pod_trust(NAMESPACE, service_account), tags=own, opts=child
    )
    document = pulumi.Output.from_input(cluster_arn).apply(lambda arn: policy(ClusterPlace.of(arn)))
    allowed = aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=document, opts=child)
    identity = aws.eks.PodIdentityAssociation(
        f"{name}-association",
        cluster_name=cluster_name,
        namespace=NAMESPACE,
        service_account=service_account,
        role_arn=role.arn,
        tags=own,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[allowed]),
    )
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
