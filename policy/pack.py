"""The checks as policies of the Pulumi engine."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy.check import UNKNOWN, Check, Finding, Resource, StackCheck
from policy.registry import CHECKS, STACK_CHECKS

NAME = "tricorn"
_CONFIG = PolicyConfigSchema(
    {"production": {"type": "boolean", "default": True, "description": "Ask for what only production needs, too."}}
)


def plain(value: Any) -> Any:
    """Values as the checks take them: the SDK's proxies raise where a value is unknown."""
    if isinstance(value, Mapping):
        return {key: _element(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_element(value, position) for position in range(len(value))]
    return value


def _element(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def policies() -> list[Policy]:
    """Every check as a policy."""
    return [*map(_resource_policy, CHECKS), *map(_stack_policy, STACK_CHECKS)]


def run() -> None:
    """Serve the policies to the engine that started this process; returns when it ends them."""
    PolicyPack(
        NAME,
        policies(),
        EnforcementLevel.MANDATORY,
        description="Rules for clusters, pools, registries, stores and workloads that serve models.",
    )


def _resource_policy(check: Check) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if check.types and args.resource_type not in check.types:
            return
        resource = Resource(args.resource_type, args.name, args.urn, plain(args.props))
        _report(check.findings(resource, _production(args.get_config())), check.source, report)

    return ResourceValidationPolicy(check.name, check.description, validate, config_schema=_CONFIG)


def _stack_policy(check: StackCheck) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [
            Resource(
                each.resource_type,
                each.name,
                each.urn,
                plain(each.props),
                each.provider.urn if each.provider else "",
                {key: frozenset(one.urn for one in found) for key, found in each.property_dependencies.items()},
            )
            for each in args.resources
        ]
        _report(check.findings(resources, _production(args.get_config())), check.source, report)

    return StackValidationPolicy(check.name, check.description, validate, config_schema=_CONFIG)


def _production(config: Mapping[str, Any]) -> bool:
    return bool(config.get("production", True))


def _report(findings: Iterable[Finding], source: str, report: ReportViolation) -> None:
    for finding in findings:
        report(f"{finding} [{source}]", finding.resource.urn)
