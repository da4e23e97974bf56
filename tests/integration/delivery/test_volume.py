"""Claims cost what they take, however much is due: their plans, on statistics that mislead."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.delivery.dispatch import store
from tests.beds.delivery import DeliveryBed

BACKLOG = 30_000
OTHERS = 300
FEW = 64
"""Rows that a node of a plan may read for each destination: what it takes, and some to pass."""


@pytest.fixture(scope="module")
async def crowded(bed: DeliveryBed) -> list[tuple[UUID, UUID]]:
    """One destination with a large backlog, many with one delivery due; the backlog's is first."""
    pairs = [(ids.new(), ids.new()) for _ in range(OTHERS)]
    chosen = [pairs[0]] * BACKLOG + pairs
    async with bed.database.session("owner") as owner:
        # The owner is bound by the policies like everybody: it must be let in to fill the table.
        await owner.execute("ALTER TABLE crossdock.deliveries NO FORCE ROW LEVEL SECURITY")
        await owner.execute(
            "INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, due_at)"
            " SELECT t, i, i, d, now()"
            " FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS made (t, d, i)",
            [tenant for tenant, _ in chosen],
            [destination for _, destination in chosen],
            [ids.new() for _ in chosen],
        )
        await owner.execute("ALTER TABLE crossdock.deliveries FORCE ROW LEVEL SECURITY")
        await owner.execute("ANALYZE crossdock.deliveries")
    return pairs


async def rows_read(bed: DeliveryBed, statement: str, *arguments: Any) -> int:
    """Return how many rows the busiest node of the plan gives, all its loops together."""
    async with bed.database.queue() as conn:
        plan = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
    nodes = list(_nodes(msgspec.json.decode(plan)[0]["Plan"]))
    return max(int(node["Actual Rows"] * node["Actual Loops"]) for node in nodes)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def columns(pairs: Sequence[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [tenant for tenant, _ in pairs], [destination for _, destination in pairs]


async def test_a_claim_reads_what_it_takes(
    bed: DeliveryBed, crowded: list[tuple[UUID, UUID]]
) -> None:
    pairs = crowded[:50]
    quotas = [FEW // 2] * len(pairs)
    read = await rows_read(bed, store._CLAIM, *columns(pairs), quotas, ids.new(), 1.0)
    assert read <= FEW * len(pairs)


async def test_a_round_steps_from_destination_to_destination(
    bed: DeliveryBed, crowded: list[tuple[UUID, UUID]]
) -> None:
    nobody = UUID(int=0)
    read = await rows_read(bed, store._HEADS, nobody, nobody, 100)
    assert read <= FEW * 100
