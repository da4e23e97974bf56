"""What crosses the boundary of shards."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

ShardState = Literal["open", "closed"]


class Shard(msgspec.Struct, frozen=True):
    """A database that tenants live on."""

    id: int
    name: str
    url: str
    """Without user and password; empty for shard 0, which is where the settings say."""
    state: ShardState
    """A closed one takes no new tenants; those that live there stay."""
    created_at: datetime


class ShardFacts(msgspec.Struct, frozen=True):
    """A shard, how many live there, and whether it answers."""

    shard: Shard
    tenants: int
    is_reachable: bool
    problem: str | None = None
    """Why it is not reachable."""

    @property
    def id(self) -> UUID:
        """The shard's number, as cursors have it."""
        return UUID(int=self.shard.id)
