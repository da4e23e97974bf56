"""The use case: a batch of accepted webhooks, durable and matched in one transaction."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from crossdock import ids
from crossdock.db import Database
from crossdock.db.failures import is_about_data, sqlstate_of
from crossdock.delivery.model import Cargo, Leased
from crossdock.errors import DatabaseUnavailable
from crossdock.inbound.persist import rules, store
from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Outcome,
    Persisted,
    Planned,
    Poison,
    Redelivered,
    Stored,
)
from crossdock.inbound.persist.routes import Routes
from proto import ingest

log = structlog.get_logger(__name__)

UNKNOWN_TENANT: Final = "the tenant is not on this shard"


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
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Persist into a database opened with the role `ingest`.

        Args:
            database: where to.
            lease_s: how long the deliveries belong to this process before anybody may claim them.
            shard: which shard the database is; other shards' tenants are unknown here.
            clock: unix seconds.
            random: returns so many random bytes.
        """
        self._database = database
        self._lease_s = lease_s
        self._routes = Routes(shard=shard)
        self._clock = clock
        self._random = random

    async def persist(self, batch: Sequence[Arrival]) -> Persisted:
        """Store a batch, and say of each message what became of it; then it may be acked.

        A batch that breaks a rule of the data is halved until the message that does is found. All
        else that goes wrong leaves nothing behind, and the batch may be tried again.

        Raises:
            DatabaseUnavailable: the database is away. It counts for nothing against a message,
                though part of a batch that was halved may be stored by then.
        """
        try:
            return await self._together(batch)
        except Exception as error:
            if not is_about_data(error):
                raise
            if len(batch) == 1:
                log.warning("poison_refused", sqlstate=sqlstate_of(error), reason=str(error))
                return Persisted([Poison(f"refused by the database: {error}")], [], 0)
        half = len(batch) // 2
        first = await self.persist(batch[:half])
        second = await self.persist(batch[half:])
        return Persisted(
            first.outcomes + second.outcomes,
            first.leased + second.leased,
            first.waiting + second.waiting,
        )

    async def _together(self, batch: Sequence[Arrival]) -> Persisted:
        """Store a batch in one transaction."""
        ordered = rules.sort(batch)
        tenants = {batch[position].tenant_id for position in ordered.firsts}
        now = self._clock()
        lease = ids.new(now)
        async with self._database.batch("ingest", tenants) as conn:
            routes = await self._routes.of(conn, tenants)
            outcomes = await self._claim(conn, batch, ordered.firsts, routes)
            fresh = [batch[at] for at, outcome in outcomes.items() if isinstance(outcome, Stored)]
            planned = rules.plan(fresh, routes, self._random)
            if planned:
                await store.add_deliveries(conn, planned, lease=lease, lease_s=self._lease_s)
            for at, first in ordered.echoes.items():
                outcomes[at] = rules.echo(batch[at], batch[first], outcomes[first])
            aliases = {
                (batch[at].tenant_id, outcome.event_id): outcome.original
                for at, outcome in outcomes.items()
                if isinstance(outcome, Duplicate)
            }
            if aliases:
                await store.add_aliases(conn, aliases)
        leased = [_leased(one, lease, now + self._lease_s) for one in planned if one.is_open]
        return Persisted(
            [outcomes[at] for at in range(len(batch))], leased, len(planned) - len(leased)
        )

    async def _claim(
        self,
        conn: Any,
        batch: Sequence[Arrival],
        positions: Sequence[int],
        routes: Mapping[UUID, object],
    ) -> dict[int, Outcome]:
        """Tell the new from the known, by the ledger or by their own ids; insert the new."""
        outcomes: dict[int, Outcome] = {
            at: Poison(UNKNOWN_TENANT) for at in positions if batch[at].tenant_id not in routes
        }
        here = [at for at in positions if at not in outcomes]
        keyed = [at for at in here if batch[at].message.dedupe is not None]
        if keyed:
            claimed = await store.claim(conn, [batch[at] for at in keyed])
            known = [at for at in keyed if batch[at].event_id not in claimed]
            if known:
                outcomes |= await _known(conn, batch, known)
            new = [at for at in keyed if at not in outcomes]
            if new:
                await store.add_events(conn, [batch[at] for at in new])
            outcomes |= {at: Stored(batch[at].event_id) for at in new}
        if len(keyed) < len(here):
            unkeyed = [at for at in here if batch[at].message.dedupe is None]
            added = await store.add_unkeyed(conn, [batch[at] for at in unkeyed])
            for at in unkeyed:
                event_id = batch[at].event_id
                outcomes[at] = Stored(event_id) if event_id in added else Redelivered(event_id)
        return outcomes


async def _known(
    conn: Any, batch: Sequence[Arrival], positions: Sequence[int]
) -> dict[int, Outcome]:
    """Return whose the keys are that could not be claimed: the message's own, or another's."""
    keys = {
        at: (batch[at].tenant_id, batch[at].source_id, batch[at].message.dedupe or b"")
        for at in positions
    }
    owners = await store.owners(conn, keys.values())
    outcomes: dict[int, Outcome] = {}
    for at, key in keys.items():
        owner, own = owners.get(key), batch[at].event_id
        if owner is None:  # its event went with its partition between the two statements
            raise DatabaseUnavailable("The ledger changed meanwhile.")
        outcomes[at] = Redelivered(own) if owner == own else Duplicate(own, owner)
    return outcomes


def _leased(planned: Planned, lease: UUID, lease_ends: float) -> tuple[Leased, Cargo]:
    """Return a delivery that may be attempted at once, and what it carries."""
    arrival, message = planned.arrival, planned.arrival.message
    leased = Leased(
        tenant_id=arrival.tenant_id,
        id=planned.id,
        event_id=arrival.event_id,
        destination_id=planned.destination_id,
        attempts=0,
        lease=lease,
        lease_ends=lease_ends,
    )
    cargo = Cargo(arrival.event_id, message.content_type, message.traceparent, message.body)
    return leased, cargo
