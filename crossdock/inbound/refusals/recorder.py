"""Refusals in a gateway's memory until they are written down: bounded, and cheap under a flood."""

from collections import Counter, OrderedDict
from typing import Final
from uuid import UUID

import msgspec

from crossdock.inbound.refusals.model import Refusal
from crossdock.telemetry import metrics

MAX_SOURCES: Final = 1024
"""Sources with refusals that wait to be written; of more nothing is known."""
MAX_KEPT: Final = 2048
"""Refusals that wait, of all sources; a few kilobytes each at most."""
KEPT_EACH: Final = 20
"""Of them, of one source: what comes on top until they are written is only counted."""
KEPT_REASON: Final = 8
"""Of those, for one reason: so that a flood of junk does not hide the one that was meant well."""

Key = tuple[bytes, bytes]
"""Tenant and source, 16 bytes each, as a gateway has them."""


class Noted(msgspec.Struct):
    """What waits to be written of one source."""

    counts: Counter[str] = msgspec.field(default_factory=Counter)
    """By reason."""
    kept: list[Refusal] = []
    """Oldest first."""


class Recorder:
    """Counts every refusal, and keeps a few."""

    def __init__(self) -> None:
        self._noted: OrderedDict[Key, Noted] = OrderedDict()
        self._kept = 0

    def count(self, key: Key, reason: str) -> bool:
        """Count a refusal; tell whether there is room to keep it, for then it must be described."""
        noted = self._noted.get(key)
        if noted is None:
            if len(self._noted) >= MAX_SOURCES:
                metrics.REFUSALS_FORGOTTEN.inc()
                return False
            noted = self._noted[key] = Noted()
        noted.counts[reason] += 1
        return (
            self._kept < MAX_KEPT
            and len(noted.kept) < KEPT_EACH
            and sum(one.reason == reason for one in noted.kept) < KEPT_REASON
        )

    def keep(self, key: Key, refusal: Refusal) -> None:
        """Keep a refusal of which `count` said so."""
        self._noted[key].kept.append(refusal)
        self._kept += 1

    def take(self) -> dict[UUID, dict[UUID, Noted]]:
        """Hand over all that waits, by tenant and source; those that waited longest come first."""
        found: dict[UUID, dict[UUID, Noted]] = {}
        for (tenant, source), noted in self._noted.items():
            found.setdefault(UUID(bytes=tenant), {})[UUID(bytes=source)] = noted
        self._noted = OrderedDict()
        self._kept = 0
        return found

    def give_back(self, tenant_id: UUID, sources: dict[UUID, Noted]) -> None:
        """Take back what could not be written; what there is no room for is forgotten."""
        for source, noted in sources.items():
            key = tenant_id.bytes, source.bytes
            if key not in self._noted and len(self._noted) >= MAX_SOURCES:
                metrics.REFUSALS_FORGOTTEN.inc(noted.counts.total())
                continue
            now = self._noted.setdefault(key, Noted())
            now.counts.update(noted.counts)
            room = max(0, min(KEPT_EACH - len(now.kept), MAX_KEPT - self._kept))
            # The newest of those that come back, before what came meanwhile.
            back = noted.kept[-room:] if room else []
            now.kept[:0] = back
            self._kept += len(back)
