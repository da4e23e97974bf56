"""An inbox: what came is there to look at, and it fails as it is told to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook

from crossdock import ids
from crossdock.delivery.destinations.model import InboxSettings
from crossdock.delivery.inbox.forgetting import forget_messages
from crossdock.delivery.inbox.model import BODY_KEPT, KEPT_FOR, MOST_KEPT, InboxMessage
from crossdock.delivery.inbox.service import Inboxes
from crossdock.errors import NotFound
from crossdock.inbound.persist import Arrival
from crossdock.paging import Window
from crossdock.secrets.payloads import TenantKeys, seal_payload
from tests.beds.carrying import delivered
from tests.beds.delivery import DeliveryBed, until


async def kept(bed: DeliveryBed, tenant: UUID, inbox: UUID) -> list[InboxMessage]:
    """Return what an inbox has, oldest first."""
    found = await Inboxes(bed.databases).page(tenant, inbox, Window(limit=200))
    return list(found.items)[::-1]


async def test_what_came_is_shown_as_an_endpoint_would_get_it(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, kind="inbox")
    attempt = await delivered(bed, tenant, b'{"total": 4200}')
    (message,) = await kept(bed, tenant, made.destination.id)
    assert (message.outcome, message.body, attempt.status) == ("200", b'{"total": 4200}', 200)
    assert made.new_secret is not None
    Webhook(made.new_secret).verify(message.body, dict(message.headers))
    delivery = (await bed.all_of(tenant))[0].delivery
    assert message.event_id == delivery.event_id
    assert dict(message.headers)["webhook-id"] == ids.encode("evt", message.event_id)


@pytest.mark.parametrize(
    ("wishes", "outcomes", "error", "status"),
    [
        ({"status": 503}, ["503"] * 4, None, 503),
        ({"status": 503, "fail_first": 2}, ["503", "503", "200"], None, 200),
        ({"failure": "reset"}, ["reset"] * 4, "read: the connection was reset", None),
        ({"failure": "hang"}, ["hang"] * 4, "timeout", None),
        ({"failure": "hang", "fail_first": 1}, ["hang", "200"], None, 200),
        ({"delay_s": 30.0}, ["200"] * 4, "timeout", None),
        ({"delay_s": 0.01}, ["200"], None, 200),
    ],
    ids=["status", "twice", "reset", "hang", "hang once", "too slow", "slow"],
)
async def test_it_fails_as_it_is_told(
    bed: DeliveryBed,
    wishes: dict[str, Any],
    outcomes: list[str],
    error: str | None,
    status: int | None,
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(
        tenant, kind="inbox", settings=InboxSettings(**wishes), breaker="off"
    )
    ends = "delivered" if outcomes[-1] == "200" and error is None else "dead"
    attempt = await delivered(bed, tenant, state=ends, timeout_s=0.05)
    found = await kept(bed, tenant, made.destination.id)
    assert [message.outcome for message in found] == outcomes
    assert (attempt.error, attempt.status) == (error, status)


async def test_only_the_newest_are_kept_and_the_start_of_a_body(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, kind="inbox")
    key = made.destination.id
    async with bed.database.batch("dispatch", {tenant}) as conn:
        await conn.executemany(
            "INSERT INTO crossdock.inbox_messages VALUES ($1, $2, $3, $4, 'old', '[]', '')",
            [(tenant, key, ids.new(), ids.new()) for _ in range(MOST_KEPT + 5)],
        )
    body = b"x" * (BODY_KEPT + 1)
    await delivered(bed, tenant, body)
    async with bed.database.batch("dispatch", {tenant}) as conn:
        count = "SELECT count(id) FROM crossdock.inbox_messages WHERE destination_id = $1"
        assert await conn.fetchval(count, key) == MOST_KEPT
    newest = (await Inboxes(bed.databases).page(tenant, key, Window(limit=1))).items[0]
    assert newest.body == body[:BODY_KEPT]


async def test_an_inbox_is_emptied_and_belongs_to_its_tenant(bed: DeliveryBed) -> None:
    tenant, stranger = await bed.tenant(), await bed.tenant()
    made = await bed.destination(tenant, kind="inbox")
    other = await bed.destination(tenant, "https://example.com/", event_types=("none",))
    await delivered(bed, tenant)
    inboxes = Inboxes(bed.databases)
    with pytest.raises(NotFound):
        await inboxes.page(stranger, made.destination.id, Window(limit=1))
    with pytest.raises(NotFound):
        await inboxes.empty(stranger, made.destination.id)
    assert not (await inboxes.page(tenant, other.destination.id, Window(limit=1))).items
    assert len(await kept(bed, tenant, made.destination.id)) == 1
    await inboxes.empty(tenant, made.destination.id)
    assert not await kept(bed, tenant, made.destination.id)


async def test_a_sealed_payload_is_not_kept_in_the_clear(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, kind="inbox")
    key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    arrival = bed.arrival(tenant)
    body = seal_payload(key, arrival.tenant_id, arrival.event_id, b'{"card": "4242"}')
    message = replace(arrival.message, body=body, data_key=key.id.bytes)
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(await bed.persist(Arrival.of(message, arrival.stream_seq)))

        async def has_come() -> bool:
            return await bed.states(tenant) == ["delivered"]

        await until(has_come)
    (found,) = await kept(bed, tenant, made.destination.id)
    assert found.body == b""
    assert dict(found.headers)["webhook-signature"]


async def test_old_messages_go_and_so_do_those_of_a_destination_that_is_deleted(
    bed: DeliveryBed,
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, kind="inbox")
    key, now = made.destination.id, datetime.now(UTC)
    old = [ids.floor(now - KEPT_FOR - timedelta(hours=hours)) for hours in range(1, 6)]
    rows = [(tenant, key, one, one) for one in [*old, ids.new()]]
    async with bed.database.batch("dispatch", {tenant}) as conn:
        await conn.executemany(
            "INSERT INTO crossdock.inbox_messages VALUES ($1, $2, $3, $4, '200', '[]', '')", rows
        )
    assert await forget_messages(bed.database, batch=2) == 5
    assert len(await kept(bed, tenant, key)) == 1
    await bed.destinations.delete(tenant, key, None)
    async with bed.database.batch("dispatch", {tenant}) as conn:
        count = "SELECT count(id) FROM crossdock.inbox_messages WHERE destination_id = $1"
        assert await conn.fetchval(count, key) == 0
