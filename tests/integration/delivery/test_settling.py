"""Results cost what they are, however much is pending: their plans, by statistics or without."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.dispatcher import Job
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import Attempt, Leased
from tests.beds.delivery import DeliveryBed

BACKLOG = 6_000
ENDED = 50


class Explaining:
    """A connection that explains what it is told, and keeps how much that looked at."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self.looked_at = 0

    async def execute(self, statement: str, *arguments: Any) -> list[Any]:
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        plan = msgspec.json.decode(await self._conn.fetchval(explain, *arguments))[0]["Plan"]
        self.looked_at = max(map(_looked_at, _nodes(plan)))
        return []

    fetch = execute


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _looked_at(node: dict[str, Any]) -> int:
    """Return what a node gave and threw away, all its loops together."""
    thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0)
    return int(node["Actual Loops"] * (node["Actual Rows"] + thrown))


@pytest.fixture(scope="module")
async def backlog(bed: DeliveryBed) -> tuple[UUID, list[Job]]:
    """A tenant, and what is pending of it in a partition of which nothing is known yet."""
    tenant = await bed.tenant()
    await bed.destination(tenant, "http://127.0.0.1:9/nobody")
    jobs: list[Job] = []
    for _ in range(BACKLOG // 500):
        jobs += await bed.persist(*(bed.arrival(tenant) for _ in range(500)))
    return tenant, jobs


async def test_results_are_found_by_their_ids_and_not_among_what_is_pending(
    bed: DeliveryBed, backlog: tuple[UUID, list[Job]]
) -> None:
    tenant, jobs = backlog
    # From all over the backlog: their ids lie around most of it.
    settled = [_delivered(job.leased) for job in jobs[:: BACKLOG // ENDED]]
    async with bed.database.batch("dispatch", {tenant}) as conn:
        explaining = Explaining(conn)
        await store.settle(explaining, settled)
    assert explaining.looked_at <= 2 * ENDED


async def test_leases_are_given_back_without_a_look_at_what_else_is_pending(
    bed: DeliveryBed, backlog: tuple[UUID, list[Job]]
) -> None:
    tenant, jobs = backlog
    unused = [(job.leased, 0.0) for job in jobs[1 :: BACKLOG // ENDED]]
    async with bed.database.batch("dispatch", {tenant}) as conn:
        explaining = Explaining(conn)
        await store.release(explaining, unused)
    assert explaining.looked_at <= 2 * ENDED


async def test_statistics_that_know_nothing_of_the_newest_change_nothing(
    bed: DeliveryBed, backlog: tuple[UUID, list[Job]]
) -> None:
    tenant, _ = backlog
    async with bed.database.session("owner") as owner:
        await owner.execute("ANALYZE crossdock.deliveries")
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(400)))
    async with bed.database.batch("dispatch", {tenant}) as conn:
        explaining = Explaining(conn)
        await store.release(explaining, [(job.leased, 0.0) for job in jobs[::2]])
        assert explaining.looked_at <= len(jobs)
        await store.settle(explaining, [_delivered(job.leased) for job in jobs[1::2]])
        assert explaining.looked_at <= len(jobs)


def _delivered(leased: Leased) -> Settled:
    attempt = Attempt(ids.new(), leased.id, 1, 3, 204, None, [], b"")
    return Settled(leased, "delivered", 1, status=204, attempt=attempt)
