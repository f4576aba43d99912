"""What a principal may see of a cloud's objects, the same for every vendor."""

from __future__ import annotations

import asyncio

from localcloud import ledger
from localcloud.context import CloudContext
from localcloud.store import StoredObject


class Denied(Exception):
    """The principal has no grant for what it asks."""


class Reader:
    """Reads the ledger as a principal."""

    def __init__(self, context: CloudContext) -> None:
        self._context = context

    async def find(self, principal: str, bucket: str, key: str) -> StoredObject | None:
        """Return an object, None when there is none.

        Raises:
            Denied: If the principal may not read it; whether it exists is not said.
        """
        return await asyncio.to_thread(self._find, principal, bucket, key)

    async def listing(
        self, principal: str, bucket: str, prefix: str, delimiter: str
    ) -> tuple[list[StoredObject], list[str]]:
        """Return the objects below a prefix that the principal may read, and the folders where there is a delimiter.

        Raises:
            Denied: If it may read nothing there.
        """
        return await asyncio.to_thread(self._list, principal, bucket, prefix, delimiter)

    def _may(self, principal: str, bucket: str, key: str) -> bool:
        return ledger.may_read(self._context.store, self._context.cloud, principal, bucket, key)

    def _find(self, principal: str, bucket: str, key: str) -> StoredObject | None:
        if not self._may(principal, bucket, key):
            raise Denied
        found = ledger.find_objects(self._context.store, self._context.cloud, bucket, key)
        return next((each for each in found if each.key == key), None)

    def _list(self, principal: str, bucket: str, prefix: str, delimiter: str) -> tuple[list[StoredObject], list[str]]:
        found = ledger.find_objects(self._context.store, self._context.cloud, bucket, prefix)
        visible = [each for each in found if self._may(principal, bucket, each.key)]
        if not visible and not self._may(principal, bucket, prefix):
            raise Denied
        if not delimiter:
            return visible, []
        direct = [each for each in visible if delimiter not in each.key[len(prefix) :]]
        below = {each.key[len(prefix) :].partition(delimiter)[0] for each in visible if each not in direct}
        return direct, sorted(f"{prefix}{name}{delimiter}" for name in below)
