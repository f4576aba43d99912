"""Previews and deploys a stack: `python -m deploy preview|up|refresh|destroy -s STACK [-- PULUMI ARGUMENTS]`."""

import argparse
import sys
from pathlib import Path

from deploy.command import OPERATIONS, operate
from deploy.errors import DeployError
from deploy.stacks import stack_settings

PROJECT = Path(__file__).resolve().parent.parent
_USAGE = 2


def main(arguments: list[str], project: Path = PROJECT) -> int:
    """Run the command and return its exit code: Pulumi's own, or 2 for a mistake that stopped it before."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    own, passed = arguments[:split], arguments[split + 1 :]
    operations = "\n".join(f"  {name:9}{meaning}" for name, meaning in OPERATIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m deploy",
        description="Run Pulumi on a stack with the policy pack, leaving alone what its settings call frozen.",
        epilog=f"{operations}\n\nWhat follows -- goes to Pulumi, such as --yes or --diff.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("operation", choices=OPERATIONS, metavar="|".join(OPERATIONS))
    parser.add_argument("-s", "--stack", required=True, help="name of the stack, as in Pulumi.<stack>.yaml")
    given = parser.parse_args(own)
    try:
        settings = stack_settings(project, given.stack)
        return operate(project, given.stack, given.operation, settings, passed)
    except DeployError as error:
        print(error, file=sys.stderr)
        return _USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
