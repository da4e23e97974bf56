"""The embedded servers, for real: started, killed, paused, restarted."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from threading import Timer

import asyncpg
import psutil
import pytest

from crossdock.embedded import Account, EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.deadline import Deadline
from crossdock.embedded.ports import free_port
from crossdock.errors import ConfigurationError, ProcessFailed

UNSAFE = {"fsync": "off"}


@pytest.fixture
def nats(private_folder: Path) -> EmbeddedNats:
    return EmbeddedNats(private_folder)


@pytest.fixture
def postgres(private_folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(private_folder, tuning=UNSAFE)


def test_both_start_from_nothing_in_a_moment(
    nats: EmbeddedNats, postgres: EmbeddedPostgres
) -> None:
    deadline = Deadline(6.0)  # half a second on an idle machine; others may be busy on this one
    with nats, postgres:
        assert deadline.left > 0
        assert postgres.execute("SELECT 1") == "1"


def test_a_restart_and_a_kill_keep_port_and_data(postgres: EmbeddedPostgres) -> None:
    with postgres:
        port = postgres.port
        postgres.execute("CREATE TABLE kept AS SELECT 7 AS n")
        postgres.restart()
        assert (postgres.port, postgres.execute("SELECT n FROM kept")) == (port, "7")
        postgres.kill()
        assert not postgres.is_running()
        postgres.start()
        assert (postgres.port, postgres.execute("SELECT n FROM kept")) == (port, "7")


def test_a_crash_nobody_asked_for_does_not_stop_the_next_start(postgres: EmbeddedPostgres) -> None:
    with postgres:
        assert postgres.pid is not None
        server = psutil.Process(postgres.pid)
        lingering = server.children()[0]
        lingering.suspend()  # and with it the shared memory that no second server may take over
        server.kill()
        postgres.wait()
        resuming = Timer(0.5, lingering.resume)
        resuming.start()
        assert postgres.start().execute("SELECT 1") == "1"
        resuming.join()


def test_a_paused_server_takes_connections_and_answers_nothing(nats: EmbeddedNats) -> None:
    with nats:
        nats.pause()
        with socket.create_connection(("127.0.0.1", nats.port), timeout=0.3) as connection:
            with pytest.raises(TimeoutError):
                connection.recv(1)
            nats.resume()
            connection.settimeout(5.0)
            assert connection.recv(5) == b"INFO "


async def test_a_paused_database_keeps_its_connections_waiting(postgres: EmbeddedPostgres) -> None:
    with postgres:
        connection = await asyncpg.connect(postgres.admin_url("postgres"))
        postgres.pause()
        question = asyncio.ensure_future(connection.fetchval("SELECT 7"))
        done, _ = await asyncio.wait({question}, timeout=0.3)
        assert not done
        postgres.resume()
        assert await question == 7
        await connection.close()


def test_a_pause_has_begun_when_it_returns(postgres: EmbeddedPostgres) -> None:
    with postgres:
        server = psutil.Process(postgres.pid)
        for _ in range(20):
            postgres.pause()
            states = {one.status() for one in (server, *server.children(recursive=True))}
            assert states == {psutil.STATUS_STOPPED}
            postgres.resume()


def test_a_paused_server_can_be_stopped(nats: EmbeddedNats, postgres: EmbeddedPostgres) -> None:
    for server in (nats, postgres):
        with server:
            server.pause()
            deadline = Deadline(5.0)
            server.stop()
            assert deadline.left > 0


@pytest.mark.parametrize("server_name", ["nats", "postgres"])
def test_a_port_asked_for_and_taken_is_named(private_folder: Path, server_name: str) -> None:
    kind = EmbeddedNats if server_name == "nats" else EmbeddedPostgres
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            kind(private_folder, port=port).start()


def test_a_remembered_port_that_was_taken_since_is_changed(nats: EmbeddedNats) -> None:
    with nats:
        port = nats.port
    later = EmbeddedNats(nats.data)
    with socket.create_server(("127.0.0.1", port)), later:
        assert later.port != port


def test_a_port_that_clients_know_is_not_changed(nats: EmbeddedNats) -> None:
    with nats:
        port = nats.port
        nats.kill()
        with socket.create_server(("127.0.0.1", port)), pytest.raises(ProcessFailed, match="use"):
            nats.start()
        assert nats.start().port == port


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_programs_that_nobody_can_reach_are_copied(
    private_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private_folder.chmod(0o755)
    monkeypatch.setattr("crossdock.embedded.binaries.CACHES", (private_folder,))
    monkeypatch.setattr(Account, "can_enter", lambda *_: False)
    data = private_folder / "data"
    with EmbeddedNats(data) as nats, EmbeddedPostgres(data, tuning=UNSAFE) as postgres:
        for server in (nats, postgres):
            program = Path(psutil.Process(server.pid).exe())
            assert private_folder / "crossdock" in program.parents
            assert program.stat().st_uid == 0
        assert postgres.execute("SELECT 1") == "1"


def test_losing_the_race_for_a_port_is_not_an_error(
    nats: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offers = [taken.getsockname()[1], free_port()]
        monkeypatch.setattr("crossdock.embedded.ports.free_port", lambda: offers.pop(0))
        with nats:
            assert nats.port != taken.getsockname()[1]


def test_a_server_that_fails_shows_the_end_of_its_log(private_folder: Path) -> None:
    broken = EmbeddedPostgres(private_folder, tuning=UNSAFE | {"shared_buffers": "much"})
    with pytest.raises(ProcessFailed, match="shared_buffers"):
        broken.start()
    assert not broken.is_running()


def test_passwords_are_asked_for(nats: EmbeddedNats, postgres: EmbeddedPostgres) -> None:
    with nats, postgres:
        with socket.create_connection(("127.0.0.1", nats.port), timeout=5) as connection:
            connection.sendall(b"CONNECT {}\r\nPING\r\n")
            said = b""
            while b"Authorization" not in said and (part := connection.recv(4096)):
                said += part
            assert b"Authorization Violation" in said
        methods = postgres.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        assert methods == "scram-sha-256"
        assert postgres.execute("SHOW listen_addresses") == "127.0.0.1"
        assert postgres.execute("SHOW unix_socket_directories") == ""


def test_nothing_that_was_made_can_be_read_by_others(
    nats: EmbeddedNats, postgres: EmbeddedPostgres
) -> None:
    with nats, postgres:
        open_to_others = [
            path
            for path in nats.data.rglob("*")
            if not path.is_symlink() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        ]
        # What JetStream makes for itself lies in a folder that only it can enter.
        assert [path for path in open_to_others if nats.folder not in path.parents] == []
        assert stat.S_IMODE(nats.folder.stat().st_mode) == 0o700


def test_a_secret_that_others_can_read_is_refused(nats: EmbeddedNats) -> None:
    with nats:
        pass
    (nats.secrets.folder / "nats").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        nats.start()


def test_an_interrupted_first_start_is_begun_again(postgres: EmbeddedPostgres) -> None:
    half = postgres.data / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with postgres:
        assert postgres.execute("SELECT 1") == "1"
    assert not half.exists()


def test_data_of_another_major_version_is_left_alone(postgres: EmbeddedPostgres) -> None:
    with postgres:
        pass
    (postgres.folder / "PG_VERSION").write_text("14\n")
    with pytest.raises(ConfigurationError, match="PostgreSQL 14"):
        postgres.start()


@pytest.mark.parametrize("has_death_signal", ["True", "False"])
def test_servers_die_with_a_killed_parent(private_folder: Path, has_death_signal: str) -> None:
    program = dedent(f"""
        import signal
        from pathlib import Path
        from crossdock.embedded import EmbeddedNats, EmbeddedPostgres, spawn
        spawn.HAS_DEATH_SIGNAL = {has_death_signal}
        data = Path({str(private_folder)!r})
        with EmbeddedNats(data) as nats, EmbeddedPostgres(data, tuning={UNSAFE}) as postgres:
            print(nats.pid, postgres.pid, flush=True)
            signal.pause()
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(servers) == 2
        family = [*servers, *(each for one in servers for each in one.children(recursive=True))]
        assert len(family) > 5
        parent.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        # Where nobody reaps for them, ended processes stay behind as zombies.
        assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_a_server_left_over_by_a_killed_parent_is_ended(
    private_folder: Path, nats: EmbeddedNats
) -> None:
    # A signal that does nothing stands for a system where the server was not told.
    program = dedent(f"""
        import os, signal
        from pathlib import Path
        from crossdock.embedded import EmbeddedNats
        nats = EmbeddedNats(Path({str(private_folder)!r}))
        nats.death_signal = signal.SIGCONT
        print(nats.start().pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    left_over = psutil.Process(int(done.stdout))
    assert left_over.status() != psutil.STATUS_ZOMBIE
    with nats:
        assert nats.pid != left_over.pid
        assert not left_over.is_running() or left_over.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_servers_run_as_nobody_and_no_mode_changes(private_folder: Path) -> None:
    private_folder.chmod(0o700)  # as /root is: nobody but root can walk through it
    parents = [private_folder, *private_folder.parents]
    before = [(path.stat().st_mode, path.stat().st_uid) for path in parents]
    data = private_folder / "deep" / "er"
    groups = os.getgroups()
    os.setgroups([0, 4_000_000])  # none of ours may be handed on
    with EmbeddedNats(data) as nats, EmbeddedPostgres(data, tuning=UNSAFE) as postgres:
        for server in (nats, postgres):
            process = psutil.Process(server.pid)
            assert process.username() == "nobody"
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            assert "\nGroups:\t \n" in status
            assert "CapEff:\t0000000000000000" in status
        postgres.execute("CREATE TABLE kept AS SELECT 7 AS n")
        postgres.restart()
        assert postgres.execute("SELECT n FROM kept") == "7"
    os.setgroups(groups)
    assert [(path.stat().st_mode, path.stat().st_uid) for path in parents] == before
