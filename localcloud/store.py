"""State of the simulated clouds in SQLite, shared by the providers and the cloud daemons.

`resources` holds what a vendor's API would return. The other tables are cloud-neutral: providers write what is
wanted into them, the cloud's daemon acts on it and writes back what is.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JsonDict = dict[str, Any]

_SCHEMA = """
create table if not exists resources(
  cloud text not null, type text not null, id text not null, urn text not null, state text not null,
  inputs text not null, outputs text not null, created real not null, primary key (cloud, type, id));
create table if not exists clusters(
  cloud text not null, id text not null, name text not null, number integer not null, version text not null,
  region text not null, status text not null, endpoint text not null default '', ca text not null default '',
  message text not null default '', attributes text not null default '{}',
  primary key (cloud, id), unique (cloud, number));
create table if not exists pools(
  cloud text not null, id text not null, cluster_id text not null, name text not null, spec text not null,
  status text not null, message text not null default '', primary key (cloud, id));
create table if not exists addresses(
  cloud text not null, ip text primary key, resource_id text not null, name text not null);
create table if not exists objects(
  cloud text not null, bucket text not null, key text not null, path text not null, size integer not null,
  sha256 text not null, md5 text not null, modified real not null, primary key (cloud, bucket, key));
create table if not exists identities(
  cloud text not null, id text not null, cluster_id text not null, namespace text not null,
  service_account text not null, principal text not null, primary key (cloud, id));
create table if not exists grants(
  cloud text not null, id text not null, principal text not null, bucket text not null, prefix text not null,
  primary key (cloud, id));
create table if not exists events(
  seq integer primary key autoincrement, time real not null, cloud text not null, operation text not null,
  type text not null, id text not null, detail text not null);
create table if not exists faults(
  id integer primary key autoincrement, cloud text not null, operation text not null, type_glob text not null,
  kind text not null, argument text not null, remaining integer not null);
create table if not exists images(
  cloud text not null, place text not null, repository text not null, content text not null,
  primary key (cloud, place, repository, content));
create table if not exists quotas(
  cloud text not null, region text not null, code text not null, maximum real not null,
  primary key (cloud, region, code));
create table if not exists durations(
  type_glob text primary key, seconds real not null);
create table if not exists capacity(
  cloud text not null, zone text not null, machine_type text not null, free integer not null,
  primary key (cloud, zone, machine_type));
"""


@dataclass(frozen=True)
class Resource:
    """A vendor resource as its API would report it; `state` is creating, active, failed or deleting."""

    cloud: str
    type: str
    id: str
    urn: str
    state: str
    inputs: JsonDict
    outputs: JsonDict


@dataclass(frozen=True)
class Cluster:
    """A managed Kubernetes cluster; `status` is creating, active, failed or deleting.

    `number` counts from 1 within the cloud and decides the addresses. `endpoint` is `https://host:port` and `ca`
    the PEM text of the API server's CA, both empty until active.
    """

    cloud: str
    id: str
    name: str
    number: int
    version: str
    region: str
    status: str
    endpoint: str
    ca: str
    message: str
    attributes: JsonDict


@dataclass(frozen=True)
class Pool:
    """A node pool; `spec` keys: machine_type, gpus (int), labels, taints [{key,value,effect}], min, max, desired,
    zones, spot (bool), vcpus, memory_gib. `status` is creating, active, failed or deleting.
    """  # noqa: D205

    cloud: str
    id: str
    cluster_id: str
    name: str
    spec: JsonDict
    status: str
    message: str


@dataclass(frozen=True)
class StoredObject:
    """An object of a bucket; `path` is the file with its bytes, `modified` seconds since the epoch."""

    cloud: str
    bucket: str
    key: str
    path: str
    size: int
    sha256: str
    md5: str
    modified: float


@dataclass(frozen=True)
class Fault:
    """A failure to inject: `kind` one of stockout, quota, throttle, slow, unhealthy, crash, error, denied."""

    kind: str
    argument: str


class Store:
    """Access to the state of all clouds; every method is one short transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside one immediate transaction; commit on success, roll back on an exception."""
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise
        finally:
            connection.close()

    def create(self) -> None:
        """Create the file and its tables where they are missing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=30)
        connection.execute("pragma journal_mode=wal")
        connection.executescript(_SCHEMA)
        connection.close()

    def _all(self, query: str, *values: object) -> list[sqlite3.Row]:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    # -- vendor resources

    def put_resource(self, resource: Resource) -> None:
        """Insert or replace a resource row."""
        with self.connect() as db:
            db.execute(
                "insert into resources values(?,?,?,?,?,?,?,?) on conflict(cloud,type,id) do update set "
                "urn=excluded.urn, state=excluded.state, inputs=excluded.inputs, outputs=excluded.outputs",
                (
                    resource.cloud,
                    resource.type,
                    resource.id,
                    resource.urn,
                    resource.state,
                    json.dumps(resource.inputs),
                    json.dumps(resource.outputs),
                    time.time(),
                ),
            )

    def resource(self, cloud: str, type_: str, id_: str) -> Resource | None:
        """Return one resource, or None when there is none."""
        found = self._all("select * from resources where cloud=? and type=? and id=?", cloud, type_, id_)
        return _resource(found[0]) if found else None

    def resources(self, cloud: str, type_: str | None = None) -> list[Resource]:
        """Return a cloud's resources, oldest first, optionally of one type token."""
        rows = self._all(
            "select * from resources where cloud=? and (? is null or type=?) order by created", cloud, type_, type_
        )
        return [_resource(row) for row in rows]

    def delete_resource(self, cloud: str, type_: str, id_: str) -> None:
        """Delete a resource row if it exists."""
        with self.connect() as db:
            db.execute("delete from resources where cloud=? and type=? and id=?", (cloud, type_, id_))

    # -- clusters and pools

    def add_cluster(self, cloud: str, id_: str, name: str, version: str, region: str, attributes: JsonDict) -> Cluster:
        """Insert a cluster in status `creating` with the lowest free number of its cloud."""
        with self.connect() as db:
            used = {row[0] for row in db.execute("select number from clusters where cloud=?", (cloud,))}
            number = next(n for n in range(1, 200) if n not in used)
            db.execute(
                "insert into clusters(cloud,id,name,number,version,region,status,attributes) values(?,?,?,?,?,?,?,?)",
                (cloud, id_, name, number, version, region, "creating", json.dumps(attributes)),
            )
        found = self.cluster(cloud, id_)
        assert found is not None  # noqa: S101 - inserted by the transaction above
        return found

    def cluster(self, cloud: str, id_: str) -> Cluster | None:
        """Return one cluster, or None."""
        found = self._all("select * from clusters where cloud=? and id=?", cloud, id_)
        return _cluster(found[0]) if found else None

    def clusters(self, cloud: str | None = None) -> list[Cluster]:
        """Return the clusters of one cloud, or of all."""
        rows = self._all("select * from clusters where (? is null or cloud=?) order by cloud, number", cloud, cloud)
        return [_cluster(row) for row in rows]

    def set_cluster(self, cloud: str, id_: str, **columns: str) -> None:
        """Set columns (status, endpoint, ca, message, version) of a cluster."""
        self._set("clusters", {"status", "endpoint", "ca", "message", "version"}, cloud, id_, columns)

    def delete_cluster(self, cloud: str, id_: str) -> None:
        """Delete a cluster's row; its pools and identities go with it."""
        with self.connect() as db:
            db.execute("delete from clusters where cloud=? and id=?", (cloud, id_))
            db.execute("delete from pools where cloud=? and cluster_id=?", (cloud, id_))
            db.execute("delete from identities where cloud=? and cluster_id=?", (cloud, id_))

    def put_pool(self, pool: Pool) -> None:
        """Insert or replace a node pool."""
        with self.connect() as db:
            db.execute(
                "insert or replace into pools values(?,?,?,?,?,?,?)",
                (pool.cloud, pool.id, pool.cluster_id, pool.name, json.dumps(pool.spec), pool.status, pool.message),
            )

    def pools(self, cloud: str, cluster_id: str | None = None) -> list[Pool]:
        """Return a cloud's pools, optionally of one cluster."""
        rows = self._all(
            "select * from pools where cloud=? and (? is null or cluster_id=?) order by id",
            cloud,
            cluster_id,
            cluster_id,
        )
        return [
            Pool(r["cloud"], r["id"], r["cluster_id"], r["name"], json.loads(r["spec"]), r["status"], r["message"])
            for r in rows
        ]

    def set_pool(self, cloud: str, id_: str, **columns: str) -> None:
        """Set columns (status, message) of a pool."""
        self._set("pools", {"status", "message"}, cloud, id_, columns)

    def delete_pool(self, cloud: str, id_: str) -> None:
        """Delete a pool's row."""
        with self.connect() as db:
            db.execute("delete from pools where cloud=? and id=?", (cloud, id_))

    def _set(self, table: str, allowed: set[str], cloud: str, id_: str, columns: dict[str, str]) -> None:
        if unknown := set(columns) - allowed:
            raise ValueError(f"{table} has no settable columns {sorted(unknown)}")
        assignments = ", ".join(f"{column}=?" for column in columns)
        with self.connect() as db:
            db.execute(f"update {table} set {assignments} where cloud=? and id=?", (*columns.values(), cloud, id_))  # noqa: S608 - names checked above

    # -- the rest

    def event(self, cloud: str, operation: str, type_: str, id_: str, detail: str = "") -> None:
        """Append to the log of what happened, in order."""
        with self.connect() as db:
            db.execute(
                "insert into events(time,cloud,operation,type,id,detail) values(?,?,?,?,?,?)",
                (time.time(), cloud, operation, type_, id_, detail),
            )

    def events(self, cloud: str | None = None) -> list[JsonDict]:
        """Return the events in order, optionally of one cloud."""
        return [
            dict(r) for r in self._all("select * from events where (? is null or cloud=?) order by seq", cloud, cloud)
        ]

    def add_fault(
        self, cloud: str, operation: str, type_glob: str, kind: str, argument: str = "", times: int = 1
    ) -> None:
        """Make the next `times` calls of `operation` on matching types fail with `kind`."""
        with self.connect() as db:
            db.execute(
                "insert into faults(cloud,operation,type_glob,kind,argument,remaining) values(?,?,?,?,?,?)",
                (cloud, operation, type_glob, kind, argument, times),
            )

    def set_duration(self, type_glob: str, seconds: float) -> None:
        """Make the creation of matching types take at least so long."""
        with self.connect() as db:
            db.execute("insert or replace into durations values(?,?)", (type_glob, seconds))

    def duration(self, type_: str) -> float:
        """Return the fewest seconds that the creation of a resource takes; 0 unless the run says otherwise."""
        rows = self._all("select max(seconds) as seconds from durations where ? glob type_glob", type_)
        return float(rows[0]["seconds"] or 0.0)

    def take_fault(self, cloud: str, operation: str, type_: str) -> Fault | None:
        """Consume and return the next fault for this call, or None."""
        with self.connect() as db:
            row = db.execute(
                "select id,kind,argument from faults where cloud=? and operation=? and ? glob type_glob "
                "and remaining>0 order by id limit 1",
                (cloud, operation, type_),
            ).fetchone()
            if row is None:
                return None
            db.execute("update faults set remaining=remaining-1 where id=?", (row["id"],))
        return Fault(row["kind"], row["argument"])


def _resource(row: sqlite3.Row) -> Resource:
    return Resource(
        row["cloud"],
        row["type"],
        row["id"],
        row["urn"],
        row["state"],
        json.loads(row["inputs"]),
        json.loads(row["outputs"]),
    )


def _cluster(row: sqlite3.Row) -> Cluster:
    return Cluster(
        row["cloud"],
        row["id"],
        row["name"],
        row["number"],
        row["version"],
        row["region"],
        row["status"],
        row["endpoint"],
        row["ca"],
        row["message"],
        json.loads(row["attributes"]),
    )
