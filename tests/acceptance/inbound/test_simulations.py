"""Simulations: each step of a webhook's way, and which of them it fails."""

import base64
from time import time
from typing import Any, Final

import pytest

from tests.acceptance.house import House, Webhook
from tests.acceptance.inbound.answers import refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import ORDER, register
from tests.faults.rest import Reply
from tests.faults.waiting import until

PATH: Final = "/v1/simulations"
STEPS: Final = ["verify", "validate", "match", "transform", "deliver"]


async def simulate(house: House, feed: Feed, **fields: Any) -> Reply:
    return await house.rest.call("POST", PATH, {"source_id": feed.id} | fields)


async def steps(house: House, feed: Feed, **fields: Any) -> dict[str, Any]:
    """Return a simulation's steps by their names."""
    reply = await simulate(house, feed, **fields)
    assert reply.status == 200, reply
    told = reply.json()["steps"]
    assert [step["name"] for step in told] == STEPS
    assert {step["outcome"] for step in told} <= {"passed", "failed", "skipped"}
    return {step["name"]: step for step in told}


def outcomes(told: dict[str, Any]) -> list[str]:
    return [told[name]["outcome"] for name in STEPS]


def pasted(webhook: Webhook) -> dict[str, Any]:
    return {
        "headers": webhook.headers,
        "body_base64": base64.b64encode(webhook.body).decode(),
    }


async def everything(house: House) -> Any:
    """Return what must not change."""
    return (
        [item["id"] for item in await house.rest.all("/v1/events")],
        [item["id"] for item in await house.rest.all("/v1/deliveries")],
    )


async def test_a_sample_passes_and_nothing_is_stored_or_sent(house: House, feed: Feed) -> None:
    before = await everything(house)
    samples = (await house.rest.get("/v1/source-presets/stripe"))["samples"]

    for sample in samples:
        told = await steps(house, feed, sample=sample["name"])
        assert told["verify"]["outcome"] == "passed"
        assert told["match"]["outcome"] == "passed"
        assert told["transform"]["outcome"] == told["deliver"]["outcome"] == "skipped"
        assert feed.destination["id"] in str(told["match"])

    assert await everything(house) == before
    assert feed.came() == []


async def test_a_pasted_request_that_was_not_signed_fails_at_the_first_step(
    house: House, feed: Feed
) -> None:
    webhook = feed.door.webhook()
    spoilt = pasted(webhook) | {"body_base64": base64.b64encode(b"{}").decode()}

    told = await steps(house, feed, request=spoilt)

    assert outcomes(told) == ["failed", "skipped", "skipped", "skipped", "skipped"]
    assert "signature" in str(told["verify"]).lower()
    assert feed.door.provider.secret not in str(told)
    right = await steps(house, feed, request=pasted(webhook))
    assert right["verify"]["outcome"] == "passed"
    old = await steps(house, feed, request=pasted(feed.door.webhook(age=4_000)))
    assert old["verify"]["outcome"] == "failed"
    assert "timestamp" in str(old["verify"]).lower()


async def test_a_simulated_webhook_can_still_be_sent_for_good(house: House, feed: Feed) -> None:
    webhook = feed.door.webhook()
    await steps(house, feed, request=pasted(webhook))

    event_id = await feed.door.accepted(webhook)

    assert (await house.event(event_id))["id"] == event_id
    await house.settled(event_id, "delivered")


async def test_a_broken_schema_fails_the_second_step(house: House, feed: Feed) -> None:
    made = await register(house, "reject")
    await feed.rejected(made["name"], total="x")
    body = b'{"id":"evt_1","type":"%s","data":{"total":"x"}}' % made["name"].encode()

    told = await steps(house, feed, request=pasted(feed.door.webhook(body=body)))

    assert told["verify"]["outcome"] == "passed"
    assert told["validate"]["outcome"] == "failed"
    assert "/data/total" in str(told["validate"])
    assert told["deliver"]["outcome"] == "skipped"


async def test_what_nobody_wants_matches_nobody(house: House) -> None:
    door = await house.door("github")
    wish = {"source_id": door.source["id"], "request": pasted(door.webhook())}

    told = {step["name"]: step for step in (await house.rest.post(PATH, wish))["steps"]}

    assert told["verify"]["outcome"] == "passed"
    assert told["match"]["outcome"] == "passed"
    assert told["match"]["destinations"] == []


async def test_deliver_makes_one_real_attempt_and_records_none(house: House) -> None:
    feed = await open_feed(house)
    stored = await feed.send("simulated.event")
    await feed.arrived(stored)
    before = await everything(house)

    told = await steps(house, feed, event_id=stored.id, deliver=True)

    assert told["deliver"]["outcome"] == "passed"
    assert feed.destination["id"] in str(told["deliver"])
    assert [arrival.body for arrival in feed.came()] == [stored.body] * 2
    assert await everything(house) == before
    assert len(await house.deliveries(stored.id)) == 1


@pytest.mark.parametrize("status", [500, 404, 302, 410])
async def test_a_failed_delivery_is_told_and_not_tried_again(house: House, status: int) -> None:
    feed = await open_feed(house)
    stored = await feed.send("simulated.event")
    await feed.arrived(stored)
    feed.house.receiver.answer(feed.path, lambda _event, _earlier: status)
    before = len(feed.came())

    told = await steps(house, feed, event_id=stored.id, deliver=True)

    assert told["deliver"]["outcome"] == "failed"
    assert str(status) in str(told["deliver"])
    assert len(feed.came()) == before + 1
    destination = await house.rest.get(f"/v1/destinations/{feed.destination['id']}")
    assert destination["state"] == "enabled", "A simulation says nothing about an endpoint."


async def test_a_stored_event_of_any_state_can_be_simulated(house: House, feed: Feed) -> None:
    made = await register(house, "quarantine", schema=ORDER)
    event_id = await feed.judged(made["name"], "quarantined", total="x")

    told = await steps(house, feed, event_id=event_id)

    assert told["validate"]["outcome"] == "failed"
    assert (await house.event(event_id))["status"] == "quarantined"


async def test_a_sealed_event_can_be_simulated(house: House) -> None:
    feed = await open_feed(house, encrypts=True)
    stored = await feed.send("simulated.event", total=1)
    await feed.arrived(stored)

    told = await steps(house, feed, event_id=stored.id, deliver=True)

    assert told["deliver"]["outcome"] == "passed"
    assert {arrival.body for arrival in feed.came()} == {stored.body}


async def test_a_simulation_is_no_refusal_and_uses_nothing_up(house: House) -> None:
    feed = await open_feed(house, webhooks_per_minute=2)
    path = f"{feed.at}/refusals/counts"

    for _ in range(6):
        spoilt = pasted(feed.door.webhook()) | {"body_base64": "e30="}
        assert (await steps(house, feed, request=spoilt))["verify"]["outcome"] == "failed"
        await steps(house, feed, request=pasted(feed.door.webhook()))

    assert (await feed.send("a.b")).reply.status == 202
    counts = (await house.rest.get(path))["counts"]
    assert "signature-invalid" not in {item["reason"] for item in counts}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sample": "x", "event_id": "evt_00000000000000000000000000"},
        {"sample": "no.such.sample"},
        {"sample": ""},
        {"request": {}},
        {"request": {"headers": {}, "body": "a", "body_base64": "YQ=="}},
        {"request": {"headers": {}, "body_base64": "***"}},
        {"request": {"headers": {}, "body": "x" * 6_000_000}},
        {"event_id": "nonsense"},
        {"event_id": "evt_00000000000000000000000000"},
        {"sample": "x", "deliver": "yes"},
        {"sample": "x", "url": "http://127.0.0.1:1"},
        {"sample": "x", "destinations": ["http://127.0.0.1:1"]},
    ],
)
async def test_what_can_not_be_simulated_is_refused(
    house: House, feed: Feed, fields: dict[str, Any]
) -> None:
    refused(await simulate(house, feed, **fields), {400, 404, 413, 422})


async def test_another_tenants_things_can_not_be_simulated(
    house: House, neighbour: House, feed: Feed
) -> None:
    theirs = await open_feed(neighbour)
    sent = await theirs.send("theirs")
    await theirs.arrived(sent)

    refused(await simulate(house, theirs, event_id=sent.id), 404, "not-found")
    refused(await simulate(house, feed, event_id=sent.id), 404, "not-found")
    webhook = pasted(theirs.door.webhook())
    refused(await simulate(house, theirs, request=webhook), 404, "not-found")
    refused(await simulate(house, theirs, request=webhook, deliver=True), 404, "not-found")
    assert len(theirs.came()) == 1


async def test_a_hanging_endpoint_does_not_hold_a_simulation_for_ever(house: House) -> None:
    feed = await open_feed(house)
    stored = await feed.send("simulated.event")
    await feed.arrived(stored)
    await house.rest.call(
        "PATCH", f"/v1/destinations/{feed.destination['id']}", {"url": "http://127.0.0.1:1/x"}
    )
    started = time()

    async def failed() -> Any:
        told = await steps(house, feed, event_id=stored.id, deliver=True)
        return told if told["deliver"]["outcome"] == "failed" else None

    assert await until(failed, "a failure of the last step", within=15)
    assert time() - started < 15
