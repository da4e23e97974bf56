"""Deliveries to destinations with a script: from a persisted event to what the receiver sees."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
from standardwebhooks import Webhook

from crossdock.config import DatabaseSettings, Settings, TransformSettings
from crossdock.db import Databases
from crossdock.delivery.model import BODY_KEPT
from crossdock.transforms.service import Sandbox
from tests.beds.delivery import DeliveryBed, Receiver, event_ids, failing_first, until
from tests.beds.scripts import ROOMY, returning
from tests.beds.worker import ROLES


@pytest.fixture(scope="module")
async def bed(settings: Settings, fresh_database: DatabaseSettings) -> AsyncIterator[DeliveryBed]:
    """The services over a database of this module's own."""
    database = await Databases.open(fresh_database, ROLES)
    yield DeliveryBed(database, settings)
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server that takes deliveries."""
    found = Receiver()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """What a worker has."""
    found = Sandbox(ROOMY)
    yield found
    await found.close()


async def _is(bed: DeliveryBed, tenant: UUID, *states: str) -> bool:
    return await bed.states(tenant) == list(states)


async def _are(bed: DeliveryBed, tenant: UUID, states: set[str]) -> bool:
    return set(await bed.states(tenant)) == states


async def test_what_the_script_made_is_what_arrives_and_what_is_signed(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox
) -> None:
    tenant = await bed.tenant()
    script = returning(
        "{payload: {of: event.payload.a, by: event.id, from: event.source_id, type: event.type},"
        " headers: {'X-Mine': 'yes'}}"
    )
    made = await bed.destination(tenant, receiver.url("/changed"), transform=script)
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant, b'{"a": 5}', "order.paid"))
        await dispatcher.offer(jobs)
        (call,) = await until(lambda: receiver.calls)
        await until(lambda: _is(bed, tenant, "delivered"))
    assert msgspec.json.decode(call.body) == {
        "of": 5,
        "by": event_ids(jobs)[0],
        "from": "src_00000000000000000000000007",
        "type": "order.paid",
    }
    assert call.headers["webhook-id"] == event_ids(jobs)[0]
    assert call.headers["x-mine"] == "yes"
    assert made.new_secret is not None
    Webhook(made.new_secret).verify(call.body, call.headers)
    (found,) = await bed.all_of(tenant)
    (attempt,) = found.attempts
    assert attempt.request_body == call.body
    assert ("x-mine", "yes") in [(name.lower(), value) for name, value in attempt.request_headers]


async def test_what_is_claimed_from_the_database_is_transformed_alike(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox
) -> None:
    tenant = await bed.tenant()
    script = returning("{payload: [event.type, event.id, event.headers, event.payload]}")
    await bed.destination(tenant, receiver.url("/claimed"), transform=script)
    jobs = await bed.persist(bed.arrival(tenant, b"7", "a.c"))
    await bed.make_due(jobs)
    async with bed.dispatching(sandbox=sandbox):
        await until(lambda: _is(bed, tenant, "delivered"))
    (call,) = receiver.calls
    assert msgspec.json.decode(call.body) == ["a.c", event_ids(jobs)[0], {}, 7]


async def test_what_is_kept_of_a_body_that_was_sent_is_bounded(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox
) -> None:
    tenant = await bed.tenant()
    await bed.destination(
        tenant, receiver.url("/long"), transform=returning("{payload: 'x'.repeat(100000)}")
    )
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: _is(bed, tenant, "delivered"))
    assert len(receiver.calls[0].body) == 100_000
    ((attempt,),) = [one.attempts for one in await bed.all_of(tenant)]
    assert attempt.request_body == b"x" * BODY_KEPT


async def test_a_script_that_returns_nothing_cancels(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox
) -> None:
    tenant = await bed.tenant()
    script = "function transform(event) { return event.payload.keep ? event : null; }"
    await bed.destination(tenant, receiver.url("/some"), transform=script)
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        arrivals = [bed.arrival(tenant, body) for body in (b'{"keep":true}', b'{"keep":false}')]
        await dispatcher.offer(await bed.persist(*arrivals))
        await until(lambda: _are(bed, tenant, {"delivered", "cancelled"}))
    assert [call.body for call in receiver.calls] == [b'{"keep":true}']
    (found,) = await bed.all_of(tenant, state="cancelled")
    assert found.delivery.reason == "transformed_away"
    assert found.delivery.finished_at is not None
    assert (found.delivery.attempts, found.attempts) == (0, ())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("function transform(event) {\n throw new Error('no tax');\n}", "Error: no tax (line 2)"),
        (returning("{payload: 1n}"), "BigInt"),
        (returning("{headers: {'x': 'a\\r\\nb: c'}}"), "/headers/x"),
        (returning("{payload: 'x'.repeat(3000000)}"), "3000000"),
        (returning("'text'"), "no object"),
    ],
    ids=["throws", "bigint", "injects", "too-large", "no-object"],
)
async def test_a_script_that_fails_makes_a_dead_letter_at_once(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox, script: str, words: str
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/never"), transform=script)
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: _is(bed, tenant, "dead"))
    (found,) = await bed.all_of(tenant)
    assert found.delivery.reason == "transform_failed"
    assert found.delivery.last_error is not None
    assert words in found.delivery.last_error
    (attempt,) = found.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, None, found.delivery.last_error)
    assert not receiver.calls
    shown = await bed.destinations.get(tenant, made.destination.id)
    assert shown.failing_since is None, "nobody was called: the destination has not failed"


async def test_a_script_out_of_time_is_tried_again_by_the_schedule(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    spinning = "function transform() { while (true); }"
    await bed.destination(tenant, receiver.url("/never"), transform=spinning)
    sandbox = Sandbox(TransformSettings(cpu_ms=20))
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: _is(bed, tenant, "dead"))
    await sandbox.close()
    (found,) = await bed.all_of(tenant)
    assert found.delivery.reason == "attempts_exhausted"
    assert len(found.attempts) == 4
    assert all(one.error and one.error.startswith("transform: ") for one in found.attempts)
    assert not receiver.calls


async def test_each_attempt_runs_the_script_anew(
    bed: DeliveryBed, receiver: Receiver, sandbox: Sandbox
) -> None:
    tenant = await bed.tenant()
    script = "let runs = 0; " + returning("{payload: {runs: ++runs}}")
    await bed.destination(tenant, receiver.url("/moody", failing_first(2)), transform=script)
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: _is(bed, tenant, "delivered"))
    assert [call.body for call in receiver.calls] == [b'{"runs":1}'] * 3


async def test_a_spinning_script_holds_up_nobody_else(bed: DeliveryBed, receiver: Receiver) -> None:
    noisy, quiet = await bed.tenant(), await bed.tenant()
    spinning = "function transform() { while (true); }"
    await bed.destination(noisy, receiver.url("/noisy"), transform=spinning)
    await bed.destination(quiet, receiver.url("/quiet"), transform=returning("{payload: 1}"))
    sandbox = Sandbox(TransformSettings(cpu_ms=60_000))
    async with bed.dispatching(sandbox=sandbox) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(noisy), bed.arrival(noisy)))
        await until(lambda: sandbox.waiting == 1)
        await dispatcher.offer(await bed.persist(bed.arrival(quiet)))
        await until(lambda: _is(bed, quiet, "delivered"))
        assert await bed.states(noisy) == ["pending", "pending"]
        await sandbox.close()
