"""The Pod Security Standards `baseline` and `restricted`, as Kubernetes 1.36 enforces them.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy.check import UNKNOWN, at, items

_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}  # fmt: skip
_SELINUX = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_PROFILES = ("RuntimeDefault", "Localhost")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")
_LISTS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True)
class Breach:
    """One broken rule of the standard."""

    path: str
    """Field below the pod template."""
    got: Any
    rule: str


def breaches(template: Any, level: str) -> Iterator[Breach]:
    """What a pod template does against a level.

    Args:
        template: `metadata` and `spec` of a pod; unknown values break no rule.
        level: `restricted`, `baseline` or `privileged`.
    """
    if level == "privileged" or not isinstance(template, Mapping):
        return
    spec = at(template, "spec")
    yield from _pod(template, spec)
    for path, context in _contexts(spec):
        yield from _context(path, context)
    for path, container in containers(spec):
        yield from _container(path, container)
        # A pod in a user namespace of its own may see all of /proc.
        if level == "restricted" or at(spec, "hostUsers") is not False:
            mount = at(container, "securityContext.procMount")
            yield from _want(
                f"{path}.securityContext.procMount", mount, lambda v: v in (None, "Default"), "must be Default"
            )
    if level == "restricted":
        yield from _restricted(spec)


def containers(spec: Any) -> Iterator[tuple[str, Any]]:
    """Every container of a pod with its path below the template."""
    for kind in _LISTS:
        for position, container in enumerate(items(at(spec, kind))):
            yield f"spec.{kind}.{position}", container


def _contexts(spec: Any) -> Iterator[tuple[str, Any]]:
    yield "spec.securityContext", at(spec, "securityContext")
    for path, container in containers(spec):
        yield f"{path}.securityContext", at(container, "securityContext")


def _pod(template: Any, spec: Any) -> Iterator[Breach]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        yield from _want(f"spec.{field}", at(spec, field), lambda v: not v, "must not be true")
    for position, volume in enumerate(items(at(spec, "volumes"))):
        yield from _want(f"spec.volumes.{position}.hostPath", at(volume, "hostPath"), _absent, "must be absent")
    for position, sysctl in enumerate(items(at(spec, "securityContext.sysctls"))):
        path = f"spec.securityContext.sysctls.{position}.name"
        yield from _want(path, at(sysctl, "name"), lambda v: v in _SYSCTLS, "must be one that affects this pod alone")
    annotations = at(template, "metadata.annotations")
    for key, value in annotations.items() if isinstance(annotations, Mapping) else ():
        if key.startswith(_APPARMOR):
            yield from _want(
                f"metadata.annotations.{key}",
                value,
                lambda v: v in ("", "runtime/default") or str(v).startswith("localhost/"),
                "must be runtime/default or localhost/...",
            )


def _context(path: str, context: Any) -> Iterator[Breach]:
    """Rules of `baseline` that hold for a pod's security context and for a container's."""
    host_process = f"{path}.windowsOptions.hostProcess"
    yield from _want(host_process, at(context, "windowsOptions.hostProcess"), lambda v: not v, "must not be true")
    for field in ("user", "role"):
        yield from _want(
            f"{path}.seLinuxOptions.{field}", at(context, f"seLinuxOptions.{field}"), lambda v: not v, "must be absent"
        )
    kind = at(context, "seLinuxOptions.type")
    yield from _want(f"{path}.seLinuxOptions.type", kind, lambda v: v in _SELINUX, "must be a type of containers")
    for field in ("appArmorProfile", "seccompProfile"):
        if at(context, field) is not None:
            kind = at(context, f"{field}.type")
            yield from _want(
                f"{path}.{field}.type", kind, lambda v: v in _PROFILES, f"must be {' or '.join(_PROFILES)}"
            )


def _container(path: str, container: Any) -> Iterator[Breach]:
    context = f"{path}.securityContext"
    yield from _want(
        f"{context}.privileged", at(container, "securityContext.privileged"), lambda v: not v, "must not be true"
    )
    added = at(container, "securityContext.capabilities.add")
    yield from _want(
        f"{context}.capabilities.add", added, _only(_CAPABILITIES), "must be capabilities of every container"
    )
    for position, port in enumerate(items(at(container, "ports"))):
        yield from _want(f"{path}.ports.{position}.hostPort", at(port, "hostPort"), lambda v: not v, "must be absent")
    for probe in _PROBES:
        for kind in ("httpGet", "tcpSocket"):
            host = at(container, f"{probe}.{kind}.host")
            yield from _want(f"{path}.{probe}.{kind}.host", host, lambda v: not v, "must be absent")


def _restricted(spec: Any) -> Iterator[Breach]:
    for position, volume in enumerate(items(at(spec, "volumes"))):
        # A volume without a kind is an emptyDir; hostPath is against baseline already.
        kinds = set(volume) - {"name", "hostPath"} if isinstance(volume, Mapping) else set()
        if kinds and not kinds & _VOLUMES:
            yield Breach(f"spec.volumes.{position}", sorted(kinds), f"must be one of {', '.join(sorted(_VOLUMES))}")
    pod = at(spec, "securityContext")
    yield from _want("spec.securityContext.runAsUser", at(pod, "runAsUser"), _not_root, "must not be 0")
    yield from _want(
        "spec.securityContext.runAsNonRoot", at(pod, "runAsNonRoot"), lambda v: v is not False, "must not be false"
    )
    windows = at(spec, "os.name") == "windows"
    for path, container in containers(spec):
        context, own = f"{path}.securityContext", at(container, "securityContext")
        yield from _want(f"{context}.runAsUser", at(own, "runAsUser"), _not_root, "must not be 0")
        non_root = _effective(at(own, "runAsNonRoot"), at(pod, "runAsNonRoot"))
        yield from _want(f"{context}.runAsNonRoot", non_root, lambda v: v is True, "must be true, here or for the pod")
        if windows:  # which has none of the following
            continue
        escalation = at(own, "allowPrivilegeEscalation")
        yield from _want(f"{context}.allowPrivilegeEscalation", escalation, lambda v: v is False, "must be false")
        seccomp = _effective(at(own, "seccompProfile.type"), at(pod, "seccompProfile.type"))
        yield from _want(
            f"{context}.seccompProfile.type",
            seccomp,
            lambda v: v in _PROFILES,
            f"must be {' or '.join(_PROFILES)}, here or for the pod",
        )
        dropped, added = at(own, "capabilities.drop"), at(own, "capabilities.add")
        yield from _want(
            f"{context}.capabilities.drop", dropped, lambda v: {"ALL", UNKNOWN} & set(items(v)), "must hold ALL"
        )
        yield from _want(
            f"{context}.capabilities.add", added, _only({"NET_BIND_SERVICE"}), "must be NET_BIND_SERVICE or nothing"
        )


def _effective(own: Any, of_pod: Any) -> Any:
    return of_pod if own is None else own


def _absent(value: Any) -> bool:
    return value is None


def _not_root(value: Any) -> bool:
    return bool(value != 0)


def _only(allowed: set[str]) -> Callable[[Any], bool]:
    return lambda value: all(each is UNKNOWN or each in allowed for each in items(value))


def _want(path: str, value: Any, good: Callable[[Any], object], rule: str) -> Iterator[Breach]:
    if value is not UNKNOWN and not good(value):
        yield Breach(path, value, rule)
