"""Simulations: a webhook goes through all steps, and nothing of it is stored."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from crossdock.db import Databases
from crossdock.delivery.client import Client
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.guard import Guard
from crossdock.errors import Busy, TooManyRequests
from crossdock.secrets.seal import Sealer
from crossdock.simulations import matching, steps, store, transforming
from crossdock.simulations.arrivals import Arrivals
from crossdock.simulations.model import (
    MOST_DESTINATIONS,
    Simulated,
    Step,
    StepName,
    Subject,
)
from crossdock.simulations.transforming import Load
from crossdock.transforms.service import Sandbox

MOST_CALLING: Final = 16
"""Simulations of one process that run scripts or call destinations at the same time, five each."""
MOST_OF_TENANT: Final = 4
"""Of them, of one tenant: nobody's endpoints are called by a crowd of simulations."""
RETRY_AFTER_S: Final = 5.0

NOT_VERIFIED: Final = "It was not verified."
ANSWERED: Final = "It is a question, and no event."
STOPPED: Final = "It would not be delivered."
STOPPING: Final = frozenset({"quarantine", "reject"})
"""Modes in which what breaks its schema is not delivered."""

_ORDER: Final[tuple[StepName, ...]] = ("verify", "validate", "match", "transform", "deliver")


class Simulations:
    """Runs webhooks through what would become of them."""

    def __init__(
        self,
        database: Databases,
        arrivals: Arrivals,
        sealer: Sealer,
        guard: Guard,
        sandbox: Sandbox,
        *,
        timeout_s: float,
    ) -> None:
        """Say by what.

        Args:
            database: Where destinations and schemas are.
            arrivals: Makes what comes in.
            sealer: Opens destinations' secrets.
            guard: Says which addresses may be called.
            sandbox: Runs destinations' scripts.
            timeout_s: How long a call may take.
        """
        self._database = database
        self._arrivals = arrivals
        self._sealer = sealer
        self._guard = guard
        self._sandbox = sandbox
        self._timeout_s = timeout_s
        self._calling: Counter[UUID] = Counter()

    async def run(
        self, tenant_id: UUID, source_id: UUID, subject: Subject, *, deliver: bool
    ) -> Simulated:
        """Run a webhook through all steps.

        Args:
            tenant_id: Whose.
            source_id: The source that it comes to.
            subject: What comes.
            deliver: Whether destinations are really called, each once. Nothing is recorded.

        Raises:
            NotFound: this tenant has no such source, or no such event.
            Invalid: the source's preset has no such sample.
            Conflict: nobody here can sign for this source.
            TooManyRequests: as many are under way for this tenant as may be.
            Busy: as many are under way for all tenants as may be.
        """
        incoming = await self._arrivals.arrive(tenant_id, source_id, subject)
        verified = steps.verify(incoming)
        if verified.event_type is None:
            return _cut(NOT_VERIFIED if verified.outcome == "failed" else ANSWERED, verified)
        async with self._database.tenant(tenant_id) as conn:
            found = await store.schema_of(conn, tenant_id, verified.event_type)
            known = await destinations.enabled(conn, tenant_id)
        held = None if found is None else steps.Held(*found)
        validated = await asyncio.to_thread(steps.validate, incoming.request.body, held)
        if held is not None and validated.outcome == "failed" and held.mode in STOPPING:
            return _cut(STOPPED, verified, validated)
        delivered = steps.skipped("deliver", "It was not asked for.")
        cargo = transforming.cargo(incoming, verified.event_type)
        verdicts = await asyncio.to_thread(
            matching.verdicts, known, cargo, verified.event_type, verified.provider_id
        )
        wanting = [one for one, judged in verdicts if judged.wanted]
        with self._place(tenant_id):
            made = await transforming.loads(self._sandbox, wanting, cargo)
            if deliver:
                delivered = await self._deliver(wanting, made)
        matched = matching.step(verdicts, incoming)
        transformed = transforming.step(wanting, made)
        return Simulated((verified, validated, matched, transformed, delivered))

    @contextmanager
    def _place(self, tenant_id: UUID) -> Iterator[None]:
        """Keep a place for one more."""
        if self._calling[tenant_id] >= MOST_OF_TENANT:
            words = f"{MOST_OF_TENANT} simulations are under way for this tenant already."
            raise TooManyRequests(words, retry_after_s=RETRY_AFTER_S)
        if self._calling.total() >= MOST_CALLING:
            raise Busy("No more simulations can be made now.", retry_after_s=RETRY_AFTER_S)
        self._calling[tenant_id] += 1
        try:
            yield
        finally:
            self._calling[tenant_id] -= 1
            if not self._calling[tenant_id]:
                del self._calling[tenant_id]

    async def _deliver(self, wanting: Sequence[Destination], made: Mapping[UUID, Load]) -> Step:
        async with Client(self._guard, connections=MOST_DESTINATIONS) as client:
            return await steps.deliver(wanting, made, client, self._sealer, self._timeout_s)


def _cut(reason: str, *done: Step) -> Simulated:
    """Return steps that end early: the others are not reached."""
    rest = (steps.skipped(name, reason) for name in _ORDER[len(done) :])
    return Simulated((*done, *rest))
