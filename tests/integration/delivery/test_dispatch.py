"""From a persisted event to what its receiver sees, and back to what is on record."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from crossdock import ids
from crossdock.delivery.destinations.model import RetryPolicy
from tests.beds.delivery import (
    TRACE,
    DeliveryBed,
    Receiver,
    event_ids,
    failing_first,
    until,
)


async def test_a_leased_delivery_goes_out_at_once_and_is_recorded(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    body = b'{"n" :1,  "text":"\xc3\xa4"}'
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant, body))
        await dispatcher.offer(jobs)
        (call,) = await until(lambda: receiver.calls)
        await until(lambda: bed_is(bed, tenant, "delivered"))
    assert call.body == body
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("Crossdock/")
    assert call.headers["webhook-id"] == event_ids(jobs)[0]
    trace = call.headers["traceparent"]
    assert trace[:36] == TRACE[:36]
    assert trace != TRACE, "the call is a span of its own"
    assert made.new_secret is not None
    Webhook(made.new_secret).verify(call.body, call.headers)
    (found,) = await bed.all_of(tenant)
    assert (found.delivery.attempts, found.delivery.last_status) == (1, 204)
    assert found.delivery.finished_at is not None
    (attempt,) = found.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, 204, None)


async def bed_is(bed: DeliveryBed, tenant: object, *states: str) -> bool:
    return await bed.states(tenant) == list(states)  # type: ignore[arg-type]


async def test_what_is_due_is_claimed_without_an_offer(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    jobs = await bed.persist(*(bed.arrival(tenant, b"%d" % n) for n in range(20)))
    await bed.make_due(jobs)
    async with bed.dispatching():
        await until(lambda: bed_is(bed, tenant, *["delivered"] * 20))
    assert sorted(int(call.body) for call in receiver.calls) == list(range(20))


async def test_a_failure_is_tried_again_with_the_same_id_until_it_succeeds(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/moody", failing_first(2)))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "delivered"))
    (found,) = await bed.all_of(tenant)
    assert [attempt.status for attempt in found.attempts] == [503, 503, 204]
    assert [attempt.number for attempt in found.attempts] == [1, 2, 3]
    assert len({call.headers["webhook-id"] for call in receiver.calls}) == 1
    assert len({call.headers["traceparent"] for call in receiver.calls}) == 3


async def test_attempts_run_out_into_a_dead_letter_with_its_reason(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/broken", 500))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "dead"))
    (found,) = await bed.all_of(tenant, state="dead")
    assert found.delivery.reason == "attempts_exhausted"
    assert found.delivery.attempts == 4
    assert found.delivery.due_at is None
    assert len(found.attempts) == 4


async def test_retry_after_is_waited_for(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    behaviour = failing_first(1, 429, **{"retry-after": "1"})
    policy = RetryPolicy(delays_s=(0.05,), cap_s=10)
    await bed.destination(tenant, receiver.url("/slow", behaviour))
    async with bed.dispatching(policy=policy) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "delivered"))
    first, second = receiver.calls
    assert 1.0 <= second.at - first.at < 2.5


async def test_410_is_final_and_disables_the_destination(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/gone", 410))
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant))
        await dispatcher.offer(jobs)
        await until(lambda: bed_is(bed, tenant, "dead"))
    (found,) = await bed.all_of(tenant)
    assert (found.delivery.reason, found.delivery.attempts) == ("gone", 1)
    after = await bed.destinations.get(tenant, made.destination.id)
    assert (after.state, after.disabled_reason, after.version) == ("disabled", "gone", 2)
    assert await bed.persist(bed.arrival(tenant)) == [], "it takes no new ones"


async def test_a_final_client_error_is_a_dead_letter_at_once(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    policy = RetryPolicy(delays_s=(1.0,), final_statuses=(422,))
    await bed.destination(tenant, receiver.url("/picky", 422), retry=policy)
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "dead"))
    (found,) = await bed.all_of(tenant)
    assert found.delivery.reason == "rejected"


async def test_five_days_of_failure_disable_it_and_its_deliveries_wait(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/down", 500))
    key = tenant, made.destination.id

    async def failing_since() -> object:
        return (await bed.destinations.get(*key)).failing_since

    policy = RetryPolicy(delays_s=(0.3,) * 40)
    async with bed.dispatching(policy=policy) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(failing_since)
    async with bed.database.batch("dispatch", [tenant]) as conn:
        await conn.execute(
            "UPDATE crossdock.destinations SET failing_since = now() - interval '5 days'"
        )
    async with bed.dispatching(policy=policy):
        await until(lambda: is_disabled(bed, *key))
    assert (await bed.destinations.get(*key)).disabled_reason == "failing"
    assert await bed.states(tenant) == ["pending"]
    receiver.url("/down", 204)
    await bed.destinations.switch(*key, "enabled")
    async with bed.dispatching(policy=policy):
        await until(lambda: bed_is(bed, tenant, "delivered"))
    assert (await bed.destinations.get(*key)).failing_since is None


async def is_disabled(bed: DeliveryBed, tenant: object, destination: object) -> bool:
    found = await bed.destinations.get(tenant, destination)  # type: ignore[arg-type]
    return found.state == "disabled"


async def test_a_success_ends_the_time_of_failing(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/moody", failing_first(1)))
    policy = RetryPolicy(delays_s=(1.0,))
    key = tenant, made.destination.id
    async with bed.dispatching(policy=policy) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: has_failed(bed, *key))
        await until(lambda: bed_is(bed, tenant, "delivered"))

        async def recovered() -> bool:
            return (await bed.destinations.get(*key)).failing_since is None

        await until(recovered)
    assert (await bed.destinations.get(*key)).version == 1, "that is no edit of its owner's"


async def has_failed(bed: DeliveryBed, tenant: object, destination: object) -> bool:
    found = await bed.destinations.get(tenant, destination)  # type: ignore[arg-type]
    return found.failing_since is not None


async def test_an_owner_may_switch_it_off_and_on_and_nothing_is_lost(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    await bed.make_due(await bed.persist(bed.arrival(tenant)))
    await bed.destinations.switch(tenant, made.destination.id, "disabled")
    other = await bed.tenant()
    await bed.destination(other, receiver.url("/other"))
    await bed.make_due(await bed.persist(bed.arrival(other)))
    async with bed.dispatching():
        await until(lambda: bed_is(bed, other, "delivered"))
        assert await bed.states(tenant) == ["pending"]
    assert not receiver.seen("/ok")
    await bed.destinations.switch(tenant, made.destination.id, "enabled")
    async with bed.dispatching():
        await until(lambda: bed_is(bed, tenant, "delivered"))


async def test_a_suspended_tenants_deliveries_wait_until_it_is_back(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, other = await bed.tenant(), await bed.tenant()
    for one in (tenant, other):
        await bed.destination(one, receiver.url(f"/{one}"))
    await bed.make_due(await bed.persist(bed.arrival(tenant)))
    slug = ids.encode("ten", tenant)
    await bed.tenants.switch(slug, "suspended")
    assert await bed.persist(bed.arrival(tenant)) == [], "new ones wait as well"
    await bed.make_due(await bed.persist(bed.arrival(other)))
    async with bed.dispatching():
        await until(lambda: bed_is(bed, other, "delivered"))
    assert await bed.states(tenant) == ["pending", "pending"]
    await bed.tenants.switch(slug, "active")
    async with bed.dispatching():
        await until(lambda: bed_is(bed, tenant, "delivered", "delivered"))


async def test_deliveries_of_a_deleted_destination_are_cancelled(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    await bed.make_due(await bed.persist(bed.arrival(tenant)))
    await bed.destinations.delete(tenant, made.destination.id, None)
    async with bed.dispatching():
        await until(lambda: bed_is(bed, tenant, "cancelled"))
    (found,) = await bed.all_of(tenant)
    assert found.delivery.reason == "destination_deleted"
    assert not receiver.calls


async def test_an_edited_url_counts_for_what_waits(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/old", 500))
    policy = RetryPolicy(delays_s=(0.2,) * 40)
    async with bed.dispatching(policy=policy) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: receiver.seen("/old"))
        await bed.destinations.patch(
            tenant, made.destination.id, {"url": receiver.url("/new")}, None
        )
        await until(lambda: bed_is(bed, tenant, "delivered"))
    assert receiver.seen("/new")


async def test_during_a_rotation_both_secrets_sign(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    old = await bed.destination(tenant, receiver.url("/ok"))
    key = tenant, old.destination.id
    new = await bed.destinations.rotate_secret(*key, timedelta(hours=1))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        (call,) = await until(lambda: receiver.calls)
    for secret in (old.new_secret, new.new_secret):
        assert secret is not None
        Webhook(secret).verify(call.body, call.headers)
    newest = await bed.destinations.rotate_secret(*key, timedelta(0))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        _, call = await until(lambda: len(receiver.calls) == 2 and receiver.calls)
    assert newest.new_secret is not None
    Webhook(newest.new_secret).verify(call.body, call.headers)
    assert old.new_secret is not None
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(old.new_secret).verify(call.body, call.headers)


async def test_an_event_that_is_gone_is_a_dead_letter(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    jobs = await bed.persist(bed.arrival(tenant))
    async with bed.database.session("maintenance") as conn:
        await conn.execute("DELETE FROM crossdock.events WHERE tenant_id = $1", tenant)
    await bed.make_due(jobs)
    async with bed.dispatching():
        await until(lambda: bed_is(bed, tenant, "dead"))
    (found,) = await bed.all_of(tenant)
    assert (found.delivery.reason, found.delivery.attempts) == ("event_missing", 0)


async def test_a_secret_that_does_not_open_loses_nothing(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    async with bed.database.tenant(tenant) as app:
        await app.exec_driver_sql(
            "UPDATE crossdock.destinations"
            """ SET secrets = jsonb_set(secrets, '{0,sealed}', '"AQ=="')"""
        )
    async with bed.dispatching(policy=RetryPolicy(delays_s=(60.0,))) as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))

        async def attempted() -> bool:
            return any(one.attempts for one in await bed.all_of(tenant))

        await until(attempted)
    (found,) = await bed.all_of(tenant)
    assert found.delivery.state == "pending"
    assert found.attempts[0].error == "internal: SealBroken"
    assert not receiver.calls


async def test_a_destination_that_changes_meanwhile_is_not_taken_for_deleted(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """Its row changes with its first failure, while many of its deliveries wait in memory."""
    tenant = await bed.tenant()
    # No 5xx: its breaker would open, and the rest wait.
    await bed.destination(tenant, receiver.url("/broken", 404))
    async with bed.dispatching(policy=RetryPolicy(delays_s=())) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(tenant) for _ in range(50))))
        await until(lambda: bed_is(bed, tenant, *["dead"] * 50))


async def test_odd_bytes_in_an_answers_headers_are_kept_as_text(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    raw = b"HTTP/1.1 204 No Content\r\nx-odd: \xff\xe4 \xc3\xa4\r\nconnection: close\r\n\r\n"

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    tenant = await bed.tenant()
    port = server.sockets[0].getsockname()[1]
    await bed.destination(tenant, f"http://127.0.0.1:{port}/")
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "delivered"))
    server.close()
    (found,) = await bed.all_of(tenant)
    assert ("x-odd", "\ufffd\ufffd \xe4") in [tuple(h) for h in found.attempts[0].response_headers]


async def test_large_and_binary_answers_are_kept_in_part(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    async def big(_: web.Request) -> web.Response:
        return web.Response(body=bytes(range(256)) * 1024, headers={"x-\u0061": "\xe4"})

    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/big", big))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: bed_is(bed, tenant, "delivered"))
    (found,) = await bed.all_of(tenant)
    (attempt,) = found.attempts
    assert attempt.response_body == bytes(range(256)) * 256
