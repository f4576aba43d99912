"""Load balancers of the cloud: the public addresses of a LoadBalancer Service, and the pods behind a Service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcloud.ledger import addresses, allocate_address
from localcloud.store import Store

Object = dict[str, Any]
_AWS_ALLOCATIONS = "service.beta.kubernetes.io/aws-load-balancer-eip-allocations"
_GCP_NAMES = "networking.gke.io/load-balancer-ip-addresses"
_AZURE_ADDRESS = "service.beta.kubernetes.io/azure-load-balancer-ipv4"
_OWNER = "gateway.envoyproxy.io/owning-gateway-"


class AddressNotFound(Exception):
    """An annotation names a static address that the cloud does not have."""


def of_gateway(services: Iterable[Object], namespace: str, name: str) -> Object | None:
    """Return the Service of type LoadBalancer that selects the Gateway's proxies, if there is one."""
    for service in services:
        spec = service.get("spec") or {}
        selector = spec.get("selector") or {}
        wanted = (selector.get(f"{_OWNER}namespace"), selector.get(f"{_OWNER}name"))
        if spec.get("type") == "LoadBalancer" and wanted == (namespace, name):
            return service
    return None


def ports(service: Object) -> dict[int, int]:
    """Return the container port to public port mapping of a Service."""
    return {int(each.get("targetPort") or each["port"]): int(each["port"]) for each in service["spec"]["ports"]}


def public_addresses(store: Store, cloud: str, cluster_id: str, service: Object) -> list[str]:
    """Return the addresses of a load balancer, as its annotations ask for; without any, one of its own.

    Raises:
        AddressNotFound: If an annotation names an address that is not there.
    """
    metadata = service["metadata"]
    annotations = metadata.get("annotations") or {}
    known = addresses(store, cloud)
    if wanted := annotations.get(_AWS_ALLOCATIONS):
        by_id = {each.resource_id: each.ip for each in known}
        return _pick(wanted.split(","), by_id, _AWS_ALLOCATIONS)
    if wanted := annotations.get(_GCP_NAMES):
        by_name = {each.name: each.ip for each in known}
        return _pick(wanted.split(","), by_name, _GCP_NAMES)
    if wanted := annotations.get(_AZURE_ADDRESS):
        return _pick(wanted.split(","), {each.ip: each.ip for each in known}, _AZURE_ADDRESS)
    resource_id = f"service/{cluster_id}/{metadata['namespace']}/{metadata['name']}"
    return [allocate_address(store, cloud, resource_id, metadata["name"]).ip]


def _pick(wanted: Sequence[str], known: Mapping[str, str], annotation: str) -> list[str]:
    missing = [each for each in wanted if each not in known]
    if missing:
        raise AddressNotFound(f"annotation {annotation} names {missing}, which the cloud does not have")
    return [known[each] for each in wanted]


def ready_backends(
    services: Iterable[Object], slices: Iterable[Object]
) -> dict[tuple[str, int], list[tuple[str, int]]]:
    """Map every (ClusterIP, port) to the (pod address, port) pairs that are ready."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for each in slices:
        metadata = each["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        by_service.setdefault((metadata["namespace"], owner), []).append(each)
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for service in services:
        spec, metadata = service["spec"], service["metadata"]
        for port in spec.get("ports") or []:
            pairs: set[tuple[str, int]] = set()
            for one in by_service.get((metadata["namespace"], metadata["name"]), []):
                numbers = [
                    p["port"] for p in one.get("ports") or [] if (p.get("name") or "") == (port.get("name") or "")
                ]
                for endpoint in one.get("endpoints") or []:
                    if (endpoint.get("conditions") or {}).get("ready"):
                        pairs |= {(address, number) for address in endpoint["addresses"] for number in numbers}
            found[(spec.get("clusterIP", ""), int(port["port"]))] = sorted(pairs)
    return found
