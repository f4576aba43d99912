"""The page about the policy pack: every check, what it looks at and where it comes from."""

from docs.tables import cell, code, table
from policy.check import Check, StackCheck
from policy.registry import CHECKS, STACK_CHECKS

_INTRODUCTION = """# Policy pack

`make preview STACK=prod` and `make deploy STACK=prod` hold every resource against these checks. Where the settings
have `protect: true` a finding stops the update before anything is made; elsewhere it is told and stops nothing. Rules
marked *production* are asked for in the first case only. Each finding says which resource, which property, what it has,
what it must have, and what to do.

The pack is also usable alone: `pulumi preview --policy-pack policy`, or `--policy-pack policy/run` for an engine
without its own host for Python. Without `--policy-pack-config` everything is mandatory. Values that only an update will
know are not held against a rule in a preview; they are when the update knows them.
"""


def policy_page() -> str:
    """Return the page."""
    rows = [_row(each) for each in CHECKS] + [_stack_row(each) for each in STACK_CHECKS]
    head = ("check", "what", "looks at", "production", "source")
    return f"{_INTRODUCTION}\n{table(head, rows)}"


def _row(check: Check) -> tuple[str, ...]:
    types = ", ".join(code(each.rpartition(":")[2]) for each in check.types) or "every resource"
    only = ", ".join(code(path) for path in check.for_production)
    return code(check.name), cell(check.description), types, only, cell(check.source)


def _stack_row(check: StackCheck) -> tuple[str, ...]:
    return (
        code(check.name),
        cell(check.description),
        "the whole stack",
        ", ".join(check.for_production),
        cell(check.source),
    )
