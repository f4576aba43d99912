"""The fewest arguments with which any component can be made, found from its class: a new component is in at once."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pulumi

import components
from components._endpoint import EndpointRecords, SiteTarget
from components.peer_backends import Peer
from tests.components.cloud_answers import AWS_ACCOUNT, GCP_PROJECT, GCP_PROJECT_NUMBER, SUBSCRIPTION
from tests.components.clusters import KEY, NAMESPACE, SERVICE_ACCOUNT

NAMES = sorted(components._MODULES)
"""Every public component."""
SITES = {"a": SiteTarget(weight=1, addresses=["203.0.113.1", "203.0.113.2"])}
VALUES: dict[str, Any] = {
    "account_id": AWS_ACCOUNT,
    "addresses": ["203.0.113.1"],
    "bucket_arn": "arn:aws:s3:::models",
    "bucket_name": "models",
    "cluster_arn": f"arn:aws:eks:us-east-1:{AWS_ACCOUNT}:cluster/c",
    "cluster_id": "projects/p/locations/us-central1/clusters/c",
    "cluster_name": "c",
    "container_id": "/subscriptions/s/containers/models",
    "deploy_subject": "repo:acme/platform:environment:prod",
    "domain": "serve.example.com",
    "email": "ops@example.com",
    "gpu_class": "T4-class",
    "group": "blob",
    "issuer": "https://ci.example.com",
    "issuer_url": "https://issuer.example.com/",
    "kubeconfig_path": "premises.kubeconfig",
    "kubernetes_version": "1.36",
    "location": "eastus",
    "max_nodes": 2,
    "min_nodes": 1,
    "model": "scenes",
    "namespace": NAMESPACE,
    "network_id": "n",
    "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
    "node_service_account": f"nodes@{GCP_PROJECT}.iam.gserviceaccount.com",
    "object_key": KEY,
    "peers": {"b": Peer(authority="-----BEGIN CERTIFICATE-----", addresses=["203.0.113.9"])},
    "pool": "t4",
    "pools": ["t4"],
    "port": 8080,
    "preview_subject": "repo:acme/platform:pull_request",
    "project": GCP_PROJECT,
    "project_number": GCP_PROJECT_NUMBER,
    "records": EndpointRecords(domain="serve.example.com", port=8080, ttl=30, sites=SITES),
    "region": "us-central1",
    "resource_group_id": "/subscriptions/s/resourceGroups/g",
    "resource_group_name": "g",
    "resource_id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a",
    "scopes": {"key": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.KeyVault/vaults/a"},
    "security_group_id": "sg-1",
    "service_account": SERVICE_ACCOUNT,
    "site": "a",
    "sites": SITES,
    "store_bucket": "models",
    "store_kind": "s3",
    "store_region": "us-east-1",
    "store_url": "https://files.example.com/models",
    "subnet_id": "s",
    "subnet_ids": ["s"],
    "subnetwork_id": "s",
    "subscription_id": SUBSCRIPTION,
    "system_max_nodes": 2,
    "system_min_nodes": 1,
    "version": 1,
    "versions": {"1": 100},
    "vpc_id": "vpc-1",
    "zone_id": "Z0123456789ABCDEFGHIJ",
    "zones": ["us-east-1a", "us-east-1b"],
}
"""Values of required arguments, the same wherever they appear."""
OWN: dict[str, dict[str, Any]] = {
    "AksNodePool": {"pool": "cpu"},
    "CiIdentity": {"aws": True},
    "EksCluster": {"region": "us-east-1"},
    "EksServingCluster": {"region": "us-east-1"},
    "GcsModelStore": {"location": "us-central1"},
    "GlobalEndpoint": {"route53": True, "cloud_dns_project": GCP_PROJECT},
}
"""What a component needs beside or in place of that."""


def minimal(name: str, *, unknown: bool = False, **given: Any) -> Any:
    """Arguments of a component.

    Args:
        name: Class name.
        unknown: Give what may be an Output as one whose value only an update would know.
        given: Values from the test, such as a folder it has made.

    Raises:
        AssertionError: If a required argument has no value in the tables above.
    """
    cls = getattr(components, f"{name}Args")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if not needed and field.name not in OWN.get(name, {}):
            continue
        source = {**VALUES, **given, **OWN.get(name, {})}
        assert field.name in source, f"{name} needs {field.name}: give it a value in {__name__}.VALUES"
        is_input = "pulumi.output.Output" in str(field.type)
        values[field.name] = _unknown() if unknown and is_input else source[field.name]
    return cls(**values)


def _unknown() -> pulumi.Output[Any]:
    value: asyncio.Future[Any] = asyncio.Future()
    value.set_result(None)
    known: asyncio.Future[bool] = asyncio.Future()
    known.set_result(False)
    return pulumi.Output(set(), value, known)
