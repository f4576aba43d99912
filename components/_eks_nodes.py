"""What every machine of an EKS cluster is started with."""

from typing import Optional

import pulumi
import pulumi_aws as aws

_ROOT_DEVICE = "/dev/xvda"
"""Root disk of Amazon Linux images."""
REPAIR = aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True)
"""EKS replaces nodes whose kernel, network or GPUs fail."""


def launch_template(
    name: str,
    *,
    disk_gib: int,
    security_group_id: pulumi.Input[str],
    key_arn: Optional[pulumi.Input[str]],
    own: dict[str, str],
    parent: pulumi.Resource,
    reservation_id: Optional[str] = None,
    capacity_block_type: Optional[str] = None,
) -> aws.ec2.LaunchTemplate:
    """Declare the launch template of a node group.

    Args:
        name: Logical name.
        disk_gib: Size of the root disk in GiB.
        security_group_id: Security group of the nodes, the cluster's.
        key_arn: KMS key of the disk, which must let EC2 Auto Scaling use it; AWS's own if None.
        own: Tags of the template, its machines and their disks.
        parent: Pool component.
        reservation_id: Capacity reservation or capacity block of the machines.
        capacity_block_type: Instance type of the capacity block; None for other capacity.
    """
    reserved = None
    if reservation_id is not None:
        target = aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
            capacity_reservation_id=reservation_id
        )
        reserved = aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(capacity_reservation_target=target)
    block = aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
    return aws.ec2.LaunchTemplate(
        name,
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=_ROOT_DEVICE,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=disk_gib,
                    # As text: the provider keeps absent and false apart that way.
                    encrypted="true",
                    kms_key_id=key_arn,
                    delete_on_termination="true",
                ),
            )
        ],
        # One hop: pods cannot ask for the node's role.
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        # A group here is used in place of the cluster's, so it must be the cluster's.
        network_interfaces=[
            aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                device_index=0,
                associate_public_ip_address="false",
                delete_on_termination="true",
                security_groups=[security_group_id],
            )
        ],
        instance_type=capacity_block_type,
        instance_market_options=block if capacity_block_type is not None else None,
        capacity_reservation_specification=reserved,
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=own) for kind in ("instance", "volume")
        ],
        update_default_version=True,
        tags=own,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def template_of(template: aws.ec2.LaunchTemplate) -> aws.eks.NodeGroupLaunchTemplateArgs:
    """Reference to the newest version: a change of the template rolls the nodes and replaces no pool."""
    return aws.eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str))
