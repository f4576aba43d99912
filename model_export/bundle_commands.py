"""The commands about finished bundles: `bundles`, `keygen`, `sign`, `publish`, `pull`, `diff`, `prune`, `card`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from model_export.bundles import keys
from model_export.bundles.card import card as write_card
from model_export.bundles.diff import as_json, as_text
from model_export.bundles.diff import diff as compare
from model_export.bundles.folder import versions
from model_export.bundles.prune import prune as prune_folder
from model_export.bundles.publish import publish as publish_folder
from model_export.bundles.pull import pull as pull_version
from model_export.bundles.remotes import remote_of
from model_export.bundles.sign import sign as sign_version
from model_export.bundles.signatures import read_public_key
from model_export.errors import ExportError

_Manifest = Annotated[Path, typer.Argument(metavar="MANIFEST", help="manifest of a version, FOLDER/<version>.json")]
_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="folder of a bundle: manifests and archives")]
_Remote = Annotated[
    str, typer.Argument(metavar="REMOTE", help="a folder, or an rclone remote such as s3:bucket/scenes")
]


def bundles(folder: _Folder) -> None:
    """List the versions of a bundle, the newest first."""
    found = versions(folder)
    if not found:
        raise ExportError(f"FOLDER: {folder} holds no versions; export or pull one")
    for each in found:
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in each.manifest.metrics.items())
        signer = f"signed by {each.signer[:19]}" if each.signer else "not signed"
        there = "" if each.archive.is_file() else ", archive missing"
        print(
            f"{each.manifest.version:>4}  {each.manifest.name}  {each.manifest.source.family}  "
            f"{each.manifest.size / (1 << 20):.1f} MiB  {signer}{there}  {metrics}".rstrip()
        )


def keygen(out: Annotated[Path, typer.Option(help="file of the private key, which must not exist")]) -> None:
    """Make a signing key (Ed25519) and print its public key, which goes into a stack's `signers`."""
    print(keys.keygen(out), end="")


def sign(
    manifest: _Manifest,
    key: Annotated[Path | None, typer.Option(help="private key, PEM (PKCS #8), readable by its owner only")] = None,
    signer: Annotated[
        str | None,
        typer.Option(help="program that signs, such as one that asks a KMS: bytes on stdin, 64 raw bytes on stdout"),
    ] = None,
    public_key: Annotated[Path | None, typer.Option(help="PEM of the public key that --signer signs with")] = None,
) -> None:
    """Sign a version: writes <version>.sig beside its manifest."""
    if (key is None) == (signer is None):
        raise ExportError("--key: give exactly one of --key and --signer")
    if (signer is None) != (public_key is None):
        raise ExportError("--public-key: goes with --signer and with nothing else; give both or neither")
    if key is not None:
        made, public = keys.key_of_file(key)
    elif signer is not None and public_key is not None:
        made, public = keys.signer_of_command(signer), read_public_key(public_key, "--public-key")
    print(sign_version(manifest, made, public))


def publish(
    folder: _Folder,
    remote: _Remote,
    version: Annotated[list[int] | None, typer.Option(help="version to publish, may be repeated; default: all")] = None,
) -> None:
    """Publish versions, archives first and manifests last; run again after an interruption it goes on."""
    for line in publish_folder(folder, remote_of(remote), version or [], _say):
        print(line)


def pull(
    remote: _Remote,
    folder: _Folder,
    version: Annotated[int | None, typer.Option(min=1, help="version number; default: the newest")] = None,
    signed_by: Annotated[Path | None, typer.Option(help="PEM of a public key that must have signed it")] = None,
) -> None:
    """Pull a published version and check its archive's SHA-256."""
    signer = None if signed_by is None else read_public_key(signed_by, "--signed-by")
    print(pull_version(remote_of(remote), folder, version, signer, _say))


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="a manifest")],
    second: Annotated[Path, typer.Argument(metavar="B", help="the manifest to compare with it")],
    as_data: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show what differs between two versions: metrics, signatures, sizes, batching, measurements, files."""
    found = compare(first, second)
    print(json.dumps(as_json(found), indent=2) if as_data else as_text(found))


def prune(
    folder: _Folder,
    keep: Annotated[int, typer.Option(min=1, help="how many of the newest versions stay")],
    keep_version: Annotated[list[int] | None, typer.Option(help="a version that stays, may be repeated")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be removed")] = False,
) -> None:
    """Remove old versions and archives that no manifest names."""
    freed = prune_folder(folder, keep, frozenset(keep_version or ()), dry_run, print)
    print(f"{folder}: {freed / (1 << 20):.1f} MiB {'would be freed' if dry_run else 'freed'}")


def card(
    manifest: _Manifest,
    out: Annotated[Path, typer.Option(help="folder of the page, made if missing")],
    run: Annotated[Path | None, typer.Option(help="the training run that was exported")] = None,
) -> None:
    """Write a version's model card: metrics, intended use, limits, signatures, measurements, pictures."""
    print(write_card(manifest, run, out))


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


COMMANDS: tuple[Callable[..., None], ...] = (bundles, keygen, sign, publish, pull, diff, prune, card)
