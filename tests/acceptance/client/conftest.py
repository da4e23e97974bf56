"""The stack under test, with a server in front of it that loses what it is told to lose."""

from collections.abc import AsyncIterator

import pytest

from crossdock.client import Retry
from tests.acceptance.house import House
from tests.beds.asking import Asking, asking
from tests.beds.faulty import Faulty, faulty
from tests.faults.stack import Stack


@pytest.fixture(scope="module")
async def line(stack: Stack) -> AsyncIterator[Faulty]:
    """A connection to the stack that may be cut."""
    async with faulty(stack.port) as found:
        yield found


@pytest.fixture(params=["waited", "awaited"])
async def client(
    request: pytest.FixtureRequest, line: Faulty, house: House
) -> AsyncIterator[Asking]:
    """A client with the house's key, on that line."""
    line.deal()
    async with asking(request.param, line.url, house.key, retry=Retry(base_s=0.05)) as found:
        yield found
