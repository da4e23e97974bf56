"""Measure what one tenant's load is to another.

    python -m bench.fairness [--rounds N] [--seconds S] [--times T]

A stack as `crossdock up` starts it, with one gateway and one worker process. A quiet tenant
publishes 20 events a second, and each is timed from its publication to its arrival, while

- `quiet`: nobody else does anything;
- `noisy`: another tenant publishes T times as much (100), to a receiver that answers at once;
- `hanging`: another tenant publishes as much as the quiet one, to a receiver that never answers, so
  that its breaker opens, and to five more that are left open by `breaker: off`.

The backlog is the worst second's: what waited to be persisted, and what was due after that.

By turns, in one run; before each the others' backlog is waited for, or cancelled. What is held to
is the quiet tenant's p99: at most twice its own in `quiet`, or 10 ms more.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import msgspec
import uvloop

from bench.api.world import World, command, running
from bench.fairness.world import QUIET_PER_S, Noise, Probe, Probed, at
from crossdock.bus import connect
from crossdock.bus.standing import waiting
from crossdock.config import LogSettings
from crossdock.embedded import ports
from crossdock.supervisor.folder import DataFolder
from crossdock.telemetry import logs

DRAIN_S: Final = 120.0
WARM_UP_S: Final = 3.0
HANGING: Final = 5
MOST_RATIO: Final = 2.0
MOST_MORE_MS: Final = 10.0


class Tenant(msgspec.Struct, frozen=True):
    """One of those who publish."""

    name: str
    key: str


class Bench:
    """The tenants, their receivers, and what was measured."""

    def __init__(self, world: World, sinks: str, seconds: float, times: int) -> None:
        self._world = world
        self._sinks = sinks
        self._seconds = seconds
        self._times = times
        self._port = ports.free_port()
        self._tenants: dict[str, Tenant] = {}
        self.taken: dict[str, list[float]] = defaultdict(list)
        """Events of the others, a second."""
        self.found: dict[str, list[Probed]] = defaultdict(list)
        self.backlog: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """By seconds: what waited on INGEST, and what was due in PostgreSQL."""

    async def prepare(self) -> None:
        """Make tenants and destinations, and warm everything up."""
        await self._tenant("quiet", [(f"http://127.0.0.1:{self._port}/quiet", "auto")])
        await self._tenant("noisy", [(f"{self._sinks}/noisy", "auto")])
        hanging = [(f"{self._sinks}/hang{one}", "off") for one in range(HANGING)]
        await self._tenant("hanging", [(f"{self._sinks}/hang", "auto"), *hanging])
        await self._probe(WARM_UP_S)

    async def measure(self, kind: str) -> None:
        """Measure once."""
        if kind == "quiet":
            self.found[kind].append(await self._probe(self._seconds))
            return
        per_s = QUIET_PER_S * (self._times if kind == "noisy" else 5)
        noise = Noise(self._world.url, self._tenants[kind].key, per_s)
        process, began = await _start("noise", noise), time.monotonic()
        await asyncio.sleep(WARM_UP_S)
        watching = asyncio.create_task(self._watch(kind))
        self.found[kind].append(await self._probe(self._seconds))
        watching.cancel()
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        taken = int(await process.stdout.readline())
        self.taken[kind].append(taken / (time.monotonic() - began))
        await process.wait()
        await self._drained(kind)

    async def _tenant(self, name: str, destinations: list[tuple[str, str]]) -> None:
        made = await asyncio.to_thread(
            command, self._world.folder, "tenant", "create", name, "--plan", "unlimited"
        )
        self._tenants[name] = Tenant(name, made["api_key"])
        headers = {"authorization": f"Bearer {made['api_key']}"}
        async with httpx.AsyncClient(base_url=self._world.url, headers=headers) as client:
            for number, (url, breaker) in enumerate(destinations):
                wish = {"name": f"{name} {number}", "url": url, "breaker": breaker}
                (await client.post("/v1/destinations", json=wish)).raise_for_status()

    async def _probe(self, seconds: float) -> Probed:
        told = Probe(self._world.url, self._tenants["quiet"].key, self._port, seconds)
        process = await _start("probe", told)
        out, _ = await process.communicate()
        assert process.returncode == 0, "the probe failed"
        return msgspec.json.decode(out, type=Probed)

    async def _watch(self, kind: str) -> None:
        """Note how much waits to be persisted, and how much of what is due waits for its turn."""
        bus = await connect(DataFolder(self._world.folder).settings().nats, name="bench")
        try:
            while True:
                ingested = await waiting(bus, 0)
                due = await self._world.admin.fetchval(_DUE)
                self.backlog[kind].append((ingested, due))
                await asyncio.sleep(1.0)
        finally:
            await bus.close()

    async def _drained(self, kind: str) -> None:
        """Wait until nothing is left of a load; what hangs is cancelled."""
        ends = time.monotonic() + DRAIN_S
        while time.monotonic() < ends:
            if kind == "hanging":
                await self._world.admin.execute(_CANCEL)
            if not await self._world.admin.fetchval(_LEFT):
                return
            await asyncio.sleep(0.5)
        raise AssertionError(f"The backlog of {kind} did not drain.")


_LEFT: Final = "SELECT count(*) FROM crossdock.deliveries WHERE state = 'pending'"
_DUE: Final = f"{_LEFT} AND due_at <= now()"
_CANCEL: Final = (
    "UPDATE crossdock.deliveries SET state = 'cancelled', lease = NULL, finished_at = now()"
    " WHERE state = 'pending'"
)


async def _start(module: str, told: msgspec.Struct) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.fairness.{module}", stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(told))
    process.stdin.close()
    return process


@asynccontextmanager
async def _sinks() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.sink", stdout=PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


def _report(bench: Bench) -> bool:
    print(f"\n{QUIET_PER_S} events a second of the quiet tenant, ms to their arrival; all rounds\n")
    print("             events  refused    lost    p50 ms    p95 ms    p99 ms   others/s  backlog")
    p99 = {}
    for kind, probes in bench.found.items():
        took = sorted(one for probe in probes for one in probe.latencies_ms)
        sent = sum(probe.sent for probe in probes)
        refused = sum(probe.refused for probe in probes)
        p99[kind] = at(99, took)
        others = sum(bench.taken[kind]) / len(probes)
        print(
            f"{kind:10}{sent:9,}{refused:9}{sent - len(took):8}"
            f"{at(50, took):10.1f}{at(95, took):10.1f}{p99[kind]:10.1f}{others:11,.0f}"
            f"  {max(bench.backlog[kind], default=(0, 0))}"
        )
    result = {
        f"p99_ratio_{kind}": round(p99[kind] / p99["quiet"], 2) for kind in ("noisy", "hanging")
    } | {f"p99_more_ms_{kind}": round(p99[kind] - p99["quiet"], 1) for kind in ("noisy", "hanging")}
    print()
    print(msgspec.json.encode(result).decode())
    return all(
        result[f"p99_ratio_{kind}"] <= MOST_RATIO or result[f"p99_more_ms_{kind}"] <= MOST_MORE_MS
        for kind in ("noisy", "hanging")
    )


async def _run(rounds: int, seconds: float, times: int) -> bool:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-bench-")))
        sinks = await stack.enter_async_context(_sinks())
        world = await stack.enter_async_context(running(folder))
        bench = Bench(world, sinks, seconds, times)
        await bench.prepare()
        for number in range(rounds):
            kinds = ["quiet", "noisy", "hanging"]
            for kind in kinds if number % 2 == 0 else reversed(kinds):
                await bench.measure(kind)
        return _report(bench)


def main() -> None:
    """Read the command line and measure; the exit code tells whether the promise is kept."""
    parser = argparse.ArgumentParser(prog="bench.fairness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--times", type=int, default=100)
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"), "bench")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    if not uvloop.run(_run(given.rounds, given.seconds, given.times)):
        sys.exit("The quiet tenant suffers.")


if __name__ == "__main__":
    main()
