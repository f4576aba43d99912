"""A child process for the tests of `model_export.children`, run as a module in this folder."""

import os
import signal
import sys
import time

from model_export.children import child
from model_export.errors import ExportError

if __name__ == "__main__":
    with child() as report:
        match sys.argv[1]:
            case "answer":
                print("working", flush=True)
                report({"answer": 42})
            case "refuse":
                raise ExportError("a reason\nof two lines")
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "defect":
                raise RuntimeError("a defect")
            case "silent":
                pass
            case "hang":
                print(f"pid {os.getpid()}", flush=True)
                time.sleep(60)
