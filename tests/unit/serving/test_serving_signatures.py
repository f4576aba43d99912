"""Signatures of manifests, as a stack checks them before it declares anything."""

import base64
import hashlib
import json

import pytest
from bundle_files import write_bundle
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from serving.bundles import BundleError, load_bundle
from serving.signatures import SignatureError, key_id, load_signer

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(folder, signer=KEY, **changes):
    content = {
        "format": 1,
        "key": key_id(signer.public_key()),
        "signature": base64.b64encode(signer.sign((folder / "1.json").read_bytes())).decode(),
    }
    (folder / "1.sig").write_text(json.dumps(content | changes))


@pytest.fixture
def folder(tmp_path):
    write_bundle(tmp_path / "scenes")
    return tmp_path / "scenes"


def refusal(folder, *keys):
    with pytest.raises(BundleError) as caught:
        load_bundle(folder, 1, [key.public_key() for key in keys])
    return str(caught.value)


def test_a_version_signed_by_one_of_the_signers_is_taken(folder):
    sign(folder, OTHER)
    assert load_bundle(folder, 1, [KEY.public_key(), OTHER.public_key()]).manifest.version == 1


def test_a_version_without_a_signature_is_taken_when_no_signers_are_named_and_refused_otherwise(folder):
    assert load_bundle(folder, 1).manifest.version == 1
    text = refusal(folder, KEY)
    assert text.startswith(f"{folder / '1.sig'}: 1.json is not signed")
    assert f"`python -m model_export sign {folder / '1.json'}`" in text


def test_a_signature_by_another_key_is_refused_and_both_keys_are_named(folder):
    sign(folder, OTHER)
    text = refusal(folder, KEY)
    assert "not trusted here" in text
    assert key_id(OTHER.public_key()) in text
    assert key_id(KEY.public_key()) in text


def test_a_signature_that_only_claims_a_trusted_key_is_refused(folder):
    sign(folder, OTHER, key=key_id(KEY.public_key()))
    assert "the signature is not of these bytes of 1.json" in refusal(folder, KEY)


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_one_more_byte_in_the_manifest_is_refused(folder, change):
    sign(folder)
    file = folder / "1.json"
    file.write_bytes(file.read_bytes() + change)
    assert load_bundle(folder, 1).manifest.version == 1
    assert "one of both was altered" in refusal(folder, KEY)


def test_the_signature_of_another_version_does_not_hold(folder):
    sign(folder)
    document = json.loads((folder / "1.json").read_text())
    (folder / "2.json").write_text(json.dumps(document | {"version": 2}))
    (folder / "1.sig").rename(folder / "2.sig")
    with pytest.raises(BundleError, match="one of both was altered"):
        load_bundle(folder, 2, [KEY.public_key()])


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2}, {"signature": "?"}, {"signature": base64.b64encode(b"short").decode()}, {"key": 7}, {"more": 1},
        {"signature": None},
    ],
)  # fmt: skip
def test_a_malformed_signature_file_is_refused(folder, changes):
    sign(folder, **changes)
    assert f"{folder / '1.sig'}: is no signature file of format 1" in refusal(folder, KEY)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 4000, b"{" * 5000])
def test_a_signature_file_that_is_none_is_refused(folder, content):
    (folder / "1.sig").write_bytes(content)
    assert "is no signature file" in refusal(folder, KEY)


def test_a_key_is_read_from_text_and_from_a_file(tmp_path):
    file = tmp_path / "release.pem"
    file.write_text(pem(KEY))
    assert key_id(load_signer(pem(KEY))) == key_id(load_signer(str(file))) == key_id(KEY.public_key())
    assert key_id(KEY.public_key()) == f"sha256:{hashlib.sha256(KEY.public_key().public_bytes_raw()).hexdigest()}"


def test_a_key_that_is_none_names_what_was_given(tmp_path):
    with pytest.raises(SignatureError, match=r"no\.pem cannot be read: No such file or directory"):
        load_signer(str(tmp_path / "no.pem"))
    curve = generate_private_key(SECP256R1())
    with pytest.raises(SignatureError, match=r"the PEM text is no Ed25519 public key"):
        load_signer(pem(curve))
    file = tmp_path / "text.pem"
    file.write_text("text")
    with pytest.raises(SignatureError, match=r"text\.pem is no Ed25519 public key"):
        load_signer(str(file))
