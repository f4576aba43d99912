"""Command line of the local clouds: `python -m localcloud up|down|kill|restore|cut|reconnect|env`."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

import toolchain
from localcloud import lifecycle
from localcloud.console import fail
from localcloud.environment import variables
from localcloud.errors import LocalCloudError
from localcloud.paths import RunPaths

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


class Cloud(StrEnum):
    """The clouds that can be lost and restored."""

    AWS = "aws"
    GCP = "gcp"
    AZURE = "azure"


RegistryArgument = Annotated[str, typer.Argument(help="host name of a public registry, such as docker.io")]
CloudArgument = Annotated[Cloud, typer.Argument(help="aws, gcp or azure")]


@app.command()
def up() -> None:
    """Start the local clouds, run `pulumi up` on them and ask for predictions; safe to repeat."""
    lifecycle.up(RunPaths.current())


@app.command()
def down() -> None:
    """Destroy the stack, end every process of the run and remove its files."""
    lifecycle.down(RunPaths.current())


@app.command()
def kill(cloud: CloudArgument) -> None:
    """End every process of one cloud with SIGKILL, as if the cloud were gone."""
    ended = lifecycle.kill(RunPaths.current(), cloud.value)
    print(f"{cloud.value}: {ended} processes killed" if ended else f"{cloud.value}: was not running")


@app.command()
def restore(cloud: CloudArgument) -> None:
    """Start a killed cloud again and wait until its pods are ready."""
    lifecycle.restore(RunPaths.current(), cloud.value)


@app.command()
def cut(registry: RegistryArgument) -> None:
    """Cut a public container registry off: nobody can pull from it until `reconnect`."""
    lifecycle.cut_registry(RunPaths.current(), registry)
    print(f"{registry}: cut off; clouds have what their own registries and nodes hold")


@app.command()
def reconnect(registry: RegistryArgument) -> None:
    """Have a registry that was cut off answer again."""
    lifecycle.reconnect_registry(RunPaths.current(), registry)
    print(f"{registry}: answers")


@app.command()
def env() -> None:
    """Print the environment of the local run as shell commands."""
    for name, value in sorted(variables(RunPaths.current()).items()):
        print(f"export {name}={shlex.quote(value)}")


def main() -> int:
    """Run a command; errors a person can mend are one message, Ctrl-C is exit code 130."""
    try:
        code = app(standalone_mode=False)  # an exit code where a command ended early, Ctrl-C included
    except (LocalCloudError, toolchain.ToolchainError) as error:
        return fail(str(error))
    except (typer.Exit, typer.Abort) as stop:
        return getattr(stop, "exit_code", 130)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        # click's usage errors know how to show themselves; anything else is a defect and keeps its traceback.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return 2
    return int(code or 0)


if __name__ == "__main__":
    code = main()
    if code == 130:
        print("\ninterrupted; `make up` goes on from here, `make down` removes everything", file=sys.stderr)
    sys.exit(code)
