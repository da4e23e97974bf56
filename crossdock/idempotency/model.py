"""What is known of a request that may be sent again."""

from typing import Literal
from uuid import UUID

import msgspec

Headers = tuple[tuple[str, str], ...]

State = Literal["running", "done", "unknown"]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One request under one key: where it is written down, and what it asked for."""

    tenant_id: UUID
    """Whose rows tell of it."""
    digest: bytes
    """Of the key and of whose it is: 32 bytes."""
    fingerprint: bytes
    """Of the request: 32 bytes. The same key with another one is refused."""
    is_secret: bool = False
    """Whether the answer holds a secret, and so is kept in the database only."""

    @property
    def lock(self) -> int:
        """The number of its lock in the database, of 64 bits with a sign."""
        return int.from_bytes(self.digest[:8], signed=True)


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is given again."""

    status: int
    headers: Headers
    body: bytes


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is sealed: with the request that it answers."""

    fingerprint: bytes
    answer: Answer


class Found(msgspec.Struct, frozen=True):
    """What the database says about a claim."""

    is_mine: bool
    """Whether this transaction has the lock now."""
    fingerprint: bytes | None = None
    """Of the request that came first; `None` where there was none."""
    state: State | None = None
    sealed: bytes | None = None
    age_s: float = 0.0
