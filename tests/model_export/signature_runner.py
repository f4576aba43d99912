"""Runs signatures of a version folder in a child process through the C++ loader; requests and answers are pickles."""

import pickle
import subprocess
import sys
from pathlib import Path

from model_export.errors import ExportError

ROOT = Path(__file__).resolve().parents[2]


class SignatureRunner:
    """A child process with a loaded model."""

    def __init__(self, folder):
        self._child = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def __call__(self, signature, **inputs):
        """Return the outputs by name, or raise ExportError."""
        pickle.dump((signature, inputs), self._child.stdin)
        self._child.stdin.flush()
        outputs, error = pickle.load(self._child.stdout)  # noqa: S301 - written by our own child
        if error:
            raise ExportError(error)
        return outputs

    def peak_memory_mib(self):
        lines = Path(f"/proc/{self._child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def close(self):
        self._child.stdin.close()
        self._child.wait(timeout=20)


def serve(folder):
    from model_export.loader import LoadedModel

    model = LoadedModel(folder)
    while True:
        try:
            signature, inputs = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
        except EOFError:
            return
        try:
            answer = model.run(signature, inputs), None
        except ExportError as error:
            answer = None, str(error)
        pickle.dump(answer, sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
