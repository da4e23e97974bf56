"""The letters that people get, read where `crossdock up` puts them."""

import re
from collections import defaultdict
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.stack import Stack
from tests.faults.waiting import until

TOKEN: Final = re.compile(r"^ {4}([A-Za-z0-9_-]{40,})\r?$", re.MULTILINE)


class Letter(NamedTuple):
    """One that was sent."""

    name: str
    """Of its file; later ones sort after earlier ones."""
    to: str
    token: str | None


class Post:
    """Hands out each letter's token once, so that nobody takes an older letter for a newer one."""

    def __init__(self, stack: Stack) -> None:
        self._folder = stack.folder / "mail"
        self._letters: dict[str, Letter] = {}
        self._seen: defaultdict[str, set[str]] = defaultdict(set)

    def to(self, address: str) -> list[Letter]:
        """Return the letters to an address, the newest last."""
        for path in self._folder.glob("*.eml"):
            if path.name not in self._letters:
                self._letters[path.name] = _read(path)
        mine = [letter for letter in self._letters.values() if letter.to == address.lower()]
        return sorted(mine)

    async def token(self, address: str) -> str:
        """Return the token of a letter that was not handed out before, waiting for it."""

        def fresh() -> str | None:
            tokens = [letter.token for letter in self.to(address) if letter.token]
            newest = tokens[-1] if tokens else None
            return newest if newest not in self._seen[address] else None

        token = await until(fresh, f"a letter to {address}", within=30)
        assert token is not None
        self._seen[address].add(token)
        return token


def _read(path: Path) -> Letter:
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert not message.is_multipart()
    text = message.get_content()
    found = TOKEN.search(text)
    return Letter(path.name, str(message["to"]).lower(), found[1] if found else None)
