"""One stack, started once for all of these tests: `crossdock up`, as anyone would start it."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.house import House, open_house
from tests.faults.receiver import Receiver
from tests.faults.stack import Stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """A stack whose destinations may live on this machine."""
    with tempfile.TemporaryDirectory(prefix="crossdock-acceptance-") as folder:
        async with Stack(Path(folder) / "data") as running:
            yield running


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    """The tenants' endpoints."""
    async with Receiver() as listening:
        yield listening


@pytest.fixture(scope="module")
async def house(
    stack: Stack, receiver: Receiver, request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    """A tenant of this module's own."""
    opened = await open_house(stack, receiver, request.module.__name__.rpartition(".")[2])
    yield opened
    await opened.close()
