"""Locks of Azure against deletion by hand."""

from dataclasses import dataclass
from typing import Optional

import pulumi
import pulumi_azure_native as azure_native

from components._base import coerce, token

NOTES = "Holds what cannot be rebuilt. Managed by Pulumi: turn the stack's protection off to remove the lock."


@dataclass(frozen=True, kw_only=True)
class AzureLockArgs:
    """Arguments of `AzureLock`."""

    scopes: dict[str, pulumi.Input[str]]
    """ARM ids of what must not be deleted, by a short name."""


class AzureLock(pulumi.ComponentResource):
    """A `CanNotDelete` lock on each of several resources.

    Azure hands a lock down: nothing below a locked resource can be deleted either, role assignments and the
    connections of private endpoints included. Declare the component last, with `depends_on` everything made below
    the scopes, so that a destroy removes the locks first; lock nothing whose children are replaced in normal use,
    as the agent pools of a cluster are. Needs `Microsoft.Authorization/locks/*`, as in `User Access Administrator`.
    """

    def __init__(self, name: str, args: AzureLockArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(token(AzureLock), name, {}, opts)
        a = coerce(AzureLockArgs, args)
        # Children do not inherit it, and only they are deleted by Azure.
        after = opts.depends_on if opts is not None else None
        for what, scope in a.scopes.items():
            azure_native.authorization.ManagementLockByScope(
                f"{name}-{what}",
                scope=scope,
                lock_name="tricorn",
                level="CanNotDelete",
                notes=NOTES,
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )
        self.register_outputs({})
