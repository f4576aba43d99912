"""What a check is: a name, a source, and rules over the inputs of resources that give findings."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """Stands for a value that only an update will know; no rule is ever broken by it."""

    VALUE = "<unknown>"


UNKNOWN: Final = Unknown.VALUE
_SHOWN = 120


@dataclass(frozen=True)
class Resource:
    """One resource as a check sees it."""

    type: str
    """Type token, such as `aws:eks/cluster:Cluster`."""
    name: str
    urn: str
    props: Mapping[str, Any]
    """Its inputs, or after an update its outputs: camelCase names, plain values, `UNKNOWN` where nobody knows yet."""
    provider: str = ""
    """What tells one provider from another: its name or URN; empty for the default one."""
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Property to the URNs of the resources that its value is made from."""

    @property
    def ancestors(self) -> list[str]:
        """Types of the components that it belongs to, outermost first."""
        return self.urn.split("::")[2].split("$")[:-1] if self.urn.count("::") >= 3 else []


@dataclass(frozen=True)
class Finding:
    """One broken rule."""

    resource: Resource
    path: str
    """Property that breaks it."""
    got: object
    rule: str
    """What must be so, beginning with `must`."""
    fix: str

    def __str__(self) -> str:
        return f"{self.resource.name}: {self.path} {self.rule} (got {shown(self.got)}); {self.fix}"


@dataclass(frozen=True)
class Rule:
    """A rule about one property."""

    path: str
    """Property below the resource's, joined by dots."""
    rule: str
    """What must be so, beginning with `must`."""
    good: Callable[[Any], bool]
    """Whether a value keeps the rule; None stands for an absent one. Never asked about unknown values."""
    fix: str
    production: bool = False
    """Holds for production only: other stacks may save its cost."""


Judge = Callable[[Resource, bool], Iterable[Finding]]
StackJudge = Callable[[Sequence[Resource], bool], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A check of single resources."""

    name: str
    """Stable name, as policy configuration uses it."""
    description: str
    source: str
    """Where the rule comes from: ids of Checkov, CIS benchmarks, Security Hub, or the project's own."""
    types: tuple[str, ...]
    """Type tokens it looks at; empty for all."""
    rules: tuple[Rule, ...] = ()
    judge: Judge | None = None
    """What plain rules cannot say; the flag tells whether the stack is production."""
    judged_for_production: tuple[str, ...] = ()
    """Properties that `judge` looks at for production only."""

    @property
    def for_production(self) -> tuple[str, ...]:
        """Properties whose rules hold for production only."""
        return (*(rule.path for rule in self.rules if rule.production), *self.judged_for_production)

    def findings(self, resource: Resource, production: bool = True) -> list[Finding]:
        """What is wrong with a resource.

        Args:
            resource: Any resource; one of another type is never wrong.
            production: Whether the rules that hold for production only are asked for.
        """
        if self.types and resource.type not in self.types:
            return []
        found = [
            finding
            for rule in self.rules
            if production or not rule.production
            for finding in expect(resource, rule.path, rule.rule, rule.good, rule.fix)
        ]
        return found + (list(self.judge(resource, production)) if self.judge else [])


@dataclass(frozen=True)
class StackCheck:
    """A check that needs several resources to see."""

    name: str
    description: str
    source: str
    judge: StackJudge
    for_production: tuple[str, ...] = ()
    """What it asks for in production only."""

    def findings(self, resources: Sequence[Resource], production: bool = True) -> list[Finding]:
        """What is wrong with the resources of a stack; see `Check.findings`."""
        return list(self.judge(resources, production))


def at(value: Any, path: str) -> Any:
    """Value at a path of names joined by dots; None where there is none, `UNKNOWN` where nobody knows."""
    for step in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def expect(resource: Resource, path: str, rule: str, good: Callable[[Any], bool], fix: str) -> Iterator[Finding]:
    """Yield a finding if a property breaks a rule. An unknown value breaks none."""
    value = at(resource.props, path)
    if value is not UNKNOWN and not good(value):
        yield Finding(resource, path, value, rule, fix)


def items(value: Any) -> list[Any]:
    """Elements of a list; none where there is no list, or an unknown one."""
    return list(value) if isinstance(value, list | tuple) else []


def lacking(value: Any, wanted: Iterable[str]) -> list[str]:
    """What a list should hold and does not; an unknown element might be any of it."""
    given = items(value)
    return [] if value is UNKNOWN or UNKNOWN in given else [each for each in wanted if each not in given]


def holds(*wanted: str) -> Callable[[Any], bool]:
    """Whether a list has all of the given elements."""
    return lambda value: not lacking(value, wanted)


def equals(*wanted: object) -> Callable[[Any], bool]:
    """Whether a value is one of the given ones."""
    return lambda value: value in wanted


def true(value: Any) -> bool:
    """Whether a switch is on, for providers that take it as text, too."""
    return value is True or value == "true"


def not_true(value: Any) -> bool:
    """Whether a switch is off or absent."""
    return not true(value)


def given(value: Any) -> bool:
    """Whether there is a value at all."""
    return value not in (None, "", [], {})


def open_to_all(value: Any) -> bool:
    """Whether a list of address ranges holds the whole internet."""
    return any(isinstance(each, str) and re.fullmatch(r".*/0", each) for each in items(value))


def refers(resource: Resource, path: str, target: Resource, *identities: str) -> bool:
    """Whether a property names another resource: by value where it is known, else by where the value comes from.

    Args:
        resource: The one that refers.
        path: Its property.
        target: The one that is referred to.
        identities: Properties of the target that hold what others know it by.
    """
    value = at(resource.props, path)
    known = [each for each in (at(target.props, name) for name in identities) if isinstance(each, str)]
    return (value is not None and value in known) or target.urn in resource.links.get(path.partition(".")[0], ())


def shown(value: object) -> str:
    """Value for a message: short, and nothing for an absent one."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else repr(value)
    text = text.replace(repr(UNKNOWN), "unknown") or "an empty text"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
