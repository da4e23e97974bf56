"""Measure what an idempotency key costs.

    python -m bench.idempotency [--rounds N] [--requests N]

The same POST, which makes a destination, without a key, with a key of its own, and sent again under
that key. By turns, in portions of a few, so that a moment's load of the machine falls on all three;
one request at a time, and eight.

Ratios are medians over the rounds, each of neighbours in one round.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.idempotency.client import Answered, request, send
from bench.idempotency.world import World, running

PATH: Final = "/v1/destinations"
AT_ONCE: Final = (1, 8)
WAYS: Final = ("plain", "keyed", "again")

BUDGETS: Final = {
    "keyed_ratio": ("at most", 1.5),
    "keyed_ratio_8": ("at most", 1.5),
    "again_ratio": ("under", 1.0),
}

_numbers: Final = itertools.count(1)


def _portion(world: World, count: int) -> dict[str, list[bytes]]:
    """Return as many new requests of each kind."""
    found: dict[str, list[bytes]] = {way: [] for way in WAYS}
    for _ in range(count):
        for way in ("plain", "keyed"):
            number = next(_numbers)
            wish = {"name": f"d{number}", "url": f"https://example.com/{number}"}
            header = [f'idempotency-key: "{os.urandom(16).hex()}"'] if way == "keyed" else []
            found[way].append(request(PATH, world.key, msgspec.json.encode(wish), *header))
    found["again"] = found["keyed"]
    return found


async def _round(world: World, count: int, connections: int) -> dict[str, Answered]:
    portion = _portion(world, count)
    port = world.gateway.port
    return {way: await send(port, portion[way], connections, 201) for way in WAYS}


async def _measure(
    world: World, rounds: int, count: int, connections: int
) -> list[dict[str, Answered]]:
    await _round(world, count, connections)
    found = [await _round(world, count, connections) for _ in range(rounds)]
    print(f"\nPOST of a destination, {connections} at a time      answers/s   p50 ms   p99 ms")
    for way in WAYS:
        seconds = sorted(s for one in found for s in one[way].seconds)
        rate = statistics.median(one[way].rate for one in found)
        p50, p99 = (seconds[int(len(seconds) * share)] * 1e3 for share in (0.5, 0.99))
        print(f"  {way:40}{rate:11,.0f}{p50:9.2f}{p99:9.2f}")
    return found


def _ratio(found: list[dict[str, Answered]], way: str) -> float:
    """Return how much longer it takes than the plain request."""
    return statistics.median(one["plain"].rate / one[way].rate for one in found)


async def _run(rounds: int, count: int) -> None:
    result = {}
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        async with running(Path(folder)) as world:
            for connections in AT_ONCE:
                found = await _measure(world, rounds, count, connections)
                suffix = "" if connections == 1 else f"_{connections}"
                for way in WAYS[1:]:
                    result[f"{way}_ratio{suffix}"] = _ratio(found, way)
    print()
    for name, (side, budget) in BUDGETS.items():
        print(f"  {name:16} {result[name]:6.2f}   budget {side} {budget}")
    print()
    print(msgspec.json.encode({name: round(value, 3) for name, value in result.items()}).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.idempotency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=50, help="of each kind, in a round")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, one gateway process,")
    print(f"medians of {given.rounds} rounds of {given.requests} requests")
    uvloop.run(_run(given.rounds, given.requests))


if __name__ == "__main__":
    main()
