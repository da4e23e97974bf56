"""Lines by the ten thousand, and one that is deep: each statement reads what it is about."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.delivery.dispatch import store as dispatching
from crossdock.delivery.order import store
from tests.beds.delivery import Receiver
from tests.beds.ordering import OrderBed

DEEP = 30_000
LINES = 10_000
FEW = 64
"""Rows that a node of a plan may read for each line: what it is about, and some to pass."""
_LEAST = -(2**63)
_NOBODY = UUID(int=0)


async def fill(bed: OrderBed, lines: Sequence[int]) -> None:
    """Insert blocked deliveries, first to last, as of a stream that has come far."""
    async with bed.database.session("owner") as owner:
        # The owner is bound by the policies like everybody: it must be let in to fill the table.
        await owner.execute("ALTER TABLE crossdock.deliveries NO FORCE ROW LEVEL SECURITY")
        await owner.execute(
            "INSERT INTO crossdock.deliveries"
            " (tenant_id, id, event_id, destination_id, due_at, line, order_seq)"
            " SELECT $1, i, i, $2, 'infinity', l, n"
            " FROM unnest($3::uuid[], $4::bigint[]) WITH ORDINALITY AS made (i, l, n)",
            bed.tenant,
            bed.destination,
            [ids.new() for _ in lines],
            lines,
        )
        await owner.execute("ALTER TABLE crossdock.deliveries FORCE ROW LEVEL SECURITY")
        await owner.execute("ANALYZE crossdock.deliveries")
    async with bed.database.queue() as conn:
        await store.raise_floor(conn, len(lines))


@pytest.fixture
async def deep(bed: OrderBed, receiver: Receiver) -> OrderBed:
    """One line with nearly all of the backlog, and many with one delivery each."""
    await bed.open(receiver.url("/ok"))
    await fill(bed, [0] * DEEP + list(range(1, LINES)))
    return bed


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all nodes of a plan."""
    yield node
    for child in node.get("Plans", ()):
        yield from nodes(child)


async def rows_read(bed: OrderBed, statement: str, *arguments: Any) -> int:
    """Return how many rows the busiest node of the plan gives or throws away."""
    async with bed.database.session("dispatch") as conn:
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute("SELECT crossdock.enter_many($1)", [bed.tenant])
        plan = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
        await transaction.rollback()
    found = 0
    for node in nodes(msgspec.json.decode(plan)[0]["Plan"]):
        each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        found = max(found, int(each * node["Actual Loops"]))
    return found


async def test_statements_read_what_they_are_about(deep: OrderBed) -> None:
    """The head of a deep line, and of many; what joins; a page of a sweep; a claim, and a round."""
    one = store._columns({deep.line(0)})
    assert await rows_read(deep, store._PROMOTE, *one, None, 0.0) <= FEW
    some = store._columns({deep.line(at) for at in range(200)})
    assert await rows_read(deep, store._PROMOTE, *some, None, 0.0) <= FEW * 200
    assert await rows_read(deep, store._WAITING) <= FEW
    assert await rows_read(deep, store._JOINING, DEEP, 100) <= FEW
    page = (_NOBODY, _NOBODY, _LEAST, 100)
    assert await rows_read(deep, store._LINES, *page) <= FEW * 100
    claim = ([deep.tenant], [deep.destination], [FEW], ids.new(), 1.0)
    assert await rows_read(deep, dispatching._CLAIM, *claim) <= FEW, "nothing is due"
    assert await rows_read(deep, dispatching._HEADS, _NOBODY, _NOBODY, 100) <= FEW * 100


async def test_what_joins_costs_what_joins_however_much_is_blocked(deep: OrderBed) -> None:
    async with deep.database.queue() as conn:
        await conn.execute("UPDATE crossdock.order_floor SET seq = $1", DEEP + LINES - 11)
        found = await store.joining(conn, DEEP + LINES, 500, 500)
        assert len(found.lines) == 10
        await store.raise_floor(conn, DEEP + LINES)
    read = await rows_read(deep, store._JOINING, DEEP + LINES, 500)
    assert read <= FEW
