"""Real servers for tests: started once a session, in under a second, gone with it.

A test that only reads and writes uses the shared servers: `nats_settings`, `database_settings`,
`settings`. One that wants an empty database takes `fresh_database` (a copy of the migrated
template, one a module) or calls `new_database`. One that kills, pauses or fills a server takes its
own: `private_nats`, `private_postgres`.
"""

import asyncio
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from crossdock.config import (
    DatabaseSettings,
    DeliverySettings,
    GatewaySettings,
    IdentitySettings,
    KeySettings,
    LimitSettings,
    NatsSettings,
    Settings,
)
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.identity.hasher import LEAST_MEMORY_KIB, LEAST_PASSES

TEMPLATE: Final = "crossdock_template"
QUICK: Final = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
"""Safe against a killed process, which is all a test does; not against a power cut."""
GENEROUS: Final = LimitSettings(
    address_per_minute=1_000_000, address_burst=1_000_000, key_per_minute=1_000_000
)
"""All tests come from one address, and in a hurry."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is in the background of a shell, and what we start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    """The shared servers' data, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def nats_server(data_folder: Path) -> Iterator[EmbeddedNats]:
    """The shared NATS server; don't kill this one."""
    with EmbeddedNats(data_folder) as server:
        yield server


@pytest.fixture(scope="session")
def nats_settings(nats_server: EmbeddedNats) -> NatsSettings:
    """How to connect to the shared NATS server."""
    return nats_server.settings()


@pytest.fixture(scope="session")
def postgres_server(data_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The shared PostgreSQL server; don't kill this one."""
    with EmbeddedPostgres(data_folder, tuning=QUICK) as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres_server: EmbeddedPostgres) -> Callable[[], DatabaseSettings]:
    """Makes a migrated, empty database in about 100 ms, by copying a template."""
    _migrate(postgres_server, TEMPLATE)
    numbers = count(1)

    def make() -> DatabaseSettings:
        name = f"crossdock_{next(numbers)}"
        postgres_server.copy_database(TEMPLATE, name)
        from crossdock.db.roles import ensure_roles  # noqa: PLC0415 - as in _migrate

        settings = postgres_server.settings(name)
        _run(ensure_roles(postgres_server.admin_url(name), settings))
        return settings

    return make


@pytest.fixture(scope="session")
def database_settings(new_database: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """A migrated database that the whole session shares."""
    return new_database()


@pytest.fixture(scope="module")
def fresh_database(new_database: Callable[[], DatabaseSettings]) -> DatabaseSettings:
    """A migrated database of this module's own."""
    return new_database()


@pytest.fixture(scope="session")
def settings(
    nats_settings: NatsSettings, database_settings: DatabaseSettings, nats_server: EmbeddedNats
) -> Settings:
    """All settings, for the shared servers; destinations may live on this machine."""
    return Settings(
        environment="test",
        database=database_settings,
        nats=nats_settings,
        gateway=GatewaySettings(public_url="http://127.0.0.1"),
        delivery=DeliverySettings(allow_loopback=True, allowed_ports=()),
        identity=IdentitySettings(hash_memory_kib=LEAST_MEMORY_KIB, hash_passes=LEAST_PASSES),
        keys=KeySettings(
            sources=nats_server.secrets.key("key-sources"),
            destinations=nats_server.secrets.key("key-destinations"),
            identity=nats_server.secrets.key("key-identity"),
            mail=nats_server.secrets.key("key-mail"),
            answers=nats_server.secrets.key("key-answers"),
            payloads=nats_server.secrets.key("key-payloads"),
        ),
        limits=GENEROUS,
    )


@pytest.fixture
def private_folder() -> Iterator[Path]:
    """A data folder for one test's own servers."""
    with tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder:
        yield Path(folder)


@pytest.fixture
def private_nats(private_folder: Path) -> Iterator[EmbeddedNats]:
    """A NATS server for one test to kill, pause and restart."""
    with EmbeddedNats(private_folder) as server:
        yield server


@pytest.fixture
def private_postgres(private_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server, migrated, for one test to kill, pause and restart."""
    with EmbeddedPostgres(private_folder, tuning=QUICK) as server:
        _migrate(server, DATABASE)
        yield server


def _migrate(server: EmbeddedPostgres, database: str) -> None:
    from crossdock.db.migrate import migrate  # noqa: PLC0415 - not every test needs a database

    server.ensure_database(database)
    _run(migrate(server.admin_url(database), server.settings(database)))


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end, leaving the tests' own loop alone."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
