"""What is checked before anything starts on this machine: addresses, the port, the folder."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

import pytest

from local.guard import HOST, StartRefused, choose_port, require_loopback, require_writable

SAFE: Final = {
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9000",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9001",
    "SLIPWAY_SIGNED_URL_BASE": "http://localhost:9000",
    "SLIPWAY_DATABASE": "postgresql://slipway@/slipway?host=/tmp/postgres",
}
HERE: Final = ["127.0.0.1", "127.0.0.1:80", "127.8.9.1:80", "localhost", "LOCALHOST:80", "http://localhost", "[::1]:80"]
ELSEWHERE: Final = [
    "storage.googleapis.com",
    "https://storage.googleapis.com",
    "10.0.0.1:80",
    "0.0.0.0:80",
    "169.254.169.254",
    "metadata.google.internal",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "http://localhost@example.com/",
    "http://example.com/#@localhost",
    "http://example.com//localhost",
    "example.com//localhost",
    "http://example.com?//localhost",
    "2130706433",
    "127.1",
    "[2001:db8::1]:80",
    "http://",
    "::1",
]


@pytest.mark.parametrize("address", HERE)
@pytest.mark.parametrize("name", [*SAFE, "GCE_METADATA_HOST"])
def test_addresses_of_this_machine_are_fine(name: str, address: str) -> None:
    require_loopback({**SAFE, name: address})


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize("name", [*SAFE, "GCE_METADATA_HOST"])
def test_an_address_of_another_machine_is_refused_by_its_settings_name(name: str, address: str) -> None:
    with pytest.raises(StartRefused, match=f"^{name}="):
        require_loopback({**SAFE, name: address})


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://slipway@db.example.com/slipway",
        "postgresql://slipway:secret@10.0.0.5:5432/slipway",
        "postgresql://127.0.0.1,db.example.com/slipway",
        "cloudsql://slipway@/slipway?instance=project:region:name",
    ],
)
def test_a_database_on_another_machine_is_refused(address: str) -> None:
    with pytest.raises(StartRefused, match=r"^SLIPWAY_DATABASE="):
        require_loopback({**SAFE, "SLIPWAY_DATABASE": address})


@pytest.mark.parametrize("name", ["STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "SLIPWAY_SIGNED_URL_BASE"])
def test_without_an_emulators_address_nothing_starts(name: str) -> None:
    for environment in ({key: value for key, value in SAFE.items() if key != name}, {**SAFE, name: ""}):
        with pytest.raises(StartRefused, match=f"^{name} is not set"):
            require_loopback(environment)


def test_a_refusal_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(StartRefused) as refusal:
        require_loopback({**SAFE, "GCE_METADATA_HOST": "metadata.google.internal"})
    assert "\n" not in str(refusal.value)
    assert "unset it" in str(refusal.value)


def test_a_free_port_is_taken_as_asked() -> None:
    port = choose_port(0)
    assert 0 < port < 65_536
    assert choose_port(port) == port


def test_a_chosen_port_can_be_listened_on() -> None:
    with socket.socket() as server:
        server.bind((HOST, choose_port(0)))
        server.listen()


def test_a_port_that_is_taken_is_refused_by_its_number() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(StartRefused, match=rf"^port {port} can't be used \(.+\): choose another with PORT="):
            choose_port(port)


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    require_writable(folder)
    require_writable(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_can_not_be_written_to_is_refused_by_its_name(tmp_path: Path) -> None:
    # Below a file, so that it holds for root as well.
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "data"):
        with pytest.raises(StartRefused, match=r"can't be written to \(.+\): choose another with DATA=") as refusal:
            require_writable(folder)
        assert str(folder) in str(refusal.value)
