"""`/v1/admin/shards`: the databases that tenants live on."""

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from crossdock.shards.model import ShardState
from crossdock.shards.service import Shards
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Limit


class ShardOut(msgspec.Struct, frozen=True, kw_only=True):
    """A shard: a database that tenants live on. Where it is stays with those who run it."""

    id: int
    name: str
    state: ShardState
    """A closed one takes no new tenants."""
    tenants: int
    is_reachable: bool


class ShardPage(msgspec.Struct, frozen=True):
    """Shards, newest first."""

    items: list[ShardOut]
    next_cursor: str | None


class AdminShardController(Controller):
    """Shards, for operators."""

    path = "/v1/admin/shards"
    tags = ("Operators",)

    @get("/", operator={"shards:read"})
    async def list_shards(
        self,
        request: ApiRequest,
        shards: NamedDependency[Shards],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> ShardPage:
        """List the databases that tenants live on, newest first."""
        found = await shards.page(request.window("shards", limit, cursor, {}))
        return ShardPage(
            [
                ShardOut(
                    id=facts.shard.id,
                    name=facts.shard.name,
                    state=facts.shard.state,
                    tenants=facts.tenants,
                    is_reachable=facts.is_reachable,
                )
                for facts in found.items
            ],
            request.next_cursor("shards", found, {}),
        )
