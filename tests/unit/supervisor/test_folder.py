"""A data folder: who serves it, and how the other commands find it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from crossdock.config import (
    DatabaseSettings,
    GatewaySettings,
    KeySettings,
    MailSettings,
    Settings,
)
from crossdock.embedded.identity import Identity
from crossdock.embedded.ports import free_port, is_free
from crossdock.errors import ConfigurationError
from crossdock.supervisor.folder import DataFolder, State, names_servers
from crossdock.supervisor.lock import FolderLock
from crossdock.supervisor.stack import Stack, _without_secrets


def test_a_held_lock_is_refused_with_the_holders_number(tmp_path: Path) -> None:
    held = FolderLock(tmp_path / "up.lock").acquire()
    other = FolderLock(tmp_path / "up.lock")
    with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
        other.acquire()
    assert other.holder() == os.getpid()
    held.release()
    assert other.holder() is None
    assert other.acquire().is_held
    other.release()


def test_a_lock_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path;"
        "from crossdock.supervisor.lock import FolderLock;"
        f"lock = FolderLock(Path({str(tmp_path / 'up.lock')!r})).acquire();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (tmp_path / "up.lock").read_text().strip()  # what it wrote is still there
    lock = FolderLock(tmp_path / "up.lock")
    assert lock.holder() is None
    lock.acquire().release()


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="can't be made"):
        DataFolder(tmp_path / "file" / "data").prepare()


def test_without_a_stack_there_are_no_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="crossdock up"):
        DataFolder(tmp_path).settings()


def test_ports_stay_the_same_from_run_to_run(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    first = folder.choose_ports(Settings(), None)
    ports = {first.gateway.port, first.gateway.metrics_port, first.worker.metrics_port}
    assert len(ports) == 3
    assert all(is_free(port) for port in ports)
    assert first.gateway.public_url == f"http://127.0.0.1:{first.gateway.port}"
    folder.save(State(settings=first))
    assert folder.choose_ports(Settings(), None) == first
    other = free_port()
    assert folder.choose_ports(Settings(), other).gateway.port == other


def test_ports_and_url_that_settings_name_are_kept(tmp_path: Path) -> None:
    told = Settings(
        gateway=GatewaySettings(port=8181, metrics_port=9191, public_url="https://hooks.example")
    )
    assert DataFolder(tmp_path).choose_ports(told, None).gateway == told.gateway


def test_what_is_written_down_is_private_and_survives(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    state = State(programs={"gateway": Identity(1, "then")})
    folder.save(state)
    assert folder.state() == state
    assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
    (tmp_path / "up.json").write_text("{half")
    assert folder.state() == State()


def test_letters_go_into_the_folder_unless_told_otherwise(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    # Written down and read again, as for `crossdock mail` beside a running stack.
    folder.save(State(settings=Settings(mail=folder.way_out(MailSettings()))))
    assert folder.state().settings.mail.folder == tmp_path / "data" / "mail"
    for told in (MailSettings(folder=tmp_path / "x"), MailSettings(smtp_host="mail.example.com")):
        assert folder.way_out(told) == told


def test_no_secret_is_written_down() -> None:
    mail = MailSettings(smtp_host="mail.example.com", smtp_user="u", smtp_password="mail-word")
    keys = KeySettings(sources="key-word", identity="key-word", mail="key-word")
    database = DatabaseSettings(app_password="app-word", control_password="control-word")
    told = _without_secrets(Settings(mail=mail, keys=keys, database=database))
    assert told.mail.smtp_user == "u"
    assert "word" not in msgspec.json.encode(told).decode().replace("password", "")


def test_settings_that_name_other_servers_are_refused(tmp_path: Path) -> None:
    foreign = Settings(nats=Settings().nats.__class__(url="nats://elsewhere:4222"))
    with pytest.raises(ConfigurationError, match="nats"):
        Stack(DataFolder(tmp_path), foreign, sink=lambda *_: None)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("CROSSDOCK_DATABASE__URL", True),
        ("CROSSDOCK_CONFIG", True),
        ("CROSSDOCK_LOG__LEVEL", False),
        ("CROSSDOCK_SOURCE_SECRET", False),
    ],
)
def test_only_settings_that_name_servers_point_away_from_the_folder(
    name: str, *, points: bool
) -> None:
    assert names_servers({name: "x"}) is points
