"""Command line: `python -m serving predict MODEL INPUT...`, `... status`, `... pin STACK`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from serving import answers, drawing
from serving.client import PredictClient, PredictError, Prediction
from serving.resolver import ResolutionError
from serving.status import SiteState, inspect, models_of_stack

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
_STRING = "DT_STRING"
_TIMEOUT_S = 30.0

Domain = Annotated[str, typer.Option(envvar="TRICORN_DOMAIN", help="public name of the deployment")]
Port = Annotated[
    int | None, typer.Option(envvar="TRICORN_PORT", min=1, max=65535, help="its port; 443 with --tls, else 80")
]
Dns = Annotated[
    str | None, typer.Option(envvar="TRICORN_DNS", help="host:port of a DNS server; the system's if absent")
]
Tls = Annotated[bool, typer.Option("--tls", envvar="TRICORN_TLS", help="speak TLS")]
Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca", envvar="TRICORN_CA", help="file of certificates to trust, in place of the system's; means TLS"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


class UsageError(Exception):
    """The command line asks for something that cannot be; the text says what and why."""


def _client(domain: str, port: int | None, dns: str | None, tls: bool, ca: Path | None) -> PredictClient:
    if not domain:
        raise UsageError("--domain: is required (got nothing); give the public name, or set TRICORN_DOMAIN")
    try:
        credentials = _credentials()
        if credentials and not tls and ca is None:
            print("warning: credentials travel unencrypted; add --tls", file=sys.stderr)
        return PredictClient(domain, port=port, dns=dns, tls=tls, ca=ca, headers=credentials)
    except OSError as error:
        raise UsageError(f"--ca: {ca}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"--{error}") from None


def _credentials() -> dict[str, str]:
    """Return the caller's credentials from the environment: a command line can be read by others on the machine."""
    found = {}
    if key := os.environ.get("TRICORN_API_KEY"):
        found[os.environ.get("TRICORN_API_KEY_HEADER") or "x-api-key"] = key
    if token := os.environ.get("TRICORN_TOKEN"):
        found["authorization"] = f"Bearer {token}"
    return found


def _read_input(text: str, name: str, dtype: str) -> bytes:
    if dtype != _STRING:
        raise UsageError(
            f"input {name!r} is a tensor of type {dtype}, which a file or text cannot fill; choose a signature that "
            "takes strings with --signature, or use serving.client from Python"
        )
    path = Path(text)
    try:
        if path.is_file():
            return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{text}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if "image" in name:
        raise UsageError(f"{text}: is not a file (the model takes images); check the path")
    return text.encode()


def _draw(folder: Path, text: str, content: bytes, found: Prediction) -> str:
    if not drawing.can_draw(found.outputs):
        raise UsageError(f"--draw: the answer has no boxes and no mask, but {', '.join(sorted(found.outputs))}")
    file = folder / f"{Path(text).stem}.png"
    try:
        drawing.draw(content, found.outputs, file)
    except ImportError:
        raise UsageError("--draw: needs Pillow; run `pip install pillow`") from None
    except OSError as error:
        raise UsageError(f"--draw: {text} cannot be drawn to {file}: {error.strerror or error}") from None
    return str(file)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="name of the model")],
    inputs: Annotated[list[str], typer.Argument(help="image files, or texts for text models", metavar="INPUT...")],
    rest: Annotated[bool, typer.Option("--rest", help="use REST in place of gRPC")] = False,
    signature: Annotated[str, typer.Option(help="name of the signature")] = "serving_default",
    site: Annotated[str | None, typer.Option(help="ask this site only, in place of the public name")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="folder for copies of the pictures with the boxes or masks drawn, as PNG")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds for one input, retries included")] = _TIMEOUT_S,
    domain: Domain = "",
    port: Port = None,
    dns: Dns = None,
    tls: Tls = False,
    ca: Ca = None,
    as_json: Json = False,
) -> None:
    """Send inputs to a model and show its best labels, which site answered and how long it took."""
    with _client(domain, port, dns, tls, ca) as client:
        signatures = client.signatures(model, rest=rest, site=site, timeout_s=timeout)
        if signature not in signatures:
            known = ", ".join(signatures) or "none"
            raise UsageError(f"--signature: {model} has no signature {signature!r}; it has: {known}")
        if len(signatures[signature]) != 1:
            raise UsageError(
                f"--signature: {signature!r} of {model} takes {len(signatures[signature])} inputs "
                f"({', '.join(signatures[signature])}) and a file or text fills one; use serving.client from Python"
            )
        ((name, dtype),) = signatures[signature].items()
        contents = [_read_input(text, name, dtype) for text in inputs]
        documents = []
        for text, content in zip(inputs, contents, strict=True):
            found = client.predict(
                model, {name: [content]}, signature=signature, rest=rest, site=site, timeout_s=timeout
            )
            documents.append(answers.document(text, found))
            if draw is not None:
                documents[-1]["picture"] = _draw(draw, text, content, found)
    transport = "REST" if rest else "gRPC"
    if as_json:
        answer = {
            "model": model,
            "signature": signature,
            "transport": transport,
            "site": documents[-1]["site"],
            "predictions": documents,
        }
        print(json.dumps(answer, indent=1))
    else:
        answers.show(documents, transport)


def _show_sites(states: list[SiteState]) -> None:
    def models(state: SiteState) -> str:
        versions = ", ".join(f"{each.model} v{each.version} {each.state}" for each in state.models)
        return "; ".join(each for each in (versions, state.problem) if each)

    if not sys.stdout.isatty():
        for state in states:
            print(
                f"{state.site}: {'up' if state.healthy else 'DOWN'}, weight {state.weight}, "
                f"{state.dns_share:.0%} of DNS answers, {' '.join(state.addresses) or 'no address'}: {models(state)}"
            )
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("site", "state", "weight", "DNS answers", "address", "models")
    for state in states:
        table.add_row(
            state.site, "[green]up" if state.healthy else "[red]DOWN", str(state.weight), f"{state.dns_share:.0%}",
            "\n".join(state.addresses), escape(models(state)),
        )  # fmt: skip
    Console().print(table)


@app.command()
def status(
    model: Annotated[
        list[str] | None,
        typer.Option(
            envvar="TRICORN_MODELS",
            help="model to ask for; may be repeated; those of the Pulumi.<stack>.yaml here with this domain if absent",
        ),
    ] = None,
    domain: Domain = "",
    port: Port = None,
    dns: Dns = None,
    tls: Tls = False,
    ca: Ca = None,
    as_json: Json = False,
) -> None:
    """Show every site of a deployment as the outside world sees it; exit code 1 when none serves."""
    with _client(domain, port, dns, tls, ca) as client:
        models = model or models_of_stack(domain, Path())
        if not models:
            raise UsageError(
                f"--model: is required (got nothing, and no Pulumi.<stack>.yaml here has models and the domain "
                f"{domain}); name a model, or set TRICORN_MODELS"
            )
        states = inspect(client.resolver, client.port, models, client.rest)
    if as_json:
        sites = [{**vars(state), "models": [vars(each) for each in state.models]} for state in states]
        print(json.dumps({"domain": domain, "sites": sites}, indent=1))
    else:
        _show_sites(states)
    if not any(state.healthy for state in states):
        raise typer.Exit(1)


@app.command()
def pin(stack: Annotated[str, typer.Argument(help="stack whose Pulumi.<stack>.yaml is changed")]) -> None:
    """Write the digest that each image's tag names now into a stack file, so that images never change by themselves."""
    # Half of this module's time to import, and predictions do without.
    from serving import pinning, registry

    try:
        written = pinning.pin(Path(f"Pulumi.{stack}.yaml"), registry.digest_of)
    except (pinning.PinError, registry.RegistryError) as error:
        raise UsageError(str(error)) from None
    for name, image in written.items():
        print(f"images.{name}: {image}")
    if not written:
        print("every image has a digest already")


def _printable(text: str) -> str:
    """Return a text as one line; servers may quote the bytes they were sent."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


def main() -> int:
    """Run a command; what a person can mend is one line and exit code 1, a wrong command line is exit code 2."""
    # gRPC's own lines about failed handshakes would hide ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        code = app(standalone_mode=False)
    except (PredictError, ResolutionError, UsageError) as error:
        print(f"error: {_printable(str(error))}", file=sys.stderr)
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
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
