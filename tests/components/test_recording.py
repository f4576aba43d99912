"""The harness itself: what it must notice, else the other tests prove nothing."""

import pulumi
import pytest


class Box(pulumi.ComponentResource):
    def __init__(self, name, *children, opts=None):
        super().__init__("test:index:Box", name, {}, opts)
        for child in children:
            Thing(child, opts=pulumi.ResourceOptions(parent=self))


class Thing(pulumi.CustomResource):
    def __init__(self, name, opts=None, **props):
        super().__init__("test:index:Thing", name, {"size": None, **props}, opts)


def test_the_same_urn_twice_fails(run):
    def build():
        Box("one", "same")
        Box("two", "same")

    with pytest.raises(Exception, match=r"duplicate resource URN .*test:index:Box\$test:index:Thing::same"):
        run(build)


def test_equal_names_below_different_types_are_different_resources(run):
    def build():
        Box("one", "same")
        Thing("same")

    assert len(run(build).all("test:index:Thing")) == 2


def test_a_function_without_a_listed_answer_fails(run):
    def build():
        return pulumi.Output.from_input(pulumi.runtime.invoke("test:index:ask", {"who": "me"}).value)

    with pytest.raises(Exception, match="test:index:ask was called"):
        run(build)
    assert run(build, answers={"test:index:ask": {"says": "yes"}}).value == {"says": "yes"}


def test_a_failing_assertion_inside_apply_fails_the_test(run):
    def build():
        def check(_):
            raise AssertionError("noticed")

        Thing("a").urn.apply(check)

    with pytest.raises(Exception, match="noticed"):
        run(build)


def test_undeclared_outputs_are_none_after_an_update_and_unknown_in_a_preview(run, gives):
    def build():
        thing = Thing("a")
        Thing("b", size=thing.size if hasattr(thing, "size") else thing.id)
        return thing.id

    up, preview = run(build), run(build, preview=True)
    assert up.value == "a-id"
    assert preview.value == "<unknown>"
    assert preview.one("test:index:Thing", "b").inputs == {"size": "<unknown>"}
    assert run(build, outputs=gives("test:index:Thing", id="mine")).value == "mine"


def test_options_are_recorded(run):
    def build():
        first = Thing("first")
        box = Box("box", opts=pulumi.ResourceOptions(protect=True))
        Thing(
            "second",
            size=pulumi.Output.secret(3),
            opts=pulumi.ResourceOptions(parent=box, depends_on=[first], ignore_changes=["size"]),
        )

    recording = run(build)
    row = recording.one("test:index:Thing", "second")
    assert (row.parent, row.protect, row.ignore_changes) == ("box", True, ("size",))
    assert recording.one("test:index:Thing", "first").urn in row.depends_on
    assert row.inputs == {"size": {"<secret>": 3}}


def test_a_changed_snapshot_is_shown_as_a_difference(run, golden, monkeypatch, tmp_path):
    from tests.components import conftest

    monkeypatch.setattr(conftest, "SNAPSHOTS", tmp_path)
    with pytest.raises(AssertionError, match=r"things\.json is missing"):
        golden("things", run(lambda: Thing("a", size=1)))
    (tmp_path / "things.json").write_text("[]\n")
    with pytest.raises(AssertionError, match='\\+  "name": "a"'):
        golden("things", run(lambda: Thing("a", size=1)))
