"""Command line of the client: `python -m serving predict MODEL INPUT...`, `python -m serving status`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.client import PredictClient, PredictError, Prediction
from serving.resolver import ResolutionError
from serving.status import SiteState, inspect

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
_STRING_TYPE = 7  # DT_STRING
_SHOWN_LABELS = 5

Domain = Annotated[str, typer.Option(envvar="TRICORN_DOMAIN", help="public name of the deployment")]
Port = Annotated[int | None, typer.Option(envvar="TRICORN_PORT", help="its port; 443 with --tls, else 80")]
Dns = Annotated[
    str | None, typer.Option(envvar="TRICORN_DNS", help="host:port of a DNS server; the system's if absent")
]
Tls = Annotated[bool, typer.Option("--tls", envvar="TRICORN_TLS", help="speak TLS")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


class UsageError(Exception):
    """The command line asks for something that cannot be; the text says what and why."""


def _require(domain: str) -> str:
    if not domain:
        raise UsageError("--domain: is required (got nothing); give the public name, or set TRICORN_DOMAIN")
    return domain


def _read_input(text: str, name: str, dtype: int) -> bytes:
    if dtype != _STRING_TYPE:
        raise UsageError(
            f"input {name!r} is a tensor of numbers, which a file or text cannot fill; choose a signature that takes "
            "strings with --signature, or use serving.client from Python"
        )
    path = Path(text)
    try:
        if path.is_file():
            return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{text}: cannot be read: {error.strerror}") from None
    if "image" in name:
        raise UsageError(f"{text}: there is no such file; the model takes images")
    return text.encode()


def _labels(outputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return label and score pairs of the first example, best first; empty when the model gives none."""
    names = outputs.get("labels", outputs.get("classes"))
    scores = outputs.get("scores")
    if names is None or scores is None:
        return []
    pairs = zip(names[0].tolist(), scores[0].tolist(), strict=False)
    return [
        {"label": name.decode() if isinstance(name, bytes) else str(name), "score": round(float(score), 4)}
        for name, score in list(pairs)[:_SHOWN_LABELS]
    ]


def _document(source: str, found: Prediction) -> dict[str, Any]:
    document: dict[str, Any] = {
        "input": source,
        "site": found.site,
        "address": found.address,
        "latency_ms": round(1000 * found.latency_s, 1),
        "attempts": found.attempts,
    }
    if labels := _labels(found.outputs):
        document["labels"] = labels
    else:
        document["outputs"] = {name: {"shape": list(value.shape)} for name, value in found.outputs.items()}
    return document


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="name of the model")],
    inputs: Annotated[list[str], typer.Argument(help="image files, or texts for text models", metavar="INPUT...")],
    rest: Annotated[bool, typer.Option("--rest", help="use REST in place of gRPC")] = False,
    signature: Annotated[str, typer.Option(help="name of the signature")] = "serving_default",
    site: Annotated[str | None, typer.Option(help="ask this site only, in place of the public name")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds for one input, retries included")] = 30.0,
    domain: Domain = "",
    port: Port = None,
    dns: Dns = None,
    tls: Tls = False,
    as_json: Json = False,
) -> None:
    """Send inputs to a model and show its best labels, which site answered and how long it took."""
    with PredictClient(_require(domain), port=port, dns=dns, tls=tls) as client:
        signatures = client.signatures(model, site=site, timeout_s=timeout)
        if signature not in signatures:
            raise UsageError(f"--signature: {model} has no signature {signature!r}; use one of {', '.join(signatures)}")
        ((name, dtype),) = list(signatures[signature].items())[:1]
        contents = [_read_input(text, name, dtype) for text in inputs]
        documents = []
        for text, content in zip(inputs, contents, strict=True):
            found = client.predict(
                model, {name: [content]}, signature=signature, rest=rest, site=site, timeout_s=timeout
            )
            documents.append(_document(text, found))
    transport = "REST" if rest else "gRPC"
    if as_json:
        print(json.dumps({"model": model, "transport": transport, "predictions": documents}, indent=1))
        return
    for document in documents:
        print(f"{document['input']}")
        for each in document.get("labels", ()):
            print(f"  {each['score']:7.2%}  {each['label']}")
        for output, value in document.get("outputs", {}).items():
            print(f"  {output}: shape {value['shape']}")
        tried = f", {document['attempts']} attempts" if document["attempts"] > 1 else ""
        who = document["site"] or document["address"]
        print(f"  answered by {who} over {transport} in {document['latency_ms']} ms{tried}")


def _show(states: list[SiteState]) -> None:
    from rich.console import Console
    from rich.table import Table

    def models(state: SiteState) -> str:
        return ", ".join(f"{each.model} v{each.version} {each.state}" for each in state.models) or state.problem

    if not sys.stdout.isatty():
        for state in states:
            verdict = "up" if state.healthy else "DOWN"
            now = ", answers now" if state.answered else ""
            print(f"{state.site}: {verdict}, weight {state.weight}{now}, {' '.join(state.addresses)}: {models(state)}")
        return
    table = Table("site", "state", "weight", "in DNS now", "address", "models")
    for state in states:
        table.add_row(
            state.site, "[green]up" if state.healthy else "[red]down", str(state.weight),
            "yes" if state.answered else "", "\n".join(state.addresses), models(state),
        )  # fmt: skip
    Console().print(table)


@app.command()
def status(
    model: Annotated[list[str], typer.Option(envvar="TRICORN_MODELS", help="model to ask for; may be repeated")] = [],  # noqa: B006 - typer copies it
    domain: Domain = "",
    port: Port = None,
    dns: Dns = None,
    tls: Tls = False,
    as_json: Json = False,
) -> None:
    """Show every site of a deployment as the outside world sees it; exit code 1 when none serves."""
    if not model:
        raise UsageError("--model: is required (got nothing); name a model, or set TRICORN_MODELS")
    with PredictClient(_require(domain), port=port, dns=dns, tls=tls) as client:
        states = inspect(client.resolver, client.port, model, tls)
    if as_json:
        sites = [{**vars(state), "models": [vars(each) for each in state.models]} for state in states]
        print(json.dumps({"domain": domain, "sites": sites}, indent=1))
    else:
        _show(states)
    if not any(state.healthy for state in states):
        raise typer.Exit(1)


def main() -> int:
    """Run a command; what a person can mend is one line and exit code 1."""
    try:
        app(standalone_mode=False)
    except (PredictError, ResolutionError, UsageError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except (typer.Exit, typer.Abort) as stop:
        return int(getattr(stop, "exit_code", 130))
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # click's usage errors know how to show themselves; anything else is a defect and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
