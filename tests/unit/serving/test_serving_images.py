import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.images import parse_image

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "text",
    [
        "docker.io/tensorflow/serving:2.20.0-gpu",
        f"docker.io/rclone/rclone@{DIGEST}",
        f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b:1@{DIGEST}",
        "localhost:5000/x:v1",
        f"docker.io/a/b:latest@{DIGEST}",
    ],
)
def test_good_references_come_apart_and_together_again(text):
    assert str(parse_image(text)) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("tensorflow/serving:1", "must be registry/repository"),
        ("docker.io/tensorflow/serving", "must name a version"),
        ("docker.io/tensorflow/serving:latest", "moving tag"),
        ("docker.io/a@sha256:123", "must be registry/repository"),
        ("docker.io/Upper/case:1", "must be registry/repository"),
        ("", "must be registry/repository"),
    ],
)
def test_references_that_are_not_pinned_or_not_complete_are_refused_with_the_rule(text, rule):
    with pytest.raises(ValueError, match=rule):
        parse_image(text)


@given(st.text(max_size=60))
def test_any_text_gives_a_reference_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert str(parse_image(text)) == text
