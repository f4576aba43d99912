"""What a production network has beside subnets: private links to AWS, and a log of its connections."""

import pulumi
import pulumi_aws as aws

from components._aws_policies import allow, document, role_path, service_trust

INTERFACES = (
    "ecr.api", "ecr.dkr", "sts", "eks", "eks-auth", "ec2", "logs", "elasticloadbalancing", "autoscaling",
)  # fmt: skip
"""AWS services that nodes, their add-ons and the autoscaler call."""


def declare_links(
    name: str,
    region: str,
    vpc: aws.ec2.Vpc,
    subnet_ids: list[pulumi.Output[str]],
    route_table_ids: list[pulumi.Output[str]],
    own: dict[str, str],
    parent: pulumi.Resource,
) -> None:
    """Declare links to S3 and to `INTERFACES`, so that these calls never leave AWS.

    Args:
        name: Name of the network component.
        region: AWS region.
        vpc: The network.
        subnet_ids: Private subnets, one per zone.
        route_table_ids: Route tables of these subnets.
        own: Tags.
        parent: The network component.
    """
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        f"{name}-links",
        description="Calls of AWS from the network",
        vpc_id=vpc.id,
        ingress=[
            aws.ec2.SecurityGroupIngressArgs(
                description="HTTPS from the network",
                protocol="tcp",
                from_port=443,
                to_port=443,
                cidr_blocks=[vpc.cidr_block],
            )
        ],
        # Rules between groups that refer to each other would keep both from being deleted.
        revoke_rules_on_delete=True,
        tags=own,
        opts=child,
    )
    aws.ec2.VpcEndpoint(
        f"{name}-s3",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=route_table_ids,
        tags=own,
        opts=child,
    )
    for service in INTERFACES:
        aws.ec2.VpcEndpoint(
            f"{name}-{service.replace('.', '-')}",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.{service}",
            vpc_endpoint_type="Interface",
            subnet_ids=subnet_ids,
            security_group_ids=[group.id],
            private_dns_enabled=True,
            tags=own,
            opts=child,
        )


def declare_flow_log(
    name: str, vpc: aws.ec2.Vpc, group: aws.cloudwatch.LogGroup, own: dict[str, str], parent: pulumi.Resource
) -> None:
    """Declare the log of all connections of a network, accepted and rejected ones."""
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-flows-role",
        path=role_path(),
        assume_role_policy=vpc.owner_id.apply(
            lambda account: service_trust(
                "vpc-flow-logs.amazonaws.com", {"StringEquals": {"aws:SourceAccount": account}}
            )
        ),
        tags=own,
        opts=child,
    )
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams"]
    policy = aws.iam.RolePolicy(
        f"{name}-flows-write",
        role=role.name,
        policy=group.arn.apply(lambda arn: document(allow(actions, [arn, f"{arn}:*"]))),
        opts=child,
    )
    aws.ec2.FlowLog(
        f"{name}-flows",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        tags=own,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
