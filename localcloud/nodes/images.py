"""Container images that the local clouds can run, and what runs in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localcloud.nodes.sandbox import Mount
from localcloud.paths import project_directory

_PROGRAMS = "/opt/image/bin"
_PATH = f"{_PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The packages of this project that the model server's stand-in is made of. The rest stays out of the container: a run's
# own files, with the clusters' credentials, lie below the project by default.
_PACKAGES = ("localcloud", "serving", "toolchain")


class UnknownImage(Exception):
    """The image, or the program asked of it, has nothing here that could run in its place."""


@dataclass(frozen=True)
class Image:
    """What stands for a container image."""

    repository: str
    """Repository by its public name, such as `rclone/rclone`."""
    entrypoint: Sequence[str]
    """Command when the manifest gives none."""
    replaced: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Programs of the image, with the command that runs in their place."""
    mounts: Sequence[Mount] = ()
    """Files of this machine the image needs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables the image sets."""

    def command(self, command: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """Return what to run for a manifest's `command` and `args`.

        Raises:
            UnknownImage: If the image would run a program that has no stand-in.
        """
        program, *rest = [*(command or self.entrypoint), *arguments]
        if program in self.replaced:
            return [*self.replaced[program], *rest]
        # The image's own programs are known by name; shells and tools come from this machine, as they are in any image.
        if program.startswith("/") and not Path(program).exists():
            raise UnknownImage(
                f"image {self.repository}: has no stand-in for {program}; it can run "
                f"{', '.join(sorted(self.replaced)) or 'programs of this machine'}"
            )
        return [program, *rest]


def find(reference: str, tool: Callable[[str], str]) -> Image:
    """Return what stands for an image, found by repository whatever registry holds the copy.

    Args:
        reference: Image as the manifest names it, with registry, tag or digest.
        tool: Returns the path of a program of the toolchain.

    Raises:
        UnknownImage: If nothing does.
    """
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    repository = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    for known, build in _TABLE.items():
        if repository == known or repository.endswith(f"/{known}"):
            return build(tool)
    raise UnknownImage(
        f"image {reference}: the local clouds have no stand-in for it; they run {', '.join(sorted(_TABLE))} "
        "(localcloud/nodes/images.py)"
    )


def _tensorflow_serving(_: Callable[[str], str]) -> Image:
    project = project_directory()
    server = [sys.executable, "-m", "localcloud.modelserver"]
    roots = {sys.prefix, sys.base_prefix, str(Path(sys.base_prefix).resolve())}
    directories = [Path(each) for each in sorted(roots) if not each.startswith("/usr")]
    directories += [project / each for each in _PACKAGES if (project / each).is_dir()]
    return Image(
        "tensorflow/serving",
        ["/usr/bin/tf_serving_entrypoint.sh"],
        {"/usr/bin/tensorflow_model_server": server, "tensorflow_model_server": server},
        [Mount(each, str(each)) for each in directories],
        {"PATH": _PATH, "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"},
    )


def _rclone(tool: Callable[[str], str]) -> Image:
    program = Path(tool("rclone")).resolve()
    return Image(
        "rclone/rclone",
        ["rclone"],
        {},
        [Mount(program, f"{_PROGRAMS}/rclone")],
        {"PATH": _PATH, "XDG_CONFIG_HOME": "/config"},
    )


_TABLE: dict[str, Callable[[Callable[[str], str]], Image]] = {
    "tensorflow/serving": _tensorflow_serving,
    "rclone/rclone": _rclone,
}
