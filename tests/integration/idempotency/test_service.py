"""One effect, and the same answer: atomically, and apart."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from crossdock.errors import (
    Busy,
    DatabaseUnavailable,
    InProgress,
    KeyReused,
    OutcomeUnknown,
)
from crossdock.idempotency.model import Answer, Claim
from crossdock.idempotency.service import Idempotency
from tests.integration.idempotency.conftest import ANSWER, Bed, never

Once = Callable[[Claim, Callable[[], Awaitable[Answer | None]]], Awaitable[Answer | None]]


@pytest.fixture(params=["atomic", "apart"])
def way(request: pytest.FixtureRequest) -> Callable[[Idempotency], Once]:
    name: str = request.param
    return lambda service: getattr(service, name)


async def test_the_work_is_done_once_and_its_answer_given_again(bed: Bed, way: Any) -> None:
    claim = bed.claim()
    assert await way(bed.service())(claim, bed.making("a")) is None
    for service in (bed.service(), bed.service(remembers=True)):
        assert await way(service)(claim, never) == ANSWER
    assert await bed.made("a") == 1
    assert await bed.state(claim) == "done"


async def test_another_request_under_the_key_is_refused(bed: Bed, way: Any) -> None:
    service = bed.service(remembers=True)
    await way(service)(bed.claim("k"), bed.making("a"))
    for other in (service, bed.service()):
        with pytest.raises(KeyReused):
            await way(other)(bed.claim("k", b"other"), never)


async def test_what_is_not_kept_is_done_again(bed: Bed, way: Any) -> None:
    claim = bed.claim()
    await way(bed.service())(claim, bed.making("a", None))
    assert await bed.state(claim) is None
    await way(bed.service())(claim, bed.making("b"))
    assert await bed.made("a") == await bed.made("b") == 1


async def test_an_equal_request_meanwhile_is_told_to_come_again(bed: Bed, way: Any) -> None:
    claim, service = bed.claim(), bed.service()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        await bed.make("slow")
        begun.set()
        await go_on.wait()
        return ANSWER

    first = asyncio.create_task(way(service)(claim, slow))
    await begun.wait()
    for other in (service, bed.service()):  # in this process, and in another one
        with pytest.raises(InProgress):
            await way(other)(claim, never)
    go_on.set()
    assert await first is None
    assert await way(bed.service())(claim, never) == ANSWER
    assert await bed.made("slow") == 1


async def test_of_a_hundred_equal_requests_one_has_an_effect(bed: Bed, way: Any) -> None:
    claim, processes = bed.claim(), [bed.service() for _ in range(10)]

    async def ask(number: int) -> Answer | None:
        return await way(processes[number % 10])(claim, bed.making("storm"))  # type: ignore[no-any-return]

    told = await asyncio.gather(*map(ask, range(100)), return_exceptions=True)
    assert told.count(None) == 1
    assert all(one is None or one == ANSWER or isinstance(one, InProgress) for one in told)
    assert await bed.made("storm") == 1


async def test_a_key_whose_time_is_up_is_as_good_as_new(bed: Bed, way: Any) -> None:
    claim = bed.claim("old")
    await way(bed.service())(claim, bed.making("a"))
    await bed.world.admin.execute(
        "UPDATE crossdock.idempotency_keys SET expires_at = now() - interval '1 s'"
        " WHERE digest = $1",
        claim.digest,
    )
    another = bed.claim("old", b"another request")
    assert await way(bed.service())(another, bed.making("b")) is None
    assert await way(bed.service())(another, never) == ANSWER
    left: timedelta = await bed.world.admin.fetchval(
        "SELECT expires_at - now() FROM crossdock.idempotency_keys WHERE digest = $1", claim.digest
    )
    assert timedelta(hours=23) < left <= timedelta(hours=24)


async def test_work_that_fails_leaves_nothing_where_it_is_atomic(bed: Bed) -> None:
    claim = bed.claim()

    async def broken() -> Answer:
        await bed.make("broken")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bed.service().atomic(claim, broken)
    assert await bed.made("broken") == 0
    assert await bed.state(claim) is None
    assert await bed.service().atomic(claim, bed.making("broken")) is None


async def test_work_apart_that_fails_leaves_an_unknown_outcome(bed: Bed) -> None:
    claim, service = bed.claim(), bed.service()

    async def broken() -> Answer:
        await bed.make("broken")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await service.apart(claim, broken)
    assert await bed.made("broken") == 1
    for other in (service, bed.service()):
        with pytest.raises(OutcomeUnknown):
            await other.apart(claim, never)


async def test_work_apart_that_found_no_room_can_be_tried_again(bed: Bed) -> None:
    claim = bed.claim()

    async def busy() -> Answer:
        raise Busy

    with pytest.raises(Busy):
        await bed.service().apart(claim, busy)
    assert await bed.service().apart(claim, bed.making("a")) is None


async def test_a_claim_is_under_way_for_its_lease_and_unknown_after_it(bed: Bed) -> None:
    claim = bed.claim()
    task = asyncio.create_task(bed.service().apart(claim, asyncio.Event().wait))  # type: ignore[arg-type]
    while await bed.state(claim) != "running":
        await asyncio.sleep(0.01)
    task.cancel()  # as if the process had died
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(InProgress):
        await bed.service().apart(claim, never)
    with pytest.raises(OutcomeUnknown):
        await bed.service(lease_s=0).apart(claim, never)
    another = msgspec.structs.replace(claim, fingerprint=b"another request")
    for way in (bed.service().apart, bed.service().atomic):
        with pytest.raises(KeyReused):
            await way(another, never)


async def test_an_answer_that_cannot_be_stored_is_given_all_the_same(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = bed.claim()

    async def lost(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr("crossdock.idempotency.store.finish", lost)
    assert await bed.service().apart(claim, bed.making("a")) is None
    monkeypatch.undo()
    assert await bed.made("a") == 1
    with pytest.raises(OutcomeUnknown):
        await bed.service(lease_s=0).apart(claim, never)


async def test_the_look_comes_after_the_lock_and_sees_what_was_committed_before_it(
    bed: Bed,
) -> None:
    row = await bed.world.admin.fetchrow(
        "SELECT prosrc, provolatile, prosecdef FROM pg_proc WHERE proname = 'claim_key'"
    )
    # Of a volatile function each statement sees what is committed when it begins; of any other one
    # all see what the caller's statement saw, which is older than the lock.
    assert row["provolatile"] == b"v"
    assert not row["prosecdef"]
    assert row["prosrc"].index("pg_try_advisory_xact_lock") < row["prosrc"].index("SELECT")


async def test_a_request_that_gets_the_lock_sees_what_its_last_holder_wrote(bed: Bed) -> None:
    for _ in range(30):
        claim, one, other = bed.claim(), bed.service(), bed.service()
        first = asyncio.create_task(one.atomic(claim, bed.making(claim.digest.hex())))
        told = None
        while told is None:
            try:
                told = await other.atomic(claim, bed.making(claim.digest.hex()))
            except InProgress:
                continue
            break
        await asyncio.gather(first, return_exceptions=True)
        assert await bed.made(claim.digest.hex()) == 1


async def test_work_that_joins_is_bound_by_the_tenants_connections_once(bed: Bed) -> None:
    """Each holds one connection, however often its work enters the tenant: nobody deadlocks."""

    async def entering() -> Answer:
        async with bed.databases.tenant(bed.tenant_id) as conn:
            await conn.execute(text("SELECT pg_sleep(0.02)"))
            await bed.make(f"{id(conn)} {asyncio.current_task()!r}"[:60] + str(id(object())))
        return ANSWER

    service = bed.service()
    told = await asyncio.gather(
        *(service.atomic(bed.claim(), entering) for _ in range(20)), return_exceptions=True
    )
    assert [one for one in told if one is not None and not isinstance(one, Answer)] == []
