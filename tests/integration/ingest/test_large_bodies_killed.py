"""A gateway that is killed anywhere between a large body and its message, again and again."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import msgspec
import pytest

from crossdock.bus import Bus
from crossdock.bus.objects import Objects
from crossdock.config import NatsSettings, write_path
from crossdock.inbound.bodies import Bodies
from proto import subjects
from tests.beds.large_bodies import BODY
from tests.integration.ingest.conftest import events

KILLS = 3


async def answered(settings: NatsSettings, count: int) -> list[str]:
    """Run a gateway until it answered so many; kill it, and return all that it answered."""
    text = msgspec.json.encode(settings, enc_hook=write_path).decode()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.beds.large_bodies", text), stdout=PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(count)]
    process.kill()
    lines += (await process.stdout.read()).splitlines()
    await process.wait()
    return [line.decode().strip() for line in lines if line.startswith(b"evt_")]


@pytest.mark.timeout(60)
async def test_what_was_answered_has_its_body_and_what_was_not_is_swept(bus: Bus) -> None:
    accepted: list[str] = []
    for number in range(KILLS):
        accepted += await answered(bus.settings, 3 + number * 2)
    bodies, objects = Bodies(bus), Objects(bus, subjects.BODIES_BUCKET)

    found = await events(bus)

    assert set(accepted) <= set(found)
    for name, event in found.items():
        assert event.claim == name
        assert await bodies.fetch(name) == BODY
    await bodies.delete(found)
    await bus.jetstream().purge_stream(subjects.INGEST_STREAM)
    await bodies.sweep(margin_s=-60)
    info = await bus.jetstream().stream_info("OBJ_BODIES")
    assert info.state.messages == 0
    assert (await objects.span("OBJ_BODIES")).oldest is None
