"""Measure what the inbound half costs beyond the plain path: CPU of one gateway process.

    python -m bench.ingest.inbound [--rounds N] [--seconds S]

One gateway, default sync, is loaded by turns with the same webhooks (`bench.ingest.payloads`), sent
to one source or another:

- `plain`: verified and stored, as `bench.ingest` measures it;
- `validated`: each is held to a schema of its type that describes all of it, and keeps to it;
- `indexed`: hashes of three of its values travel with it;
- `sealed`: its payload is sealed by its tenant's key before it leaves the process.

And with bodies of the two sizes on either side of the claim check: `inline`, the largest that a
message carries, and `large`, each put into the object store first. What counts there is bytes.

What was answered 202 is held against what the stream has. Ratios are medians over the rounds, each
of two neighbours in one round.
"""

import argparse
import hashlib
import hmac
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import uvloop

from bench import load
from bench.ingest.payloads import Payload, payloads, schema_of
from bench.ingest.world import Gateway, Kind, broker_of, keys_of
from bench.load import Request, Sent, Task
from crossdock.config import DatabaseSettings, GatewaySettings, KeySettings, Settings
from crossdock.db import Databases
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.event_types.model import EventTypeEdit
from crossdock.event_types.service import EventTypes
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import SourceEdit
from crossdock.inbound.sources.service import Sources
from crossdock.secrets.payloads import SETTING, TenantKeys
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.service import Tenants
from proto.subjects import BODIES_BUCKET

SECRET: Final = "5ba1e0f2" * 8
TYPE_HEADER: Final = "X-GitHub-Event"
CONNECTIONS: Final = 64
LARGE_CONNECTIONS: Final = 8
"""Of as many bodies as may be held at once."""
LARGE_BYTES: Final = 2 * 1024 * 1024
MIB: Final = 1024 * 1024
WARM_UP_S: Final = 1.0

EDITS: Final = {
    "plain": SourceEdit(name="plain"),
    "validated": SourceEdit(name="validated"),
    "indexed": SourceEdit(name="indexed", indexed_fields=("/id", "/type", "/data/object/customer")),
    "sealed": SourceEdit(name="sealed", encrypts=True),
}
BUDGETS: Final = {
    "cpu_ratio_validated": ("at most", 1.3),
    "cpu_ratio_indexed": ("at most", 1.3),
    "cpu_ratio_sealed": ("at most", 1.3),
    "cpu_ratio_large": ("at most", 3.0),
    "bytes_ratio_large": ("at least", 0.4),
}


class Figure(msgspec.Struct, frozen=True):
    """One kind in one round."""

    sent: Sent
    size: float
    """Bytes of a body, on average."""
    gateway_us: float
    """CPU of the gateway for each accepted webhook, microseconds."""

    @property
    def us_per_mib(self) -> float:
        """Return the CPU for a mebibyte of bodies."""
        return self.gateway_us / self.size * MIB

    @property
    def mib_per_s(self) -> float:
        """Return the mebibytes of bodies accepted a second."""
        return self.sent.rate * self.size / MIB


Figures = dict[str, list[Figure]]


async def _run(rounds: int, seconds: float) -> None:
    figures: Figures = defaultdict(list)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-bench-")))
        gateway, tokens = await _started(stack, folder)
        mixed = payloads()
        kinds: dict[str, tuple[list[Payload], str, int]] = {
            name: (mixed, tokens[name], CONNECTIONS) for name in EDITS
        }
        inline = GatewaySettings().inline_body_bytes
        for name, size in (("inline", inline), ("large", LARGE_BYTES)):
            kinds[name] = ([Payload(name, _padded(size))] * 4, tokens["plain"], LARGE_CONNECTIONS)
        for kind in kinds.values():
            await _measure(gateway, *kind, WARM_UP_S)
        for number in range(rounds):
            # There and back again: what drifts falls on all alike.
            for name in kinds if number % 2 == 0 else reversed(kinds):
                figures[name].append(await _measure(gateway, *kinds[name], seconds))
    _report(figures, mixed)


async def _started(stack: AsyncExitStack, folder: Path) -> tuple[Gateway, dict[str, str]]:
    """Start the servers, make a source of each kind, and start the gateway."""
    postgres = stack.enter_context(EmbeddedPostgres(folder / "database"))
    postgres.ensure_database()
    database = postgres.settings()
    await migrate(postgres.admin_url(), database)
    broker = await broker_of(stack, folder / "broker", sync_interval="2m")
    keys = keys_of(broker)
    tokens = await _sources(database, keys)
    gateway = Gateway(Kind("gateway.app:from_environment"), broker, folder / "gateway.log")
    stack.push_async_callback(gateway.end)
    await gateway.start(Settings(database=database, keys=keys))
    return gateway, tokens


async def _sources(settings: DatabaseSettings, keys: KeySettings) -> dict[str, str]:
    """Make a tenant with a source for each kind; return their tokens."""
    database = await Databases.open(settings, {"app", "control", "directory", "operator"})
    data_keys = TenantKeys(database, Sealer.from_text(keys.payloads, setting=SETTING))
    sources = Sources(
        database,
        Sealer.from_text(keys.sources, setting="key-sources"),
        max_body_bytes=GatewaySettings().max_body_bytes,
        data_keys=data_keys,
    )
    tokens = {}
    try:
        for name, edit in EDITS.items():
            tenant = await Tenants(database).create(f"Bench {name}", plan="unlimited")
            opened = await sources.create(tenant.id, "github", edit, [SECRET])
            tokens[name] = opened.token
            if name == "validated":
                await _hold(database, tenant.id)
    finally:
        await database.close()
    return tokens


async def _hold(database: Databases, tenant_id: UUID) -> None:
    """Hold a tenant's events to schemas, and see that these are no empty words."""
    types = EventTypes(database, Events(database))
    edit = EventTypeEdit(mode="reject")
    for one in payloads():
        schema = msgspec.json.encode(schema_of(msgspec.json.decode(one.body)))
        await types.create(tenant_id, one.event_type, edit, schema)


def _padded(size: int) -> bytes:
    return b'{"data":"%b"}' % (b"x" * (size - 11))


def _requests(found: list[Payload], token: str) -> list[Request]:
    return [
        Request(
            f"/in/{token}",
            {
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/044aadd",
                TYPE_HEADER: one.event_type,
                "X-GitHub-Delivery": f"72d3162e-cc78-11e3-81ab-{number:012}",
                "X-Hub-Signature-256": "sha256="
                + hmac.new(SECRET.encode(), one.body, hashlib.sha256).hexdigest(),
            },
            "POST",
            one.body.decode(),
        )
        for number, one in enumerate(found)
    ]


async def _measure(
    gateway: Gateway, found: list[Payload], token: str, connections: int, seconds: float
) -> Figure:
    before, stored = gateway.cpu_s(), await gateway.broker.stored()
    sent = await load.send(Task(gateway.port, _requests(found, token), connections, seconds))
    used = gateway.cpu_s() - before
    kept = await gateway.broker.stored() - stored
    assert kept >= sent.accepted, f"{sent.accepted} accepted, {kept} stored"
    await gateway.broker.empty()
    await gateway.broker.bus.jetstream().purge_stream(f"OBJ_{BODIES_BUCKET}")
    assert sent.accepted, "nothing was accepted"
    if sent.refused or sent.broken:
        print(f"{sent.refused} refused, {sent.broken} connections broken")
    size = statistics.mean(len(one.body) for one in found)
    return Figure(sent, size, used / sent.accepted * 1e6)


def _report(figures: Figures, mixed: list[Payload]) -> None:
    sizes = sorted(len(one.body) for one in mixed)
    print(f"\n{len(sizes)} types; bodies of {', '.join(map(str, sizes))} bytes")
    print(f"\n{'':12} accepted/s   MiB/s  gateway µs   p50   p99 ms")
    for name, found in figures.items():
        print(
            f"  {name:10}"
            f"{_median(found, lambda one: one.sent.rate):11,.0f}"
            f"{_median(found, lambda one: one.mib_per_s):8.1f}"
            f"{_median(found, lambda one: one.gateway_us):12.1f}"
            f"{_median(found, lambda one: one.sent.p50_ms):6.1f}"
            f"{_median(found, lambda one: one.sent.p99_ms):8.1f}"
        )
    result = {
        f"cpu_ratio_{name}": _ratio(figures, name, "plain", lambda one: one.gateway_us)
        for name in EDITS
        if name != "plain"
    }
    result["cpu_ratio_large"] = _ratio(figures, "large", "inline", lambda one: one.us_per_mib)
    result["bytes_ratio_large"] = _ratio(figures, "large", "inline", lambda one: one.mib_per_s)
    print()
    for name, (side, budget) in BUDGETS.items():
        print(f"  {name:20} {result[name]:6.2f}   budget {side} {budget}")
    print()
    print(msgspec.json.encode(result).decode())


def _ratio(figures: Figures, upper: str, lower: str, value: Callable[[Figure], float]) -> float:
    pairs = zip(figures[upper], figures[lower], strict=True)
    return round(statistics.median(value(one) / value(other) for one, other in pairs), 3)


def _median(figures: list[Figure], value: Callable[[Figure], float]) -> float:
    return statistics.median(map(value, figures))


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.ingest.inbound", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, for each measurement")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, {load.sender()},")
    print(f"one gateway process, medians of {given.rounds} rounds")
    uvloop.run(_run(given.rounds, given.seconds))


if __name__ == "__main__":
    main()
