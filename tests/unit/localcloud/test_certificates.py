import ssl
import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from localcloud.certificates import authority_file, ensure_certificate_authority, issue
from localcloud.paths import RunPaths


@pytest.fixture
def paths(tmp_path):
    found = RunPaths(tmp_path)
    ensure_certificate_authority(found)
    return found


def test_the_authority_is_made_once_and_its_key_is_private(paths):
    before = authority_file(paths).read_bytes()
    ensure_certificate_authority(paths)
    assert authority_file(paths).read_bytes() == before
    key = paths.certificate_authority / "ca.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_server_certificate_names_addresses_and_names_and_is_no_authority(paths):
    text, key = issue(paths, "server", addresses=("127.0.1.7",), names=("kubernetes",), server=True)
    assert "PRIVATE KEY" in key
    found = x509.load_pem_x509_certificate(text.encode())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.1.7"]
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes"]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority_file(paths).read_bytes()))


def handshake(paths, tmp_path, *, server: bool, host: str) -> str:
    """Shake hands in memory with a strict client; return the certificate's subject as the client sees it."""
    text, key = issue(paths, "it", organizations=("group",), addresses=("127.0.1.7",), server=server)
    (tmp_path / "it.pem").write_text(text + key)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(tmp_path / "it.pem")
    ours = ssl.create_default_context(cafile=str(authority_file(paths)))
    ours.verify_flags |= ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up, server_hostname=host)
    peer = theirs.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (client, peer):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return str(client.getpeercert()["subject"])


def test_strict_clients_accept_the_server(paths, tmp_path):
    assert "group" in handshake(paths, tmp_path, server=True, host="127.0.1.7")


@pytest.mark.parametrize(("server", "host"), [(True, "127.0.1.8"), (False, "127.0.1.7")])
def test_another_address_or_a_client_certificate_is_no_proof_of_the_server(paths, tmp_path, server, host):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(paths, tmp_path, server=server, host=host)


def test_a_client_certificate_has_the_purpose_of_a_client(paths):
    found = x509.load_pem_x509_certificate(issue(paths, "c", server=False)[0].encode())
    usage = found.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    assert [each._name for each in usage] == ["clientAuth"]
