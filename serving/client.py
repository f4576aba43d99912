"""The client: predictions from whichever site answers, with a retry policy that survives the loss of a cloud.

After a connection failure, UNAVAILABLE, RESOURCE_EXHAUSTED or an attempt without an answer, the address is left alone
for `PENALTY_S` and the next one is asked: first the name's other answers, then the sites of its SRV records. When
every address has failed, the client waits (exponential back-off with jitter) and starts over until the deadline.
Errors of the request itself, such as INVALID_ARGUMENT, are never retried.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from serving.resolver import ResolutionError, Resolver
from serving.transports import RETRIABLE, GrpcTransport, Request, RequestError, RestTransport, Transport

PENALTY_S = 10.0
"""How long a failed address is asked only when nothing else is left."""
DEADLINE_S = 30.0
ATTEMPT_S = 10.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_HTTP_PORT, _HTTPS_PORT = 80, 443


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
        domain: The public name, such as serve.example.com.
        port: Its port; 443 with TLS, else 80, when None.
        dns: `host:port` of a DNS server; the system's when None.
        tls: Whether to speak TLS; the certificate must be valid for the domain.

    Raises:
        ResolutionError: If `dns` is malformed.
    """

    def __init__(self, domain: str, port: int | None = None, dns: str | None = None, tls: bool = False) -> None:
        self._resolver = Resolver(domain, dns)
        self._port = port or (_HTTPS_PORT if tls else _HTTP_PORT)
        self._transports: dict[bool, Transport] = {
            False: GrpcTransport(self._resolver.domain, tls),
            True: RestTransport(self._resolver.domain, tls),
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
        *,
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
            timeout_s: Seconds for everything, retries included.

        Raises:
            PredictError: If nothing answers in time, or the request is wrong.
        """
        request = Request(model, signature, version, inputs)
        transport = self._transports[rest]
        return self._try(lambda address, limit: transport.predict(address, self._port, request, limit), site, timeout_s)

    def signatures(
        self, model: str, site: str | None = None, timeout_s: float = DEADLINE_S
    ) -> dict[str, dict[str, int]]:
        """Return the inputs of every signature of a model: name to the number of TensorFlow's dtype.

        Raises:
            PredictError: If nothing answers in time, or there is no such model.
        """
        transport = self._transports[False]
        assert isinstance(transport, GrpcTransport)  # noqa: S101 - made so by the constructor
        found = self._try(
            lambda address, limit: _Signatures(transport.signatures(address, self._port, model, limit)), site, timeout_s
        )
        return dict(found.outputs)

    def _try(self, ask: Any, site: str | None, timeout_s: float) -> Prediction:
        started = time.monotonic()
        deadline = started + timeout_s
        attempts, pause = 0, _FIRST_PAUSE_S
        last: tuple[str, str] = ("UNAVAILABLE", "no address to ask")
        while True:
            try:
                for address in self._candidates(site):
                    limit = min(ATTEMPT_S, deadline - time.monotonic())
                    if limit <= 0:
                        break
                    attempts += 1
                    try:
                        answer = ask(address, limit)
                    except RequestError as error:
                        if error.code not in RETRIABLE:
                            raise PredictError(error.code, error.message, attempts) from None
                        last = (error.code, f"{address}:{self._port}: {error.message}")
                        self._penalise(address)
                        continue
                    return Prediction(answer.outputs, answer.site, address, time.monotonic() - started, attempts)
            except ResolutionError as error:
                last = ("UNAVAILABLE", str(error))
            remaining = deadline - time.monotonic()
            if remaining <= pause:
                raise PredictError(*last, attempts)
            time.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _candidates(self, site: str | None) -> Iterator[str]:
        """Yield addresses to ask, each once: unpenalised ones of the name, of the sites, then penalised ones."""
        if site is not None:
            yield from self._resolver.addresses(f"{site}.{self._resolver.domain}")
            return
        seen: set[str] = set()
        kept: list[str] = []
        problem: ResolutionError | None = None
        try:
            answers = self._resolver.addresses()
        except ResolutionError as error:
            answers, problem = [], error
        self._random.shuffle(answers)
        for address in answers:
            seen.add(address)
            if self._is_penalised(address):
                kept.append(address)
            else:
                yield address
        try:
            for each in self._resolver.shuffled_sites():
                for address in self._resolver.addresses(each.target) if each.weight else ():
                    if address in seen:
                        continue
                    seen.add(address)
                    if self._is_penalised(address):
                        kept.append(address)
                    else:
                        yield address
        except ResolutionError:
            if problem is not None:
                raise problem from None
        yield from kept

    def _penalise(self, address: str) -> None:
        with self._lock:
            self._penalties[address] = time.monotonic() + PENALTY_S

    def _is_penalised(self, address: str) -> bool:
        with self._lock:
            return self._penalties.get(address, 0.0) > time.monotonic()


@dataclass(frozen=True)
class _Signatures:
    """Signatures in the shape of an answer."""

    outputs: dict[str, dict[str, int]]
    site: str = ""
