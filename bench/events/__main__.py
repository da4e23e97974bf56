"""Measure lists of events, and live events.

    python -m bench.events [--events N] [--few N] [--seconds S] [--rounds N]
        [--only listing|streaming]

- `listing`: a page of newest events over HTTP with each filter, at ten million events of one tenant
  against ten thousand, in the same partitions; medians.
- `streaming`: webhooks that one gateway process takes a second, as fast as it can, while a thousand
  listen, against the same while nobody does, by turns; medians of the pairs' ratios. The webhooks
  go to 50 sources in turn, and each of the 1,000 listens to one of them: every event is sent to 20.
  Senders, listeners, worker, PostgreSQL and NATS share the machine; beside the rates stands what
  the gateway's process used for each webhook, which does not depend on them, and what others used.

It fails where a ratio is over its budget: 1.3 for any filter, 1.1 for the rate with listeners.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench import load
from bench.api.world import World, running
from bench.events import listing, streaming

LISTING: Final = 1.3
STREAMING: Final = 1.1


async def _run(given: argparse.Namespace) -> dict[str, float]:
    result: dict[str, float] = {}
    os.environ["CROSSDOCK_GATEWAY__TENANT_STREAMS"] = str(streaming.LISTENERS)
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        async with running(Path(folder)) as world:
            if given.only != "listing":
                result |= _streamed(await streaming.measure(world, given.seconds, given.rounds))
            if given.only != "streaming":
                result |= await _listed(world, given.few, given.events)
    return result


def _streamed(found: streaming.Streamed) -> dict[str, float]:
    print(f"\n  {streaming.LISTENERS:,} listeners, each of one of {streaming.SOURCES} sources;")
    print("  events sent to them a second: ", end="")
    print(f"{found.median(found.heard, 'frames'):,.0f}\n")
    print("                   webhooks/s   gateway µs   crowd µs   others, processors")
    for name, rounds in zip(("nobody listens", "all listen"), found, strict=True):
        rate, cpu, crowd, foreign = (
            found.median(rounds, one) for one in ("rate", "gateway_us", "crowd_us", "foreign")
        )
        print(f"  {name:15} {rate:11,.0f} {cpu:12,.0f} {crowd:10,.0f} {foreign:20.2f}")
    print()
    return {
        "streaming_ratio": 1 / found.ratio("rate"),
        "streaming_cpu_ratio": found.ratio("gateway_us"),
    }


async def _listed(world: World, few: int, many: int) -> dict[str, float]:
    found = await listing.measure(world, few, many)
    print(f"\n  filter            ms at {few:,}   ms at {many:,}   ratio")
    for name, (small, large) in found.items():
        print(f"  {name:16}{small:12.2f}{large:15.2f}{large / small:10.2f}")
    print()
    return {f"{name} ratio": large / small for name, (small, large) in found.items()}


def _budget(name: str) -> float | None:
    if name == "streaming_cpu_ratio":
        return None  # for the record: what it costs, not whether ingest is slower
    return STREAMING if name == "streaming_ratio" else LISTING


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.events", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of load, for each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of loads")
    parser.add_argument("--only", choices=["listing", "streaming"])
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {load.sender()},")
    print("one gateway process, one worker")
    result = uvloop.run(_run(given))
    over = []
    for name, ratio in result.items():
        budget = _budget(name)
        if budget is None:
            print(f"  {name:22} {ratio:6.2f}")
            continue
        print(
            f"  {name:22} {ratio:6.2f}   budget {budget}   {'missed' if ratio > budget else 'ok'}"
        )
        if ratio > budget:
            over.append(name)
    print()
    print(msgspec.json.encode({name: round(one, 3) for name, one in result.items()}).decode())
    if over:
        sys.exit(f"over budget: {', '.join(over)}")


if __name__ == "__main__":
    main()
