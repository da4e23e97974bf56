"""Ten minutes at half of what this machine can do: nothing lost, and memory stays flat.

    python -m tests.soak

A real `crossdock up`, several tenants, endpoints of every character, a sender that does not wait
for answers. `SOAK_S` sets the seconds, `SOAK_RATE` the events a second in place of half of what was
measured. Writes `bench/results/soak.json` and `.svg`; ends with 1 if anything was lost, done twice
or out of order, or if memory grew.
"""

import asyncio
import os
import platform
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import msgspec

from crossdock.bus import connect
from crossdock.supervisor.folder import DataFolder
from tests.faults.rest import Rest
from tests.faults.stack import Stack, end
from tests.faults.waiting import until
from tests.soak.endpoints import Endpoints
from tests.soak.plot import draw
from tests.soak.sampling import Sampler
from tests.soak.sending import Sender, Source
from tests.soak.verdict import Verdict, judge
from tests.soak.ways import destinations

RESULTS: Final = Path(__file__).parents[2] / "bench" / "results"
SECONDS: Final = 600.0
MEASURED_S: Final = 20.0
TRIED_RATE: Final = 2_000.0
"""More than a machine with the sender beside it takes."""
TENANTS: Final = 4
SAMPLES: Final = 120
DRAIN_S: Final = 180.0
ROOM: Final = (
    *("--set", "events_per_day=100000000", "--set", "requests_per_minute=1000000"),
    *("--set", "webhooks_per_minute=10000000"),
)


class Soak:
    """The stack, its tenants, and everybody around it."""

    def __init__(self, stack: Stack, endpoints: Endpoints) -> None:
        self.stack = stack
        self.endpoints = endpoints
        self.sources: list[Source] = []
        self.rests: dict[str, Rest] = {}

    async def furnish(self, guests: AsyncExitStack) -> None:
        """Make the tenants, each with a source and a destination of every way."""
        for number in range(TENANTS):
            tenant = await self.stack.tenant(f"soak-{number}")
            folder = ("--data", str(self.stack.folder))
            done = await self.stack.command("tenant", "quota", tenant.id, *ROOM, *folder)
            assert done.code == 0, done
            rest = await guests.enter_async_context(self.stack.rest(tenant.key))
            self.rests[tenant.id] = rest
            made = await rest.post("/v1/sources", {"name": "soak", "scheme": "standard"})
            for wish in destinations(f"{self.endpoints.url}/{number}"):
                await rest.post("/v1/destinations", wish)
            self.sources.append(Source(tenant.id, made["ingest_url"], made["secret"]))

    async def measure(self) -> float:
        """Return how many events a second are taken and delivered.

        It ends when all plain ones came: what waits for another try is no measure of work.
        """
        sender = Sender(self.sources)
        began = monotonic()
        await sender.run(TRIED_RATE, MEASURED_S)
        plain = {serial for serial, one in sender.accepted.items() if one.way == "plain"}
        await until(
            lambda: plain <= self.endpoints.taken.keys(), "all that was measured", within=DRAIN_S
        )
        capacity = len(sender.accepted) / (monotonic() - began)
        await self.drained(DRAIN_S)
        self.endpoints.repeats = 0
        return capacity

    async def renew(self) -> None:
        """Begin with fresh programs: the heap of one that was driven to its limit hides a leak."""
        for name in ("worker", "gateway"):
            old = getattr(self.stack, name)
            await end(old, signal.SIGTERM)
            await self.stack.replaced([old])

    async def drained(self, within_s: float) -> bool:
        """Wait until nothing is left but what waits for its time."""
        sampler = Sampler(self.stack, Sender(self.sources), self.endpoints, 1.0)
        bus = await connect(DataFolder(self.stack.folder).settings().nats)
        deadline = monotonic() + within_s
        try:
            while monotonic() < deadline:
                if await sampler.backlog(bus) == (0, 0):
                    return True
                await asyncio.sleep(0.5)
        finally:
            await bus.close()
        return False


async def _run(seconds: float, given_rate: float | None) -> int:
    with tempfile.TemporaryDirectory(prefix="crossdock-soak-") as folder:
        async with (
            Endpoints() as endpoints,
            Stack(Path(folder) / "data", processes=1) as stack,
            AsyncExitStack() as guests,
        ):
            soak = Soak(stack, endpoints)
            await soak.furnish(guests)
            capacity = await soak.measure()
            await soak.renew()
            rate = given_rate or capacity / 2
            _tell(f"{capacity:.0f} events a second at most; {rate:.0f} for {seconds:.0f} s")
            sender = Sender(soak.sources)
            sampler = Sampler(stack, sender, endpoints, max(1.0, seconds / SAMPLES))
            looking = asyncio.create_task(sampler.run())
            await sender.run(rate, seconds)
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            drained = await soak.drained(DRAIN_S)
            verdict = await judge(sender, endpoints, soak.rests)
    return _report(
        capacity,
        rate,
        seconds,
        sender=sender,
        sampler=sampler,
        verdict=verdict,
        is_drained=drained,
    )


def _report(
    capacity: float,
    rate: float,
    seconds: float,
    *,
    sender: Sender,
    sampler: Sampler,
    verdict: Verdict,
    is_drained: bool,
) -> int:
    """Write what came of it; return the exit code."""
    trends = {program: sampler.trend(program) for program in ("gateway", "worker")}
    is_flat = all(trend.is_flat for trend in trends.values())
    report: dict[str, Any] = {
        "command": "make soak",
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "seconds": seconds,
        "capacity_per_s": round(capacity, 1),
        "rate_per_s": round(rate, 1),
        "tenants": TENANTS,
        "late": sender.late,
        "refused": {str(status): count for status, count in sender.refused.items()},
        "drained": is_drained,
        "clean": verdict.is_clean,
        "verdict": verdict,
        "flat": is_flat,
        "memory": trends,
        "samples": sampler.samples,
    }
    RESULTS.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (RESULTS / "soak.json").write_bytes(text + b"\n")
    title = f"{rate:.0f} events a second, half of {capacity:.0f}, for {seconds:.0f} s"
    draw(sampler.samples, title, RESULTS / "soak.svg")
    summary = {name: value for name, value in report.items() if name != "samples"}
    _tell(msgspec.json.format(msgspec.json.encode(summary), indent=1).decode())
    return 0 if verdict.is_clean and is_flat and is_drained else 1


def _tell(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    chosen = os.environ.get("SOAK_RATE")
    sys.exit(
        asyncio.run(
            _run(float(os.environ.get("SOAK_S", SECONDS)), float(chosen) if chosen else None)
        )
    )
