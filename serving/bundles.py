"""Reading model bundles: the manifest of a version and the archive it names, checked before anything is created."""

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.signatures import SignatureError, check_signature

FORMAT = 1
_BLOCK = 1 << 20
_Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BundleError(ValueError):
    """A bundle cannot be used; the text names the file, the rule and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TensorSpec(_Part):
    """An input or output: TensorFlow's name of the dtype, and the shape with None where any size goes."""

    dtype: str
    shape: list[int | None] | None


class SignatureSpec(_Part):
    """One signature; `method` is predict or classify."""

    method: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


class FileSpec(_Part):
    """One file of the archive; `size` in bytes."""

    sha256: _Hex
    size: int = Field(ge=0)


class BatchingSpec(_Part):
    """Batch sizes the model was warmed up for."""

    max_batch_size: int = Field(ge=1)
    allowed_batch_sizes: list[int] = Field(min_length=1)


class LabelsSpec(_Part):
    """The label file inside the archive."""

    file: str
    count: int


class SourceSpec(_Part):
    """Where the model comes from."""

    family: str
    weights: str
    url: str


class FrameworkSpec(_Part):
    """Versions that exported the model, and the server it was made for."""

    tensorflow: str
    keras: str
    server: str


class MeasuredSpec(_Part):
    """What verification measured: peak memory of the loading process, seconds to load, milliseconds per request."""

    peak_memory_mib: float = Field(ge=0)
    load_s: float = Field(ge=0)
    latency_ms: float = Field(ge=0)
    latency_ms_by_batch: dict[str, float] = {}
    machine: str


class ProvenanceSpec(_Part):
    """Code revision and data that the bundle was made from; empty where unknown."""

    revision: str = ""
    dirty: bool = False
    data: str = ""
    data_digest: str = ""
    seed: int | None = None


class OptionsSpec(_Part):
    """How the graph was exported."""

    frozen: bool = False
    precision: Literal["float32", "bfloat16"] = "float32"


class BundleManifest(_Part):
    """One version of a model."""

    format: int
    name: str
    version: int = Field(ge=1)
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    archive: str = Field(pattern=r"^[0-9a-f]{64}\.tar$")
    size: int = Field(ge=1)
    unpacked_size: int = Field(ge=1)
    files: dict[str, FileSpec] = Field(min_length=1)
    signatures: dict[str, SignatureSpec] = Field(min_length=1)
    batching: BatchingSpec
    labels: LabelsSpec | None = None
    source: SourceSpec
    framework: FrameworkSpec
    license: str
    metrics: dict[str, float] = {}
    parameters: int = Field(ge=0)
    measured: MeasuredSpec
    task: Literal["classify", "detect", "segment", "label"] | None = None
    provenance: ProvenanceSpec | None = None
    dependencies: dict[str, str] = {}
    options: OptionsSpec | None = None

    @property
    def digest_hex(self) -> str:
        """SHA-256 of the archive, 64 hexadecimal digits."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Bundle:
    """A manifest whose archive is on disk and has the digest the manifest states."""

    manifest: BundleManifest
    archive: Path

    @property
    def key(self) -> str:
        """Key of the archive in every model store."""
        return f"bundles/{self.manifest.name}/{self.manifest.digest_hex}.tar"


def load_bundle(folder: Path, version: int, signers: Sequence[Ed25519PublicKey] = ()) -> Bundle:
    """Read and check one version of a bundle.

    Args:
        folder: The model's bundles, `<version>.json` and archives.
        version: Version number.
        signers: Keys one of which must have signed the manifest; no signature is asked for when there are none.

    Raises:
        BundleError: If the manifest, its signature or the archive is missing, malformed or altered.
    """
    file = folder / f"{version}.json"
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise BundleError(
            f"{file}: there is no such manifest; restore it from git, or export the version with "
            f"{_export_command('efficientnet-lite0', folder.name, version, folder)}"
        ) from None
    except OSError as error:
        raise BundleError(f"{file}: cannot be read: {error.strerror}") from None
    if signers:
        try:
            check_signature(file, content, signers)
        except SignatureError as error:
            raise BundleError(str(error)) from None
    try:
        manifest = _parse(file, content.decode())
    except UnicodeDecodeError:
        raise BundleError(f"{file}: is not JSON (not even text); restore it from git or export it again") from None
    if manifest.version != version:
        raise BundleError(f"{file}: states version {manifest.version}, its name says {version}; export it again")
    if manifest.archive != f"{manifest.digest_hex}.tar":
        raise BundleError(f"{file}: archive {manifest.archive} is not named by the digest; export it again")
    archive = folder / manifest.archive
    _check_archive(archive, manifest, file)
    return Bundle(manifest, archive)


def _parse(file: Path, text: str) -> BundleManifest:
    try:
        raw = json.loads(text)
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            raise BundleError(
                f"{file}: format must be {FORMAT} (got {raw.get('format')!r}); export it with this version of Tricorn"
            )
        return BundleManifest.model_validate(raw)
    except json.JSONDecodeError as error:
        raise BundleError(
            f"{file}: is not JSON (line {error.lineno}); restore it from git or export it again"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise BundleError(
            f"{file}: {path}: {first['msg']} (got {first['input']!r:.80}); restore it from git or export it again"
        ) from None


def _check_archive(archive: Path, manifest: BundleManifest, file: Path) -> None:
    command = _export_command(manifest.source.family, manifest.name, manifest.version, archive.parent)
    try:
        found = archive.stat()
        if found.st_size == manifest.size and _sha256(archive, found.st_size, found.st_mtime_ns) == manifest.digest_hex:
            return
    except FileNotFoundError:
        raise BundleError(
            f"{archive}: the archive of {file} is missing; copy it there or make it again with {command}"
        ) from None
    except OSError as error:
        raise BundleError(f"{archive}: cannot be read: {error.strerror}") from None
    raise BundleError(
        f"{archive}: does not have the SHA-256 that {file} states, so it was altered or is incomplete; "
        f"delete it and copy it again, or make it again with {command}"
    )


def _export_command(family: str, name: str, version: int, folder: Path) -> str:
    return f"`python -m model_export export {family} --name {name} --version {version} --out {folder}`"


@functools.cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Digest of a file; size and time in nanoseconds make a changed file another question."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
