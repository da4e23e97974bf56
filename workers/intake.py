"""What was fetched and waits to be persisted: by tenants, so that nobody waits for another's heap.

INGEST is one line for everybody, and a transaction takes as long as all that is in it. So messages
are sorted by their tenants here. A tenant with little is light, and has a lane that nobody's heap
ever enters; heavy ones share what is left, the one with less first. What weighs is work: a message,
the size of its body, and how long its tenant's filters took lately.

Pure bookkeeping, in memory for as long as a batch takes; the broker has all of it until it is
acknowledged. A tenant's own messages stay in their order.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

import msgspec

from crossdock.bus.consumer import Pulled
from crossdock.inbound.persist import Arrival, Poison

Lane = Literal["light", "heavy", "any"]
Decoded = tuple[Pulled, Arrival | Poison]

LIGHT: Final = 32.0
"""A tenant that has no more than this, waiting and under way, is light: about 3 ms of work."""
MOST_OF_ONE: Final = 1000.0
"""What one tenant may bring into a batch, one message at least: about 100 ms of work."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""What a batch may hold of messages, but for one of each tenant, and what may wait here before no
more is fetched."""
BYTES_A_UNIT: Final = 16 * 1024
SECONDS_A_UNIT: Final = 0.0001
"""What it takes to persist a small message, about: the unit of weights."""
_NOBODY: Final = UUID(int=0)
"""Whose messages are that nobody can read."""


class _Tenant:
    """What there is of a tenant."""

    __slots__ = ("under_way", "waiting", "weight")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Decoded, float]] = deque()
        self.weight = 0.0
        """Of what waits, and of what is under way."""
        self.under_way = 0

    @property
    def is_light(self) -> bool:
        return self.weight <= LIGHT


class Batch(msgspec.Struct, frozen=True):
    """Messages to be persisted together; to be given to `Intake.done` in the end."""

    messages: list[Decoded]
    weights: dict[UUID, tuple[int, float]]
    """Of each tenant's messages: how many, and how heavy."""


class Intake:
    """One for a shard's flow."""

    def __init__(self, batch_size: int) -> None:
        """Say how many messages a batch may have; about as many may wait."""
        self._most = batch_size
        self._tenants: dict[UUID, _Tenant] = {}
        self._extra: dict[UUID, float] = {}
        """What a message of a tenant weighs more, for its filters."""
        self._waiting = 0
        self._bytes = 0
        self._is_closed = False
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def add(self, messages: Iterable[Decoded]) -> None:
        """Let messages wait for a lane."""
        for message in messages:
            pulled, one = message
            tenant_id = one.tenant_id if isinstance(one, Arrival) else _NOBODY
            tenant = self._tenants.get(tenant_id)
            if tenant is None:
                tenant = self._tenants[tenant_id] = _Tenant()
            size = len(pulled.data)
            weight = 1.0 + size / BYTES_A_UNIT + self._extra.get(tenant_id, 0.0)
            tenant.waiting.append((message, weight))
            tenant.weight += weight
            self._waiting += 1
            self._bytes += size
        self._look()

    async def room(self) -> None:
        """Wait until more is welcome, or until the end."""
        await self._has_room.wait()

    async def take(self, lane: Lane) -> Batch | None:
        """Return what a lane is to persist, as soon as there is anything; `None` at the end."""
        while not self._is_closed:
            tenants = self._of(lane)
            if tenants:
                return self._draw(tenants)
            self._changed.clear()
            await self._changed.wait()
        return None

    def learn(self, tenants: Iterable[UUID], judging_s: Mapping[UUID, float]) -> None:
        """Remember how long the filters of tenants took.

        Args:
            tenants: whose events were persisted.
            judging_s: the seconds an event of those that have filters.
        """
        for tenant_id in tenants:
            extra = judging_s.get(tenant_id, 0.0) / SECONDS_A_UNIT
            if extra >= 1.0:
                self._extra[tenant_id] = extra
            else:
                self._extra.pop(tenant_id, None)

    def done(self, batch: Batch) -> None:
        """Count a batch as finished, whatever came of it."""
        for tenant_id, (count, weight) in batch.weights.items():
            tenant = self._tenants[tenant_id]
            tenant.under_way -= count
            tenant.weight -= weight
            if not tenant.waiting and not tenant.under_way:
                del self._tenants[tenant_id]
        self._look()

    def close(self) -> None:
        """Hand out no more."""
        self._is_closed = True
        self._changed.set()
        self._has_room.set()

    def left(self) -> list[Pulled]:
        """Return what still waits."""
        return [pulled for one in self._tenants.values() for (pulled, _), _ in one.waiting]

    def _of(self, lane: Lane) -> list[tuple[UUID, _Tenant]]:
        """Return the tenants that a lane serves, those with little first."""
        waiting = [(key, one) for key, one in self._tenants.items() if one.waiting]
        light = [pair for pair in waiting if pair[1].is_light]
        if lane == "light" or (lane == "any" and light):
            found = light
        else:
            found = [pair for pair in waiting if not pair[1].is_light]
        return sorted(found, key=lambda pair: len(pair[1].waiting))

    def _draw(self, tenants: Sequence[tuple[UUID, _Tenant]]) -> Batch:
        """Take each tenant's share: who needs less than an equal part leaves more to the others."""
        messages: list[Decoded] = []
        weights: dict[UUID, tuple[int, float]] = {}
        left_bytes = MOST_BYTES
        for position, (tenant_id, tenant) in enumerate(tenants):
            left = self._most - len(messages)
            share = -(-left // (len(tenants) - position))
            count, weight = 0, 0.0
            while tenant.waiting and count < share:
                (pulled, one), more = tenant.waiting[0]
                too_much = weight + more > MOST_OF_ONE or len(pulled.data) > left_bytes
                if too_much and count:  # one at least: who comes last would never have a turn
                    break
                tenant.waiting.popleft()
                messages.append((pulled, one))
                left_bytes -= len(pulled.data)
                count += 1
                weight += more
            if count:
                tenant.under_way += count
                weights[tenant_id] = count, weight
        self._waiting -= len(messages)
        self._bytes -= MOST_BYTES - left_bytes
        self._look()
        return Batch(messages, weights)

    def _look(self) -> None:
        """Wake up who may go on."""
        self._changed.set()
        if self._waiting < self._most and self._bytes < MOST_BYTES:
            self._has_room.set()
        else:
            self._has_room.clear()
