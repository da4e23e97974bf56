"""Measure what isolation and identity cost.

    python -m bench.identity [--rounds N] [--seconds S]

- `get`: GET of one source with an access token, its tenant entered and its policies looked at,
  against the same row read by the same framework and driver with none of that. Rates, by turns.
- `tenants`: gateway CPU of a webhook, of 10 tenants against of 10,000, by turns.
- `storm`: webhooks accepted a second while 50 sign-ins a second come (eight times what the one
  hashing process can do), against none, by turns.
- `refresh`: pairs of tokens a second over 16 sessions.
- `check`: whether a token was revoked, among 10,000 revocations, in this process.

Ratios are medians over the rounds, each of two neighbours in one round.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench import load
from bench.identity import check, storm
from bench.identity.world import TENANTS, World, running
from bench.ingest.webhooks import webhooks
from bench.ingest.world import Gateway
from bench.load import Request, Sent, Task

GET_CONNECTIONS: Final = 16
INGEST_CONNECTIONS: Final = 64
FEW: Final = 10
WARM_UP_S: Final = 2.0

BUDGETS: Final = {
    "get_ratio": ("at most", 2.0),
    "tenants_ratio": ("at most", 1.1),
    "storm_ratio": ("at least", 0.7),
    "check_us": ("under", 2.0),
}


class Measured(msgspec.Struct, frozen=True):
    """Load on one gateway."""

    sent: Sent
    cpu_us: float
    """Of the gateway's process, for each request."""


async def _load(gateway: Gateway, requests: list[Request], connections: int, s: float) -> Measured:
    before = gateway.cpu_s()
    sent = await load.send(Task(gateway.port, requests, connections, s))
    assert sent.accepted, "nothing was answered"
    assert not sent.refused, f"{sent.refused} of {sent.requests} were refused"
    return Measured(sent, (gateway.cpu_s() - before) / sent.accepted * 1e6)


async def _get(world: World, rounds: int, seconds: float) -> dict[str, float]:
    """Read one row, authorised and bare."""
    pair = await world.sign_in(world.stored.people[0])
    token = {"Authorization": f"Bearer {pair['access_token']}"}
    ways = (
        (world.ours, [Request(f"/v1/sources/{world.source}", token)]),
        (world.bare, [Request(f"/v1/sources/{world.stored.source_id}", {})]),
    )
    for gateway, requests in ways:
        await _load(gateway, requests, GET_CONNECTIONS, WARM_UP_S)
    found = [[await _load(*way, GET_CONNECTIONS, seconds) for way in ways] for _ in range(rounds)]
    print(f"\nGET of one row, {GET_CONNECTIONS} connections    answers/s   cpu µs   p50 ms")
    for number, name in enumerate(("authorised", "bare")):
        column = [one[number] for one in found]
        rate, cpu = (
            statistics.median(one.sent.rate for one in column),
            statistics.median(one.cpu_us for one in column),
        )
        p50 = statistics.median(one.sent.p50_ms for one in column)
        print(f"  {name:32}{rate:11,.0f}{cpu:9.0f}{p50:9.2f}")
    return {
        "get_ratio": statistics.median(bare.sent.rate / ours.sent.rate for ours, bare in found),
        "get_cpu_ratio": statistics.median(ours.cpu_us / bare.cpu_us for ours, bare in found),
    }


async def _tenants(world: World, rounds: int, seconds: float) -> dict[str, float]:
    """Send webhooks of few tenants and of all of them."""
    tokens = world.stored.tokens
    sets = (webhooks(*tokens), webhooks(*tokens[:FEW]))
    await _load(world.ours, sets[0], INGEST_CONNECTIONS, 2 * WARM_UP_S)
    pairs = []
    for number in range(rounds):
        pair = {}
        for one in (0, 1) if number % 2 == 0 else (1, 0):
            pair[one] = await _load(world.ours, sets[one], INGEST_CONNECTIONS, seconds)
            await world.broker.empty()
        pairs.append((pair[0].cpu_us, pair[1].cpu_us))
    many, few = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\nA webhook of {TENANTS:,} tenants: {many:.1f} µs of CPU; of {FEW}: {few:.1f} µs")
    return {"tenants_ratio": statistics.median(many / few for many, few in pairs)}


async def _storm(world: World, rounds: int, seconds: float) -> dict[str, float]:
    """Send webhooks, without and with sign-ins beside them."""
    requests = webhooks(world.stored.tokens[0])
    ratios, answers = [], storm.Answers()
    for _ in range(rounds):
        quiet = await _load(world.ours, requests, INGEST_CONNECTIONS, seconds)
        async with storm.raging(world, answers):
            stormy = await _load(world.ours, requests, INGEST_CONNECTIONS, seconds)
        await world.broker.empty()
        ratios.append(stormy.sent.rate / quiet.sent.rate)
    print(f"\nWhile sign-ins came, they were answered {answers}")
    return {"storm_ratio": statistics.median(ratios)}


async def _refresh(world: World, seconds: float) -> dict[str, float]:
    """Refresh session by session, each as fast as its answers come."""
    tokens = [(await world.sign_in(one))["refresh_token"] for one in world.stored.people]
    until = time.perf_counter() + seconds
    done = await asyncio.gather(*(_chain(world, token, until) for token in tokens))
    rate = sum(done) / seconds
    print(f"\n{rate:,.0f} pairs of tokens a second over {len(tokens)} sessions")
    return {"refresh_per_second": rate}


async def _chain(world: World, token: str, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        body = {"refresh_token": token}
        async with world.http.post(world.url("/v1/auth/refresh"), json=body) as answer:
            assert answer.ok, await answer.text()
            token = (await answer.json())["refresh_token"]
        count += 1
    return count


async def _run(rounds: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        async with running(Path(folder)) as world:
            result = await _get(world, rounds, seconds)
            result |= await _refresh(world, seconds)
            result |= await _tenants(world, rounds, seconds)
            result |= await _storm(world, rounds, seconds)
    result["check_us"] = check.microseconds()
    print()
    for name, (side, budget) in BUDGETS.items():
        print(f"  {name:16} {result[name]:6.2f}   budget {side} {budget}")
    print()
    print(msgspec.json.encode({name: round(value, 3) for name, value in result.items()}).decode())


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.identity", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, for each measurement")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {load.sender()},")
    print(f"one gateway process, {TENANTS:,} tenants, medians of {given.rounds} rounds")
    uvloop.run(_run(given.rounds, given.seconds))


if __name__ == "__main__":
    main()
