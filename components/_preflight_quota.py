"""Adding up what sites need of a cloud's quotas and comparing it with what the cloud grants."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from components._preflight_calls import Unanswered
from components._preflight_report import Report, SiteNeeds


@dataclass(frozen=True)
class Quota:
    """One limit of a cloud."""

    place: str
    """Where it counts: a region, or a project and region."""
    code: str
    """The cloud's name of it."""
    what: str
    """What it counts, with the unit first, such as `vCPUs of on-demand G and VT instances`."""


@dataclass(frozen=True)
class Want:
    """What one pool of a site needs of a quota at most."""

    quota: Quota
    amount: float
    path: str
    """Field of the settings that decides the amount."""
    site: str


@dataclass
class Demand:
    """What all pools of all sites need."""

    wants: list[Want] = field(default_factory=list)

    def add(self, quota: Quota, amount: float, path: str, site: SiteNeeds) -> None:
        """Add what one pool needs at most; `path` is the field of the settings that decides it."""
        self.wants.append(Want(quota, amount, path, site.name))

    @property
    def quotas(self) -> list[Quota]:
        """Every quota that something is needed of, once."""
        return list(dict.fromkeys(want.quota for want in self.wants))


def compare(
    report: Report,
    demand: Demand,
    limits: Mapping[Quota, object],
    *,
    raise_by: Callable[[Quota, float], str],
    see_by: Callable[[str], str],
) -> None:
    """Report every quota that is too small, and those that nothing is known of.

    Args:
        report: Takes the findings.
        demand: What is needed.
        limits: The cloud's answers, as numbers; `Unanswered` where there is none.
        raise_by: The words that ask for more, from the quota and the amount.
        see_by: The words that show what is granted, from the place.
    """
    unknown: dict[tuple[str, str], list[str]] = defaultdict(list)
    for quota in demand.quotas:
        wants = [want for want in demand.wants if want.quota == quota]
        need, have = sum(want.amount for want in wants), limits[quota]
        if isinstance(have, Unanswered):
            unknown[quota.place, have.reason].append(f"{need:g} {quota.what} ({quota.code})")
        elif isinstance(have, int | float) and have < need:
            report.problem(
                ", ".join(dict.fromkeys(want.path for want in wants)),
                f"the quota {quota.code} of {quota.place} is too small for {quota.what}",
                have=f"{have:g}",
                need=f"{need:g}",
                where=", ".join(dict.fromkeys(want.site for want in wants)),
                fix=f"lower max, or ask for more: {raise_by(quota, need)}",
            )
    for (place, reason), needs in unknown.items():
        report.warning(
            f"quotas of {place} are not known ({reason}); make sure that it grants {', '.join(needs)}: {see_by(place)}"
        )
