import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from serving.settings import SettingsError, load_settings, parse_settings, settings_schema

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "domain": "serve.example.com",
    "sites": {
        "aws-virginia": {"cloud": "aws", "region": "us-east-1", "weight": 40},
        "gcp-iowa": {"cloud": "gcp", "project": "acme-ml", "region": "us-central1", "weight": 40},
        "azure": {
            "cloud": "azure",
            "subscription": "00000000-0000-0000-0000-000000000001",
            "location": "eastus",
            "weight": 20,
        },
    },
    "pools": {"l4": {"gpu": "L4-class", "min": 1, "max": 6, "spot": {"share": "50%", "fallback": "on-demand"}}},
    "models": {
        "scenes": {
            "bundle": "bundles/scenes",
            "stable": 3,
            "canary": {"version": 4, "weight": 10, "sites": ["aws-virginia"]},
            "pool": "l4",
            "replicas": {"min": 1, "max": 8},
        }
    },
}


def changed(path: str, value: object) -> dict:
    """Return the good settings with one value replaced, or taken out when it is the marker `GONE`."""
    document = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    here = document
    for step in parents:
        here = here.setdefault(step, {})
    if value is GONE:
        del here[last]
    else:
        here[last] = value
    return document


GONE = object()


def problems(raw: object) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parse_settings(raw)
    return caught.value.problems


def test_good_settings_are_read():
    settings = parse_settings(GOOD)
    assert settings.sites["gcp-iowa"].location_name == "us-central1"
    assert settings.models["scenes"].versions_at("aws-virginia") == {3: 90, 4: 10}
    assert settings.models["scenes"].versions_at("gcp-iowa") == {3: 100}
    assert settings.pools["l4"].spot.share_percent == 50
    assert settings.protect
    assert settings.ingress.listen_port == 80


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_the_stack_files_are_valid(stack: str):
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    settings = parse_settings(config["tricorn:settings"])
    assert settings.models
    assert settings.route53 is not None or settings.cloud_dns is not None


def test_the_local_stack_is_what_the_local_clouds_need():
    settings = parse_settings(yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]["tricorn:settings"])
    assert {name: site.cloud for name, site in settings.sites.items()} == {"aws": "aws", "gcp": "gcp", "azure": "azure"}
    assert settings.domain == "serve.tricorn.test"
    assert settings.ingress.listen_port == 8080
    assert settings.dns.ttl == 5
    assert not settings.protect
    assert (settings.pools["t4"].gpu, settings.pools["t4"].min, settings.pools["t4"].max) == ("T4-class", 0, 2)
    assert settings.models["scenes"].versions_at("gcp") == {1: 100}


WRONG = [
    # path to change, wrong value, path in the message, rule, what follows the rule
    ("domain", "Serve.Example.com", "domain", "must match", "such as serve.example.com"),
    ("domain", GONE, "domain", "is required", "such as serve.example.com"),
    ("domain", 5, "domain", "must be text", "such as serve.example.com"),
    ("sites", {}, "sites", "must not be empty", "at least one"),
    ("sites.aws-virginia.weight", 256, "sites.aws-virginia.weight", "must be at most 255", "0 drains"),
    ("sites.aws-virginia.weight", "40", "sites.aws-virginia.weight", "whole number without quotes", "0 drains"),
    ("sites.aws-virginia.region", "virginia", "sites.aws-virginia.region", "must match", "such as us-east-1"),
    ("sites.aws-virginia.cloud", "oracle", "sites.aws-virginia.cloud", "must be one of aws, gcp, azure", "decides"),
    ("sites.aws-virginia.cloud", GONE, "sites.aws-virginia.cloud", "must be one of aws, gcp, azure", "decides"),
    ("sites.aws-virginia.project", "x", "sites.aws-virginia.project", "unknown key", "known keys"),
    ("sites.Bad_Name", GOOD["sites"]["gcp-iowa"], "sites.Bad_Name", "lower-case letter", "rename it"),
    ("sites.gcp-iowa.project", "12", "sites.gcp-iowa.project", "must match", "project id"),
    ("sites.gcp-iowa.cidr", "8.8.0.0/16", "sites.gcp-iowa.cidr", "must be a private network", "address range"),
    ("sites.gcp-iowa.cidr", "10.0.0.1/16", "sites.gcp-iowa.cidr", "no host bits", "address range"),
    ("sites.azure.subscription", "acme", "sites.azure.subscription", "must match", "a UUID"),
    ("kubernetesVersion", 1.30, "kubernetesVersion", "must be text; put it in quotes", 'such as "1.36"'),
    ("kubernetesVersion", "1.29", "kubernetesVersion", "must be 1.30 or later", 'such as "1.36"'),
    ("pools.l4.gpu", "B200", "pools.l4.gpu", "must not be a Blackwell GPU", "use one of"),
    ("pools.l4.gpu", "V100", "pools.l4.gpu", "must be 'T4-class'", "got 'V100'"),
    ("pools.l4.max", 0, "pools.l4.max", "must be at least 1", "most nodes"),
    ("pools.l4.min", 7, "pools.l4", "min must not be above max", "lower min or raise max"),
    ("pools.l4.spot.share", "120%", "pools.l4.spot.share", "must match", "0% to 100%"),
    ("pools.system", {"gpu": "L4-class", "max": 1}, "pools.system", "the name is taken", "choose another name"),
    ("models.scenes.stable", 0, "models.scenes.stable", "must be at least 1", "version of the bundle"),
    ("models.scenes.pool", "h100", "models.scenes.pool", "must be a name under pools", "leave pool out"),
    ("models.scenes.canary.version", 3, "models.scenes.canary.version", "must differ from stable", "remove the canary"),
    ("models.scenes.canary.sites", ["mars"], "models.scenes.canary.sites.0", "must be a name under", "use one of"),
    ("models.scenes.canary.weight", 101, "models.scenes.canary.weight", "must be at most 100", "percentage"),
    ("models.scenes.replicas.min", 9, "models.scenes.replicas", "min must not be above max", "lower min or raise max"),
    ("models.scenes.replica", {}, "models.scenes.replica", "unknown key", "did you mean 'replicas'?"),
    ("models.scenes.resources.memory_mib", 1024, "models.scenes.resources.memory_mib", "unknown key", "'memoryMib'"),
    ("models.Scenes", GOOD["models"]["scenes"], "models.Scenes", "lower-case letter", "rename it"),
    ("ingress.port", 70000, "ingress.port", "must be at most 65535", "443 with TLS"),
    ("dns.ttl", 1, "dns.ttl", "must be at least 5", "seconds"),
    ("serving.requestTimeoutMs", 60000, "serving.requestTimeoutMs", "must be at most 15000", "milliseconds"),
    ("images.server", "tensorflow/serving:1", "images.server", "must be registry/repository", "TensorFlow Serving"),
    ("protect", "no", "protect", "must be true or false without quotes", "refuse to delete"),
    ("labels.Team", "a", "labels.Team", "lower-case letter", "rename it"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "rule", "fix"), WRONG, ids=[f"{w[0]}={w[1]!r:.20}" for w in WRONG])
def test_one_wrong_value_is_one_line_with_path_rule_value_and_fix(path, value, where, rule, fix):
    lines = problems(changed(path, value))
    assert len(lines) == 1, lines
    (line,) = lines
    assert line.startswith(f"{where}: ")
    assert rule in line
    assert "(got " in line
    assert fix in line
    assert "\n" not in line
    assert "pydantic" not in line


def test_sites_must_not_all_be_drained():
    raw = copy.deepcopy(GOOD)
    for site in raw["sites"].values():
        site["weight"] = 0
    (line,) = problems(raw)
    assert line.startswith("sites: at least one site must have a weight above 0 (got 0 for every site); give the site")


def test_azure_alone_must_say_who_answers_for_the_domain():
    raw = copy.deepcopy(GOOD)
    raw["sites"] = {"azure": raw["sites"]["azure"]}
    del raw["models"]["scenes"]["canary"]
    (line,) = problems(raw)
    assert line.startswith("dns: ")
    assert "add route53: {}" in line
    assert parse_settings(raw | {"dns": {"route53": {}}}).route53 is not None


def test_all_mistakes_are_reported_together_and_in_order():
    raw = changed("models.scenes.pool", "h100") | {"domain": "x", "typo": 1}
    lines = problems(raw)
    assert [line.partition(":")[0] for line in lines] == ["domain", "models.scenes.pool", "typo"]


@pytest.mark.parametrize("raw", [None, 5, "text", [], True])
def test_settings_that_are_no_mapping_are_refused(raw):
    assert "must be a mapping" in problems(raw)[0]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = [path for path, *_ in WRONG]


@given(st.sampled_from(PATHS), JSON)
def test_any_value_anywhere_gives_settings_or_readable_lines(path, value):
    try:
        parse_settings(changed(path, value))
        lines = ()
    except SettingsError as error:
        lines = error.problems
    assert all(": " in line and "(got " in line for line in lines)


@given(st.dictionaries(st.sampled_from([*GOOD, "serving", "images", "dns", "labels", "x"]), JSON))
def test_any_document_gives_settings_or_readable_lines(raw):
    try:
        parse_settings(raw)
        lines = ()
    except SettingsError as error:
        lines = error.problems
    assert all(": " in line and "(got " in line for line in lines)


def test_the_default_authorities_are_those_of_the_clouds_in_use():
    settings = parse_settings(GOOD)
    assert settings.route53 is not None
    assert settings.cloud_dns.project == "acme-ml"
    only = parse_settings(GOOD | {"dns": {"cloudDns": {"project": "other-project"}}})
    assert only.route53 is None
    assert only.cloud_dns.project == "other-project"


def test_a_tls_secret_changes_the_default_port():
    assert parse_settings(GOOD | {"ingress": {"tlsSecret": "front"}}).ingress.listen_port == 443


def test_settings_are_frozen():
    settings = parse_settings(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.domain = "other.example.com"


def test_the_schema_names_keys_as_the_file_does():
    schema = settings_schema()
    assert "kubernetesVersion" in schema["properties"]
    assert schema["additionalProperties"] is False


class FakeConfig:
    raw: object = None

    def __init__(self, name):
        assert name == "tricorn"

    def get_object(self, key):
        assert key == "settings"
        return self.raw


@pytest.fixture
def stack(monkeypatch):
    import pulumi

    monkeypatch.setattr(pulumi, "Config", FakeConfig)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    return monkeypatch


def test_a_stack_reads_its_settings(stack):
    stack.setattr(FakeConfig, "raw", GOOD)
    assert load_settings().domain == "serve.example.com"


def test_a_stack_without_settings_is_told_where_to_copy_them_from(stack):
    import pulumi

    stack.setattr(FakeConfig, "raw", None)
    with pytest.raises(pulumi.RunError, match=r"Pulumi\.dev\.yaml has no tricorn:settings; copy the block"):
        load_settings()


def test_a_stack_with_mistakes_gets_one_line_each_with_the_whole_path(stack):
    import pulumi

    stack.setattr(FakeConfig, "raw", changed("dns.ttl", 1) | {"domain": "x"})
    with pytest.raises(pulumi.RunError) as caught:
        load_settings()
    first, *lines = str(caught.value).splitlines()
    assert first == "Pulumi.dev.yaml is not valid:"
    assert [line.split(":")[1] for line in lines] == ["settings.dns.ttl", "settings.domain"]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("iowa", "iowa-2"), "sites.iowa-2: must not begin with iowa-, as everything of iowa does (got 'iowa-2')"),
        (("endpoint",), "sites.endpoint: the name is taken by other resources (got 'endpoint')"),
        (("ci-east",), "sites.ci-east: must not begin with ci-, as everything of ci does (got 'ci-east')"),
    ],
)
def test_the_resources_of_a_site_can_be_told_from_all_others_by_its_name(names, line):
    site = {"cloud": "gcp", "project": "example-ml", "region": "us-central1", "weight": 1}
    lines = problems({"domain": "serve.example.com", "sites": dict.fromkeys(names, site)})
    assert list(lines) == [f"{line}; choose another name"]


def test_names_that_only_share_letters_are_fine():
    site = {"cloud": "gcp", "project": "example-ml", "region": "us-central1", "weight": 1}
    parse_settings({"domain": "serve.example.com", "sites": {"iowa": site, "iowa2": site, "endpoints": site}})
