"""Every family trained, evaluated and made a bundle at most once in a test run, when a test first asks for it."""

import contextlib
import fcntl

from training_command import SLOW_S, run, successful

from benchmarks.models import SAMPLES
from model_export.registry import SMALL, all_families

FAMILIES = tuple(name for name, family in all_families().items() if SMALL in family.presets)


class TrainedModels:
    """Runs and bundles of the small presets by name of the family; tests only read them.

    Test processes that run side by side share one folder; what one of them makes, the others wait for.
    """

    def __init__(self, folder):
        self._folder = folder

    def run(self, name):
        """Return the folder of a finished run."""
        folder = self._folder / "runs" / name
        data = SAMPLES[all_families()[name].task]
        self._once(f"{name}.run", "train", name, "--data", data, "--out", folder)
        return folder

    def evaluation(self, name):
        """Return what `evaluate` prints of the run, which has a report from then on."""
        return self._once(f"{name}.evaluation", "evaluate", self.run(name))

    def bundle(self, name):
        """Return the folder of the bundle with version 1 of the evaluated run; the model has the family's name."""
        self.evaluation(name)
        bundle = self._folder / "bundles" / name
        self._once(f"{name}.bundle", "export", self.run(name), "--out", bundle, "--name", name)
        verified = self._once(f"{name}.verified", "verify", bundle / "1.json")
        assert f"verified: {name} version 1" in verified
        return bundle

    def _once(self, what, *command):
        """Run a command unless that was done, and return what it printed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        printed = self._folder / f"{what}.txt"
        with _alone(self._folder / f"{what}.lock"):
            if not printed.exists():
                printed.write_text(successful(run(*command, timeout=SLOW_S)))
        return printed.read_text()


@contextlib.contextmanager
def _alone(file):
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
