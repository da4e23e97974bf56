"""What a problem costs beside a success, and our validation beside `jsonschema`: in one process."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import msgspec

from crossdock import ids, native
from crossdock.config import LimitSettings, LogSettings, Settings
from crossdock.delivery import rules
from crossdock.telemetry import logs
from gateway.app import Gateway
from gateway.controllers.destinations import DestinationCreate
from gateway.request import decode

ROUNDS: Final = 15
CALLS: Final = 400


class Way(msgspec.Struct, frozen=True):
    """A request, and what is answered."""

    status: int
    path: str
    method: str = "GET"
    query: bytes = b""


SUCCESS: Final = Way(200, "/health/live")
"""The cheapest there is: it asks nobody anything."""
PROBLEMS: Final = {
    "not found": Way(404, "/v1/nothing"),
    "wrong method": Way(405, "/health/live", method="POST"),
    "no credentials": Way(401, "/v1/sources"),
    "unknown parameter": Way(422, "/health/live", query=b"no=1"),
}
"""The last two come after some work: the address is charged, parameters are read."""
GENEROUS: Final = LimitSettings(address_per_minute=10_000_000, address_burst=1_000_000)


async def problems(settings: Settings) -> dict[str, float]:
    """Return microseconds of an answer without its network: a success's, and each problem's."""
    logs.configure(LogSettings(level="error"), "bench")
    gateway = Gateway(msgspec.structs.replace(settings, limits=GENEROUS))
    begun, ended = asyncio.Event(), asyncio.Event()
    events = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))

    async def receive() -> Any:
        event = next(events)
        if event["type"] == "lifespan.shutdown":
            await ended.wait()
        return event

    async def send(event: Any) -> None:
        assert not event["type"].endswith("failed"), event
        begun.set()

    life = asyncio.ensure_future(gateway({"type": "lifespan"}, receive, send))
    await begun.wait()
    ways = {"success": SUCCESS, **PROBLEMS}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            found[name].append(await _calls(gateway, way))
    ended.set()
    await life
    # Neighbours in one round are compared, so that a moment's load of the machine falls on both.
    return {name: statistics.median(times) for name, times in found.items()} | {
        f"{name} ratio": statistics.median(
            one / success for one, success in zip(times, found["success"], strict=True)
        )
        for name, times in found.items()
        if name != "success"
    }


async def _calls(gateway: Any, way: Way) -> float:
    statuses = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            statuses.append(event["status"])

    started = time.process_time()
    for _ in range(CALLS):
        await gateway(_scope(way), receive, send)
    taken = time.process_time() - started
    assert statuses == [way.status] * CALLS, set(statuses)
    return taken / CALLS * 1e6


def _scope(way: Way) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": way.method,
        "scheme": "http",
        "path": way.path,
        "raw_path": way.path.encode(),
        "query_string": way.query,
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }


def validation(document: dict[str, Any]) -> dict[str, float]:
    """Return microseconds to read and check a body of 10 KiB, ours and by `jsonschema`.

    `jsonschema` has its validator made before, which is the fast way to use it; `validate` is the
    usual one.
    """
    types = [
        f"customer.subscription.trial_will_end.{number:03}.{'x' * 18}" for number in range(100)
    ]
    sources = [ids.encode("src", ids.new()) for _ in range(100)]
    wish = {"name": "A destination", "url": "https://example.com/hooks"}
    body = msgspec.json.encode(wish | {"source_ids": sources, "event_types": types})
    assert 9_500 < len(body) < 10_500, len(body)
    # What msgspec adds to `$` is no pattern of JavaScript's.
    text = msgspec.json.encode(document).decode().replace("$(?!\\\\n)", "$")
    tree = msgspec.json.decode(text)
    schema = {"$ref": "#/components/schemas/DestinationCreate", "components": tree["components"]}
    validator = jsonschema.Draft202012Validator(schema)

    def ours() -> None:
        found = decode(body, DestinationCreate)
        # What patterns of the document stand for is checked by these. Ids become UUIDs as well for
        # a request, which is no part of checking: `jsonschema` makes none.
        for text in found.source_ids:
            native.typeid_parse("src", text)
        assert not rules.check_types(found.event_types)

    def theirs() -> None:
        validator.validate(msgspec.json.decode(body))

    def usual() -> None:
        jsonschema.validate(msgspec.json.decode(body), schema)

    theirs()
    assert decode(body, DestinationCreate).event_types == types
    pairs = [(_microseconds(ours, 400), _microseconds(theirs, 10)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {
        "bytes": float(len(body)),
        "ours": mine,
        "jsonschema": other,
        "usual": _microseconds(usual, 3),
        "ratio": statistics.median(theirs / ours for ours, theirs in pairs),
    }


def _microseconds(call: Callable[[], object], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times * 1e6
