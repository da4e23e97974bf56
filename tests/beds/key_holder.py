"""A process that holds signing keys, for tests that want several: run this file.

Standard input: one line of JSON, then a line for each thing to do. Each is answered by a line.
`load` reads the keys, `token` issues one, anything else is a token to verify.
"""

import asyncio
import base64
import subprocess
import sys
import time
from typing import Self

import msgspec

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.errors import Unauthenticated
from crossdock.identity.keys import SigningKeys
from crossdock.identity.tokens import Claims, Issuer, UnknownKey, Verifier
from crossdock.secrets.seal import Sealer


class Settings(msgspec.Struct, frozen=True):
    """What it is told at first."""

    database: DatabaseSettings
    key: str


class Holder:
    """Keys, and what can be done with them."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._issuer = Issuer(keys, public_url="http://x", environment="test")
        self._verifier = Verifier(keys, public_url="http://x", environment="test")

    async def do(self, line: str) -> str:
        """Do one thing and say how it went."""
        if line == "load":
            await self._keys.load()
            return " ".join(sorted(key["kid"] for key in self._keys.jwks()["keys"]))
        if line == "token":
            now = time.time()
            return self._issuer.issue(
                Claims(ids.new(), ids.new(), ids.new(), ("owner",), now, now + 600)
            )
        return await self._verify(line)

    async def _verify(self, text: str) -> str:
        try:
            return self._verifier.verify(text).roles[0]
        except UnknownKey as unknown:
            if not await self._keys.seek(unknown.kid):
                return "unknown key"
            return self._verifier.verify(text).roles[0]
        except Unauthenticated:
            return "refused"


class Process:
    """A process of its own that holds keys."""

    def __init__(self, settings: DatabaseSettings, key: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = Settings(settings, base64.b64encode(key).decode())
        self.say(msgspec.json.encode(told).decode())
        assert self.hear() == "ready"

    def say(self, line: str) -> None:
        """Tell it one thing to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """Return what it answers."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        """Tell it one thing to do, and return what it answers."""
        self.say(line)
        return self.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _main() -> None:
    settings = msgspec.json.decode(sys.stdin.readline(), type=Settings)
    database = await Databases.open(settings.database, {"control"})
    holder = Holder(SigningKeys(database, Sealer(base64.b64decode(settings.key))))
    _say("ready")
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        _say(await holder.do(line))
    await database.close()


if __name__ == "__main__":
    asyncio.run(_main())
