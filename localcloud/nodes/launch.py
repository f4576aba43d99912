"""Starting one container of a pod: image, environment, mounts, sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from localcloud.addresses import API_SERVER_PORT, cluster_address, to_loopback
from localcloud.context import CloudContext
from localcloud.errors import LocalCloudError
from localcloud.nodes import edge, images, plan, registries
from localcloud.nodes.api import KubeApi, Object
from localcloud.nodes.containers import Run
from localcloud.nodes.events import Events
from localcloud.nodes.sandbox import Box, Mount
from localcloud.nodes.volumes import contents
from localcloud.store import Cluster
from toolchain import ToolchainError


@dataclass(frozen=True)
class Site:
    """The cluster a pod belongs to."""

    context: CloudContext
    cluster: Cluster
    api: KubeApi
    events: Events


IMAGE_REASON = "ErrImagePull"
"""Reason of a container whose image cannot be had."""


class CannotStart(Exception):
    """A container cannot be started; `reason` is what its waiting state says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def log_directory(context: CloudContext, cluster_id: str, namespace: str, pod: str) -> Path:
    """Return the directory of a pod's logs, one file `<container>.log` each."""
    slug = cluster_id.replace("/", "_").replace(":", "_").strip("_")
    return context.paths.logs(context.cloud) / "pods" / slug / f"{namespace}_{pod}"


async def launch(site: Site, pod: Object, container: Object, volumes: dict[str, tuple[Path, bool]], name: str) -> Run:
    """Start a container.

    Args:
        site: The pod's cluster.
        pod: The pod, with its addresses in `status`.
        container: One of its containers.
        volumes: The pod's volumes, as `Volumes.prepare` returns them.
        name: Name of the run, unique within the pod, for its directory.

    Raises:
        CannotStart: If the image is unknown or the manifest asks for what cannot be had.
        aiohttp.ClientError, TimeoutError, OSError: If the API server cannot be asked.
    """
    context, metadata = site.context, pod["metadata"]
    if container.get("restartPolicy"):
        raise CannotStart("CreateContainerConfigError", "sidecar containers are not supported by the local clouds")
    try:
        image = await asyncio.to_thread(images.find, container["image"], context.tool)
        await _have(site, pod, container)
    except registries.PullError as error:
        raise CannotStart(error.reason, str(error)) from None
    except (images.UnknownImage, ToolchainError) as error:
        raise CannotStart(IMAGE_REASON, str(error)) from None
    data = {}
    for plural, wanted in sorted(plan.references([container])):
        found = await site.api.find(f"/api/v1/namespaces/{metadata['namespace']}/{plural}/{wanted}")
        if found is not None:
            data[plural, wanted] = {key: value.decode(errors="replace") for key, value in contents(found).items()}
    base = {
        "HOME": "/",
        "HOSTNAME": metadata["name"],
        "KUBERNETES_SERVICE_HOST": cluster_address(context.cloud, site.cluster.number),
        "KUBERNETES_SERVICE_PORT": str(API_SERVER_PORT),
        "LOCALCLOUD_POD_ADDRESS": to_loopback(pod["status"]["podIP"]),
        **image.environment,
    }
    try:
        environment = plan.environment(pod, container, base, data)
        uid, gid = plan.user(pod, container)
        mounts = [*image.mounts, *plan.mounts(container, volumes)]
    except plan.ConfigError as error:
        raise CannotStart("CreateContainerConfigError", str(error)) from None
    if context.cloud == "azure":
        mounts.append(Mount(context.paths.certificate_authority / "ca.crt", edge.CA_FILE))
    try:
        command = image.command(
            [plan.expand(each, environment) for each in container.get("command") or []],
            [plan.expand(each, environment) for each in container.get("args") or []],
        )
        box = Box(
            command=command,
            directory=context.paths.pod(context.cloud, metadata["uid"]) / "containers" / name,
            uid=uid,
            gid=gid,
            read_only_root=plan.read_only_root(container),
            mounts=mounts,
            working_directory=container.get("workingDir") or "/",
            hostname=metadata["name"][:63],
        )
        log = log_directory(context, site.cluster.id, metadata["namespace"], metadata["name"])
        return Run(context, box, environment, log / f"{container['name']}.log")
    except (images.UnknownImage, LocalCloudError, OSError) as error:
        raise CannotStart("RunContainerError", str(error)) from None


async def _have(site: Site, pod: Object, container: Object) -> None:
    """Have a container's image on the pod's node, telling as a kubelet does what was done for it."""
    name, node = container["image"], f"{site.cluster.id}/{pod['spec'].get('nodeName', '')}"
    field = f"spec.containers{{{container['name']}}}"
    policy = container.get("imagePullPolicy") or "IfNotPresent"
    pulled = await asyncio.to_thread(registries.pull, site.context.store, site.context.cloud, node, name, policy)
    told = f'Successfully pulled image "{name}"' if pulled else f'Container image "{name}" already present on machine'
    site.events.record(pod, "Pulled", told, field=field)
