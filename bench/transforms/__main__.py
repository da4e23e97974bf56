"""Measure transformations: how many a second, and what one adds to a delivery.

    python -m bench.transforms [--count N]

Payloads are those of the presets' samples, from the smallest to the largest, and one of 100 KiB
made of the largest. Three scripts: one that returns the event as it is, one that picks fields, one
that walks all of the payload. Latency is one after another; the rate is of eight tenants at once
over two processes. In the same run plain Python decodes, picks and encodes, in the worker's own
process and with nothing between it and the worker: what the sandbox costs is told by that ratio.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import uvloop

from crossdock.config import TransformSettings
from crossdock.presets import CATALOGUE
from crossdock.transforms.model import Event
from crossdock.transforms.service import Sandbox

TENANTS: Final = tuple(UUID(int=number) for number in range(1, 9))
LARGE: Final = 100 * 1024

SCRIPTS: Final = {
    "as it is": "function transform(event) { return {}; }",
    "picks": (
        "function transform(event) {"
        " return {payload: {id: event.id, type: event.type,"
        " first: Object.keys(event.payload)[0]}}; }"
    ),
    "walks": (
        "function walk(v) { if (Array.isArray(v)) return v.map(walk);"
        " if (v && typeof v === 'object') return Object.fromEntries("
        "Object.entries(v).map(([k, w]) => [k.toUpperCase(), walk(w)]));"
        " return v; }"
        "function transform(event) { return {payload: walk(event.payload)}; }"
    ),
}


def payloads() -> dict[str, bytes]:
    """Return real payloads by what they are called: small, middle, large and very large."""
    bodies = sorted(_bodies(), key=len)
    large = bodies[-1]
    many = msgspec.json.encode({"items": [msgspec.Raw(large)] * (LARGE // len(large))})
    chosen = (bodies[0], bodies[len(bodies) // 2], large, many)
    return {f"{len(body):,} bytes": body for body in chosen}


def _bodies() -> list[bytes]:
    samples = [sample for preset in CATALOGUE.values() for sample in preset.samples]
    written = [sample.write("1", 1_800_000_000.0).body for sample in samples]
    return [body for body in written if body.startswith(b"{")]


def event(body: bytes) -> Event:
    """Return an event of that body."""
    return Event(
        id="evt_00000000000000000000000001",
        type="order.paid",
        source_id="src_00000000000000000000000001",
        received_at=datetime.now(UTC),
        content_type="application/json",
        headers={"user-agent": "Bench/1"},
        body=body,
    )


async def latency(sandbox: Sandbox, script: str, given: Event, count: int) -> list[float]:
    """Return the seconds of each of so many runs, one after another."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        await sandbox.apply(TENANTS[0], script, given)
        found.append(time.perf_counter() - began)
    return found


async def rate(sandbox: Sandbox, script: str, given: Event, count: int) -> float:
    """Return the runs a second of several tenants at once."""

    async def one(tenant: UUID) -> None:
        for _ in range(count // len(TENANTS)):
            await sandbox.apply(tenant, script, given)

    began = time.perf_counter()
    await asyncio.gather(*(one(tenant) for tenant in TENANTS))
    return count // len(TENANTS) * len(TENANTS) / (time.perf_counter() - began)


def plainly(work: Callable[[bytes], bytes], body: bytes, count: int) -> float:
    """Return the seconds of one run of plain Python."""
    began = time.perf_counter()
    for _ in range(count):
        work(body)
    return (time.perf_counter() - began) / count


def _picked(body: bytes) -> bytes:
    payload: dict[str, Any] = msgspec.json.decode(body)
    return msgspec.json.encode({"id": "evt", "type": "order.paid", "first": next(iter(payload))})


async def run(count: int) -> None:
    """Measure, and print a table and its figures."""
    sandbox = Sandbox(TransformSettings(cpu_ms=1000))
    result: dict[str, float] = {}
    print(f"{'payload':>16} {'script':>10} {'p50 µs':>8} {'p99 µs':>8} {'a second':>9}")
    for size, body in payloads().items():
        given = event(body)
        for name, script in SCRIPTS.items():
            await latency(sandbox, script, given, count // 20)  # to warm up
            took = await latency(sandbox, script, given, count)
            middle = statistics.median(took) * 1e6
            worst = statistics.quantiles(took, n=100)[98] * 1e6
            many = await rate(sandbox, script, given, count)
            print(f"{size:>16} {name:>10} {middle:8.0f} {worst:8.0f} {many:9.0f}")
            result[f"us_{name}_{len(body)}".replace(" ", "_")] = round(middle)
            result[f"per_second_{name}_{len(body)}".replace(" ", "_")] = round(many)
        plain = plainly(_picked, body, count)
        result[f"ratio_plain_python_{len(body)}"] = round(
            plain * 1e6 / result[f"us_picks_{len(body)}"], 4
        )
    await sandbox.close()
    print()
    print(msgspec.json.encode(result).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.transforms", description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    uvloop.run(run(parser.parse_args().count))


if __name__ == "__main__":
    main()
