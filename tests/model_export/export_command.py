"""The export command as the tests run it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def export_command(out, *arguments):
    """Return the command line that exports EfficientNet-Lite0 into a folder; to be run in ROOT."""
    return [sys.executable, "-m", "model_export", "export", "efficientnet-lite0", "--out", str(out), *arguments]
