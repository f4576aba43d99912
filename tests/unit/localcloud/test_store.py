import threading

import pytest

from localcloud.store import Pool, Resource, Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state.db")
    store.create()
    return store


def test_a_resource_is_replaced_in_place_and_deleted(store):
    store.put_resource(Resource("aws", "t", "r-1", "urn", "creating", {"a": 1}, {}))
    store.put_resource(Resource("aws", "t", "r-1", "urn", "active", {"a": 2}, {"arn": "x"}))
    assert [r.inputs for r in store.resources("aws")] == [{"a": 2}]
    assert store.resource("aws", "t", "r-1").outputs == {"arn": "x"}
    assert store.resource("gcp", "t", "r-1") is None
    store.delete_resource("aws", "t", "r-1")
    assert store.resources("aws") == []


def test_cluster_numbers_are_per_cloud_and_reused(store):
    first = store.add_cluster("aws", "c1", "one", "1.36", "us-east-1", {})
    second = store.add_cluster("aws", "c2", "two", "1.36", "us-east-1", {})
    other = store.add_cluster("gcp", "c1", "one", "1.36", "us-central1", {})
    assert (first.number, second.number, other.number) == (1, 2, 1)
    store.put_pool(Pool("aws", "p", "c1", "gpu", {"min": 1}, "creating", ""))
    store.delete_cluster("aws", "c1")
    assert store.pools("aws") == []
    assert store.add_cluster("aws", "c3", "three", "1.36", "us-east-1", {}).number == 1


def test_only_known_columns_can_be_set(store):
    store.add_cluster("aws", "c1", "one", "1.36", "us-east-1", {})
    store.set_cluster("aws", "c1", status="active", endpoint="https://127.0.1.1:6443")
    assert store.cluster("aws", "c1").status == "active"
    with pytest.raises(ValueError, match="number"):
        store.set_cluster("aws", "c1", number="7")


def test_a_fault_is_taken_exactly_as_often_as_it_was_set_even_by_many_at_once(store):
    store.add_fault("aws", "create", "aws:eks/*", "stockout", "us-east-1a", times=3)
    taken = []

    def take():
        for _ in range(4):
            if fault := store.take_fault("aws", "create", "aws:eks/nodeGroup:NodeGroup"):
                taken.append(fault.kind)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == ["stockout"] * 3
    assert store.take_fault("gcp", "create", "aws:eks/nodeGroup:NodeGroup") is None


def test_a_failed_transaction_leaves_nothing(store):
    def insert_and_fail():
        with store.connect() as db:
            db.execute("insert into addresses values('aws','203.0.113.16','r','n')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    with store.connect() as db:
        assert db.execute("select count(*) from addresses").fetchone()[0] == 0


def test_events_keep_their_order(store):
    for n in range(5):
        store.event("aws", "create", "t", str(n))
    store.event("gcp", "create", "t", "x")
    assert [event["id"] for event in store.events("aws")] == list("01234")
