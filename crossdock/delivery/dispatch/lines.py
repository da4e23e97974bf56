"""Who goes next: deliveries wait in a line for each destination, and tenants take turns.

Pure bookkeeping, no I/O. Nobody holds more than its cap of what is in flight, and a turn costs the
same whatever the number that waits: a tenant, or a line, that has reached its cap is in no queue
until one of its deliveries comes back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar
from uuid import UUID

import msgspec

Key = tuple[UUID, UUID]
"""Tenant and destination."""

T = TypeVar("T")

_MOST_CAPS: Final = 8
"""How many times the calls that it may have at once a destination may hold here, where there is
room: what waits too long loses its lease."""


class Caps(msgspec.Struct, frozen=True):
    """How much may be in flight, and wait, in one process."""

    total: int
    tenant: int
    destination: int
    waiting: int
    """Deliveries held in memory before their turn, all in all."""


class _Line(Generic[T]):
    __slots__ = ("flying", "in_turn", "key", "waiting")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.flying = 0
        self.waiting: deque[T] = deque()
        self.in_turn = False


class _Tenant(Generic[T]):
    __slots__ = ("flying", "in_turn", "lines", "turns", "waiting")

    def __init__(self) -> None:
        self.flying = 0
        self.waiting = 0
        self.lines: dict[UUID, _Line[T]] = {}
        self.turns: deque[_Line[T]] = deque()
        self.in_turn = False


class Lines(Generic[T]):
    """The deliveries that wait in this process, and the count of those in flight."""

    def __init__(self, caps: Caps, cap_of: Callable[[Key], int] | None = None) -> None:
        """Say how much there may be.

        Args:
            caps: of all.
            cap_of: returns how many of one destination may fly, which may change at any time; what
                is above the cap of all destinations counts as that.
        """
        self.caps = caps
        self._cap_of = cap_of
        self.flying = 0
        self.waiting = 0
        self._tenants: dict[UUID, _Tenant[T]] = {}
        self._turns: deque[_Tenant[T]] = deque()

    def room(self, key: Key) -> int:
        """Return how many more deliveries of a destination are welcome.

        As many may wait as may fly: enough to keep its slots busy. Where there is room, more: what
        finds none is due in PostgreSQL, and to fetch it from there costs as much again.
        """
        free = min(self._free_all, self._free_of_tenant(key[0]), self._free_of_line(key))
        return max(0, free)

    def serves(self, tenant_id: UUID) -> bool:
        """Tell whether a tenant has anything in flight or waiting here."""
        return tenant_id in self._tenants

    def cap(self, key: Key) -> int:
        """Return how many deliveries of a destination may fly at once; one at least."""
        if self._cap_of is None:
            return self.caps.destination
        most, wanted = self.caps.destination, self._cap_of(key)
        return most if wanted >= most else max(1, wanted)

    def limit(self, key: Key) -> int:
        """Return how many deliveries of a destination may be here, in flight or waiting."""
        cap = self.cap(key)
        return min(max(2 * cap, self._free_all // 2), _MOST_CAPS * cap)

    def held(self, key: Key) -> int:
        """Return how many deliveries of a destination wait here."""
        tenant = self._tenants.get(key[0])
        line = None if tenant is None else tenant.lines.get(key[1])
        return 0 if line is None else len(line.waiting)

    def holds(self, key: Key) -> bool:
        """Tell whether a destination has anything in flight or waiting here."""
        tenant = self._tenants.get(key[0])
        return tenant is not None and key[1] in tenant.lines

    def allot(self, keys: Sequence[Key], most: int) -> dict[Key, int]:
        """Share the room among destinations: how many more of each are welcome at once.

        Nobody gets all of it while others ask, and destinations of one tenant share the tenant's.
        No more than `most` all in all.
        """
        left = min(self._free_all, most)
        given: dict[UUID, int] = {}
        shares: dict[Key, int] = {}
        for position, key in enumerate(keys):
            fair = -(-left // (len(keys) - position))
            before = given.get(key[0], 0)
            free = min(self._free_of_tenant(key[0]) - before, self._free_of_line(key))
            share = max(0, min(fair, free))
            given[key[0]] = before + share
            shares[key] = share
            left -= share
        return shares

    def add(self, key: Key, delivery: T) -> None:
        """Let a delivery wait for its turn; the caller has asked for `room`."""
        tenant = self._tenants.get(key[0])
        if tenant is None:
            tenant = self._tenants[key[0]] = _Tenant()
        line = tenant.lines.get(key[1])
        if line is None:
            line = tenant.lines[key[1]] = _Line(key)
        line.waiting.append(delivery)
        tenant.waiting += 1
        self.waiting += 1
        self._queue(tenant, line)

    def take(self) -> tuple[Key, T] | None:
        """Return the delivery whose turn it is, now in flight; `None` when all must wait."""
        if self.flying >= self.caps.total:
            return None
        while self._turns:
            tenant = self._turns.popleft()
            tenant.in_turn = False
            line = tenant.turns.popleft()
            line.in_turn = False
            if line.flying < self.cap(line.key):
                return self._start(tenant, line)
            self._queue(tenant, line)  # its cap fell; a landing lets it go on
        return None

    def _start(self, tenant: _Tenant[T], line: _Line[T]) -> tuple[Key, T]:
        delivery = line.waiting.popleft()
        line.flying += 1
        tenant.flying += 1
        tenant.waiting -= 1
        self.flying += 1
        self.waiting -= 1
        self._queue(tenant, line)
        return line.key, delivery

    def done(self, key: Key) -> None:
        """Count a delivery as landed, whatever came of it."""
        tenant = self._tenants[key[0]]
        line = tenant.lines[key[1]]
        line.flying -= 1
        tenant.flying -= 1
        self.flying -= 1
        if not line.flying and not line.waiting:
            del tenant.lines[key[1]]
            if not tenant.lines:
                del self._tenants[key[0]]
                return
        self._queue(tenant, line)

    def look_again(self, key: Key) -> None:
        """Let a destination go on whose cap may have grown."""
        tenant = self._tenants.get(key[0])
        line = None if tenant is None else tenant.lines.get(key[1])
        if tenant is not None and line is not None:
            self._queue(tenant, line)

    def withdraw(self, key: Key) -> list[T]:
        """Return what waits for a destination; it no longer does."""
        tenant = self._tenants.get(key[0])
        line = None if tenant is None else tenant.lines.get(key[1])
        if tenant is None or line is None:
            return []
        gone = list(line.waiting)
        line.waiting.clear()
        tenant.waiting -= len(gone)
        self.waiting -= len(gone)
        if line.in_turn:
            tenant.turns.remove(line)
            line.in_turn = False
        if not line.flying:
            del tenant.lines[key[1]]
        if tenant.in_turn and not tenant.turns:
            self._turns.remove(tenant)
            tenant.in_turn = False
        if not tenant.lines:
            del self._tenants[key[0]]
        return gone

    def waiting_keys(self) -> list[Key]:
        """Return the destinations that have deliveries waiting."""
        return [
            line.key
            for tenant in self._tenants.values()
            for line in tenant.lines.values()
            if line.waiting
        ]

    @property
    def _free_all(self) -> int:
        return self.caps.total + self.caps.waiting - self.flying - self.waiting

    def _free_of_tenant(self, tenant_id: UUID) -> int:
        tenant = self._tenants.get(tenant_id)
        held = 0 if tenant is None else tenant.flying + tenant.waiting
        return max(2 * self.caps.tenant, self._free_all // 2) - held

    def _free_of_line(self, key: Key) -> int:
        tenant = self._tenants.get(key[0])
        line = None if tenant is None else tenant.lines.get(key[1])
        held = 0 if line is None else line.flying + len(line.waiting)
        return self.limit(key) - held

    def _queue(self, tenant: _Tenant[T], line: _Line[T]) -> None:
        if not line.in_turn and line.waiting and line.flying < self.cap(line.key):
            tenant.turns.append(line)
            line.in_turn = True
        if not tenant.in_turn and tenant.turns and tenant.flying < self.caps.tenant:
            self._turns.append(tenant)
            tenant.in_turn = True
