"""Settings for the tests of the preflight: one small site per cloud."""

from __future__ import annotations

from typing import Any

SITES = {
    "aws": {"cloud": "aws", "region": "us-east-1", "weight": 1},
    "gcp": {"cloud": "gcp", "project": "acme-models", "region": "us-central1", "weight": 1},
    "azure": {
        "cloud": "azure", "subscription": "11111111-2222-3333-4444-555555555555", "location": "eastus", "weight": 1,
    },
}  # fmt: skip
SECRET = "arn:aws:secretsmanager:us-east-1:210987654321:secret:ecr-pullthroughcache/hub-abcdef"


def raw(*sites: str, **changes: Any) -> dict[str, Any]:
    """Settings with sites of SITES (all by default), a T4 pool and the model scenes."""
    return {
        "domain": "serve.acme.dev",
        "sites": {name: SITES[name] for name in sites or SITES},
        "dns": {"route53": {}},
        "pools": {"t4": {"gpu": "T4-class", "max": 2}},
        "models": {"scenes": {"bundle": "build/bundles/scenes", "stable": 1, "pool": "t4"}},
        "images": {"dockerHubSecret": SECRET},
        **changes,
    }
