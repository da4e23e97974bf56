"""What only a served gateway shows: what stands around the REST API and ingest."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from crossdock.config import Settings
from crossdock.embedded import EmbeddedNats
from tests.beds.served import served
from tests.integration.rest.conftest import (
    admin,
    app,
    connect,
    crowd,
    database,
    identity,
    new_tenant,
)

__all__ = ["admin", "app", "connect", "crowd", "database", "identity", "new_tenant"]

CONSOLE = "https://console.example"
PUBLIC = "https://hooks.example"


@pytest.fixture(scope="session")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker that other tests' workers do not pull from."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
async def gateway(settings: Settings, own_nats: EmbeddedNats) -> AsyncIterator[str]:
    """A gateway that the world sees over HTTPS, and whose API one other origin's pages may call."""
    given = msgspec.structs.replace(settings, nats=own_nats.settings())
    async with served(given, public_url=PUBLIC, cors_origins=(CONSOLE,), body_timeout_s=2.0) as url:
        yield url


@pytest.fixture(scope="module")
async def http(gateway: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a credential."""
    async with httpx.AsyncClient(base_url=gateway, trust_env=False, timeout=20) as client:
        yield client
