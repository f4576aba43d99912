"""Access tokens of a simulated cloud: signed statements of who acts, valid across restarts of its daemon."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path

from localcloud.certificates import write_private
from localcloud.context import CloudContext

LIFE_S = 3600
"""How long a token is valid, in seconds."""


class InvalidToken(Exception):
    """The token was not issued here or has expired."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Signer:
    """Issues and checks a cloud's access tokens."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, context: CloudContext) -> Signer:
        """Return the cloud's signer; its key is a file of the run, mode 0600, made when missing."""
        file: Path = context.paths.root / context.cloud / "token.key"
        if not file.exists():
            write_private(file, secrets.token_hex(32))
        return cls(bytes.fromhex(file.read_text()))

    def _mac(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def issue(self, principal: str, *, life_s: int = LIFE_S, **claims: str) -> str:
        """Return a token that lets its bearer act as a principal."""
        statement = {"principal": principal, "expires": time.time() + life_s, **claims}
        body = _encode(json.dumps(statement).encode())
        return f"{body}.{_encode(self._mac(body))}"

    def claims(self, token: str) -> dict[str, str]:
        """Return what a token states.

        Raises:
            InvalidToken: If it is not genuine or has expired.
        """
        body, _, mac = token.partition(".")
        try:
            genuine = hmac.compare_digest(_decode(mac), self._mac(body))
            statement = json.loads(_decode(body)) if genuine else {}
        except (ValueError, binascii.Error):
            genuine, statement = False, {}
        if not genuine:
            raise InvalidToken("the access token was not issued by this cloud")
        if float(statement["expires"]) < time.time():
            raise InvalidToken("the access token has expired")
        return {str(key): str(value) for key, value in statement.items()}

    def secret(self, access_key: str) -> str:
        """Return the secret key that belongs to an access key."""
        return _encode(self._mac(f"secret:{access_key}"))
