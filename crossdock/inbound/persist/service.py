"""The use case: a batch of accepted webhooks, durable and matched in one transaction."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
import structlog
from msgspec.structs import replace

from crossdock import ids
from crossdock.db import Database
from crossdock.db.failures import is_about_data, sqlstate_of
from crossdock.delivery.model import About, Cargo, Leased
from crossdock.errors import DatabaseUnavailable
from crossdock.inbound.model import DELIVERED
from crossdock.inbound.persist import matching, rules, store
from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Lease,
    Outcome,
    Persisted,
    Planned,
    Poison,
    Redelivered,
    Stored,
    Wanted,
)
from crossdock.inbound.persist.routes import Routes
from crossdock.secrets.payloads import BatchKeys
from crossdock.telemetry.metrics import FILTER_ERRORS
from proto import ingest

log = structlog.get_logger(__name__)

UNKNOWN_TENANT: Final = "the tenant is not on this shard"
BODY_GONE: Final = "its body is gone from the object store, and it was not stored before"

CAREFUL_S: Final = 60.0
"""For how long after a duplicate the next one is expected.

Claiming keys one by one, ready to find them taken, costs an eighth more than to claim all at once
and start over if one is taken. Where duplicates come, they come in numbers.
"""

Answer = TypeVar("Answer")
Work = TypeVar("Work")


def decode(data: bytes, stream_seq: int) -> Arrival | Poison:
    """Return what a message of INGEST says, or why nobody will ever know."""
    try:
        return Arrival.of(ingest.decoder.decode(data), stream_seq)
    except (msgspec.DecodeError, ValueError) as error:
        return Poison(f"undecodable: {error}")


class Persister:
    """Persists batches. Any number may work at once, on any messages."""

    def __init__(
        self,
        database: Database,
        *,
        lease_s: float,
        shard: int = 0,
        keys: BatchKeys | None = None,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Persist into a database opened with the role `ingest`.

        Args:
            database: where to.
            lease_s: how long the deliveries belong to this process before anybody may claim them.
            shard: which shard the database is; other shards' tenants are unknown here.
            keys: of the role `ingest`; they open sealed payloads for filters that look at them.
                Without it, such a filter can't be judged.
            clock: unix seconds.
            random: returns so many random bytes.
        """
        self._database = database
        self._lease_s = lease_s
        self._routes = Routes(shard=shard)
        self._keys = keys
        self._clock = clock
        self._random = random
        self._careful_until = 0.0
        self.room: Callable[[tuple[UUID, UUID]], int] | None = None
        """Returns how many deliveries to a tenant's destination can be taken over here. Without it,
        all are leased."""

    async def persist(self, batch: Sequence[Arrival]) -> Persisted:
        """Store a batch, and say of each message what became of it; then it may be acked.

        A batch that breaks a rule of the data is halved until the message that does is found. All
        else that goes wrong leaves nothing behind, and the batch may be tried again.

        Raises:
            DatabaseUnavailable: the database is away. It counts for nothing against a message,
                though part of a batch that was halved may be stored by then.
        """
        careful = self._clock() < self._careful_until
        try:
            return await self._together(batch, careful=careful)
        except Exception as error:
            if not is_about_data(error):
                raise
            if not careful and store.is_taken(error):
                self._careful_until = self._clock() + CAREFUL_S
                return await self.persist(batch)
            if len(batch) == 1:
                log.warning("poison_refused", sqlstate=sqlstate_of(error), reason=str(error))
                return Persisted([Poison(f"refused by the database: {error}")], [], 0, set(), [])
        half = len(batch) // 2
        first = await self.persist(batch[:half])
        second = await self.persist(batch[half:])
        return Persisted(
            first.outcomes + second.outcomes,
            first.leased + second.leased,
            first.waiting + second.waiting,
            first.due | second.due,
            first.announced + second.announced,
            first.judging_s | second.judging_s,
        )

    async def recall(self, batch: Sequence[Arrival]) -> list[Outcome]:
        """Say what became of messages whose bodies are gone: they were stored before, or never.

        An object is deleted after its message was acknowledged. Where that word got lost, the
        message comes again without it.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        names = [(arrival.tenant_id, arrival.event_id) for arrival in batch]
        async with self._database.batch("ingest", {tenant for tenant, _ in names}) as conn:
            stored = await store.stored(conn, names)
            aliased = await store.aliased(conn, names)
        return [_recalled(name, stored, aliased) for name in names]

    async def _together(self, batch: Sequence[Arrival], *, careful: bool) -> Persisted:
        """Store a batch in one transaction."""
        ordered = rules.sort(batch)
        now = self._clock()
        lease = Lease(ids.new(now), self._lease_s, now + self._lease_s)
        tenants = {batch[at].tenant_id for at in ordered.firsts}
        async with self._database.batch("ingest", tenants, numbered=True) as conn:
            routes = await self._routes.of(conn, tenants)
            here = [at for at in ordered.firsts if batch[at].tenant_id in routes]
            if any(batch[at].is_held for at in here):
                batch = await _let_go(conn, batch)
            batch, wanted, judging_s = await self._matched(conn, batch, here, routes)
            known = await _add_guarded(conn, batch, here, keyed_too=careful)
            fresh = [batch[at] for at in here if at not in known]
            going = [(batch[at], wanted[at]) for at in here if at not in known and at in wanted]
            planned = rules.plan(going, self._random, self.room)
            claims = [] if careful else [arrival for arrival in fresh if arrival.is_keyed]
            _, leased = await _meanwhile(
                store.add_new(conn, claims, planned, lease),
                lambda: [_leased(one, lease) for one in planned if one.is_leased],
            )
            await store.add_fields(conn, fresh)
            outcomes: dict[int, Outcome] = {at: Poison(UNKNOWN_TENANT) for at in ordered.firsts}
            outcomes |= {at: Stored(batch[at].event_id) for at in here}
            outcomes |= known
            for at, first in ordered.echoes.items():
                outcomes[at] = rules.echo(batch[at], batch[first], outcomes[first])
            await _add_aliases(conn, batch, outcomes)
            announced = await _announced(conn, batch, outcomes)
        results = [outcomes[at] for at in range(len(batch))]
        waiting = sum(one.line is not None or not one.is_open for one in planned)
        return Persisted(results, leased, waiting, rules.due(planned), announced, judging_s)

    async def _matched(
        self,
        conn: Any,
        batch: Sequence[Arrival],
        positions: Sequence[int],
        routes: Mapping[UUID, matching.Routed],
    ) -> tuple[list[Arrival], dict[int, Sequence[Wanted]], dict[UUID, float]]:
        """Say who wants what flows, by its position, and how many want it in the event itself.

        And how long filters took, in seconds an event, by tenants.

        Filters are judged in a thread, before anything is locked.
        """
        wanted: dict[int, Sequence[Wanted]] = {}
        judged: dict[int, Arrival] = {}
        told = list(batch)
        for at in positions:
            arrival = batch[at]
            if not arrival.flows:
                continue
            routed = routes[arrival.tenant_id]
            if routed.judges:
                judged[at] = arrival
                continue
            wanted[at] = found = routed.plainly(arrival)
            told[at] = replace(arrival, matched=min(len(found), matching.MOST_TOLD))
        took_s: dict[UUID, float] = {}
        if judged:
            judgement = await self._judged(conn, judged, routes)
            took_s = judgement.took_s
            for at, one in judgement.wanted.items():
                wanted[at] = one
                told[at] = replace(batch[at], matched=min(len(one), matching.MOST_TOLD))
        self._routes.used(routes)
        return told, wanted, took_s

    async def _judged(
        self, conn: Any, arrivals: Mapping[int, Arrival], routes: Mapping[UUID, matching.Routed]
    ) -> matching.Judgement:
        """Say who wants what, by filters; sealed payloads are opened where any looks at them."""
        keys = self._keys
        sealed = {
            (one.tenant_id, one.data_key)
            for one in arrivals.values()
            if one.data_key is not None and routes[one.tenant_id].looks_into_bodies
        }
        if keys is not None and sealed:
            await keys.load_within(conn, sealed)
        work = [
            matching.Work(
                at,
                one,
                routes[one.tenant_id],
                keys.known(one.tenant_id, one.data_key) if keys and one.data_key else None,
            )
            for at, one in arrivals.items()
        ]
        judgement = await asyncio.to_thread(matching.judge, work)
        FILTER_ERRORS.inc(judgement.errors)
        return judgement


async def _add_guarded(
    conn: Any, batch: Sequence[Arrival], positions: Sequence[int], *, keyed_too: bool
) -> dict[int, Outcome]:
    """Insert events that may be known, by the ledger or by their own id; say which are.

    Those without a key come first: `store.add_new` claims its keys after them as well, and whoever
    takes the two the other way round would sooner or later wait in a circle.
    """
    known: dict[int, Outcome] = {}
    unkeyed = [at for at in positions if not batch[at].is_keyed]
    if unkeyed:
        taken = await store.add_unkeyed(conn, [batch[at] for at in unkeyed])
        known = {
            at: Redelivered(batch[at].event_id) for at in unkeyed if batch[at].event_id in taken
        }
    keyed = [at for at in positions if batch[at].is_keyed]
    if keyed and keyed_too:
        taken = await store.add_keyed(conn, [batch[at] for at in keyed])
        if taken:
            known |= await _known(conn, batch, [at for at in keyed if batch[at].event_id in taken])
    return known


async def _known(
    conn: Any, batch: Sequence[Arrival], positions: Sequence[int]
) -> dict[int, Outcome]:
    """Return whose the keys are that could not be claimed: the message's own, or another's."""
    keys = {
        at: (batch[at].tenant_id, batch[at].source_id, batch[at].message.dedupe or b"")
        for at in positions
    }
    owners = await store.owners(conn, keys.values())
    known: dict[int, Outcome] = {}
    for at, key in keys.items():
        owner, own = owners.get(key), batch[at].event_id
        if owner is None:  # its event went with its partition between the two statements
            raise DatabaseUnavailable("The ledger changed meanwhile.")
        known[at] = Redelivered(own) if owner == own else Duplicate(own, owner)
    return known


async def _add_aliases(
    conn: Any, batch: Sequence[Arrival], outcomes: Mapping[int, Outcome]
) -> None:
    """Let every id that was ever answered with 202 lead to its event."""
    aliases = {
        (batch[at].tenant_id, outcome.event_id): outcome.original
        for at, outcome in outcomes.items()
        if isinstance(outcome, Duplicate)
    }
    if aliases:
        await store.add_aliases(conn, aliases)


async def _let_go(conn: Any, batch: Sequence[Arrival]) -> list[Arrival]:
    """Return a batch in which only that is held whose source is paused still.

    A gateway that had not heard of the resumption held it, or it waited in INGEST for long.
    Whoever releases what a source held waits for transactions that may have read this too early.
    """
    held = {(one.tenant_id, one.source_id) for one in batch if one.is_held}
    paused = await store.paused(conn, held)
    return [
        one.let_go() if one.is_held and (one.tenant_id, one.source_id) not in paused else one
        for one in batch
    ]


async def _announced(
    conn: Any, batch: Sequence[Arrival], outcomes: Mapping[int, Outcome]
) -> list[Arrival]:
    """Return what internal consumers are to be told of now.

    What was held when it came first, and comes again, may have been let go in between, and its
    worker have died before it said so.
    """
    told = [
        batch[at] for at, outcome in outcomes.items() if isinstance(outcome, Stored | Redelivered)
    ]
    flowing = [one for one in told if one.flows]
    again = [
        batch[at]
        for at, outcome in outcomes.items()
        if isinstance(outcome, Redelivered) and batch[at].is_held
    ]
    if again:
        names = {(one.tenant_id, one.event_id): one for one in again}
        stored = await store.stored(conn, names)
        flowing += [names[name].let_go() for name, now in stored.items() if now in DELIVERED]
    return flowing


def _recalled(
    name: tuple[UUID, UUID],
    stored: Mapping[tuple[UUID, UUID], str],
    aliased: Mapping[tuple[UUID, UUID], UUID],
) -> Outcome:
    """Return what became of a message whose body is gone."""
    if name in stored:
        return Redelivered(name[1])
    if name in aliased:
        return Duplicate(name[1], aliased[name])
    return Poison(BODY_GONE)


def _leased(planned: Planned, lease: Lease) -> tuple[Leased, Cargo]:
    """Return a delivery that may be attempted at once, and what it carries."""
    arrival, message = planned.arrival, planned.arrival.message
    leased = Leased(
        arrival.tenant_id,
        planned.id,
        arrival.event_id,
        planned.destination_id,
        0,
        lease.id,
        lease.ends,
    )
    cargo = Cargo(
        arrival.event_id,
        message.content_type,
        message.traceparent,
        message.body,
        arrival.data_key,
        About(arrival.source_id, message.event_type, message.provider_id, message.headers),
    )
    return leased, cargo


async def _meanwhile(
    statement: Coroutine[Any, Any, Answer], work: Callable[[], Work]
) -> tuple[Answer, Work]:
    """Send a statement, and do what can be done while the database is at it."""
    task = asyncio.ensure_future(statement)
    try:
        await asyncio.sleep(0)
        done = work()
    except BaseException:
        task.cancel()
        await asyncio.wait([task])  # the connection is not free before
        raise
    return await task, done
