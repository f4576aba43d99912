import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from serving.model_config import METRICS_PATH, batching_config, models_config, monitoring_config
from serving.protos import model_server_config_pb2

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
VERSIONS = st.integers(1, 2**31 - 1)


@given(NAMES, VERSIONS)
def test_models_config_serves_one_model_at_one_explicit_version(model, version):
    parsed = text_format.Parse(models_config(model, version), model_server_config_pb2.ModelServerConfig())
    (config,) = parsed.model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == (model, f"/models/{model}", "tensorflow")
    assert config.model_version_policy.WhichOneof("policy_choice") == "specific"
    assert list(config.model_version_policy.specific.versions) == [version]
    assert not config.version_labels


def fields(text):
    """Read protobuf text of scalar fields and `{ value: n }` wrappers; only the server ships the message's class."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.replace("{ value:", "").replace("}", "").replace(":", " ").partition(" ")
        found.setdefault(name, []).append(int(value))
    return found


@given(st.sets(st.integers(1, 256), min_size=1), st.integers(0, 10**6), st.integers(1, 96))
def test_batching_config_says_what_it_was_given(sizes, timeout, threads):
    allowed = sorted(sizes)
    found = fields(batching_config(allowed[-1], allowed, timeout, threads))
    assert found["max_batch_size"] == [allowed[-1]]
    assert found["allowed_batch_sizes"] == allowed
    assert found["batch_timeout_micros"] == [timeout]
    assert found["num_batch_threads"] == [threads]
    assert found["max_enqueued_batches"] == [max(8, threads)]


@pytest.mark.parametrize("sizes", [[], [1, 2], [4, 2, 8], [1, 8, 8]])
def test_batch_sizes_that_the_server_would_refuse_are_refused_first(sizes):
    with pytest.raises(ValueError, match="allowed_batch_sizes must ascend to max_batch_size 8"):
        batching_config(8, sizes, 0, 1)


def test_metrics_are_on_at_the_path_that_pods_announce():
    assert monitoring_config() == f'prometheus_config {{ enable: true path: "{METRICS_PATH}" }}\n'
