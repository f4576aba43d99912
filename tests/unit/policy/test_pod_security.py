"""The Pod Security Standards, rule by rule: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from policy.check import UNKNOWN
from policy.pod_security import breaches
from tests.unit.policy.policy_cases import REMOVED, changed

CONTAINER = {
    "name": "a", "image": "a",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "ports": [{"containerPort": 8500}],
    "livenessProbe": {"httpGet": {"port": 8501}}, "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
}  # fmt: skip
POD: dict[str, Any] = {
    "metadata": {"annotations": {}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [copy.deepcopy(CONTAINER)],
        "containers": [CONTAINER],
        "volumes": [{"name": "a", "emptyDir": {}}],
    },
}
C, S, P = "spec.containers.0", "spec.containers.0.securityContext", "spec.securityContext"
APPARMOR = "metadata.annotations"
BASELINE = [
    ("spec.hostNetwork", True), ("spec.hostPID", True), ("spec.hostIPC", True),
    (f"{S}.privileged", True), ("spec.initContainers.0.securityContext.privileged", True),
    (f"{S}.capabilities.add", ["SYS_ADMIN"]), (f"{S}.capabilities.add", ["CHOWN", "NET_RAW"]),
    ("spec.volumes.0", {"name": "a", "hostPath": {"path": "/"}}),
    (f"{C}.ports.0.hostPort", 80),
    (f"{C}.livenessProbe.httpGet.host", "169.254.169.254"), (f"{C}.readinessProbe", {"tcpSocket": {"host": "a"}}),
    (f"{C}.startupProbe", {"httpGet": {"host": "a"}}), (f"{C}.lifecycle.preStop", {"httpGet": {"host": "a"}}),
    (f"{C}.lifecycle.postStart", {"tcpSocket": {"host": "a"}}),
    (APPARMOR, {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}),
    (f"{P}.appArmorProfile", {"type": "Unconfined"}), (f"{S}.appArmorProfile", {"type": "Unconfined"}),
    (f"{P}.seLinuxOptions", {"type": "spc_t"}), (f"{S}.seLinuxOptions", {"type": "init_t"}),
    (f"{P}.seLinuxOptions", {"user": "system_u"}), (f"{S}.seLinuxOptions", {"role": "system_r"}),
    (f"{S}.procMount", "Unmasked"),
    (f"{P}.seccompProfile.type", "Unconfined"), (f"{S}.seccompProfile", {"type": "Unconfined"}),
    (f"{P}.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    (f"{P}.windowsOptions", {"hostProcess": True}), (f"{S}.windowsOptions", {"hostProcess": True}),
]  # fmt: skip
RESTRICTED = [
    ("spec.volumes.0", {"name": "a", "nfs": {"server": "a"}}), ("spec.volumes.0", {"name": "a", "iscsi": {}}),
    (f"{S}.allowPrivilegeEscalation", True), (f"{S}.allowPrivilegeEscalation", REMOVED), (S, REMOVED),
    ("spec.initContainers.0.securityContext", REMOVED),
    (f"{P}.runAsNonRoot", False), (f"{P}.runAsNonRoot", REMOVED), (f"{S}.runAsNonRoot", False),
    (f"{P}.runAsUser", 0), (f"{S}.runAsUser", 0),
    (f"{P}.seccompProfile", REMOVED),
    (f"{S}.capabilities.drop", ["NET_RAW"]), (f"{S}.capabilities.drop", REMOVED),
    (f"{S}.capabilities.add", ["CHOWN"]),
    ("spec.ephemeralContainers", [{"name": "debug"}]),
]  # fmt: skip
ALLOWED = [
    (f"{S}.capabilities.add", ["NET_BIND_SERVICE"]),
    (f"{P}.seccompProfile", {"type": "Localhost", "localhostProfile": "a"}),
    (f"{P}.appArmorProfile", {"type": "RuntimeDefault"}), (f"{P}.seLinuxOptions", {"type": "container_t"}),
    (f"{P}.sysctls", [{"name": "net.ipv4.tcp_keepalive_time", "value": "1"}]),
    (APPARMOR, {"container.apparmor.security.beta.kubernetes.io/a": "localhost/x"}),
    (f"{C}.ports.0.hostPort", 0), (f"{S}.privileged", False), (f"{S}.procMount", "Default"),
    ("spec.volumes.0", {"name": "a"}), ("spec.volumes.0", {"name": "a", "secret": {}}),
    ("spec.volumes.0", {"name": "a", "csi": {"driver": "a"}}), ("spec.volumes.0", {"name": "a", "projected": {}}),
]  # fmt: skip


def broken(template: dict[str, Any], level: str) -> list[str]:
    return [each.path for each in breaches(template, level)]


def test_a_hardened_pod_keeps_every_level():
    for level in ("restricted", "baseline", "privileged"):
        assert broken(POD, level) == []


@pytest.mark.parametrize(("path", "value"), BASELINE)
def test_what_baseline_forbids_restricted_forbids_too(path, value):
    template = changed(POD, path, value)
    for level in ("baseline", "restricted"):
        assert any(each.startswith(path.rstrip(".0")) for each in broken(template, level)), level
    assert broken(template, "privileged") == []


@pytest.mark.parametrize(("path", "value"), RESTRICTED)
def test_what_only_restricted_forbids(path, value):
    template = changed(POD, path, value)
    assert broken(template, "restricted")
    assert broken(template, "baseline") == []


@pytest.mark.parametrize(("path", "value"), ALLOWED)
def test_what_restricted_allows(path, value):
    assert broken(changed(POD, path, value), "restricted") == []


def test_a_container_may_say_for_itself_what_the_pod_does_not_say():
    template = changed(changed(POD, f"{P}.runAsNonRoot", REMOVED), f"{P}.seccompProfile", REMOVED)
    for kind in ("initContainers", "containers"):
        own = {**CONTAINER["securityContext"], "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        template = changed(template, f"spec.{kind}.0.securityContext", own)
    assert broken(template, "restricted") == []


def test_a_pod_in_a_user_namespace_may_see_proc_under_baseline_only():
    template = changed(changed(POD, "spec.hostUsers", False), f"{S}.procMount", "Unmasked")
    assert broken(template, "baseline") == []
    assert broken(template, "restricted") == [f"{S}.procMount"]


def test_windows_pods_need_not_set_what_windows_has_not():
    template = changed(changed(POD, "spec.os", {"name": "windows"}), S, REMOVED)
    assert broken(template, "restricted") == []
    assert broken(changed(template, f"{P}.runAsNonRoot", REMOVED), "restricted")


@pytest.mark.parametrize("path", [S, P, "spec", "spec.containers", f"{S}.capabilities", f"{S}.capabilities.drop"])
def test_unknown_values_break_nothing(path):
    assert broken(changed(POD, path, UNKNOWN), "restricted") == []


def test_a_known_breach_beside_unknown_values_is_found():
    template = changed(changed(POD, f"{C}.image", UNKNOWN), f"{S}.capabilities.add", [UNKNOWN, "SYS_ADMIN"])
    assert set(broken(template, "restricted")) == {f"{S}.capabilities.add"}
