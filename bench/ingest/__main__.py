"""Measure what an ingest costs: rates, and CPU of the one gateway process.

    python -m bench.ingest [--rounds N] [--seconds S] [--only 'KIND;…']

Six gateways of one process each, all Granian with the same settings, are loaded by turns over
keep-alive connections with webhooks of 1 KiB that are really signed by Stripe's scheme:

- `no work`: answers 202 and does nothing, not even read the body;
- `plain way`: a Litestar handler, Python's `hmac`, `js.publish` awaited, default sync;
- `ours`: the product, default sync;
- `ours, no limits`: the same, with nothing counted against rate limits;
- `one publish a request, always`: the product without group commit, on a broker that syncs each
  write (`sync_interval: always`);
- `ours, always`: the product with group commit, on the same broker.

What was answered 202 is held against what the stream has. Ratios are medians over the rounds, each
of two neighbours in one round, so that whatever else the machine does falls on both alike. A
warning tells when that was much.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import psutil
import uvloop

from bench import load
from bench.ingest.webhooks import BODY_BYTES, webhooks
from bench.ingest.world import KINDS, Gateway, World, running
from bench.load import Sent, Task

CONNECTIONS: Final = (64, 256)
JUDGED: Final = 256
"""The ratios of the last line are of this many connections."""
WARM_UP_S: Final = 1.0
FOREIGN: Final = 0.15
"""Of a processor, used by others than those measured: more spoils the figures."""

BUDGETS: Final = {
    "cpu_ratio_no_work": ("at most", 2.2, 1.5),
    "ratio_no_work": ("at least", 0.35, 0.6),
    "ratio_plain": ("at least", 2.5, 4.0),
    "ratio_always": ("at least", 3.0, 3.0),
    "cpu_ratio_limits": ("at most", 1.03, 1.03),
}


class Figure(msgspec.Struct, frozen=True):
    """One kind in one round."""

    sent: Sent
    gateway_us: float
    """CPU of the gateway for each accepted webhook, microseconds."""
    broker_us: float
    foreign: float
    """Processors' worth of time used by anybody else."""

    @property
    def rate(self) -> float:
        """Return the webhooks accepted a second."""
        return self.sent.rate


Figures = dict[tuple[str, int], list[Figure]]


async def _run(rounds: int, seconds: float, names: list[str]) -> None:
    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        async with running(Path(folder), names) as world:
            for name in names:
                await _measure(world, name, CONNECTIONS[0], WARM_UP_S)
            for number in range(rounds):
                # There and back again: what drifts falls on all alike.
                for name in names if number % 2 == 0 else reversed(names):
                    for connections in CONNECTIONS:
                        figure = await _measure(world, name, connections, seconds)
                        figures[name, connections].append(figure)
    _report(figures, names)


async def _measure(world: World, name: str, connections: int, seconds: float) -> Figure:
    gateway = world.gateways[name]
    before, stored = _clocks(gateway), await gateway.broker.stored()
    sent = await load.send(Task(gateway.port, webhooks(world.token), connections, seconds))
    after = _clocks(gateway)
    if name != "no work":
        kept = await gateway.broker.stored() - stored
        assert kept >= sent.accepted, f"{name}: {sent.accepted} accepted, {kept} stored"
        await gateway.broker.empty()
    assert sent.accepted, f"{name} accepted nothing"
    if sent.refused or sent.broken:
        print(f"{name}: {sent.refused} refused, {sent.broken} connections broken")
    all_s, gateway_s, broker_s, sender_s = (b - a for a, b in zip(before, after, strict=True))
    return Figure(
        sent,
        gateway_s / sent.accepted * 1e6,
        broker_s / sent.accepted * 1e6,
        max(0.0, all_s - gateway_s - broker_s - sender_s) / sent.seconds,
    )


def _clocks(gateway: Gateway) -> tuple[float, float, float, float]:
    """Return the CPU seconds used by everybody, the gateway, the broker, and us with the sender."""
    machine = psutil.cpu_times()
    busy = sum(machine) - machine.idle - getattr(machine, "iowait", 0.0)
    ours = os.times()
    mine = ours.user + ours.system + ours.children_user + ours.children_system
    return busy, gateway.cpu_s(), gateway.broker.cpu_s(), mine


def _report(figures: Figures, names: list[str]) -> None:
    for connections in CONNECTIONS:
        title = f"{connections} connections"
        print(f"\n{title:33} accepted/s  gateway µs  broker µs   p50   p99 ms")
        for name in names:
            found = figures[name, connections]
            print(
                f"  {name:32}"
                f"{_median(found, lambda one: one.rate):11,.0f}"
                f"{_median(found, lambda one: one.gateway_us):12.1f}"
                f"{_median(found, lambda one: one.broker_us):11.1f}"
                f"{_median(found, lambda one: one.sent.p50_ms):6.1f}"
                f"{_median(found, lambda one: one.sent.p99_ms):8.1f}"
            )
    foreign = statistics.median(one.foreign for found in figures.values() for one in found)
    if foreign > FOREIGN:
        print(
            f"\nOthers used {foreign:.2f} processors meanwhile: these figures are not worth much."
        )
    result = _ratios(figures)
    print()
    for name, (side, budget, aim) in BUDGETS.items():
        if name in result:
            print(f"  {name:18} {result[name]:6.2f}   budget {side} {budget}, aim {aim}")
    print()
    print(msgspec.json.encode(result).decode())


def _ratios(figures: Figures) -> dict[str, float]:
    """Return the ratios that budgets are about, of the kinds that were measured."""
    pairs: dict[str, tuple[str, str, Callable[[Figure], float]]] = {
        "ratio_no_work": ("ours", "no work", lambda one: one.rate),
        "ratio_plain": ("ours", "plain way", lambda one: one.rate),
        "ratio_always": ("ours, always", "one publish a request, always", lambda one: one.rate),
        "cpu_ratio_no_work": ("ours", "no work", lambda one: one.gateway_us),
        "cpu_ratio_limits": ("ours", "ours, no limits", lambda one: one.gateway_us),
    }
    found = {}
    for name, (upper, lower, value) in pairs.items():
        both = figures[upper, JUDGED], figures[lower, JUDGED]
        if all(both):
            ratios = [value(one) / value(other) for one, other in zip(*both, strict=True)]
            found[name] = round(statistics.median(ratios), 3)
    return found


def _median(figures: list[Figure], value: Callable[[Figure], float]) -> float:
    return statistics.median(map(value, figures))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.ingest", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, for each measurement")
    parser.add_argument("--only", default=";".join(KINDS), help="kinds, separated by semicolons")
    given = parser.parse_args()
    names = [name for name in KINDS if name in given.only.split(";")]
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {load.sender()},")
    print(f"{BODY_BYTES} byte bodies, one gateway process, medians of {given.rounds} rounds")
    uvloop.run(_run(given.rounds, given.seconds, names))


if __name__ == "__main__":
    main()
