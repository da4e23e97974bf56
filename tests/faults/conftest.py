"""One rig for all rows of the fault table that cut wires and catch programs at a moment."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crossdock.samples.sender import new_serial
from tests.faults.oracle import Observed, observe
from tests.faults.receiver import Receiver
from tests.faults.rig import Rig, open_rig


@pytest.fixture(scope="session")
async def shared_rig() -> AsyncIterator[Rig]:
    """Gateway and worker behind proxies; each test that uses it finds it whole."""
    with tempfile.TemporaryDirectory(prefix="crossdock-rig-") as folder:
        async with open_rig(Path(folder)) as opened:
            yield opened


@pytest.fixture
async def rig(shared_rig: Rig) -> AsyncIterator[Rig]:
    """The same, whole at the beginning and healed at the end."""
    await shared_rig.whole()
    yield shared_rig
    shared_rig.heal()


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    """The tenants' endpoints of one module."""
    async with Receiver() as listening:
        yield listening


@pytest.fixture
async def observed(rig: Rig, receiver: Receiver) -> Observed:
    """A tenant of one test's own, its source and its endpoint."""
    tenant = await rig.tenant(f"observed-{new_serial()}")
    return await observe(rig, receiver, tenant.key)
