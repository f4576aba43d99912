"""The provider's configuration: which cluster it speaks to, and when a change of it means another cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from localcloud.providers.kubernetes.kubeconfig import Access, KubeconfigError, load
from localcloud.providers.kubernetes.values import UNKNOWN, Properties, has_unknown, reveal

Problem = tuple[str, str]


@dataclass(frozen=True)
class Configuration:
    """What a program's `kubernetes.Provider` says; empty strings are what it leaves out."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False

    @classmethod
    def parse(cls, properties: Properties) -> Configuration:
        """Return the configuration of known properties."""
        known = reveal(properties)
        return cls(
            kubeconfig=_text(known, "kubeconfig"),
            context=_text(known, "context"),
            cluster=_text(known, "cluster"),
            namespace=_text(known, "namespace"),
            delete_unreachable=_flag(known, "deleteUnreachable"),
            skip_update_unreachable=_flag(known, "skipUpdateUnreachable"),
            mutable_config_maps=_flag(known, "enableConfigMapMutable"),
            mutable_secrets=_flag(known, "enableSecretMutable"),
        )

    def access(self) -> Access:
        """Return how to reach the cluster; without a kubeconfig, by the one that `KUBECONFIG` names.

        Raises:
            KubeconfigError: If there is none or it cannot be used.
        """
        source = self.kubeconfig or os.environ.get("KUBECONFIG", "")
        if not source:
            raise KubeconfigError("kubeconfig: the provider has none and KUBECONFIG is not set")
        return load(source, self.context or None, self.cluster or None)


def _text(properties: Properties, key: str) -> str:
    value = properties.get(key)
    return value if isinstance(value, str) else ""


def _flag(properties: Properties, key: str) -> bool:
    # The SDK sends what is no string as JSON text.
    return properties.get(key) in (True, "true")


def problems(properties: Properties) -> list[Problem]:
    """Return what is wrong with a provider's configuration, as pairs of property and reason."""
    if has_unknown({key: properties.get(key) for key in ("kubeconfig", "context", "cluster")}):
        return []
    configuration = Configuration.parse(properties)
    if not configuration.kubeconfig:
        return []
    try:
        configuration.access()
    except KubeconfigError as error:
        return [("kubeconfig", str(error).removeprefix("kubeconfig: "))]
    return []


def changed(old: Properties, new: Properties) -> list[str]:
    """Return the properties that differ."""
    before, after = reveal(old), reveal(new)
    return sorted(key for key in {**before, **after} if before.get(key) != after.get(key))


def replaces(old: Properties, new: Properties) -> list[str]:
    """Return the changed properties that name another cluster, whose objects must all be made anew.

    As long as `clusterIdentifier` stays the same the kubeconfig may change in any way. Without it, the address of the
    server tells one cluster from another.
    """
    before, after = reveal(old), reveal(new)
    if before.get("clusterIdentifier") and after.get("clusterIdentifier"):
        return ["clusterIdentifier"] if before["clusterIdentifier"] != after["clusterIdentifier"] else []
    selecting = [key for key in ("kubeconfig", "context", "cluster") if before.get(key) != after.get(key)]
    if not selecting or UNKNOWN in [after.get(key) for key in selecting]:
        return []
    return selecting if _server(before) != _server(after) else []


def _server(properties: dict[str, Any]) -> str:
    try:
        return Configuration.parse(properties).access().server
    except KubeconfigError:
        return ""
