"""One stack for the tests of webhooks out, and a tenant of each module's own with room for all."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.conftest import roomy
from tests.faults.receiver import Receiver
from tests.faults.stack import Stack


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """A stack of this folder's own: some tests look for words in all that it wrote."""
    with tempfile.TemporaryDirectory(prefix="crossdock-outbound-") as folder:
        async with Stack(Path(folder) / "data") as running:
            yield running


@pytest.fixture(scope="module")
async def house(
    stack: Stack, receiver: Receiver, request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    """A tenant of this module's own."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    opened = await roomy(stack, receiver, name)
    yield opened
    await opened.close()
