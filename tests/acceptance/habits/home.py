"""A tenant, its first key, and what a test asks of it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import httpx

from tests.acceptance.identity.people import AT_ONCE, IN_A_ROW, Caller, Person, Town
from tests.acceptance.identity.problems import ok
from tests.faults.waiting import until

ROOM: Final = {
    "sources": 2_000,
    "destinations": 2_000,
    "api_keys": 2_000,
    "users": 200,
    "requests_per_minute": 100_000,
}
"""So that no test meets a limit that it did not ask for."""
IDEMPOTENCY_KEY: Final = "idempotency-key"
REPLAYED: Final = "idempotency-replayed"


class Home(NamedTuple):
    """A tenant and its first key, which may do everything there."""

    town: Town
    admin: Person
    id: str
    key: str
    rest: Caller

    async def limits(self, **quotas: int | None) -> None:
        """Let an operator change the tenant's quotas; None goes back to the plan's."""
        path = f"/v1/admin/tenants/{self.id}/quota"
        ok(await self.admin.rest.patch(path, {"quotas": quotas}), 200)

    async def source(self, **more: Any) -> httpx.Response:
        """Make a source; return the whole answer."""
        reply = await self.rest.post("/v1/sources", source_wish(**more))
        ok(reply, 201)
        return reply

    async def caller(self, *permissions: str, **more: Any) -> Caller:
        """Return whoever has a new key of this tenant with these permissions."""
        body = {"name": named("key"), "permissions": list(permissions)} | more
        made = ok(await self.rest.post("/v1/api-keys", body), 201)
        return self.town.bearer(made["key"])


async def open_home(town: Town, admin: Person, name: str, **quotas: int) -> Home:
    """Make a tenant with room, but for these quotas."""
    made = await town.stack.tenant(named(name))
    home = Home(town, admin, made.id, made.key, town.bearer(made.key))
    await home.limits(**(ROOM | quotas))
    return home


def named(what: str) -> str:
    """Return a name that nothing else has."""
    return f"{what}-{secrets.token_hex(6)}"


def source_wish(**more: Any) -> dict[str, Any]:
    """Return what makes a source of a name of its own."""
    return {"name": named("source"), "scheme": "none", "secrets": []} | more


def destination_wish(**more: Any) -> dict[str, Any]:
    """Return what makes a destination that nothing is ever sent to."""
    wish = {"name": named("destination"), "url": "https://example.com/hook"}
    return wish | {"event_types": ["nothing.like.it"]} | more


def key_header(key: str | None = None) -> dict[str, str]:
    """Return the header that makes a request one to be repeated safely."""
    return {IDEMPOTENCY_KEY: f'"{key or named("try")}"'}


async def at_once(
    number: int, caller: Caller, method: str, path: str, body: Any = None, **more: Any
) -> list[httpx.Response]:
    """Ask the same so many times at once, on connections of their own."""
    asking = (caller.call(method, path, body, **more) for _ in range(number))
    return list(await asyncio.gather(*asking))


async def everywhere(ask: Callable[[], Awaitable[httpx.Response]], *allowed: int) -> None:
    """Wait until every gateway process answers so, and keeps to it."""
    alike = 0

    async def is_so() -> bool:
        nonlocal alike
        replies = await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        is_alike = all(reply.status_code in allowed for reply in replies)
        alike = alike + 1 if is_alike else 0
        return alike == IN_A_ROW

    await until(is_so, f"{allowed} from everybody", within=15)


def statuses(replies: list[httpx.Response]) -> list[int]:
    """Return what came back, in order."""
    return sorted(reply.status_code for reply in replies)
