"""Whether a pod could run on a node: selectors, affinity, taints, resources. Pure functions.

The real scheduler decides; this only predicts, as cluster autoscalers do, whether a machine that does not exist yet
would help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.nodes.plan import quantity

Object = dict[str, Any]
Amounts = dict[str, float]
_BLOCKING = ("NoSchedule", "NoExecute")


def requests(pod: Object) -> Amounts:
    """Return what a pod asks for: the sum of its containers, or its largest init container where that is more."""
    total: Amounts = {"pods": 1.0}
    for container in pod["spec"]["containers"]:
        for name, amount in _asked(container).items():
            total[name] = total.get(name, 0.0) + amount
    for container in pod["spec"].get("initContainers") or []:
        for name, amount in _asked(container).items():
            total[name] = max(total.get(name, 0.0), amount)
    return total


def _asked(container: Object) -> Amounts:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: quantity(str(amount)) for name, amount in asked.items()}


def amounts(offered: Mapping[str, str]) -> Amounts:
    """Return a node's capacity as numbers."""
    return {name: quantity(str(amount)) for name, amount in offered.items()}


def take(free: Amounts, asked: Amounts) -> Amounts | None:
    """Return what is left of `free` after `asked`, or None when it does not suffice."""
    if any(amount > free.get(name, 0.0) + 1e-9 for name, amount in asked.items()):
        return None
    return {name: amount - asked.get(name, 0.0) for name, amount in free.items()}


def admits(pod: Object, labels: Mapping[str, str], taints: Sequence[Mapping[str, str]]) -> bool:
    """Return whether a node with these labels and taints would admit the pod."""
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if affinity and not any(_matches(term, labels) for term in affinity["nodeSelectorTerms"]):
        return False
    tolerations = spec.get("tolerations") or []
    return all(
        any(_tolerates(each, taint) for each in tolerations) for taint in taints if taint.get("effect") in _BLOCKING
    )


def _matches(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or []
    return bool(expressions) and all(_holds(each, labels) for each in expressions)


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    value, operator = labels.get(expression["key"]), expression["operator"]
    values = expression.get("values") or []
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def _tolerates(toleration: Object, taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint["key"]:
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")
