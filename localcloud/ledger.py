"""Addresses, objects, identities and grants in the store: what providers grant and daemons enforce."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass

from localcloud.addresses import public_addresses
from localcloud.store import Store, StoredObject


@dataclass(frozen=True)
class PublicAddress:
    """A static public address; `resource_id` is the vendor's id, such as an EIP's allocation id."""

    cloud: str
    ip: str
    resource_id: str
    name: str


@dataclass(frozen=True)
class Identity:
    """A service account of a cluster that acts as `principal`, such as a role's ARN or a client id."""

    cloud: str
    id: str
    cluster_id: str
    namespace: str
    service_account: str
    principal: str


@dataclass(frozen=True)
class Grant:
    """Read access of a principal to the objects of a bucket whose keys start with `prefix`."""

    cloud: str
    id: str
    principal: str
    bucket: str
    prefix: str


class AddressesExhausted(Exception):
    """Every public address of the cloud is taken."""


def allocate_address(store: Store, cloud: str, resource_id: str, name: str) -> PublicAddress:
    """Take the lowest free public address of a cloud; asked again for the same id, return the same address.

    Raises:
        AddressesExhausted: If none is free.
    """
    with store.connect() as db:
        row = db.execute("select * from addresses where cloud=? and resource_id=?", (cloud, resource_id)).fetchone()
        if row is not None:
            return _address(row)
        used = {each[0] for each in db.execute("select ip from addresses")}
        free = next((ip for ip in public_addresses(cloud) if ip not in used), None)
        if free is None:
            raise AddressesExhausted(f"all {len(used)} public addresses of {cloud} are taken")
        db.execute("insert into addresses(cloud,ip,resource_id,name) values(?,?,?,?)", (cloud, free, resource_id, name))
    return PublicAddress(cloud, free, resource_id, name)


def release_address(store: Store, cloud: str, resource_id: str) -> None:
    """Give an address back if it is taken."""
    with store.connect() as db:
        db.execute("delete from addresses where cloud=? and resource_id=?", (cloud, resource_id))


def addresses(store: Store, cloud: str) -> list[PublicAddress]:
    """Return the taken addresses of a cloud."""
    with store.connect() as db:
        return [_address(row) for row in db.execute("select * from addresses where cloud=? order by ip", (cloud,))]


def _address(row: sqlite3.Row) -> PublicAddress:
    return PublicAddress(row["cloud"], row["ip"], row["resource_id"], row["name"])


def put_object(store: Store, stored: StoredObject) -> None:
    """Insert or replace an object; its bytes must already be in the file it names."""
    with store.connect() as db:
        db.execute("insert or replace into objects values(?,?,?,?,?,?,?,?)", astuple(stored))


def find_objects(store: Store, cloud: str, bucket: str, prefix: str = "") -> list[StoredObject]:
    """Return a bucket's objects whose keys start with `prefix`, by key."""
    with store.connect() as db:
        rows = db.execute(
            "select * from objects where cloud=? and bucket=? and substr(key,1,?)=? order by key",
            (cloud, bucket, len(prefix), prefix),
        ).fetchall()
    return [StoredObject(**dict(row)) for row in rows]


def delete_object(store: Store, cloud: str, bucket: str, key: str) -> None:
    """Forget an object if it exists; its file is the caller's."""
    with store.connect() as db:
        db.execute("delete from objects where cloud=? and bucket=? and key=?", (cloud, bucket, key))


def put_identity(store: Store, identity: Identity) -> None:
    """Insert or replace an identity."""
    with store.connect() as db:
        db.execute("insert or replace into identities values(?,?,?,?,?,?)", astuple(identity))


def identities(store: Store, cloud: str) -> list[Identity]:
    """Return the identities of a cloud."""
    with store.connect() as db:
        rows = db.execute("select * from identities where cloud=? order by id", (cloud,)).fetchall()
    return [Identity(**dict(row)) for row in rows]


def delete_identity(store: Store, cloud: str, id_: str) -> None:
    """Delete an identity if it exists."""
    with store.connect() as db:
        db.execute("delete from identities where cloud=? and id=?", (cloud, id_))


def put_grant(store: Store, grant: Grant) -> None:
    """Insert or replace a grant."""
    with store.connect() as db:
        db.execute("insert or replace into grants values(?,?,?,?,?)", astuple(grant))


def may_read(store: Store, cloud: str, principal: str, bucket: str, key: str) -> bool:
    """Return whether a principal may read an object."""
    with store.connect() as db:
        rows = db.execute(
            "select prefix from grants where cloud=? and principal=? and bucket=?", (cloud, principal, bucket)
        ).fetchall()
    return any(key.startswith(row["prefix"]) for row in rows)


def delete_grant(store: Store, cloud: str, id_: str) -> None:
    """Delete a grant if it exists."""
    with store.connect() as db:
        db.execute("delete from grants where cloud=? and id=?", (cloud, id_))
