"""The queue in PostgreSQL as one process sees it: where to look, how much to take."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import UUID

import msgspec

from crossdock import native
from crossdock.db.database import Database
from crossdock.db.uuids import uuid_of
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.agenda import Agenda
from crossdock.delivery.dispatch.gate import Gate
from crossdock.delivery.dispatch.lines import Key, Lines
from crossdock.delivery.dispatch.targets import Ready, Targets
from crossdock.delivery.model import Cargo, Leased

NOBODY: Final = UUID(int=0)
HOLD_S: Final = 5.0
"""How often to see whether a disabled destination, or a suspended tenant, is back, where the feed
of changes has not told it."""
SOONEST_S: Final = 0.02
_KEYS_A_CLAIM: Final = 128
_MOST_A_CLAIM: Final = 512
_BYTES_A_CLAIM: Final = 16 * 1024 * 1024
"""Bodies read at once, going by the largest that came lately."""
_FIRST_GUESS: Final = 64.0 * 1024
_FORGETTING: Final = 0.5
_ROUND_PAGE: Final = 200
_ROUND_SHARE: Final = 5
"""A long round rests this many times as long as it works."""


class Job(msgspec.Struct, frozen=True):
    """A leased delivery with what it carries; `None` when its event is gone."""

    leased: Leased
    cargo: Cargo | None

    @property
    def key(self) -> Key:
        """Tenant and destination."""
        return self.leased.tenant_id, self.leased.destination_id

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return 0 if self.cargo is None else len(self.cargo.body)


class Queue:
    """Claims what is due and has room; remembers when to look again at what."""

    def __init__(
        self,
        database: Database,
        targets: Targets,
        lines: Lines[Job],
        gate: Gate,
        *,
        lease_s: float,
        poll_s: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._targets = targets
        self._lines = lines
        self._gate = gate
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._clock = clock
        self._now = monotonic
        self._agenda = Agenda()
        self._full: dict[UUID, set[Key]] = {}
        """Destinations, by tenant, that have more due than there was room for."""
        self._largest = _FIRST_GUESS
        """Bytes of the largest body lately; what is long ago counts for less and less."""
        self._round_after: Key = (NOBODY, NOBODY)
        self._round_at = 0.0
        self._round_gap = 0.0

    @property
    def has_due(self) -> bool:
        """Whether a claim would find something, as far as is known."""
        return self._agenda.has_due(self._now())

    @property
    def rest_s(self) -> float:
        """How long there is nothing to do, unless something lands."""
        soonest = min(self._agenda.next() or self._round_at, self._round_at)
        return min(max(0.0, soonest - self._now()), self._poll_s)

    def expect(self, key: Key, in_s: float) -> None:
        """Remember that a destination has something due then."""
        self._agenda.note(key, self._now() + in_s)

    def leave(self, key: Key, for_s: float) -> None:
        """Leave a destination alone for so long."""
        self._agenda.postpone(key, self._now() + for_s)

    def resume(self, key: Key, in_s: float) -> None:
        """Look then again at a destination that was left alone."""
        self._agenda.resume(key, self._now() + in_s)

    def hurry(self, tenants: Collection[UUID] | None) -> None:
        """Look again now at what was left alone: of these tenants, or of all."""
        self._agenda.hurry(tenants, self._now())

    def defer(self, key: Key) -> None:
        """Come back to a destination once something of its tenant has landed."""
        if self._lines.serves(key[0]):
            self._full.setdefault(key[0], set()).add(key)
        else:
            self.expect(key, SOONEST_S)

    def landed(self, key: Key) -> None:
        """See who may be claimed now that there is room again."""
        full = self._full.get(key[0])
        if not full:
            return
        # Half a line at a time: a claim for each single slot would cost more than it brings.
        for one in [one for one in full if self._lines.room(one) >= self._enough(one)]:
            full.discard(one)
            self.expect(one, 0.0)
        if not full:
            del self._full[key[0]]

    def _enough(self, key: Key) -> int:
        return max(1, self._lines.limit(key) // 2)

    def pause_s(self, key: Key, ready: Ready | None, *, asks: bool = False) -> float | None:
        """Return the seconds to leave a destination alone; `None` when it may be called.

        One that is not known may have been deleted, or changed a moment ago: its turn will tell.

        Args:
            key: the destination's.
            ready: the destination.
            asks: see `Gate.pause_s`.
        """
        if ready is None:
            return None
        if not ready.target.enabled:
            return HOLD_S
        return self._gate.pause_s(key, ready, asks=asks)

    def room(self, key: Key, ready: Ready | None) -> int:
        """Return how many more deliveries of a destination are welcome that may be called."""
        room = self._lines.room(key)
        return room if ready is None else min(room, self._gate.room(key, ready, self._here(key)))

    def welcome(self, key: Key) -> int:
        """Return how many more deliveries of a destination may be leased to this process now."""
        ready = self._targets.known(key)
        return 0 if self.pause_s(key, ready) is not None else max(0, self.room(key, ready))

    def _here(self, key: Key) -> int:
        """Return how many deliveries here have yet to take what the gate counts."""
        return self._lines.held(key)

    async def go_round(self) -> None:
        """If it is time, look at the next destinations that have anything pending.

        Whoever made it so: another worker, its death, a replay, an owner.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        now = self._now()
        if now < self._round_at:
            return
        async with self._database.queue() as conn:
            began = time.perf_counter()
            found = await store.heads(conn, self._round_after, _ROUND_PAGE)
            took = time.perf_counter() - began
        for key, due_in_s in found:
            self._agenda.note(key, now + due_in_s)
        if len(found) < _ROUND_PAGE:
            self._round_after = (NOBODY, NOBODY)
            self._round_gap = min(max(2 * self._round_gap, 0.1), self._poll_s)
        else:
            self._round_after = found[-1][0]
            self._round_gap = max(_ROUND_SHARE * took, SOONEST_S)
        self._round_at = self._now() + self._round_gap

    async def claim(self) -> list[Job]:
        """Lease what is due and has room.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        keys = self._agenda.due(self._now(), _KEYS_A_CLAIM)
        if not keys:
            return []
        try:
            wanted = self._choose(keys, await self._targets.load(keys))
            return await self._lease(wanted) if wanted else []
        except BaseException:
            for key in keys:  # they were taken out of the agenda
                self.expect(key, SOONEST_S)
            raise

    def _choose(
        self, keys: Sequence[Key], targets: dict[Key, Ready | None]
    ) -> list[tuple[Key, int]]:
        """Return how many to claim of each destination; remember those that must wait."""
        wanted: list[Key] = []
        for key in keys:
            if (pause_s := self.pause_s(key, targets[key], asks=True)) is not None:
                self.leave(key, pause_s)
            else:
                wanted.append(key)
        most = min(_MOST_A_CLAIM, max(1, int(_BYTES_A_CLAIM / max(1.0, self._largest))))
        shares = self._lines.allot(wanted, most)
        for key in wanted:
            shares[key] = min(shares[key], self.room(key, targets[key]))
            if not shares[key]:
                self.defer(key)
        return [(key, share) for key, share in shares.items() if share]

    async def _lease(self, wanted: Sequence[tuple[Key, int]]) -> list[Job]:
        now = self._now()
        ends = self._clock() + self._lease_s
        async with self._database.batch("dispatch", {key[0] for key, _ in wanted}) as conn:
            claimed = await store.claim(
                conn,
                wanted,
                lease=uuid_of(native.uuid7(int(self._clock() * 1000))),
                lease_s=self._lease_s,
                lease_ends=ends,
            )
        jobs = [Job(leased, cargo) for leased, cargo in claimed.leased]
        for key, in_s in claimed.next_in_s.items():
            self._agenda.note(key, now + in_s)
        self._largest = max(_FORGETTING * self._largest, *(job.size for job in jobs), 0)
        taken = Counter(job.key for job in jobs)
        for key, quota in wanted:
            if taken[key] == quota:  # there may be more
                self.expect(key, 0.0)
            elif not taken[key]:
                self._gate.unused(key)
        return jobs
