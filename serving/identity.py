"""Who a client is and whom it trusts: headers that prove the caller, and the authorities of the sites' certificates."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_KEY_HEADER = "x-api-key"


@dataclass(frozen=True)
class Identity:
    """What a client shows and checks. Values of headers never appear in its text."""

    tls: bool = False
    """Whether to speak TLS."""
    authorities: bytes | None = None
    """Certificates (PEM) that sites' certificates are checked with; the machine's own when None."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of every request, lower case."""

    def context(self) -> ssl.SSLContext | None:
        """Return how to check certificates; None without TLS."""
        if not self.tls:
            return None
        return ssl.create_default_context(cadata=self.authorities.decode("ascii") if self.authorities else None)


def identity(tls: bool = False, authorities: Path | None = None) -> Identity:
    """Return the identity that the environment gives.

    TRICORN_TOKEN is sent as a bearer token, TRICORN_API_KEY in the header TRICORN_API_KEY_HEADER (`x-api-key` unless
    set). They are read from the environment alone, because everyone on a machine can read a command line.

    Args:
        tls: Whether to speak TLS; secrets are only sent with it.
        authorities: File with certificates (PEM) to trust in place of the machine's own.

    Raises:
        ValueError: If the file cannot be read or holds no certificate, or a secret would travel unencrypted.
    """
    headers = {}
    if token := os.environ.get("TRICORN_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    if key := os.environ.get("TRICORN_API_KEY"):
        headers[os.environ.get("TRICORN_API_KEY_HEADER", DEFAULT_KEY_HEADER).lower()] = key
    if headers and not tls:
        raise ValueError("TRICORN_TOKEN and TRICORN_API_KEY are sent with TLS only; add --tls, or unset them")
    return Identity(tls, _certificates(authorities) if authorities else None, headers)


def _certificates(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError):
        raise ValueError(f"{file}: holds no certificates in PEM format; name the file of your authority") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read: {error.strerror}; name the file of your authority") from None
    return content
