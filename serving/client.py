"""The client: predictions from whichever site answers, with a retry policy that survives the loss of a cloud.

After a connection failure, UNAVAILABLE, RESOURCE_EXHAUSTED or an attempt without an answer, the address is left alone
for `PENALTY_S` and the next one is asked: first the name's other answers, then the sites of its SRV records. When
every address has failed, the client waits (exponential back-off with jitter) and starts over until the deadline.
Errors of the request itself, such as INVALID_ARGUMENT, are never retried.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from serving.resolver import ResolutionError, Resolver
from serving.rest import RestTransport
from serving.transports import RETRIABLE, GrpcTransport, Request, RequestError, Signatures, Transport

__all__ = ["PredictClient", "PredictError", "Prediction", "ResolutionError", "Signatures"]

PENALTY_S = 10.0
"""How long a failed address is asked only when nothing else is left."""
DEADLINE_S = 30.0
ATTEMPT_S = 10.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_HTTP_PORT, _HTTPS_PORT = 80, 443
_Answered = TypeVar("_Answered")


class PredictError(Exception):
    """No answer; `code` is a gRPC status name, `attempts` how many addresses were asked."""

    def __init__(self, code: str, message: str, attempts: int) -> None:
        super().__init__(f"{code}: {message}" + (f" (after {attempts} attempts)" if attempts > 1 else ""))
        self.code = code
        self.message = message
        self.attempts = attempts


@dataclass(frozen=True)
class Prediction:
    """An answer.

    Attributes:
        outputs: Arrays by output name; strings are arrays of dtype object that hold bytes.
        site: Name of the site that answered; empty if it did not say.
        address: Address that answered.
        latency_s: Seconds from the call to the answer, retries included.
        attempts: How many times an address was asked.
    """

    outputs: dict[str, Any]
    site: str
    address: str
    latency_s: float
    attempts: int


class PredictClient:
    """Client of one public name; safe to use from several threads.

    Args:
        domain: The public name, such as serve.example.com; TRICORN_DOMAIN when None.
        port: Its port; when None TRICORN_PORT, else 443 with TLS and 80 without.
        dns: `host:port` of a DNS server; when None TRICORN_DNS, else the system's.
        tls: Whether to speak TLS; the certificate must be valid for the domain.
        ca: File with the PEM certificates to trust, in place of the system's; means TLS.
        headers: Headers of every request, in lower case, such as {"x-api-key": "..."}.

    Raises:
        ValueError: If there is no domain, TRICORN_PORT is no port, or `ca` holds no certificate.
        OSError: If `ca` cannot be read.
        ResolutionError: If `dns` is malformed.
    """

    def __init__(
        self,
        domain: str | None = None,
        port: int | None = None,
        dns: str | None = None,
        tls: bool = False,
        ca: str | os.PathLike[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        name = domain or os.environ.get("TRICORN_DOMAIN", "")
        if not name:
            raise ValueError("domain: is required (got nothing); give the public name, or set TRICORN_DOMAIN")
        self._resolver = Resolver(name, dns or os.environ.get("TRICORN_DNS") or None)
        trusted = None if ca is None else _certificates(ca)
        tls = tls or trusted is not None
        self._port = _port(port, tls)
        self._rest = RestTransport(self._resolver.domain, tls, trusted, headers)
        self._transports: dict[bool, Transport] = {
            False: GrpcTransport(self._resolver.domain, tls, trusted, headers),
            True: self._rest,
        }
        self._penalties: dict[str, float] = {}
        self._lock = threading.Lock()
        self._random = random.SystemRandom()

    @property
    def resolver(self) -> Resolver:
        """The resolver of the client's name."""
        return self._resolver

    @property
    def port(self) -> int:
        """The port of the name."""
        return self._port

    @property
    def rest(self) -> RestTransport:
        """How the client sends one REST request to one address."""
        return self._rest

    def __enter__(self) -> PredictClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            transport.close()

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str = "serving_default",
        version: int | None = None,
        rest: bool = False,
        site: str | None = None,
        timeout_s: float = DEADLINE_S,
    ) -> Prediction:
        """Ask for a prediction.

        Args:
            model: Name of the model.
            inputs: Arrays or nested lists by input name; bytes for strings.
            signature: Name of the signature.
            version: Version of the model; the one that is served when None.
            rest: Whether to use REST in place of gRPC.
            site: Name of the one site to ask, in place of the public name.
            timeout_s: Seconds for everything, retries included; one attempt takes at most 10 of them.

        Raises:
            PredictError: If nothing answers in time, or the request is wrong.
        """
        request = Request(model, signature, version, inputs)
        transport = self._transports[rest]
        started = time.monotonic()
        answer, address, attempts = self._ask(
            lambda address, limit: transport.predict(address, self._port, request, limit), site, timeout_s
        )
        return Prediction(answer.outputs, answer.site, address, time.monotonic() - started, attempts)

    def signatures(
        self, model: str, rest: bool = False, site: str | None = None, timeout_s: float = DEADLINE_S
    ) -> Signatures:
        """Return the inputs of every signature of a model: name to the name of TensorFlow's dtype.

        Raises:
            PredictError: If nothing answers in time, or there is no such model.
        """
        transport = self._transports[rest]
        found, _, _ = self._ask(
            lambda address, limit: transport.signatures(address, self._port, model, limit), site, timeout_s
        )
        return found

    def _ask(
        self, send: Callable[[str, float], _Answered], site: str | None, timeout_s: float
    ) -> tuple[_Answered, str, int]:
        """Send until somebody answers; return the answer, who gave it, and how many were asked."""
        deadline = time.monotonic() + timeout_s
        attempts, pause = 0, _FIRST_PAUSE_S
        last = ("UNAVAILABLE", "no address to ask")
        while True:
            try:
                for address in self._candidates(site):
                    limit = min(ATTEMPT_S, deadline - time.monotonic())
                    if limit <= 0:
                        break
                    attempts += 1
                    try:
                        return send(address, limit), address, attempts
                    except RequestError as error:
                        if error.code not in RETRIABLE:
                            raise PredictError(error.code, error.message, attempts) from None
                        last = (error.code, f"{address}:{self._port}: {error.message}")
                        self._penalise(address)
            except ResolutionError as error:
                raise PredictError("UNAVAILABLE", str(error), attempts) from None
            if deadline - time.monotonic() <= pause:
                raise PredictError(*last, attempts)
            time.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _candidates(self, site: str | None) -> Iterator[str]:
        """Yield addresses to ask, each once: unpenalised ones of the name, of the sites, then penalised ones."""
        if site is not None:
            yield from self._resolver.addresses(self._site_name(site))
            return
        seen: set[str] = set()
        kept: list[str] = []
        for addresses in self._sources():
            self._random.shuffle(addresses)
            for address in addresses:
                if address in seen:
                    continue
                seen.add(address)
                if self._is_penalised(address):
                    kept.append(address)
                else:
                    yield address
        with self._lock:
            kept.sort(key=lambda address: self._penalties.get(address, 0.0))
        yield from kept

    def _sources(self) -> Iterator[list[str]]:
        """Yield the addresses of the name, then of each site: the name alone may lead nowhere for a moment."""
        problem: ResolutionError | None = None
        try:
            yield self._resolver.addresses()
        except ResolutionError as error:
            problem = error
        try:
            sites = self._resolver.shuffled_sites()
        except ResolutionError:
            # A name without SRV records is served by its A records alone.
            if problem is not None:
                raise problem from None
            return
        for each in sites:
            if each.weight:
                with contextlib.suppress(ResolutionError):
                    yield self._resolver.addresses(each.target)

    def _site_name(self, site: str) -> str:
        domain = self._resolver.domain
        try:
            known = [each.name for each in self._resolver.sites()]
        except ResolutionError:
            known = []
        if known and site not in known:
            raise ResolutionError(f"site: {domain} has no site {site!r}; use one of {', '.join(known)}")
        return f"{site}.{domain}"

    def _penalise(self, address: str) -> None:
        with self._lock:
            self._penalties[address] = time.monotonic() + PENALTY_S

    def _is_penalised(self, address: str) -> bool:
        with self._lock:
            return self._penalties.get(address, 0.0) > time.monotonic()


def _certificates(file: str | os.PathLike[str]) -> bytes:
    text = Path(file).read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(f"ca: {os.fspath(file)} holds no PEM certificate; give the file of the authority to trust")
    return text


def _port(given: int | None, tls: bool) -> int:
    if given is not None:
        return given
    text = os.environ.get("TRICORN_PORT", "")
    if not text:
        return _HTTPS_PORT if tls else _HTTP_PORT
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ValueError(f"TRICORN_PORT: must be a port from 1 to 65535 (got {text!r}); set it to the domain's port")
    return int(text)
