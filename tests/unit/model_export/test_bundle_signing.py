"""Keys, signers and signature files."""

import json
import os
import stat
import sys

import pytest
from bundle_folders import make
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from model_export.bundles.keys import key_of_file, keygen, signer_of_command
from model_export.bundles.sign import sign
from model_export.bundles.signatures import check_signature, key_id, read_public_key
from model_export.errors import ExportError
from serving.bundles import load_bundle
from serving.signatures import load_signer

PROGRAM = """
import sys
from cryptography.hazmat.primitives.serialization import load_pem_private_key
key = load_pem_private_key(open({key!r}, "rb").read(), None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read()){more})
"""


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "scenes", 1, 2)


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key.pem").write_text(keygen(tmp_path / "key"))
    return tmp_path / "key"


def program(tmp_path, key, more=""):
    file = tmp_path / "a signer.py"
    file.write_text(PROGRAM.format(key=str(key), more=more))
    return f"{sys.executable} '{file}'"


def test_a_key_is_readable_by_its_owner_only_and_never_overwritten(key):
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(ExportError, match=r"--out: .*key exists; keys are never overwritten"):
        keygen(key)
    assert key.read_bytes() == before


def test_what_is_signed_here_is_what_a_stack_takes(folder, key):
    said = sign(folder / "1.json", *key_of_file(key))
    signer = load_signer(str(key.with_suffix(".pem")))
    assert said.endswith(f"scenes version 1 signed with the key {key_id(signer)}")
    assert load_bundle(folder, 1, [signer]).manifest.name == "scenes"
    content = json.loads((folder / "1.sig").read_text())
    assert content.keys() == {"format", "key", "signature"}
    assert check_signature(folder / "1.json", (folder / "1.json").read_bytes(), signer) == content["key"]


def test_a_program_signs_what_a_key_file_would(tmp_path, folder, key):
    public = read_public_key(key.with_suffix(".pem"), "--public-key")
    sign(folder / "1.json", signer_of_command(program(tmp_path, key)), public)
    by_program = (folder / "1.sig").read_bytes()
    sign(folder / "1.json", *key_of_file(key))
    assert (folder / "1.sig").read_bytes() == by_program


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "--signer: is empty"),
        ("'", "is no command: No closing quotation"),
        ("/nowhere/sign", "/nowhere/sign cannot be run: No such file"),
        ("sh -c 'echo no access to the key >&2; exit 3'", "sh ended with code 3: no access to the key"),
        ("false", "false ended with code 1: it gave no reason"),
        ("echo hello", "echo wrote 6 bytes; it must write the 64 raw bytes"),
    ],
)
def test_a_signer_that_does_not_sign_is_named_with_the_reason(folder, key, command, message):
    with pytest.raises(ExportError, match=message):
        sign(folder / "1.json", signer_of_command(command), read_public_key(key.with_suffix(".pem"), "--public-key"))
    assert not (folder / "1.sig").exists()


def test_a_signature_that_does_not_hold_is_never_written(tmp_path, folder, key):
    (tmp_path / "other.pem").write_text(keygen(tmp_path / "other"))
    other = read_public_key(tmp_path / "other.pem", "--public-key")
    with pytest.raises(ExportError, match="the signature is not by the key sha256:"):
        sign(folder / "1.json", signer_of_command(program(tmp_path, key)), other)
    with pytest.raises(ExportError, match="wrote 65 bytes"):
        sign(folder / "1.json", signer_of_command(program(tmp_path, key, " + b'!'")), other)
    assert not (folder / "1.sig").exists()


def test_a_version_whose_archive_was_altered_is_not_signed(folder, key):
    for archive in folder.glob("*.tar"):
        archive.write_bytes(archive.read_bytes()[:-1] + b"!")
    with pytest.raises(ExportError, match="its SHA-256 is"):
        sign(folder / "1.json", *key_of_file(key))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused_with_the_command_that_mends_it(key, mode):
    key.chmod(mode)
    with pytest.raises(ExportError, match=f"may be read by others .mode {mode:04o}.; run `chmod 600"):
        key_of_file(key)


def test_keys_that_cannot_sign_say_why(tmp_path, key):
    def private(text):
        file = tmp_path / "private"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
            stream.write(text)
        return file

    with pytest.raises(ExportError, match="cannot be read: No such file"):
        key_of_file(tmp_path / "none")
    with pytest.raises(ExportError, match="no Ed25519 private key"):
        key_of_file(private(b"text"))
    curve = generate_private_key(SECP256R1())
    with pytest.raises(ExportError, match="no Ed25519 private key"):
        key_of_file(private(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())))
    locked = load_pem_private_key(key.read_bytes(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    with pytest.raises(ExportError, match="has a passphrase; use --signer"):
        key_of_file(private(locked))


def test_a_changed_manifest_and_another_signer_are_told_apart(tmp_path, folder, key):
    sign(folder / "1.json", *key_of_file(key))
    public = read_public_key(key.with_suffix(".pem"), "--signed-by")
    content = (folder / "1.json").read_bytes()
    with pytest.raises(ExportError, match=r"not of these bytes of 1\.json"):
        check_signature(folder / "1.json", content + b" ", public)
    (tmp_path / "other.pem").write_text(keygen(tmp_path / "other"))
    with pytest.raises(ExportError, match=r"signed with the key .*, not with sha256:"):
        check_signature(folder / "1.json", content, read_public_key(tmp_path / "other.pem", "--signed-by"))
    with pytest.raises(ExportError, match=r"2\.sig: there is no such signature"):
        check_signature(folder / "2.json", content, public)
    (folder / "1.sig").write_text("{}")
    with pytest.raises(ExportError, match="no signature file of format 1"):
        check_signature(folder / "1.json", content, public)
    with pytest.raises(ExportError, match=r"--signed-by: .*key is no Ed25519 public key"):
        read_public_key(key, "--signed-by")
