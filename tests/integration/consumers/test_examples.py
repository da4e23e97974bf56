"""The documented consumers, as programs on real servers: each does every event's work once."""

import asyncio
import base64
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.bus import Bus
from crossdock.config import DatabaseSettings, Settings
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.supervisor.environment import environment
from tests.beds.served import served
from tests.beds.world import id_at
from tests.integration.consumers.conftest import Command

DOCS: Final = Path(__file__).parents[3] / "docs" / "consumers"
BEGIN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
INLINE: Final = 1024

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(params=["python", "node"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """How to start an example, with what it needs fetched as its own files say."""
    if request.param == "python":
        return [sys.executable, "-u", str(DOCS / "python" / "consumer.py"), str(tmp_path / "state")]
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js with npm is not installed here")
    folder = tmp_path / "node"
    shutil.copytree(DOCS / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"its packages can't be fetched here: {done.stderr.strip()[-200:]}")
    return [node, str(folder / "consumer.mjs"), str(tmp_path / "state")]


class Running:
    """A consumer that runs, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, *wanted: str, within_s: float = 40.0) -> None:
        """Wait until it has said all of these since the last call."""
        assert self.process.stdout is not None
        missing = set(wanted)
        try:
            async with asyncio.timeout(within_s):
                while missing:
                    line = (await self.process.stdout.readline()).decode().rstrip()
                    assert line or not self.process.stdout.at_eof(), "\n".join(
                        [*self.lines, *missing]
                    )
                    self.lines.append(line)
                    missing = {one for one in missing if not line.startswith(one)}
        except TimeoutError:
            pytest.fail(f"it did not say {missing}, but {self.lines}")

    async def end(self, *, kill: bool = False) -> None:
        if self.process.returncode is None:
            (self.process.kill if kill else self.process.terminate)()
        await self.process.communicate()


class Scene:
    """An installation with a tenant, and a consumer of its events."""

    def __init__(self, given: dict[str, str], admin: asyncpg.Connection, tenant: Any) -> None:
        self.environment = given
        self.admin = admin
        self.tenant: str = tenant["id"]
        self.key: str = tenant["api_key"]
        self.source = ids.new()
        self._minute = 0

    async def store(self, sequence: int, event_type: str = "paid", body: bytes = b"{}") -> str:
        """Store an event, which nobody announces; return its id."""
        self._minute += 1
        event_id = id_at(BEGIN + timedelta(minutes=self._minute))
        await self.admin.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body)"
            " VALUES ($1, $2, $3, $4, $5, 'application/json', '', '[]', $6)",
            ids.decode("ten", self.tenant),
            event_id,
            self.source,
            sequence,
            event_type,
            body,
        )
        return ids.encode("evt", event_id)

    async def crossdock(self, *arguments: str) -> str:
        """Run a command to its end, and return what it says."""
        return await asyncio.to_thread(crossdock, self.environment, *arguments)

    async def announce(self, event_type: str) -> None:
        """Put stored events of a type into the stream."""
        await self.crossdock("events", "republish", "--tenant", self.tenant, "--type", event_type)


def crossdock(given: dict[str, str], *arguments: str) -> str:
    """Run a command to its end, and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", *arguments],
        env=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def installation(
    settings: Settings, private_nats: EmbeddedNats, new_database: Callable[[], DatabaseSettings]
) -> Settings:
    return msgspec.structs.replace(
        settings,
        nats=private_nats.settings(),
        database=new_database(),
        gateway=msgspec.structs.replace(settings.gateway, inline_body_bytes=INLINE),
    )


@pytest.fixture
async def scene(
    installation: Settings, postgres_server: EmbeddedPostgres, bus: Bus
) -> AsyncIterator[Scene]:
    given = {**environment(installation, os.environ), "COLUMNS": "300", "NO_COLOR": "1"}
    made = await asyncio.to_thread(crossdock, given, "tenant", "create", "Consumers", "--json")
    name = installation.database.url.rpartition("/")[2]
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    yield Scene(given, admin, msgspec.json.decode(made))
    await admin.close()


@pytest.fixture
def start(program: list[str], private_nats: EmbeddedNats) -> Callable[..., Any]:
    async def begin(scene: Scene, url: str, password: str) -> Running:
        process = await asyncio.create_subprocess_exec(
            *program,
            env={
                **os.environ,
                "NATS_URL": private_nats.url,
                "NATS_USER": "billing",
                "NATS_PASSWORD": password,
                "CROSSDOCK_URL": url,
                "CROSSDOCK_KEY": scene.key,
                "LOOK_S": "0.5",
                "PULLS": "3",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return Running(process)

    return begin


def payloads(state: Path) -> set[bytes]:
    """Return all payloads that an example has kept."""
    if state.read_bytes().startswith(b"SQLite"):
        with sqlite3.connect(state) as db:
            rows = db.execute("SELECT payload FROM latest").fetchall()
        db.close()
        return {bytes(row[0]) for row in rows}
    lines = state.read_bytes().splitlines()
    return {base64.b64decode(msgspec.json.decode(line)["payload"]) for line in lines}


async def test_a_consumer_does_each_event_once_through_all_that_can_happen(  # noqa: PLR0917
    scene: Scene,
    start: Callable[..., Any],
    program: list[str],
    command: Command,
    installation: Settings,
    bus: Bus,
) -> None:
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", scene.tenant)
    large = b'{"large": "%b"}' % (b"x" * 3 * INLINE)
    async with served(installation) as url:
        running = await start(scene, url, made["password"])
        try:
            first = await scene.store(10)
            second = await scene.store(11, "big", large)
            await scene.announce("*")
            await running.says(f"done {first}", f"done {second}")
            assert large in payloads(Path(program[-1])), "it was to be fetched"

            # A duplicate, and one that was accepted earlier than another that came before it.
            late = await scene.store(5)
            await scene.announce("*")
            await running.says(f"again {first}", f"again {second}", f"older {late}")

            # Killed, it goes on where it was.
            await running.end(kill=True)
            third = await scene.store(12, "new")
            await scene.announce("new")
            running = await start(scene, url, made["password"])
            await running.says(f"done {third}")
            info = await bus.jetstream().consumer_info("EVENTS", "billing")
            assert info.ack_floor.stream_seq > 0

            # While it is away the stream forgets an event that it has not read.
            await running.end()
            missing = await scene.store(13, "missed")
            await bus.jetstream().purge_stream("EVENTS")
            last = await scene.store(14, "last")
            await scene.announce("last")
            running = await start(scene, url, made["password"])
            await running.says("gap: ", f"done {last}")
            (said,) = [line for line in running.lines if line.startswith("gap: ")][:1]
            words = shlex.split(said.partition("crossdock ")[2])
            assert words[-1] == third
            await scene.crossdock(*words)
            await running.says(f"done {missing}", f"again {last}")
        finally:
            await running.end()
