"""Several processes' breakers over one bucket."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from crossdock import ids
from crossdock.config import NatsSettings
from crossdock.embedded import EmbeddedNats
from tests.beds.breakers import Crowd


@pytest.fixture
async def crowd(nats_settings: NatsSettings) -> AsyncIterator[Crowd]:
    """Whoever shares a bucket of the test's own, on the broker of all tests."""
    async with AsyncExitStack() as stack:
        yield Crowd(stack, nats_settings, f"BREAKERS_T{ids.new().hex}")


@pytest.fixture
async def private_crowd(private_nats: EmbeddedNats) -> AsyncIterator[Crowd]:
    """The same, on a broker that a test may kill."""
    async with AsyncExitStack() as stack:
        yield Crowd(stack, private_nats.settings(), "BREAKERS_0")
