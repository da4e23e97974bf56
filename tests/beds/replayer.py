"""A runner of replays in a process of its own, for tests that kill it.

`python -m tests.beds.replayer` takes its database as JSON on standard input, and writes a line for
each chunk.
"""

import asyncio
import sys

import msgspec

from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.delivery.replays.runner import ReplayRunner

CHUNK = 5


async def _main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=DatabaseSettings)
    runner = ReplayRunner(await Database.open(settings, {"app", "dispatch"}), chunk=CHUNK)
    while await runner.work():
        sys.stdout.write("chunk\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
