"""Started by the Pulumi engine: `pulumi preview --policy-pack policy`, or through `run`."""

import signal
import sys
from pathlib import Path

# The engine runs this directory; the checks are the package that it is.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from policy.pack import run  # noqa: E402 - found by the line above

# The engine interrupts its plug-ins to end them; the default would print a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)
run()
