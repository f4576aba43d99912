"""What a preflight has to say: problems that end it, and warnings about what could not be learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

import pulumi

from components._capacity import PoolPlan
from serving.settings import AnySite, Settings

_LONGEST_REASON = 240


@dataclass(frozen=True)
class ServerNeeds:
    """What one model version at a site asks of a node."""

    model: str
    version: int
    pool: Optional[str]
    """Name under `pools`; None for the pool without GPUs."""
    cpu: int
    memory_mib: int
    peak_mib: float
    """Memory that the model took when its bundle was verified."""
    least: int
    """Fewest pods."""


@dataclass(frozen=True)
class SiteNeeds:
    """What a site asks of its cloud."""

    name: str
    site: AnySite
    settings: Settings
    provider: Optional[pulumi.ProviderResource]
    plans: Mapping[str, tuple[PoolPlan, ...]]
    """Node pools with GPUs by the pool's name."""
    servers: Sequence[ServerNeeds]


@dataclass
class Report:
    """Everything found, collected so that it is told at once."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, path: str, what: str, *, fix: str, where: str, have: object = None, need: object = None) -> None:
        """Add what must change before anything is created.

        Args:
            path: Field of the settings.
            what: Rule or fact, without an end mark.
            fix: What to do.
            where: Sites concerned.
            have: What there is; left out when None.
            need: What the settings ask for; left out when None.
        """
        facts = [f"{word} {value}" for word, value in (("have", have), ("need", need)) if value is not None]
        self._add(self.problems, f"{path}: {what} ({', '.join([*facts, f'at {where}'])}); {fix}")

    def warning(self, text: str) -> None:
        """Add what the user should know and nothing can be refused for."""
        self._add(self.warnings, text)

    @staticmethod
    def _add(lines: list[str], line: str) -> None:
        if line not in lines:
            lines.append(line)


def one_line(error: object) -> str:
    """Shorten an error to what fits in a warning."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
