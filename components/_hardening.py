"""How closed and how well kept a cluster is, the same words for every cloud; the defaults are those of production."""

from dataclasses import dataclass
from typing import Optional

from components._base import reject

LOG_RETENTION_DAYS = (1, 7, 14, 30, 60, 90, 180, 365)
DEFAULT_LOG_RETENTION_DAYS = 90


@dataclass(frozen=True, kw_only=True)
class Hardening:
    """Switches of a serving cluster and its parts. None stands for the default."""

    public_endpoint: Optional[bool] = None
    """Let `authorized_ranges` reach the API server over the internet. Default False."""
    authorized_ranges: Optional[list[str]] = None
    """IPv4 ranges that reach a public API server. Default none; a public one needs at least one."""
    customer_keys: Optional[bool] = None
    """Encrypt secrets, disks, registries and stores with keys of the stack's own. Default True."""
    private_links: Optional[bool] = None
    """Reach the cloud's registries, stores and APIs without the internet. Default True."""
    nat_per_zone: Optional[bool] = None
    """A way out of every zone (AWS). Default True."""
    flow_logs: Optional[bool] = None
    """Log the network's connections. Default True."""
    log_retention_days: Optional[int] = None
    """Days that audit and flow logs are kept: 1, 7, 14, 30, 60, 90, 180 or 365. Default 90."""
    scanning: Optional[bool] = None
    """Scan images and clusters for known weaknesses, at extra cost. Default True."""

    def __post_init__(self) -> None:
        bad = []
        if self.public_endpoint and not self.authorized_ranges:
            bad.append(("authorizedRanges", "must name at least one range for a public endpoint, got none"))
        if not self.public_endpoint and self.authorized_ranges:
            bad.append(("authorizedRanges", f"is for a public endpoint only, got {self.authorized_ranges}"))
        bad += [
            ("authorizedRanges", f"must not be the whole internet, got {each!r}")
            for each in self.authorized_ranges or []
            if each.endswith("/0")
        ]
        if self.log_retention_days not in (None, *LOG_RETENTION_DAYS):
            allowed = ", ".join(map(str, LOG_RETENTION_DAYS))
            bad.append(("logRetentionDays", f"must be one of {allowed}, got {self.log_retention_days}"))
        reject("Hardening", bad)

    @property
    def retention_days(self) -> int:
        """Days that logs are kept, the default included."""
        return self.log_retention_days or DEFAULT_LOG_RETENTION_DAYS


PRODUCTION = Hardening()
"""What is in force when a caller says nothing."""
