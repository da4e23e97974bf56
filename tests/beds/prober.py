"""A process that takes a permit to probe, says so, and never gives it back.

`python -m tests.beds.prober` takes the broker's settings, a bucket and a scope's key as JSON on
standard input, hears of the breaker from the others, and prints `probing` or `refused`.
"""

import asyncio
import sys
from uuid import UUID

import msgspec

from crossdock.breakers.model import Policy, scope
from crossdock.breakers.service import Breakers
from crossdock.breakers.sharing import Sharing
from crossdock.bus import connect
from crossdock.config import NatsSettings, read_path, write_path

PERMIT_S = 2.0


class Told(msgspec.Struct, frozen=True):
    """What to probe, and where."""

    nats: NatsSettings
    bucket: str
    tenant: UUID
    subject: UUID
    host: str


def encode(told: Told) -> bytes:
    """Return what the process reads."""
    return msgspec.json.encode(told, enc_hook=write_path)


async def _main() -> None:
    told = msgspec.json.decode(sys.stdin.buffer.read(), type=Told, dec_hook=read_path)
    bus = await connect(told.nats, name="prober")
    sharing = Sharing(bus, told.bucket)
    breakers = Breakers(Policy(first_rest_s=0.2, jitter=0.0), sharing)
    running = asyncio.create_task(breakers.run())
    whom = scope("destination", told.tenant, told.subject, told.host)
    while not breakers.is_half_open(whom):
        await asyncio.sleep(0.01)
    ticket = await breakers.probe(whom, PERMIT_S)
    sys.stdout.write("refused\n" if ticket is None else "probing\n")
    sys.stdout.flush()
    await running


if __name__ == "__main__":
    asyncio.run(_main())
