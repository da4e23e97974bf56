"""What is looked at while a soak runs: memory, backlog, latency; and whether memory grew."""

import asyncio
import statistics
from contextlib import suppress
from itertools import combinations
from time import monotonic
from typing import Final

import msgspec
import psutil

from crossdock.bus import Bus, connect
from crossdock.bus.standing import waiting
from crossdock.embedded import EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.errors import BrokerUnavailable, ProcessFailed
from crossdock.supervisor.folder import DataFolder
from tests.faults.stack import Stack
from tests.soak.endpoints import Endpoints
from tests.soak.sending import Sender

SETTLING: Final = 1 / 3
"""Of a soak, its beginning: caches fill and pools open, and nothing is said about growth."""
GROWTH_BYTES: Final = 24 * 1024**2
GROWTH_PART: Final = 0.08
"""What the trend may add up to over the rest, whichever is more: of noise, not of a leak."""


class Sample(msgspec.Struct, frozen=True):
    """One look."""

    at_s: float
    gateway_bytes: int
    worker_bytes: int
    """With the processes of its sandbox."""
    ingest: int
    """Messages that are accepted and not persisted."""
    pending: int
    """Deliveries that wait, or are under way."""
    accepted: int
    answer_p99_ms: float
    """Of what was sent since the last look: until its 202."""
    delivery_p50_ms: float
    """Of plain events taken since the last look: from the request to the endpoint."""
    delivery_p99_ms: float


class Trend(msgspec.Struct, frozen=True):
    """How memory went, after the beginning."""

    first_bytes: int
    last_bytes: int
    median_bytes: int
    growth_bytes: int
    """The slope, by Theil and Sen, times the time."""
    allowed_bytes: int

    @property
    def is_flat(self) -> bool:
        """Whether it grew no more than it may."""
        return self.growth_bytes <= self.allowed_bytes


class Sampler:
    """Looks every few seconds."""

    def __init__(self, stack: Stack, sender: Sender, endpoints: Endpoints, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._stack = stack
        self._sender = sender
        self._endpoints = endpoints
        self._every_s = every_s
        self._postgres = EmbeddedPostgres(stack.folder)
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        began = monotonic()
        bus = await connect(DataFolder(self._stack.folder).settings().nats)
        try:
            while True:
                await asyncio.sleep(self._every_s)
                with suppress(psutil.NoSuchProcess, LookupError):
                    self.samples.append(await self._look(monotonic() - began, bus))
        finally:
            await bus.close()

    async def backlog(self, bus: Bus) -> tuple[int, int]:
        """Return what waits in the broker and in the database."""
        ingest = pending = 0
        with suppress(BrokerUnavailable):
            ingest = await waiting(bus, 0)
        with suppress(ProcessFailed, ValueError):
            text = await asyncio.to_thread(
                self._postgres.execute,
                "SELECT count(*) FROM crossdock.deliveries WHERE state = 'pending'",
                database=DATABASE,
            )
            pending = int(text)
        return ingest, pending

    async def _look(self, at_s: float, bus: Bus) -> Sample:
        ingest, pending = await self.backlog(bus)
        answers, ways = [], []
        accepted = self._sender.accepted
        fresh = [serial for serial in list(accepted) if serial not in self._seen]
        for serial in fresh:
            one = accepted[serial]
            taken_at = self._endpoints.taken_at.get(serial)
            if one.way != "plain" or taken_at is None:
                if one.way != "plain":
                    self._seen.add(serial)
                continue
            self._seen.add(serial)
            answers.append(one.answered_at - one.sent_at)
            ways.append(taken_at - one.sent_at)
        return Sample(
            at_s=round(at_s, 1),
            gateway_bytes=_held(self._stack.gateway),
            worker_bytes=_held(self._stack.worker),
            ingest=ingest,
            pending=pending,
            accepted=len(accepted),
            answer_p99_ms=_percentile(answers, 99),
            delivery_p50_ms=_percentile(ways, 50),
            delivery_p99_ms=_percentile(ways, 99),
        )

    def trend(self, program: str) -> Trend:
        """Say how the memory of `gateway` or `worker` went."""
        settled = self.samples[int(len(self.samples) * SETTLING) :]
        points = [(one.at_s, float(getattr(one, f"{program}_bytes"))) for one in settled]
        if len(points) < 3:
            return Trend(0, 0, 0, 0, GROWTH_BYTES)
        slopes = [
            (later[1] - sooner[1]) / (later[0] - sooner[0])
            for sooner, later in combinations(points, 2)
        ]
        median = int(statistics.median(value for _, value in points))
        span = points[-1][0] - points[0][0]
        return Trend(
            first_bytes=int(points[0][1]),
            last_bytes=int(points[-1][1]),
            median_bytes=median,
            growth_bytes=int(statistics.median(slopes) * span),
            allowed_bytes=max(GROWTH_BYTES, int(median * GROWTH_PART)),
        )


def _held(process: psutil.Process) -> int:
    """Return the bytes that a program and its children hold."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total


def _percentile(seconds: list[float], percent: int) -> float:
    if not seconds:
        return 0.0
    ordered = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 1)
