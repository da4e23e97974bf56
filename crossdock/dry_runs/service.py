"""Tries filters and transformations on events, in bounded time and by few at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.delivery.destinations.service import Destinations
from crossdock.dry_runs.model import (
    BODY_SHOWN,
    Chosen,
    Newest,
    Sample,
    Sent,
    Settings,
    Trial,
    Tried,
    Wish,
)
from crossdock.errors import Busy, Invalid, TooManyRequests, Violation
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import EventFilter
from crossdock.paging import Window
from crossdock.routing import Judged, Subject, check_filter, judge
from crossdock.transforms.model import Dropped, Event, TransformFailed
from crossdock.transforms.rules import check_transform
from crossdock.transforms.service import Sandbox

LONGEST_S: Final = 10.0
"""For all events together; what is left then is counted, and no more."""
MOST_TRYING: Final = 8
"""Dry runs of one process at the same time."""
MOST_OF_TENANT: Final = 2
RETRY_AFTER_S: Final = 2.0


class DryRuns:
    """Says what would become of events."""

    def __init__(
        self,
        events: Events,
        destinations: Destinations,
        sandbox: Sandbox,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say by what.

        Args:
            events: Finds and opens what is stored.
            destinations: Finds the destination whose settings are tried.
            sandbox: Runs scripts.
            clock: Seconds that only grow.
        """
        self._events = events
        self._destinations = destinations
        self._sandbox = sandbox
        self._clock = clock
        self._trying: Counter[UUID] = Counter()

    async def run(self, tenant_id: UUID, wish: Wish) -> Tried:
        """Try settings on events, as many as there is time for.

        Raises:
            NotFound: this tenant has no such destination, or no such event, or the key of its
                payload was destroyed.
            Invalid: the filter or the script is none.
            TooManyRequests: as many are under way for this tenant as may be.
            Busy: as many are under way for all tenants as may be.
        """
        with self._place(tenant_id):
            settings = await self._settings(tenant_id, wish)
            ends = self._clock() + LONGEST_S
            trials: list[Trial] = []
            wanted = await self._wanted(tenant_id, wish.on)
            async for subject in self._subjects(tenant_id, wish.on, wanted):
                trial = await self._try(tenant_id, settings, subject)
                if isinstance(wish.on, Sample):
                    trial = msgspec.structs.replace(
                        trial, event_id=None, source_id=wish.on.source_id
                    )
                trials.append(trial)
                if self._clock() > ends:
                    break
            return Tried(tuple(trials), max(0, len(wanted) - len(trials)))

    async def _settings(self, tenant_id: UUID, wish: Wish) -> Settings:
        base: dict[str, Any] = {"id": UUID(int=0)}
        if wish.destination_id is not None:
            found = await self._destinations.get(tenant_id, wish.destination_id)
            names = (field.name for field in msgspec.structs.fields(Settings))
            base = {name: getattr(found, name) for name in names}
        settings = Settings(**{**base, **wish.given})
        violations: list[Violation] = []
        if "filter" in wish.given and settings.filter is not None:
            violations += check_filter(settings.filter)
        if "transform" in wish.given and settings.transform is not None:
            violations += await asyncio.to_thread(check_transform, settings.transform)
        if violations:
            raise Invalid(None, *violations)
        return settings

    async def _wanted(self, tenant_id: UUID, on: Chosen | Newest | Sample) -> list[UUID]:
        """Return which events there are to try."""
        match on:
            case Chosen():
                return list(dict.fromkeys(on.event_ids))
            case Newest():
                wanted = EventFilter(source_id=on.source_id, event_type=on.event_type)
                page = await self._events.page(tenant_id, Window(limit=on.limit), wanted)
                return [one.id for one in page.items]
            case Sample():
                return [ids.new()]

    async def _subjects(
        self, tenant_id: UUID, on: Chosen | Newest | Sample, wanted: list[UUID]
    ) -> AsyncIterator[Subject]:
        """Yield events one by one: their payloads are not all in memory at once."""
        if isinstance(on, Sample):
            yield Subject(
                event_id=wanted[0],
                source_id=on.source_id or UUID(int=0),
                event_type=on.event_type,
                content_type=on.content_type,
                provider_id=None,
                headers=on.headers,
                body=on.body,
            )
            return
        for event_id in wanted:
            event = await self._events.get(tenant_id, event_id)
            yield Subject(
                event_id=event.id,
                source_id=event.source_id,
                event_type=event.event_type,
                content_type=event.content_type,
                provider_id=event.provider_id,
                headers=event.headers,
                body=event.body,
            )

    async def _try(self, tenant_id: UUID, settings: Settings, subject: Subject) -> Trial:
        began = time.perf_counter()
        (judged,) = await asyncio.to_thread(judge, subject, [settings])
        trial = _judged(subject, judged)
        if trial.why_not is None and settings.transform is not None:
            made = await self._transformed(tenant_id, settings.transform, subject)
            trial = msgspec.structs.replace(trial, **made)
        took_ms = round((time.perf_counter() - began) * 1000, 3)
        return msgspec.structs.replace(trial, duration_ms=took_ms)

    async def _transformed(self, tenant_id: UUID, script: str, subject: Subject) -> dict[str, Any]:
        """Return what a script makes of an event, as fields of a trial."""
        event = Event.of(
            event_id=subject.event_id,
            source_id=subject.source_id,
            event_type=subject.event_type,
            content_type=subject.content_type,
            headers=subject.headers,
            body=subject.body or b"",
        )
        try:
            made = await self._sandbox.apply(tenant_id, script, event)
        except TransformFailed as failure:
            return {"failure": failure}
        if isinstance(made, Dropped):
            return {"dropped": True}
        sent = Sent(made.content_type, made.headers, _beginning(made.body), len(made.body))
        return {"sent": sent}

    @contextmanager
    def _place(self, tenant_id: UUID) -> Iterator[None]:
        """Keep a place for one more."""
        if self._trying[tenant_id] >= MOST_OF_TENANT:
            words = f"{MOST_OF_TENANT} dry runs are under way for this tenant already."
            raise TooManyRequests(words, retry_after_s=RETRY_AFTER_S)
        if self._trying.total() >= MOST_TRYING:
            raise Busy("No more dry runs can be made now.", retry_after_s=RETRY_AFTER_S)
        self._trying[tenant_id] += 1
        try:
            yield
        finally:
            self._trying[tenant_id] -= 1
            if not self._trying[tenant_id]:
                del self._trying[tenant_id]


def _beginning(body: bytes) -> bytes:
    """Return what is shown of a body; a character at its end is whole, or left out."""
    if len(body) <= BODY_SHOWN:
        return body
    end = BODY_SHOWN
    while end > BODY_SHOWN - 4 and body[end] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's own
        end -= 1
    return body[:end]


def _judged(subject: Subject, judged: Judged) -> Trial:
    return Trial(
        event_id=subject.event_id,
        event_type=subject.event_type,
        source_id=subject.source_id,
        why_not=judged.why_not,
        detail=judged.detail,
    )
