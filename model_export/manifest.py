"""The manifest of a bundle version: a small JSON file that says all about the archive beside it (format 1)."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from model_export.errors import ExportError

FORMAT = 1
NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"
NAME_RULE = "1 to 40 lower-case letters, digits and inner hyphens"
_HEX = r"[0-9a-f]{64}"


class _Block(BaseModel):
    """Strict: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _plain_path(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path != "/".join(parts) or ".." in parts or path.startswith("/") or "\\" in path:
        raise ValueError("must be a plain relative path without '..'")
    return path


RelativePath = Annotated[str, Field(min_length=1), AfterValidator(_plain_path)]
Precision = Literal["float32", "bfloat16"]
Sha256 = Annotated[str, Field(pattern=f"^{_HEX}$")]


class FileEntry(_Block):
    """One file of the archive."""

    sha256: Sha256
    size: int = Field(ge=0)
    """Bytes."""


class Tensor(_Block):
    """An input or output of a signature."""

    dtype: Literal["float32", "int32", "int64", "uint8", "string"]
    shape: list[int | None]
    """None = any size."""


class Signature(_Block):
    """One signature of the model."""

    method: Literal["predict", "classify"]
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Batching(_Block):
    """How the server may batch requests."""

    max_batch_size: int = Field(ge=1)
    allowed_batch_sizes: list[int]
    """Ascending; the last is `max_batch_size`."""


class Labels(_Block):
    """The class names."""

    file: RelativePath
    count: int = Field(ge=1)


class Source(_Block):
    """Where the weights come from."""

    family: str
    weights: str
    url: str


class Framework(_Block):
    """Versions the bundle was made with, and the server version it is meant for."""

    tensorflow: str
    keras: str
    server: str


class Provenance(_Block):
    """What code and data the bundle was made from."""

    revision: str = ""
    """Git commit of the working tree; empty outside one."""
    dirty: bool = False
    """Whether the tree had changes that were not committed."""
    data: str = ""
    """Name of the training data; empty for published weights."""
    data_digest: str = ""
    seed: int | None = None


class Options(_Block):
    """How the graph was exported."""

    frozen: bool = False
    """Whether the weights are constants of the graph."""
    precision: Precision = "float32"
    """What products and convolutions are computed in; variables, inputs and outputs are float32."""


class Measured(_Block):
    """Measured by the verification at export, on the CPU."""

    peak_memory_mib: float
    """Peak resident memory of the loading process, MiB, after the warm-up."""
    load_s: float
    """Seconds to load through the C++ loader, without warm-up."""
    latency_ms: float
    """Median of one request with one image or text, milliseconds."""
    latency_ms_by_batch: dict[str, float] = {}
    """The same of every allowed batch size, by size, ascending; absent in bundles made before it was measured."""
    machine: str
    """Processor and number of cores."""


class Manifest(_Block):
    """A bundle version."""

    format: Literal[1]
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    digest: str = Field(pattern=f"^sha256:{_HEX}$")
    archive: str = Field(pattern=rf"^{_HEX}\.tar$")
    size: int = Field(ge=1)
    unpacked_size: int = Field(ge=1)
    files: dict[RelativePath, FileEntry]
    signatures: dict[str, Signature]
    batching: Batching
    labels: Labels
    source: Source
    framework: Framework
    license: str
    metrics: dict[str, float] = {}
    """Results of the evaluation, on data that was not trained on; empty when there was none."""
    parameters: int = Field(ge=1)
    measured: Measured
    task: Literal["classify", "detect", "segment", "label"] | None = None
    provenance: Provenance | None = None
    dependencies: dict[str, str] = {}
    """Versions of the packages that made the bundle, by name."""
    options: Options | None = None
    """Absent in bundles made before golden answers were packed."""

    @property
    def digest_hex(self) -> str:
        """The archive's SHA-256 in hexadecimal."""
        return self.digest.removeprefix("sha256:")

    def to_json(self) -> str:
        """Return the manifest file's text, indented, keys in declared order."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"the keys {', '.join(twice)} occur twice")
    return dict(pairs)


def read_manifest(file: Path) -> Manifest:
    """Read and check a manifest file `<folder>/<version>.json`.

    Raises:
        ExportError: If it is missing, no JSON, or breaks a rule; the text names the file and every wrong field.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except FileNotFoundError:
        raise ExportError(f"{file}: there is no such manifest; give the path of a bundle's <version>.json") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"{file}: not a manifest: {error}") from None
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise ExportError(f"{file}: not a valid manifest: {fields}; export the model again") from None
    if file.name != f"{manifest.version}.json":
        raise ExportError(f"{file}: version: is {manifest.version}, so the file must be named {manifest.version}.json")
    if manifest.archive != f"{manifest.digest_hex}.tar":
        raise ExportError(f"{file}: archive: must be <digest>.tar, got {manifest.archive}")
    sizes = manifest.batching.allowed_batch_sizes
    if sizes != sorted({*sizes, manifest.batching.max_batch_size}) or sizes[-1] != manifest.batching.max_batch_size:
        raise ExportError(
            f"{file}: batching.allowed_batch_sizes: must ascend to max_batch_size "
            f"{manifest.batching.max_batch_size}, got {sizes}"
        )
    if manifest.labels.file not in manifest.files:
        raise ExportError(f"{file}: labels.file: {manifest.labels.file} is not among the files")
    if manifest.unpacked_size > manifest.size:
        raise ExportError(
            f"{file}: unpacked_size: {manifest.unpacked_size} bytes cannot come from an uncompressed archive of "
            f"{manifest.size}; export the model again"
        )
    total = sum(entry.size for entry in manifest.files.values())
    if manifest.unpacked_size != total:
        raise ExportError(f"{file}: unpacked_size: is {manifest.unpacked_size}, but the files sum up to {total} bytes")
    return manifest
