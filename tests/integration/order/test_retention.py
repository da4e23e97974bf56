"""A line whose deliveries are older than their partitions keeps its order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crossdock.db.partitions import ensure_ahead
from crossdock.db.retention import drop_before
from crossdock.delivery.order import store
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed, numbers, over
from tests.beds.world import id_at

DAY = timedelta(days=1)
LONG_AGO = datetime(2003, 3, 3, tzinfo=UTC)


async def insert(bed: OrderBed, made: UUID, state: str, seq: int) -> None:
    """Insert an event of long ago with its ordered delivery, as persisting would have."""
    async with bed.database.session("owner") as owner:
        for table in ("events", "deliveries"):
            await owner.execute(f"ALTER TABLE crossdock.{table} NO FORCE ROW LEVEL SECURITY")
        await owner.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body)"
            " VALUES ($1, $2, $2, $3, 'a.b', 'text/plain', '', '[]', $4)",
            bed.tenant,
            made,
            seq,
            b"1 %d" % seq,
        )
        await owner.execute(
            "INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, due_at,"
            " state, line, order_seq, is_replay) VALUES ($1, $2, $2, $3,"
            " CASE $4 WHEN 'pending' THEN 'infinity' ELSE now() END, $4, 1, $5, false)",
            bed.tenant,
            made,
            bed.destination,
            state,
            seq,
        )
        for table in ("events", "deliveries"):
            await owner.execute(f"ALTER TABLE crossdock.{table} FORCE ROW LEVEL SECURITY")


@pytest.fixture
async def dropped(bed: OrderBed, receiver: Receiver) -> list[Any]:
    """What is left of a dead letter, a delivered one and two that wait, once their day is dropped.

    The floor is above them all: they joined when they were new.
    """
    await bed.open(receiver.url("/ok"), hold="until_delivered")
    async with bed.database.session("maintenance") as conn:
        await ensure_ahead(conn, now=LONG_AGO, ahead=DAY)
    for seq, state in enumerate(("delivered", "dead", "pending", "pending"), 1):
        await insert(bed, id_at(LONG_AGO + timedelta(hours=seq)), state, seq)
    async with bed.database.queue() as conn:
        await store.raise_floor(conn, 4)
    async with bed.database.session("maintenance") as conn:
        report = await drop_before(conn, LONG_AGO + 2 * DAY)
    assert any(one.rows_kept == 3 for one in report.partitions)
    return await bed.rows()


async def test_what_is_kept_keeps_its_line_and_its_place(
    bed: OrderBed, receiver: Receiver, dropped: list[Any]
) -> None:
    kept = [(row["state"], row["line"], row["order_seq"], row["blocked"]) for row in dropped]
    assert kept == [("dead", 1, 2, False), ("pending", 1, 3, True), ("pending", 1, 4, True)]
    assert await bed.joiner().sweep(bed.tenant) == 1
    assert await bed.active() == [], "the dead letter holds its line in the small partition as well"
    await bed.hold_until("until_dead")
    async with bed.working():
        await bed.joiner().sweep(bed.tenant)
        await over(bed)
    assert numbers(receiver.calls)[1] == [3, 4]
