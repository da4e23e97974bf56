"""`crossdock up`: every process of the stack is killed in turn; nothing is left over or stays down.

What happens to webhooks meanwhile is for the other fault tests; this one looks at processes.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil
import pytest

from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.deadline import Deadline
from crossdock.embedded.identity import Identity
from crossdock.errors import ProcessFailed
from crossdock.supervisor.folder import DataFolder, State
from crossdock.supervisor.readiness import gateway_url, is_ready, worker_url

COMMAND: Final = (sys.executable, "-P", "-m", "crossdock.cli.app")
UP_S: Final = 40.0
DOWN_S: Final = 20.0
RECOVERY_S: Final = 30.0

pytestmark = pytest.mark.timeout(120)


class Up:
    """A `crossdock up` in a process of its own."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.options = options
        self.folder = DataFolder(data)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process

    def start(self) -> Self:
        self.process = psutil.Popen(
            [*COMMAND, "up", "--data", str(self.data), *self.options],
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        deadline = Deadline(UP_S)
        while b"Crossdock is up." not in self.output():
            assert self.process.poll() is None, self.output().decode()
            assert deadline.left > 0, self.output().decode()
            with suppress(psutil.TimeoutExpired):
                self.process.wait(0.05)
        return self

    def output(self) -> bytes:
        return os.pread(self._output.fileno(), 1_000_000, 0)

    def family(self) -> list[psutil.Process]:
        """Every process of the stack but the supervisor."""
        return self.process.children(recursive=True)

    def pid_of(self, part: str) -> int:
        if part in {"nats", "postgres"}:
            record = msgspec.json.decode((self.data / f"{part}.json").read_bytes())
            return int(record["process"]["pid"])
        if part == "gateway process":
            master = psutil.Process(self.pid_of("gateway"))
            return next(
                child.pid for child in master.children() if child.memory_info().rss > 30_000_000
            )
        return self.folder.state().programs[part].pid

    def is_ready(self) -> bool:
        settings = self.folder.state().settings
        try:
            EmbeddedPostgres(self.data).execute("SELECT 1")
            with socket.create_connection(("127.0.0.1", EmbeddedNats(self.data).port), timeout=1):
                pass
        except (ProcessFailed, OSError):
            return False
        return is_ready(gateway_url(settings)) and is_ready(worker_url(settings))

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DOWN_S)
            except psutil.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()


def _alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; where nobody reaps for them, ended ones stay behind as zombies."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def _all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        return Deadline(seconds).wait_for(lambda: not _alive_safely(processes))
    return True


def _alive_safely(processes: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            found += _alive([one])
    return found


@contextmanager
def _stack(data: Path, *options: str) -> Iterator[Up]:
    up = Up(data, *options)
    try:
        yield up.start()
    finally:
        up.end()


@pytest.fixture(scope="module")
def shared_up() -> Iterator[Up]:
    """One stack for all tests after which it must be whole again."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        _stack(Path(folder) / "data", "--processes", "2") as up,
    ):
        yield up


@pytest.mark.parametrize("part", ["gateway process", "gateway", "worker", "nats", "postgres"])
def test_a_killed_process_is_started_again(shared_up: Up, part: str) -> None:
    before = {one.pid for one in shared_up.family()}
    victim = psutil.Process(shared_up.pid_of(part))
    relatives = [victim, *victim.children(recursive=True)]
    if part == "gateway":  # one of its processes is past hearing that its parent is gone
        psutil.Process(shared_up.pid_of("gateway process")).suspend()
    victim.kill()
    assert _all_gone(relatives, 10.0), "what it had started outlived it"

    def whole() -> bool:
        with suppress(psutil.NoSuchProcess, StopIteration):
            return shared_up.pid_of(part) != victim.pid and shared_up.is_ready()
        return False

    assert Deadline(RECOVERY_S).wait_for(whole), shared_up.output().decode()
    assert len(before & {one.pid for one in shared_up.family()}) > 0, "it all began anew"


def test_a_second_up_is_refused_plainly(shared_up: Up) -> None:
    parts = ("gateway", "worker", "nats", "postgres")
    before = [shared_up.pid_of(part) for part in parts]
    done = subprocess.run(
        [*COMMAND, "up", "--data", str(shared_up.data)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("crossdock: ")
    assert f"process {shared_up.process.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    # A process of the gateway remembers for a second what it saw while PostgreSQL was restarted.
    assert Deadline(RECOVERY_S).wait_for(shared_up.is_ready), shared_up.output().decode()
    assert [shared_up.pid_of(part) for part in parts] == before


def test_other_commands_find_the_stack_by_its_folder(shared_up: Up) -> None:
    done = subprocess.run(
        [*COMMAND, "doctor", "--data", str(shared_up.data), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = msgspec.json.decode(done.stdout)
    assert report["healthy"], report
    assert {finding["verdict"] for finding in report["findings"]} == {"ok"}
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_each_program_knows_only_its_own_secrets(shared_up: Up) -> None:
    secrets = {
        path.name: path.read_text(encoding="ascii").strip()
        for path in shared_up.folder.secrets.folder.iterdir()
    }
    known = {
        part: {
            name
            for name, secret in secrets.items()
            if secret.encode() in Path(f"/proc/{shared_up.pid_of(part)}/environ").read_bytes()
        }
        for part in ("gateway", "worker", "nats", "postgres")
    }
    assert known["nats"] == known["postgres"] == set()
    assert known["gateway"] == {
        "nats",
        "postgres-app",
        "postgres-directory",
        "postgres-control",
        "postgres-operator",
        "key-sources",
        "key-destinations",
        "key-identity",
        "key-mail",
        "key-answers",
        "key-payloads",
    }
    assert known["worker"] == {
        "nats",
        "postgres-app",
        "postgres-ingest",
        "postgres-dispatch",
        "postgres-maintenance",
        "postgres-control",
        "postgres-operator",
        "key-destinations",
        "key-mail",
        "key-payloads",
    }
    lines = [" ".join(one.cmdline()) for one in shared_up.family()]
    assert not [name for name, secret in secrets.items() if any(secret in line for line in lines)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for stacks that come one after the other: only the first has to set it up."""
    return tmp_path_factory.mktemp("up") / "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order(data: Path, number: signal.Signals) -> None:
    with _stack(data) as up:
        family = up.family()
        assert len(family) > 5
        up.process.send_signal(number)
        assert up.process.wait(DOWN_S) == 0
        assert _all_gone(family, 5.0), "ended, be it yet to be buried"
        said = up.output().decode()
        stopped = [said.index(f'"part":"{part}"') for part in ("gateway", "worker", "nats")]
        assert stopped == sorted(stopped)
        assert "Traceback" not in said
        assert "killed" not in said


def test_a_second_signal_hurries(data: Path) -> None:
    with _stack(data) as up:
        family = up.family()
        psutil.Process(up.pid_of("worker")).suspend()  # it will never drain
        up.process.terminate()
        assert Deadline(DOWN_S).wait_for(lambda: b'"part":"worker"' in up.output())
        up.process.terminate()
        assert up.process.wait(DOWN_S) == 0
        assert _alive_safely(family) == []


def test_nothing_outlives_a_killed_supervisor_and_up_starts_again(data: Path) -> None:
    with _stack(data, "--processes", "2") as up:
        family = up.family()
        port = up.folder.state().settings.gateway.port
        psutil.Process(up.pid_of("gateway process")).suspend()  # past hearing that it should go
        passing = data / "tmp" / "left-behind"
        passing.touch()
        up.process.kill()
        up.process.wait()
        with _stack(data) as again:
            assert _alive_safely(family) == [], [one.cmdline() for one in _alive_safely(family)]
            assert not passing.exists()
            assert again.folder.state().settings.gateway.port == port
            assert again.is_ready()


def test_a_program_left_over_by_an_earlier_supervisor_is_ended(data: Path) -> None:
    waiting = [sys.executable, "-c", "import signal; signal.pause()"]
    with subprocess.Popen(waiting, start_new_session=True) as left_over:
        identity = Identity.of(left_over.pid)
        assert identity is not None
        folder = DataFolder(data)
        folder.prepare()
        folder.save(State(programs={"worker": identity}))
        with _stack(data):
            assert left_over.wait(5) == -signal.SIGTERM


def test_a_port_that_is_taken_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = psutil.Popen(
            [*COMMAND, "up", "--data", str(tmp_path / "data"), "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        family: set[psutil.Process] = set()
        with suppress(psutil.NoSuchProcess):
            while process.poll() is None:
                family |= set(process.children(recursive=True))
                with suppress(psutil.TimeoutExpired):
                    process.wait(0.05)
        _, said = process.communicate()
    assert process.returncode == 2
    assert str(port) in said
    assert "Traceback" not in said
    assert _alive_safely(list(family)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_under_roots_home_no_mode_is_changed() -> None:
    home = Path("~root").expanduser()
    with tempfile.TemporaryDirectory(prefix=".crossdock-test-", dir=home) as folder:
        parents = [Path(folder), *Path(folder).parents]
        before = [(path, path.stat().st_mode, path.stat().st_uid) for path in parents]
        data = Path(folder) / "deep" / "data"
        users = set(Path("/etc/passwd").read_text(encoding="utf-8").splitlines())
        with _stack(data) as up:
            for part in ("nats", "postgres"):
                assert psutil.Process(up.pid_of(part)).uids().effective != 0
            open_files = [
                path
                for path in (*data.iterdir(), *(data / "secrets").iterdir())
                if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            ]
            assert open_files == []
            assert (
                stat.S_IMODE(data.stat().st_mode) == 0o711
            )  # others pass through, and see nothing
        assert [(path, path.stat().st_mode, path.stat().st_uid) for path in parents] == before
        assert set(Path("/etc/passwd").read_text(encoding="utf-8").splitlines()) == users
