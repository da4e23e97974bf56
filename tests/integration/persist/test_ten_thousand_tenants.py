"""Ten thousand tenants, batches over five hundred of them, and everything that can go wrong.

The oracle is a few dictionaries in this file: what must be stored is worked out from what was sent,
never from what the database says.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import UUID

import pytest

from crossdock.db import Database
from crossdock.inbound.persist import Arrival, Duplicate, Persisted, Persister, Stored
from tests.beds.doomed import Moment, doom, kill
from tests.beds.world import Destination, Tenant, World, fresh, tenant

TENANTS: Final = 10_000
SIZE: Final = 500
TYPES: Final = ("order.paid", "order.item.added", "refund", "")
MOMENTS: Final[tuple[Moment, ...]] = ("midway", "before_commit", "after_commit")

DICE: Final = Random(20_261_123)  # noqa: S311 - the same luck in every run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Oracle:
    """What must be true at the end, from what was sent alone."""

    def __init__(self) -> None:
        self.groups: dict[bytes, set[UUID]] = defaultdict(set)
        """Ids that were accepted for one and the same webhook, by its key."""
        self.wanted: dict[bytes, set[UUID]] = {}
        """The destinations that each of them must reach."""
        self.owner: dict[bytes, UUID] = {}

    def accept(self, arrival: Arrival, owner: Tenant) -> None:
        """Note what was answered with 202."""
        self.groups[arrival.key].add(arrival.event_id)
        self.owner[arrival.key] = owner.id
        self.wanted[arrival.key] = {
            one.id
            for one in owner.destinations
            if not one.event_types
            or arrival.message.event_type == one.event_types[0]
            or (one.event_types[0] == "order.*" and arrival.message.event_type.startswith("order."))
        }


def people() -> list[Tenant]:
    """Return the tenants: none to three destinations each, some of them choosy."""
    kinds = ((), ("order.*",), ("refund",))
    return [
        tenant(*(Destination(fresh(), event_types=kinds[n]) for n in range(at % 4)))
        for at in range(TENANTS)
    ]


def batches(
    world: World, tenants: list[Tenant], oracle: Oracle, number: int
) -> list[list[Arrival]]:
    """Return batches of webhooks: some doubled inside a batch, some across, some without a key."""
    made: list[list[Arrival]] = []
    sent: list[tuple[Arrival, Tenant]] = []
    for _ in range(number):
        batch: list[tuple[Arrival, Tenant]] = []
        for owner in DICE.sample(tenants, SIZE - 40):
            key = None if DICE.random() < 0.05 else b""
            batch.append((world.webhook(owner, dedupe=key, event_type=DICE.choice(TYPES)), owner))
        keyed = [pair for pair in batch if pair[0].is_keyed]
        batch += [(world.again(one), owner) for one, owner in DICE.sample(keyed, 20)]
        if sent:
            batch += [(world.again(one), owner) for one, owner in DICE.sample(sent, 20)]
        DICE.shuffle(batch)
        for arrival, owner in batch:
            oracle.accept(arrival, owner)
        sent += keyed
        made.append([arrival for arrival, _ in batch])
    return made


async def check(world: World, oracle: Oracle) -> None:
    """Compare what is stored with what must be."""
    rows = await world.admin.fetch("SELECT tenant_id, id FROM crossdock.events")
    events = {row["id"]: row["tenant_id"] for row in rows}
    assert len(events) == len(rows) == len(oracle.groups)
    rows = await world.admin.fetch(
        "SELECT tenant_id, alias_id, event_id FROM crossdock.event_aliases"
    )
    aliases = {row["alias_id"]: (row["tenant_id"], row["event_id"]) for row in rows}
    reached: dict[UUID, list[UUID]] = defaultdict(list)
    for row in await world.admin.fetch(
        "SELECT tenant_id, event_id, destination_id FROM crossdock.deliveries"
    ):
        assert events[row["event_id"]] == row["tenant_id"]
        reached[row["event_id"]].append(row["destination_id"])
    for key, accepted in oracle.groups.items():
        originals = accepted & events.keys()
        assert len(originals) == 1
        (original,) = originals
        assert events[original] == oracle.owner[key]
        for other in accepted - originals:
            assert aliases.pop(other) == (oracle.owner[key], original)
        assert sorted(reached.pop(original, [])) == sorted(oracle.wanted[key])
    assert not aliases
    assert not reached
    assert await world.count("event_keys") == sum(key[32] for key in oracle.groups)


async def test_ten_thousand_tenants(world: World, database: Database) -> None:
    tenants, oracle = people(), Oracle()
    await world.add(*tenants)
    worker, other = Persister(database, lease_s=60), Persister(database, lease_s=60)

    # One worker after the other is killed; each batch comes again to one that lives.
    sent = batches(world, tenants, oracle, 12)
    for number, batch in enumerate(sent):
        if number % 4:
            await kill(doom(world.settings, MOMENTS[number % 4 - 1], batch))
        stored = [
            outcome
            for outcome in (await worker.persist(batch)).outcomes
            if isinstance(outcome, Stored)
        ]
        assert bool(stored) == (number % 4 != 3)
        await check_counts(world, oracle, sent[: number + 1])
    await check(world, oracle)

    # Two workers at once: on batches of their own, on the same batch, on each other's duplicates.
    sent = batches(world, tenants, oracle, 12)
    for first, second in zip(sent[::2], sent[1::2], strict=True):
        doubles = [world.again(one) for one in first if one.is_keyed]
        for double, origin in zip(doubles, [one for one in first if one.is_keyed], strict=True):
            oracle.groups[origin.key].add(double.event_id)
        done = await asyncio.gather(
            worker.persist(first + second),
            other.persist(DICE.sample(first, len(first)) + doubles),
        )
        once(done)
    await check(world, oracle)

    # All of it again, as after a long outage of the broker: nothing changes.
    again = [one for batch in sent for one in batch]
    repeated = [await worker.persist(again[at : at + SIZE]) for at in range(0, len(again), SIZE)]
    assert not any(isinstance(outcome, Stored) for one in repeated for outcome in one.outcomes)
    assert not any(one.leased for one in repeated)
    await check(world, oracle)


async def check_counts(world: World, oracle: Oracle, sent: list[list[Arrival]]) -> None:
    """Check after each batch that nothing was lost or doubled, without reading it all."""
    keys = {arrival.key for batch in sent for arrival in batch}
    assert await world.count("events") == len(keys)
    assert await world.count("deliveries") == sum(len(oracle.wanted[key]) for key in keys)


def once(done: Sequence[Persisted]) -> None:
    """Check that no two workers stored one event, nor leased one delivery."""
    stored = [
        outcome.event_id
        for result in done
        for outcome in result.outcomes
        if isinstance(outcome, Stored)
    ]
    leased = [delivery.id for result in done for delivery, _ in result.leased]
    originals = {
        outcome.original
        for result in done
        for outcome in result.outcomes
        if isinstance(outcome, Duplicate)
    }
    assert len(stored) == len(set(stored))
    assert len(leased) == len(set(leased))
    assert originals
