"""One stack for the tests of webhooks in, and a tenant of each module's own with room for all."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.house import House, open_house
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.faults.receiver import Receiver
from tests.faults.stack import Stack

ROOM = (
    *("--set", "sources=2000", "--set", "destinations=2000", "--set", "api_keys=500"),
    *("--set", "requests_per_minute=1000000"),
)


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """A stack of this folder's own: some tests look for words in all of its files."""
    with tempfile.TemporaryDirectory(prefix="crossdock-inbound-") as folder:
        async with Stack(Path(folder) / "data") as running:
            yield running


async def roomy(stack: Stack, receiver: Receiver, name: str) -> House:
    """Return a new tenant that meets no limit it did not ask for."""
    opened = await open_house(stack, receiver, name)
    folder = ("--data", str(stack.folder))
    done = await stack.command("tenant", "quota", opened.id, *ROOM, *folder)
    assert done.code == 0, done
    return opened


@pytest.fixture(scope="module")
async def house(
    stack: Stack, receiver: Receiver, request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    """A tenant of this module's own."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    opened = await roomy(stack, receiver, name)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def neighbour(stack: Stack) -> AsyncIterator[House]:
    """Another tenant, for all modules, with an endpoint of its own."""
    async with Receiver() as listening:
        opened = await roomy(stack, listening, "neighbour")
        yield opened
        await opened.close()


@pytest.fixture
async def feed(house: House) -> Feed:
    """A source and its own endpoint."""
    return await open_feed(house)
