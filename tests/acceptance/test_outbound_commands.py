"""What a tenant's developer does from the command line: all that REST offers for webhooks out."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.commands import published, run, told, written
from tests.acceptance.house import House
from tests.faults.waiting import until

DOUBLE = "function transform(event) { return {payload: {doubled: event.payload.total * 2}}; }"


async def inbox(house: House, *words: str) -> str:
    """Make an inbox, which takes what is published here unless told otherwise."""
    name = f"inbox {new_serial()}"
    made = await told(house, "destinations", "create", name, "--kind", "inbox", *words)
    destination: str = made["id"]
    return destination


async def came(house: House, destination: str) -> list[Any]:
    """Return what an inbox has."""
    found: list[Any] = (await told(house, "destinations", "inbox", destination))["items"]
    return found


async def test_a_destination_is_made_changed_and_switched(house: House, tmp_path: Path) -> None:
    auth = written(tmp_path, "auth.json", {"type": "bearer", "token": "s3cret"})
    made = await told(
        house,
        *("destinations", "create", "Billing", "--to", "https://example.com/hook"),
        *("--type", "order.*", "--filter", "payload.total > 10", "--header", "X-Team=blue"),
        *("--auth", auth, "--signing", "ed25519", "--rate", "10/2", "--concurrency", "3"),
        *("--order-by", "/customer", "--hold", "until_delivered", "--timeout", "2"),
    )
    destination = made["id"]
    assert made["rate"] == {"count": 10, "per_s": 2.0}
    assert made["order"] == {"by": "/customer", "hold": "until_delivered"}
    assert made["headers"] == ["x-team"]
    assert made["secrets"][0]["public_key"].startswith("whpk_")
    shown = await run(house, "destinations", "show", destination, "--json")
    assert "s3cret" not in shown.out
    changed = await told(
        house,
        *("destinations", "change", destination, "--filter", "", "--rate", "", "--order-by", ""),
        *("--header", "X-Team=", "--auth", "", "--type", "", "--concurrency", "0"),
    )
    for name in ("filter", "rate", "order", "auth", "concurrency"):
        assert changed[name] is None, name
    for name in ("headers", "event_types"):
        assert changed[name] == [], name
    assert (await told(house, "destinations", "disable", destination))["state"] == "disabled"
    assert (await told(house, "destinations", "enable", destination))["state"] == "enabled"
    rotated = await told(
        house, *("destinations", "rotate", destination, "--signing", "hmac", "--overlap", "0")
    )
    assert rotated["secret"].startswith("whsec_")
    assert "breaker" in await told(house, "destinations", "health", destination)
    await run(house, "destinations", "delete", destination, "--yes")
    assert "404" in (await run(house, "destinations", "show", destination, code=1)).err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "many"), "is no rate"),
        (("--header", "X-Team"), "is no header"),
        (("--auth", "nowhere.json"), "No such file"),
    ],
)
async def test_what_is_not_in_its_form_is_told(
    house: House, words: tuple[str, ...], said: str
) -> None:
    given = ("destinations", "create", "Odd", "--to", "https://example.com", *words)
    assert said in (await run(house, *given, code=2)).err


async def test_a_filter_and_a_script_are_tried_before_they_are_saved(
    house: House, tmp_path: Path
) -> None:
    event = await published(house, new_serial(), total=21)
    script = tmp_path / "double.js"
    script.write_text(DOUBLE)

    async def is_found() -> bool:
        return (await run(house, "events", "show", event, code=None)).code == 0

    await until(is_found, "a stored event")
    words = ("destinations", "try", "--event", event, "--transform", str(script))
    wanted = await told(house, *words, "--filter", "payload.total > 20")
    assert msgspec.json.decode(wanted["items"][0]["transformed"]["payload"]) == {"doubled": 42}
    unwanted = await told(house, *words, "--filter", "payload.total > 21")
    assert unwanted["items"][0]["why_not"] == "filter"
    broken = await told(house, *words, "--filter", "payload.nothing > 21", code=1)
    assert broken["items"][0]["filter_error"]
    refused = await run(house, *words, "--filter", "payload.total >", code=1)
    assert "filter" in refused.err


async def test_what_was_missed_is_replayed_and_everything_can_be_told(house: House) -> None:
    event_type = f"missed.{new_serial()}"
    destination = await inbox(house, "--type", event_type)
    await told(house, "destinations", "disable", destination)
    sent = {"id": new_serial(), "event_type": event_type, "payload": {"n": 1}}
    event = (await house.rest.call("POST", "/v1/events", sent)).ok()["id"]

    async def is_stored() -> bool:
        return (await run(house, "events", "show", event, code=None)).code == 0

    await until(is_stored, "a stored event")
    other = await inbox(house, "--type", f"{event_type}.other")
    never = await run(house, "destinations", "enable", other, "--replay-missed")
    assert "never disabled" in never.out
    unmatched = await told(house, "events", "list", "--unmatched", "--type", event_type)
    assert [one["id"] for one in unmatched["items"]] == [event]
    enabled = await told(house, "destinations", "enable", destination, "--replay-missed")
    assert enabled["destination"]["state"] == "enabled"
    done = await told(house, "replays", "watch", enabled["replay"]["id"])
    assert (done["state"], done["replayed"], done["progress"]) == ("done", 1, 1.0)

    async def has_come() -> bool:
        return bool(await came(house, destination))

    await until(has_come, "the event in the inbox")
    timeline = await run(house, "events", "timeline", event)
    assert destination in timeline.out
    assert "delivered" in timeline.out
    items = (await told(house, "deliveries", "list", "--destination", destination))["items"]
    assert [one["state"] for one in items] == ["delivered"]
    shown = await told(house, "deliveries", "show", items[0]["id"])
    assert [one["status"] for one in shown["attempts"]] == [200]
    await run(house, "destinations", "inbox", destination, "--empty")
    assert await came(house, destination) == []


async def test_dead_letters_are_counted_replayed_and_discarded(
    house: House, tmp_path: Path
) -> None:
    event_type = f"dead.{new_serial()}"
    settings = written(tmp_path, "settings.json", {"status": 422})
    retry = written(tmp_path, "retry.json", {"delays_s": [1], "final_statuses": [422]})
    words = ("--type", event_type, "--settings", settings, "--retry", retry)
    destination = await inbox(house, *words)
    for _ in range(2):
        sent = {"id": new_serial(), "event_type": event_type, "payload": {}}
        (await house.rest.call("POST", "/v1/events", sent)).ok()

    async def dead() -> Any:
        return (await told(house, "deliveries", "dead", "--destination", destination))["items"]

    async def are_dead() -> bool:
        return len(await dead()) == 2

    await until(are_dead, "two dead letters")
    summary = await told(house, "deliveries", "dead-summary", "--destination", destination)
    assert summary["reasons"] == [{"reason": "rejected", "count": 2}]
    assert "rejected" in (await run(house, "deliveries", "dead-summary")).out
    first, second = (one["id"] for one in await dead())
    assert (await told(house, "deliveries", "cancel", first))["items"][0]["status"] == 200
    assert (await told(house, "deliveries", "replay", second))["items"][0]["status"] < 300
    await run(house, "deliveries", "replay", "dlv_01h455vb4pex5vsknk084sn02q", code=1)
    assert (await told(house, "destinations", "stats", destination))["total"]["dead"] >= 0
    await told(house, "destinations", "cancel-pending", destination, "--yes")


async def test_alerts_are_listed_set_and_tried(house: House, tmp_path: Path) -> None:
    before = await told(house, "alerts", "settings")
    changes = written(tmp_path, "alerts.json", {"emails": ["oncall@example.com"]})
    assert (await told(house, "alerts", "change", changes))["emails"] == ["oncall@example.com"]
    assert before["emails"] == []
    await told(house, "alerts", "test")
    kinds = {one["kind"] for one in (await told(house, "alerts", "list"))["items"]}
    assert "test" in kinds
