"""Pinning the images of a stack file: the digest that each tag names now is written behind it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from serving.images import ImageReference, parse_image
from serving.settings_sections import Images

IMAGES = ("server", "puller")
"""Settings that hold an image."""
_SETTINGS = "tricorn:settings"


class PinError(Exception):
    """A stack file cannot be pinned; the text says which, why, and what to do."""


def pin(file: Path, digest_of: Callable[[ImageReference], str]) -> dict[str, str]:
    """Write the digest of every image into a stack file; comments and everything else stay as they are.

    Args:
        file: `Pulumi.<stack>.yaml`.
        digest_of: Gives the digest of a tag.

    Returns:
        The images as they are written now, by setting; empty when all had a digest already.

    Raises:
        PinError: If the file cannot be read, or has no settings.
    """
    try:
        text = file.read_text(encoding="utf-8")
        document = yaml.compose(text)
    except OSError as error:
        raise PinError(f"{file}: cannot be read: {error.strerror}; name a stack that has a file here") from None
    except yaml.YAMLError as error:
        raise PinError(f"{file}: is not YAML: {' '.join(str(error).split())}") from None
    settings = _member(_member(document, "config"), _SETTINGS)
    if not isinstance(settings, yaml.MappingNode) or not settings.value:
        raise PinError(f"{file}: has no {_SETTINGS}; copy the block from Pulumi.dev.yaml")
    section = _member(settings, "images")
    pinned: dict[str, str] = {}
    edits: list[tuple[int, int, str]] = []
    missing: dict[str, str] = {}
    for name in IMAGES:
        node = _member(section, name)
        reference = _parsed(file, name, str(node.value) if isinstance(node, yaml.ScalarNode) else _default(name))
        if reference.has_placeholder and reference.tag:
            reference = replace(reference, digest=None)
        if reference.digest is not None:
            continue
        pinned[name] = str(replace(reference, digest=digest_of(reference)))
        if node is None:
            missing[name] = pinned[name]
        else:
            edits.append((node.start_mark.index, node.end_mark.index, pinned[name]))
    if missing:
        edits.append(_insertion(settings, section, missing))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    if pinned:
        part = file.with_name(f".{file.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    return pinned


def _default(name: str) -> str:
    return str(Images.model_fields[name].default)


def _parsed(file: Path, name: str, text: str) -> ImageReference:
    try:
        return parse_image(text)
    except ValueError as error:
        raise PinError(f"{file}: images.{name}: {error} (got {text!r})") from None


def _member(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return value  # type: ignore[no-any-return]  # a mapping's members are nodes
    return None


def _insertion(
    settings: yaml.MappingNode, section: yaml.Node | None, members: Mapping[str, str]
) -> tuple[int, int, str]:
    """Return where the images that the file does not name go: position twice, and the text."""
    if isinstance(section, yaml.MappingNode) and section.value:
        first = section.value[0][0].start_mark
        between = ", " if section.flow_style else "\n" + " " * first.column
        return first.index, first.index, "".join(f"{name}: {image}{between}" for name, image in members.items())
    first = settings.value[0][0].start_mark
    indent = " " * first.column
    lines = "".join(f"{indent}  {name}: {image}\n" for name, image in members.items())
    return first.index, first.index, f"images:\n{lines}{indent}"
