"""One effect for many equal requests, over two processes of a gateway, and when they are killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import asyncpg
import pytest

from crossdock.embedded import EmbeddedPostgres
from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.faults.rest import Reply
from tests.faults.stack import Stack
from tests.faults.waiting import until

AT_ONCE: Final = 100
CALLERS: Final = 7
"""Each with connections of its own, so that all are under way at once, on both processes."""

_WAITS: Final = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '%'
"""


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """The database's administrator."""
    connection = await asyncpg.connect(EmbeddedPostgres(stack.folder).admin_url())
    yield connection
    await connection.close()


@pytest.fixture
async def killing(stack: Stack, admin: asyncpg.Connection) -> "Killing":
    return Killing(stack, admin)


class Killing:
    """Stops a request at a lock, and kills every process of the gateway while it stands there."""

    def __init__(self, stack: Stack, admin: asyncpg.Connection) -> None:
        self._stack = stack
        self._admin = admin

    async def at(self, lock: str, waits_at: str, request: Any) -> None:
        """Begin a request, kill the gateway where it waits for a lock, and start it again.

        Args:
            lock: the statement that locks it out.
            waits_at: words of the statement that is to wait.
            request: a coroutine that sends it.
        """
        victims = self._stack.gateway_processes()
        # Another connection than the one that looks: in a transaction, the view stands still.
        blocker = await asyncpg.connect(EmbeddedPostgres(self._stack.folder).admin_url())
        try:
            await blocker.execute(f"BEGIN; {lock}")
            task = asyncio.create_task(request)

            async def is_waiting() -> bool:
                assert not task.done(), task
                return bool(await self._admin.fetchval(_WAITS, waits_at))

            await until(is_waiting, f"a request that waits at {waits_at}")
            for victim in victims:
                victim.kill()
            with pytest.raises(aiohttp.ClientError):
                await task
        finally:
            await blocker.close()
        await self._stack.replaced(victims)


def keyed() -> dict[str, str]:
    """Return the header of a new key."""
    return {"Idempotency-Key": f'"{new_serial()}"'}


def kind(reply: Reply) -> str:
    """Return a problem's type."""
    return str(reply.json()["type"])


def replayed(reply: Reply) -> bool:
    """Tell whether an answer was given before."""
    return reply.headers.get("Idempotency-Replayed") == "true"


async def named(house: House, name: str) -> int:
    """Return how many sources have a name."""
    return len([one for one in await house.rest.all("/v1/sources") if one["name"] == name])


async def test_a_hundred_equal_requests_have_one_effect(house: House, stack: Stack) -> None:
    body: dict[str, Any] = {"name": new_serial(), "scheme": "none", "secrets": []}
    key = {"authorization": f"Bearer {house.key}"} | keyed()
    async with AsyncExitStack() as callers:
        rests = [await callers.enter_async_context(stack.rest()) for _ in range(CALLERS)]
        replies = await asyncio.gather(
            *(
                rests[number % CALLERS].call("POST", "/v1/sources", body, headers=key)
                for number in range(AT_ONCE)
            )
        )
    made = [reply for reply in replies if reply.status == 201]
    told = [reply for reply in replies if reply.status != 201]
    assert len([reply for reply in made if not replayed(reply)]) == 1
    assert {reply.status for reply in told} <= {409}
    assert {kind(reply) for reply in told} <= {"/problems/idempotency-in-progress"}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in told)
    assert len({reply.body for reply in made}) == 1
    assert await named(house, body["name"]) == 1

    again = [await house.rest.call("POST", "/v1/sources", body, headers=key) for _ in range(8)]
    assert all(replayed(reply) and reply.body == made[0].body for reply in again)


@pytest.mark.timeout(90)
async def test_a_kill_between_effect_and_answer_leaves_neither(
    house: House, killing: Killing, admin: asyncpg.Connection
) -> None:
    body: dict[str, Any] = {"name": new_serial(), "scheme": "none", "secrets": []}
    key = keyed()
    await killing.at(
        "LOCK TABLE crossdock.idempotency_keys IN SHARE ROW EXCLUSIVE MODE",
        "INSERT INTO crossdock.idempotency_keys",
        house.rest.call("POST", "/v1/sources", body, headers=key),
    )
    count = "SELECT count(*) FROM crossdock.sources WHERE name = $1"
    assert await admin.fetchval(count, body["name"]) == 0

    async def is_answered() -> Reply | None:
        # The server may take a moment to see that whoever held the key is gone.
        reply = await house.rest.call("POST", "/v1/sources", body, headers=key)
        return None if reply.status == 409 else reply

    reply = await until(is_answered, "an answer")
    assert reply is not None
    assert reply.status == 201
    assert not replayed(reply)
    assert await named(house, body["name"]) == 1


@pytest.mark.timeout(90)
async def test_a_kill_in_the_midst_of_work_apart_leaves_an_unknown_outcome(
    house: House, killing: Killing, admin: asyncpg.Connection
) -> None:
    key, name = keyed(), f"Renamed {new_serial()}"

    async def rename(header: dict[str, str]) -> Reply:
        return await house.rest.call("PATCH", "/v1/tenant", {"name": name}, headers=header)

    # Renamed on its shard; the control database does not know yet.
    await killing.at(
        "SELECT FROM crossdock.placements FOR UPDATE",
        "crossdock.placements",
        rename(key),
    )
    assert (await house.rest.get("/v1/tenant"))["name"] == name
    reply = await rename(key)
    assert (reply.status, kind(reply)) == (409, "/problems/idempotency-in-progress")

    # As if a minute had gone by.
    await admin.execute(
        "UPDATE crossdock.idempotency_keys SET created_at = created_at - interval '61 s'"
        " WHERE state = 'running'"
    )
    for _ in range(2):
        reply = await rename(key)
        assert (reply.status, kind(reply)) == (409, "/problems/outcome-unknown")
    assert (await rename(keyed())).status == 200
