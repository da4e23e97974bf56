"""`/v1/admin/shards`: the databases that tenants live on."""

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from crossdock.shards.model import ShardState
from crossdock.shards.service import Shards


class ShardOut(msgspec.Struct, frozen=True, kw_only=True):
    """A shard: a database that tenants live on. Where it is stays with those who run it."""

    id: int
    name: str
    state: ShardState
    """A closed one takes no new tenants."""
    tenants: int
    is_reachable: bool


class ShardList(msgspec.Struct, frozen=True):
    """All shards."""

    items: list[ShardOut]


class AdminShardController(Controller):
    """Shards, for operators."""

    path = "/v1/admin/shards"
    tags = ("Operators",)

    @get("/", operator={"shards:read"})
    async def list_shards(self, shards: NamedDependency[Shards]) -> ShardList:
        """List the databases that tenants live on."""
        return ShardList(
            [
                ShardOut(
                    id=facts.shard.id,
                    name=facts.shard.name,
                    state=facts.shard.state,
                    tenants=facts.tenants,
                    is_reachable=facts.is_reachable,
                )
                for facts in await shards.all()
            ]
        )
