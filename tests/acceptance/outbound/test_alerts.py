"""Alerts: told by webhook and by letter, once, never in a loop, and taken back when all is well."""

import asyncio
from email import message_from_bytes
from email.policy import default
from typing import Any

import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.outbound.lanes import lane, state_of
from tests.faults.waiting import until

pytestmark = pytest.mark.timeout(120)


async def listener(house: House, *types: str, **options: Any) -> Any:
    """Make a destination that hears of alerts; return its path and itself."""
    path = f"/{new_serial()}"
    made = await house.destination(path, event_types=list(types or ("crossdock.*",)), **options)
    return path, made


def alerts_at(house: House, path: str, kind: str = "") -> list[Any]:
    """Return what an endpoint heard."""
    found = []
    for arrival in house.receiver.at(path):
        body = msgspec.json.decode(arrival.body)
        if kind in msgspec.json.encode(body).decode():
            found.append(body)
    return found


def letters(house: House, address: str) -> list[str]:
    """Return the letters to an address."""
    folder = house.stack.folder / "mail"
    read = [message_from_bytes(path.read_bytes(), policy=default) for path in folder.glob("*.eml")]
    return [
        f"{one['subject']}\n{one.get_content()}"
        for one in read
        if address in str(one["to"]).lower()
    ]


async def bury(feed: Feed, count: int) -> None:
    """Make dead letters."""
    feed.house.receiver.answer(feed.path, lambda _event, _earlier: 400)
    sent = [await feed.send("a.b") for _ in range(count)]
    for one in sent:
        await state_of(feed, one.id, "dead")


async def buried(house: House) -> Feed:
    """Make a destination with one dead letter."""
    feed = await lane(house, retry={"count": 0}, breaker="off")
    await bury(feed, 1)
    return feed


async def is_dead(house: House, destination_id: str) -> bool:
    """Tell whether a destination has a dead letter."""
    return bool(await house.rest.all(f"/v1/dead-letters?destination_id={destination_id}"))


async def raised(house: House, kind: str, feed: Feed) -> None:
    """Wait until an alert about a lane's destination is listed."""

    async def is_listed() -> bool:
        found = await house.rest.all(f"/v1/alerts?kind={kind}")
        return any(one["subject"] == feed.destination["id"] for one in found)

    await until(is_listed, f"an alert {kind}", within=60)


async def test_dead_letters_growing_is_told_by_webhook_and_letter_and_not_in_a_loop(
    house: House,
) -> None:
    address = f"{new_serial()}@example.com"
    patched = await house.rest.call(
        "PATCH", "/v1/alerts/settings", {"emails": [address], "dead_letters_per_hour": 5}
    )
    assert patched.status == 200, patched
    path, _ = await listener(house)
    deaf_path, _ = await listener(house, "*")
    feed = await lane(house, retry={"count": 0}, breaker="off", event_types=["a.*", "crossdock.*"])
    await bury(feed, 6)
    await until(lambda: alerts_at(house, path, "dead_letters"), "an alert", within=60)
    (told,) = alerts_at(house, path, "dead_letters")
    assert feed.destination["id"] in str(told)
    await until(lambda: letters(house, address), "a letter", within=60)
    alerts = await house.rest.all("/v1/alerts")
    mine = [one for one in alerts if one["kind"] == "dead_letters"]
    assert [one["state"] for one in mine] == ["open"]
    assert not [one for one in feed.came() if b"crossdock.alert" in one.body], "Not about itself."
    assert house.receiver.at(deaf_path) == [] or not [
        one for one in house.receiver.at(deaf_path) if b"crossdock.alert" in one.body
    ], "`*` does not take ours."
    await asyncio.sleep(3)  # who tells looks every two seconds
    assert len(alerts_at(house, path, "dead_letters")) == 1, "Once."


async def test_a_listener_that_fails_raises_no_alert_about_alerts(house: House) -> None:
    path, made = await listener(house, retry={"count": 0})
    house.receiver.answer(path, lambda _event, _earlier: 400)
    await house.rest.call("PATCH", "/v1/alerts/settings", {"dead_letters_per_hour": 1})
    try:
        await raised(house, "dead_letters", await buried(house))
        await until(lambda: house.receiver.at(path), "an alert that is not taken", within=60)
        await until(lambda: is_dead(house, made["id"]), "a dead letter of it")
        # Whoever sees this one's dead letter has seen the listener's, which is older.
        await raised(house, "dead_letters", await buried(house))
    finally:
        await house.rest.call("PATCH", "/v1/alerts/settings", {"dead_letters_per_hour": None})
    about = [one for one in await house.rest.all("/v1/alerts") if made["id"] in str(one)]
    assert about == []
    assert len(house.receiver.at(path)) < 40, "No storm."


async def test_gone_disables_and_tells(house: House) -> None:
    path, _ = await listener(house, "crossdock.alert.*")
    feed = await lane(house)
    house.receiver.answer(feed.path, lambda _event, _earlier: 410)
    await state_of(feed, (await feed.send("a.b")).id, "dead")
    await until(
        lambda: [
            one
            for one in alerts_at(house, path, "destination_disabled")
            if feed.destination["id"] in str(one)
        ],
        "an alert",
        within=60,
    )
    await house.rest.post(f"/v1/destinations/{feed.destination['id']}/enable")

    async def is_resolved() -> bool:
        found = await house.rest.all("/v1/alerts")
        mine = [one for one in found if feed.destination["id"] in str(one)]
        return bool(mine) and all(one["state"] == "resolved" for one in mine)

    await until(is_resolved, "an alert that is resolved", within=60)
    await until(
        lambda: [
            one for one in alerts_at(house, path, "resolved") if feed.destination["id"] in str(one)
        ],
        "word that all is well",
        within=60,
    )


async def test_a_source_that_refuses_is_told(house: House) -> None:
    await house.rest.call("PATCH", "/v1/alerts/settings", {"refusals_per_hour": 5})
    path, _ = await listener(house)
    feed = await lane(house)
    for _ in range(8):
        webhook = feed.door.webhook()
        reply = await house.anyone.call(
            "POST", webhook.url, raw=webhook.body, headers={"content-type": "application/json"}
        )
        assert reply.status == 401
    await until(
        lambda: [one for one in alerts_at(house, path, "source_refusing") if feed.id in str(one)],
        "an alert",
        within=60,
    )


async def test_what_is_muted_is_not_told(house: House) -> None:
    path, _ = await listener(house)
    await house.rest.call("PATCH", "/v1/alerts/settings", {"muted": ["destination_disabled"]})
    try:
        feed = await lane(house)
        house.receiver.answer(feed.path, lambda _event, _earlier: 410)
        await state_of(feed, (await feed.send("a.b")).id, "dead")
        await raised(house, "destination_disabled", feed)
        await house.rest.post("/v1/alerts/test", {"ways": ["webhook"]})
        await until(lambda: alerts_at(house, path, '"kind":"test"'), "what came after it")
        assert not [
            one
            for one in alerts_at(house, path, "destination_disabled")
            if feed.destination["id"] in str(one)
        ]
    finally:
        await house.rest.call("PATCH", "/v1/alerts/settings", {"muted": []})


async def test_nobody_forges_an_alert(house: House) -> None:
    path, _ = await listener(house)
    feed = await lane(house)
    sent = await feed.send("crossdock.alert.raised", about="dst_x")
    forged = feed.door.webhook(
        new_serial(),
        body=msgspec.json.encode(
            {"id": new_serial(), "type": "crossdock.alert.raised", "serial": new_serial()}
        ),
        headers={"crossdock-about": "quota"},
    )
    reply = await feed.door.post(forged)
    if sent.reply.status == 202:
        await house.event(sent.id)
    if reply.status == 202:
        await house.event(reply.json()["id"])
    await feed.arrived(await feed.send("a.b"))
    await asyncio.sleep(1)  # the listener's lane is another one than that which is done
    assert sent.serial not in {one.serial for one in house.receiver.at(path)}
    assert not [one for one in house.receiver.at(path) if one.body == forged.body]
