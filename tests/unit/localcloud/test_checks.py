import socket

import pytest

from localcloud.checks import check_disk, check_ports, check_programs, wanted_sockets
from localcloud.errors import LocalCloudError
from localcloud.paths import RunPaths


def test_a_port_in_use_is_named_with_its_user(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.250.250", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wanted = [("127.0.250.250", port, socket.SOCK_STREAM), ("127.0.250.251", port, socket.SOCK_STREAM)]
        monkeypatch.setattr("localcloud.checks.wanted_sockets", lambda: wanted)
        with pytest.raises(LocalCloudError, match=rf"127.0.250.250:{port}/tcp: in use by process \d+") as error:
            check_ports()
        assert "127.0.250.251" not in str(error.value)


def test_only_loopback_is_asked_for():
    assert all(address.startswith("127.") for address, _, _ in wanted_sockets())


def test_too_little_disk_is_refused_with_what_to_do(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("localcloud.checks.shutil.disk_usage", lambda path: usage)
    with pytest.raises(LocalCloudError, match="TRICORN_LOCAL"):
        check_disk(RunPaths(tmp_path / "run"))


def test_a_missing_program_is_named_with_its_package(monkeypatch, tmp_path):
    check_programs()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalCloudError, match=r"setpriv.*util-linux"):
        check_programs()
