"""What `up` shows at its end: predictions of a sample photo from every cloud, and what to try next."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from localcloud import engine
from localcloud.addresses import RESOLVER_ADDRESS, RESOLVER_PORT
from localcloud.environment import model_bundles, public_endpoint, stack_config
from localcloud.errors import LocalCloudError
from localcloud.paths import RunPaths, project_directory
from serving.client import PredictClient, PredictError, Prediction

_READY_S = 240.0
_SHOWN_LABELS = 3
_NO_ROUTE = ("NOT_FOUND", "UNIMPLEMENTED")


@dataclass(frozen=True)
class Row:
    """One line of the table: who was asked, over what, who answered, the best labels, milliseconds."""

    asked: str
    transport: str
    answered: str
    labels: str
    latency_ms: float


def sample_photo() -> Path:
    """Return a photo of a cat that the package scikit-image ships."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise LocalCloudError("the package scikit-image is missing from the Python environment; run `make venv`")
    return Path(spec.origin).parent / "data" / "chelsea.png"


def _sites() -> list[str]:
    return list((stack_config().get("tricorn:settings") or {}).get("sites") or {})


def _client() -> PredictClient:
    domain, port = public_endpoint()
    return PredictClient(domain, port=port, dns=f"{RESOLVER_ADDRESS}:{RESOLVER_PORT}")


def _predict(client: PredictClient, **options: Any) -> Prediction:
    model = model_bundles()[0][0]
    return client.predict(model, {"image_bytes": [sample_photo().read_bytes()]}, **options)


def first_prediction(show: Callable[[str], None]) -> PredictClient:
    """Ask the public name until it answers; return the client.

    Raises:
        LocalCloudError: If it does not answer in time.
    """
    deadline = time.monotonic() + _READY_S
    client = _client()
    while True:
        try:
            _predict(client, timeout_s=5.0)
        except PredictError as error:
            if time.monotonic() > deadline:
                raise LocalCloudError(f"no prediction within {_READY_S:.0f} s: {error}") from None
            show(str(error))
            time.sleep(0.5)
        else:
            return client


def ask_every_site(client: PredictClient) -> list[Row]:
    """Ask the public name and then every site, over gRPC and REST.

    Raises:
        LocalCloudError: If one does not answer.
    """
    rows = []
    for site in (None, *_sites()):
        for transport, rest in (("gRPC", False), ("REST", True)):
            found = _insist(client, site, rest)
            pairs = list(zip(found.outputs["labels"][0], found.outputs["scores"][0], strict=True))[:_SHOWN_LABELS]
            labels = ", ".join(f"{label.decode()} {float(score):.0%}" for label, score in pairs)
            asked = site or public_endpoint()[0]
            rows.append(Row(asked, transport, found.site, labels, 1000 * found.latency_s))
    client.close()
    return rows


def _insist(client: PredictClient, site: str | None, rest: bool) -> Prediction:
    """Ask a site until it answers: a gateway may still know some of its routes only.

    Raises:
        LocalCloudError: If it does not in time.
    """
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            return _predict(client, site=site, rest=rest, timeout_s=max(1.0, deadline - time.monotonic()))
        except PredictError as error:
            if error.code not in _NO_ROUTE or time.monotonic() > deadline:
                transport = "REST" if rest else "gRPC"
                raise LocalCloudError(f"site {site} does not answer over {transport}: {error}") from None
        time.sleep(0.5)


def show(rows: list[Row]) -> None:
    """Print the table, or plain lines where there is no terminal."""
    console = Console(highlight=False, soft_wrap=True)
    print(f"\nPredictions of {sample_photo().name}:")
    if not console.is_terminal:
        for row in rows:
            print(
                f"{row.asked} over {row.transport}: {row.labels}; answered by {row.answered} in {row.latency_ms:.0f} ms"
            )
        return
    table = Table("asked", "over", "answered by", "labels", "ms")
    for row in rows:
        table.add_row(row.asked, row.transport, row.answered, row.labels, f"{row.latency_ms:.0f}")
    Console().print(table)


def problem_of(paths: RunPaths, cloud: str) -> str:
    """Return why a site of a cloud does not serve, as the outside world sees it; empty when all do."""
    command = [sys.executable, "-m", "serving", "status", "--json"]
    done = subprocess.run(
        command, cwd=project_directory(), env=engine.environment(paths), capture_output=True, text=True
    )
    sites = (stack_config().get("tricorn:settings") or {}).get("sites") or {}
    with contextlib.suppress(ValueError):
        states = {each["site"]: each for each in json.loads(done.stdout)["sites"]}
        problems = [
            f"{name}: {states[name]['problem'] or 'models are loading'}"
            for name, site in sites.items()
            if site["cloud"] == cloud and not states.get(name, {"healthy": False})["healthy"]
        ]
        return "; ".join(problems)
    return (done.stderr or done.stdout).strip() or "no status"


def next_steps() -> str:
    """Return what a person can try on a running deployment."""
    model = model_bundles()[0][0]
    photo = sample_photo()
    with contextlib.suppress(ValueError):
        photo = photo.relative_to(project_directory())
    contexts = "\n".join(f"  kubectl --context {site} get pods,nodes -A" for site in _sites())
    return (
        "\nGPUs are simulated: nvidia.com/gpu is scheduled for real, the model computes on the CPU.\n"
        "What to try next:\n"
        '  eval "$(make -s env)"                 # pulumi, kubectl and python for this run\n'
        f"{contexts}\n"
        f"  python -m serving predict {model} {photo}\n"
        "  python -m serving status\n"
        "  pulumi preview -s local               # nothing to change\n"
        "  python -m localcloud kill gcp         # SIGKILL a whole cloud; requests go on\n"
        "  python -m localcloud restore gcp\n"
        "  make down"
    )
