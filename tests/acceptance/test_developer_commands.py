"""What a tenant's developer does from the command line: all that REST offers for webhooks in."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.acceptance.commands import environ, published, run, running, told, written
from tests.acceptance.house import House
from tests.faults.waiting import until

TOTAL = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}


async def line(process: asyncio.subprocess.Process) -> Any:
    """Return the next line of JSON."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return msgspec.json.decode(await process.stdout.readline())


async def test_a_source_from_a_preset_is_made_tried_and_looked_after(
    house: House, tmp_path: Path
) -> None:
    names = {one["name"] for one in (await told(house, "sources", "presets"))["items"]}
    assert {"stripe", "github", "standard"} <= names
    made = await told(house, "sources", "create", "Payments", "--preset", "stripe")
    source = made["id"]

    async def is_taken() -> bool:
        return (await run(house, "sources", "test", source, code=None)).code == 0

    await until(is_taken, "a test that is accepted")
    table = await run(house, "sources", "list")
    assert source in table.out
    assert made["secret"] not in table.out
    rotated = await told(house, "sources", "rotate", source, "--overlap", "60")
    assert rotated["secret"] != made["secret"]
    assert len((await told(house, "sources", "show", source))["secrets"]) == 2
    changed = await told(house, "sources", "change", source, "--indexed", "/id", "--name", "Cash")
    assert (changed["name"], changed["indexed_fields"]) == ("Cash", ["/id"])
    assert (await told(house, "sources", "pause", source, "--buffer"))["pause_mode"] == "buffer"
    assert (await told(house, "sources", "resume", source))["state"] == "active"
    steps = (await told(house, "simulate", source, "--sample", "charge-succeeded"))["steps"]
    assert [one["name"] for one in steps] == ["verify", "validate", "match", "transform", "deliver"]
    assert (await told(house, "sources", "refusals", source))["items"] == []
    wrong = {"headers": {"stripe-signature": "t=1,v1=00"}, "body": "{}"}
    request = written(tmp_path, "wrong.json", wrong)
    steps = (await told(house, "simulate", source, "--request", request, code=1))["steps"]
    assert steps[0]["outcome"] == "failed"
    await run(house, "sources", "delete", source, "--yes")
    assert (await run(house, "sources", "show", source, code=1)).err.startswith("crossdock: 404")


async def test_a_recipe_is_checked_before_it_is_saved(house: House, tmp_path: Path) -> None:
    recipe = written(tmp_path, "recipe.json", {"hmac": {"signature_header": "x-signature"}})
    pasted = {"headers": {"x-signature": "AAAA"}, "body": "{}"}
    example = written(tmp_path, "example.json", pasted)
    words = ("--scheme", "hmac", "--secret", "shhh", "--recipe", recipe)

    found = await told(house, "sources", "check", example, *words, code=1)
    refused = await run(house, "sources", "create", "Odd", *words, "--example", example, code=1)

    assert not found["verified"]
    assert "recipe-mismatch" in refused.err


async def test_schemas_are_changed_with_care(house: House, tmp_path: Path) -> None:
    first = written(tmp_path, "first.json", TOTAL)
    tighter = written(tmp_path, "tighter.json", TOTAL | {"required": ["total", "paid"]})
    made = await told(
        house, "event-types", "create", "order.paid", "--schema", first, "--mode", "quarantine"
    )
    good, bad = written(tmp_path, "good", {"total": 1}), written(tmp_path, "bad", {"total": "x"})

    assert (await told(house, "event-types", "validate", "order.paid", good))["valid"]
    broken = await told(house, "event-types", "validate", made["id"], bad, code=1)
    assert broken["violations"][0]["pointer"] == "/total"
    judged = await run(house, "event-types", "check", "order.paid", tighter, code=1)
    assert "NOT compatible" in judged.out
    refused = await run(house, "event-types", "change", "order.paid", "--schema", tighter, code=1)
    assert "schema-incompatible" in refused.err
    changed = await told(
        house, "event-types", "change", "order.paid", "--schema", tighter, "--force"
    )
    assert changed["latest_version"] == 2
    versions = (await told(house, "event-types", "versions", "order.paid"))["items"]
    assert [one["number"] for one in versions] == [2, 1]
    assert "order.paid" in (await run(house, "event-types", "list")).out
    await run(house, "event-types", "delete", "order.paid", "--yes")
    assert "no event type" in (await run(house, "event-types", "show", "order.paid", code=1)).err


async def test_events_are_published_listed_and_judged(house: House, tmp_path: Path) -> None:
    schema = written(tmp_path, "schema.json", TOTAL)
    words = ("order.odd", "--schema", schema, "--mode", "quarantine")
    await told(house, "event-types", "create", *words)
    odd = written(tmp_path, "odd.json", {"total": "much"})

    async def quarantined(serial: str) -> str | None:
        done = await told(house, "events", "publish", serial, "order.odd", odd)
        event: Any = await house.event(done["id"])
        return str(event["id"]) if event["status"] == "quarantined" else None

    numbers = iter(range(100))
    first = str(await until(lambda: quarantined(f"odd-{next(numbers)}"), "one in quarantine"))
    second = str(await until(lambda: quarantined(f"odd-{next(numbers)}"), "another"))

    kept = (await told(house, "events", "list", "--status", "quarantined", "--since", "5m"))[
        "items"
    ]
    assert {first, second} <= {one["id"] for one in kept}
    shown = await told(house, "events", "show", first)
    assert shown["violations"][0]["pointer"] == "/total"
    assert msgspec.json.decode((await run(house, "events", "payload", first)).out) == {
        "total": "much"
    }
    await run(house, "events", "drop", first)
    await run(house, "events", "release", second)
    assert (await told(house, "events", "show", first))["status"] == "dropped"
    assert (await run(house, "events", "replay", first, code=1)).err.startswith("crossdock: 409")


async def test_many_events_are_published_and_the_refused_ones_told(
    house: House, tmp_path: Path
) -> None:
    lines = [
        {"id": f"many-{number}", "event_type": "order.made", "payload": number}
        for number in range(120)
    ]
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        msgspec.json.Encoder().encode_lines([*lines, {"id": "none", "event_type": "order.made"}])
    )

    done = await told(house, "events", "publish-all", str(path), code=1)

    assert done["published"] == 120
    assert [(one["line"], one["status"]) for one in done["refused"]] == [(121, 422)]
    path.write_text("[1]\n")
    assert "one event a line" in (await run(house, "events", "publish-all", str(path), code=2)).err


async def test_events_are_followed_live(house: House) -> None:
    async with running(house, "events", "tail", "--type", "order.*", "--payload", "--json") as tail:
        numbers = iter(range(1000))

        async def publish() -> None:
            while True:
                await published(house, f"tail-{next(numbers)}", total=7)
                await asyncio.sleep(0.3)

        publishing = asyncio.create_task(publish())
        first, second = await line(tail), await line(tail)
        publishing.cancel()
    assert first["id"] < second["id"]
    assert msgspec.json.decode(first["payload"]) == {"total": 7}


async def test_events_are_forwarded_to_a_program_here(house: House) -> None:
    target = f"{house.receiver.url}/here"
    async with running(house, "listen", "--forward", target, "--json") as listening:
        numbers = iter(range(1000))

        async def publish() -> None:
            while True:
                await published(house, f"listen-{next(numbers)}", total=8)
                await asyncio.sleep(0.3)

        publishing = asyncio.create_task(publish())
        done = await line(listening)
        publishing.cancel()
    assert done["status"] == 204
    arrived: Mapping[str, Any] = {
        one.headers["crossdock-event-id"]: one
        for one in house.receiver.arrivals
        if one.path == "/here"
    }
    assert msgspec.json.decode(arrived[done["id"]].body) == {"total": 8}

    again = await told(house, "listen", "--forward", target, "--replay", done["id"])

    assert (again["id"], again["status"]) == (done["id"], 204)
    nobody = "http://127.0.0.1:9/"
    lost = await told(house, "listen", "--forward", nobody, "--replay", done["id"])
    assert lost["status"] is None
    assert lost["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("events", "list", "--since", "yesterday"), "no moment"),
        (("events", "show", "evt_nonsense"), "404"),
        (("event-types", "create", "a b"), "422"),
        (("listen", "--forward", "ftp://here"), "--forward takes"),
        (("simulate", "src_x"), "Give one of"),
        (("sources", "create", "X", "--recipe", "/nowhere.json"), "/nowhere.json"),
        (("sources", "list", "--url", "nowhere"), "no address"),
        (("sources", "list", "--key", ""), "API key"),
    ],
)
async def test_wrong_words_are_told_in_a_line(
    house: House, words: tuple[str, ...], said: str
) -> None:
    done = await house.stack.command(*words, environ=environ(house))

    assert done.code in {1, 2}
    assert said in done.err
    assert done.err.count("\n") == 1
