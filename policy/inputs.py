"""A check of every input of every resource: no secret may lie in it."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.check import Check, Finding, Resource

_SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Google service account key": re.compile(r'"private_key(_id)?"\s*:\s*"'),
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "an AWS secret access key": re.compile(r"aws_secret_access_key\s*[=:]\s*\S{40}", re.IGNORECASE),
    "an Azure account key": re.compile(r"AccountKey=[A-Za-z0-9+/=]{40,}"),
    "an Azure shared access signature": re.compile(r"[?&]sig=[A-Za-z0-9%+/=]{30,}"),
    "a GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b"),
    "a Docker Hub token": re.compile(r"\bdckr_(pat|oat)_[A-Za-z0-9_-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "a signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "a kubeconfig with credentials": re.compile(
        r"\b(client-key-data|token|password)\\*['\"]?\s*:\s*\\*['\"]?[A-Za-z0-9+/=._-]{16,}"
    ),
}
"""What a secret looks like. Names of secrets, such as a Secret's or an ARN, look like none of these."""
_ENCODED = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{4,60}")
"""How base64 of a PEM block begins; what it holds shows in the next letters."""
_NAMED = re.compile(
    r"(?i)(password|passphrase|client_?secret|secret_?key|secret_?access_?key|private_?key|access_?token)$"
)
"""Properties and environment variables that hold a secret whatever it looks like."""
_MIN_SECRET = 6


def _found(text: str) -> str | None:
    for kind, pattern in _SECRETS.items():
        if pattern.search(text):
            return kind
    return "a private key" if any(_is_key(match) for match in _ENCODED.findall(text)) else None


def _is_key(encoded: str) -> bool:
    whole = encoded[: len(encoded) // 4 * 4]
    return b"PRIVATE" in base64.b64decode(whole)


def _named(path: str, text: str) -> str | None:
    named = _NAMED.search(path.rpartition(".")[2]) is not None
    return "a secret by its name" if named and len(text) >= _MIN_SECRET else None


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        variable = value.get("name") if isinstance(value.get("value"), str) else None
        if isinstance(variable, str):  # an environment variable, or anything else that is a name with a value
            yield f"{path}.{variable}", value["value"]
            value = {key: each for key, each in value.items() if key != "value"}
        for key, each in value.items():
            yield from _texts(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for position, each in enumerate(value):
            yield from _texts(each, f"{path}.{position}")


def _secrets(resource: Resource, production: bool) -> Iterator[Finding]:
    for path, text in _texts(resource.props, ""):
        kind = _found(text) or _named(path, text)
        if kind is not None:
            yield Finding(
                resource,
                path,
                f"{kind} of {len(text)} characters",
                "must not hold a secret: state, logs and previews would show it",
                "use workload identity, or name a secret that the cluster or the cloud keeps",
            )


CHECKS = (
    Check(
        "no-secrets",
        "No input of any resource holds a private key or a token, not even encrypted.",
        "Tricorn, CKV_SECRET_13",
        (),
        judge=_secrets,
    ),
)
