"""Every check, in the order in which documentation lists them."""

from policy import aws, azure, gcp, inputs, kubernetes
from policy.check import Check, StackCheck

CHECKS: tuple[Check, ...] = (*aws.CHECKS, *gcp.CHECKS, *azure.CHECKS, *kubernetes.CHECKS, *inputs.CHECKS)
STACK_CHECKS: tuple[StackCheck, ...] = (*aws.STACK_CHECKS, *azure.STACK_CHECKS, *kubernetes.STACK_CHECKS)


def configuration(*, production: bool) -> dict[str, dict[str, object]]:
    """Configuration of the pack, as `pulumi --policy-pack-config` takes it.

    Args:
        production: Whether findings stop an update, and whether the rules that hold for production only are asked for.
    """
    level = "mandatory" if production else "advisory"
    names = [*(each.name for each in CHECKS), *(each.name for each in STACK_CHECKS)]
    return {name: {"enforcementLevel": level, "production": production} for name in names}
