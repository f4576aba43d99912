"""From data to verified SavedModel bundles: `python -m model_export COMMAND`, `--help` lists them."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from model_export import registry
from model_export.bundle_commands import COMMANDS as BUNDLE_COMMANDS
from model_export.bundles.signatures import check_signature, read_public_key
from model_export.commands import COMMANDS
from model_export.errors import ExportError, Interrupted
from model_export.export import export as export_model
from model_export.exportable import exportable
from model_export.manifest import NAME_PATTERN, NAME_RULE, Options, Precision
from model_export.training import run as runs
from model_export.verify import verify as verify_bundle

_INTERRUPTED = 130
_TERMINATED = 143

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
for _command in (*COMMANDS, *BUNDLE_COMMANDS):
    app.command()(_command)


def _progress() -> Callable[[str], None]:
    started = time.monotonic()
    return lambda text: print(f"  {time.monotonic() - started:5.1f} s  {text}", flush=True)


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="model family with weights, or folder of a training run")],
    out: Annotated[Path, typer.Option(help="folder of the bundle: manifests and archives, made if missing")],
    name: Annotated[str | None, typer.Option(help="name of the served model; default: the family's name")] = None,
    version: Annotated[int, typer.Option(help="version number, at least 1; a version never changes")] = 1,
    freeze: Annotated[bool, typer.Option("--freeze", help="make the weights constants of the graph")] = False,
    precision: Annotated[Precision, typer.Option(help="what products and convolutions are computed in")] = "float32",
) -> None:
    """Build a model, verify it through TensorFlow Serving's C++ loader and write a bundle version."""
    if (Path(source) / runs.RUN).is_file():
        source = str(Path(source).resolve())  # the export works in another folder
    chosen = exportable(source)
    model = chosen.family.name if name is None else name
    if not re.match(NAME_PATTERN, model):
        raise ExportError(f"--name: must be {NAME_RULE}, got {model!r}")
    if version < 1:
        raise ExportError(f"--version: must be at least 1, got {version}")
    options = Options(frozen=freeze, precision=precision)
    print(f"exporting {chosen.family.name} as {model}, version {version}", flush=True)
    print(export_model(source, chosen, out, model, version, _progress(), options))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="manifest of a bundle version, FOLDER/<version>.json")],
    signed_by: Annotated[Path | None, typer.Option(help="PEM of a public key that must have signed it")] = None,
) -> None:
    """Check a bundle's archive, files, graph and signatures, load it and replay its warm-up requests."""
    if signed_by is not None:
        key = read_public_key(signed_by, "--signed-by")
        content = bundle.read_bytes() if bundle.is_file() else b""
        print(f"{bundle}: signed with the key {check_signature(bundle, content, key)}", flush=True)
    manifest, found = verify_bundle(bundle, _progress())
    print(
        f"{bundle}: verified: {manifest.name} version {manifest.version}, {len(manifest.files)} files, "
        f"{found['warmup_requests']} warm-up requests, loaded in {found['load_s']:.1f} s, "
        f"{found['latency_ms']:.1f} ms a request, peak memory {found['peak_memory_mib']:.0f} MiB"
    )


@app.command(name="list")
def list_families() -> None:
    """List the model families."""
    for family in registry.all_families().values():
        how = f"weights: {family.pretrained.license}" if family.pretrained else f"presets: {', '.join(family.presets)}"
        print(f"{family.name:24} {family.title} ({how})")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # As an exception, so that scratch files are removed and the child process is ended.
    raise SystemExit(_TERMINATED)


def main() -> int:
    """Run a command; errors a person can mend are one line, Ctrl-C is exit code 130."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        # Outside standalone mode typer returns an exit code instead of raising it; Ctrl-C is 130.
        code = app(standalone_mode=False) or 0
    except ExportError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    except Interrupted as stop:
        print(f"interrupted; {stop}", file=sys.stderr, flush=True)
        return _INTERRUPTED
    except OSError as error:
        print(f"error: {error.filename or 'file system'}: {error.strerror}", file=sys.stderr, flush=True)
        return 1
    except Exception as error:
        # click's usage errors know how to show themselves; anything else is a defect and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return 2
    if code == _INTERRUPTED:
        print("interrupted; run it again, nothing half-written is left", file=sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
