"""What a stack needs of its clouds, asked before any resource is made."""

from components._stack import Providers
from components._stack_bundles import Bundles
from serving.settings import Settings


def preflight(settings: Settings, bundles: Bundles, providers: Providers) -> None:
    """Ask every cloud whether it can give what the settings want.

    Raises:
        pulumi.RunError: With every finding in one report.
    """
