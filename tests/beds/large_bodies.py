"""A process that takes large webhooks for ever, told to be killed: it says what it answered 202.

    python -m tests.beds.large_bodies SERVER_SETTINGS

Settings of NATS come as JSON. Each line it prints is an id that was answered.
"""

import asyncio
import sys
import time
from typing import Final

import httpx
import msgspec

from crossdock import process
from crossdock.bus import connect
from crossdock.bus.objects import Objects, ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.config import NatsSettings
from gateway.ingest import Ingest
from proto.subjects import BODIES_BUCKET
from tests.integration.ingest.conftest import SETTINGS, Sources

INLINE: Final = 16 * 1024
BODY: Final = bytes(range(256)) * 1200
"""Two chunks of an object."""
SENDERS: Final = 6


async def _send(http: httpx.AsyncClient, sources: Sources) -> None:
    source = sources.add("github", "s3cret")
    while True:
        headers = source.signed(BODY, time.time())
        answer = await http.post(f"/in/{source.token}", content=BODY, headers=headers)
        if answer.is_success:
            sys.stdout.write(answer.json()["id"] + "\n")
            sys.stdout.flush()


async def _run(settings: NatsSettings) -> None:
    sources = Sources()
    bus = await connect(settings)
    plain = Publisher(msgspec.structs.replace(settings, group_commit=False))
    publisher = Publisher(settings)
    await asyncio.gather(plain.wait_connected(), publisher.wait_connected())
    objects = ObjectWriter(plain, Objects(bus, BODIES_BUCKET), BODIES_BUCKET)
    gateway = msgspec.structs.replace(SETTINGS, inline_body_bytes=INLINE)
    app = httpx.ASGITransport(Ingest(sources, publisher, gateway, objects=objects))
    async with httpx.AsyncClient(transport=app, base_url="http://inside") as http:
        await asyncio.gather(*(_send(http, sources) for _ in range(SENDERS)))


if __name__ == "__main__":
    process.die_with_parent()
    asyncio.run(_run(msgspec.json.decode(sys.argv[1], type=NatsSettings, strict=False)))
