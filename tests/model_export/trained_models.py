"""Every family trained, evaluated and made a bundle at most once in a test session, when a test first asks for it."""

import functools

from training_command import SLOW_S, run, successful

from model_export.registry import SMALL, Task, all_families

FAMILIES = tuple(name for name, family in all_families().items() if SMALL in family.presets)
DATA = {Task.CLASSIFY: "digits", Task.DETECT: "shapes", Task.SEGMENT: "shapes-masks", Task.LABEL: "languages"}
"""Sample set that the families of a task are trained on."""


class TrainedModels:
    """Runs and bundles of the small presets by name of the family; tests only read them."""

    def __init__(self, folder):
        self._folder = folder

    @functools.cache  # noqa: B019 - lives as long as the session
    def run(self, name):
        """Return the folder of a finished run."""
        folder = self._folder / "runs" / name
        data = DATA[all_families()[name].task]
        successful(run("train", name, "--data", data, "--out", folder, timeout=SLOW_S))
        return folder

    @functools.cache  # noqa: B019
    def evaluation(self, name):
        """Return what `evaluate` prints of the run, which has a report from then on."""
        return successful(run("evaluate", self.run(name)))

    @functools.cache  # noqa: B019
    def bundle(self, name):
        """Return the folder of the bundle with version 1 of the evaluated run; the model has the family's name."""
        self.evaluation(name)
        bundle = self._folder / "bundles" / name
        successful(run("export", self.run(name), "--out", bundle, "--name", name))
        assert f"verified: {name} version 1" in successful(run("verify", bundle / "1.json"))
        return bundle
