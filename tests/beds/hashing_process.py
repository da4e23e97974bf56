"""A process that has passwords hashed, for tests that kill it or its child: run this file.

Its argument names the event loop. Each line of standard input is a password to hash, and is
answered by a line: the process that hashed it, or the name of what went wrong.
"""

import asyncio
import sys

import uvloop

from crossdock.config import LogSettings
from crossdock.errors import CrossdockError
from crossdock.identity.hashing import PasswordHasher
from crossdock.telemetry import logs

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def _main() -> None:
    passwords = PasswordHasher()
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        try:
            made = await passwords.hash(line)
            said = str(passwords.pid) if made.startswith("$argon2id$") else made
        except CrossdockError as error:
            said = type(error).__name__
        sys.stdout.write(said + "\n")
        sys.stdout.flush()
    await passwords.close()


if __name__ == "__main__":
    logs.configure(LogSettings(), "gateway")
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        runner.run(_main())
