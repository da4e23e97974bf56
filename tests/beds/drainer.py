"""A drainer in a process of its own, for tests that kill one: run this file."""

import asyncio
import sys

import msgspec

from crossdock.bus.connection import connect
from crossdock.config import DatabaseSettings, NatsSettings
from crossdock.db import Database
from crossdock.outbox.service import drain_forever


class Servers(msgspec.Struct, frozen=True):
    """What it connects to; comes as JSON on standard input."""

    nats: NatsSettings
    database: DatabaseSettings


async def _main() -> None:
    servers = msgspec.json.decode(sys.stdin.buffer.read(), type=Servers)
    bus = await connect(servers.nats, name="drainer")
    database = await Database.open(servers.database, {"maintenance"})
    await drain_forever(database, bus, access_ttl_s=600)


if __name__ == "__main__":
    asyncio.run(_main())
