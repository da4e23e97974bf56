"""The main job: a signed webhook of every scheme in; out to a receiver, byte for byte, signed."""

import secrets
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from crossdock import native
from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.providers import PROVIDERS, SIGNING
from tests.faults.receiver import Arrival
from tests.faults.waiting import until

TYPES = {
    "stripe": "charge.succeeded",
    "github": "push",
    "shopify": "orders/create",
    "zoom": "meeting.started",
    "square": "payment.created",
    "paddle": "transaction.completed",
    "zendesk": "zen:event-type:ticket.created",
}
"""What the providers' own documentation calls the samples."""


@pytest.fixture(scope="module")
async def endpoint(house: House) -> Any:
    """A destination for everything."""
    return await house.destination("/everything")


def check_signature(endpoint: Any, arrival: Arrival) -> None:
    """Verify a delivery as a receiver would: with somebody else's library."""
    Verifier(endpoint["secret"]).verify(arrival.body, dict(arrival.headers), json_parse=False)


def test_every_scheme_is_played() -> None:
    assert {provider.scheme for provider in PROVIDERS.values()} == set(native.SCHEMES)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_signed_webhook_is_delivered_as_it_came(
    house: House, endpoint: Any, provider: str
) -> None:
    door = await house.door(provider)
    webhook = door.webhook()

    reply = await door.post(webhook)

    assert reply.status == 202, reply
    event_id = reply.json()["id"]
    assert event_id.startswith("evt_")
    arrival = await house.receiver.first(webhook.serial)
    assert arrival.body == webhook.body
    assert arrival.headers["content-type"] == webhook.headers["content-type"]
    assert arrival.event_id == event_id
    check_signature(endpoint, arrival)
    event = await house.event(event_id)
    assert event["source_id"] == door.source["id"]
    assert event["payload"] == webhook.body.decode()
    assert event["size"] == len(webhook.body)
    assert event["event_type"] == TYPES.get(provider, event["event_type"])
    kept = {name.lower(): value for name, value in event["headers"]}
    assert not {"authorization", "cookie"} & set(kept)
    assert not any("signature" in name or "hmac" in name for name in kept)
    await house.settled(event_id, "delivered")


@pytest.mark.parametrize("provider", SIGNING)
async def test_a_duplicate_is_accepted_and_delivered_once(
    house: House, endpoint: Any, provider: str
) -> None:
    door = await house.door(provider)
    webhook = door.webhook()
    first = await door.accepted(webhook)
    await house.receiver.first(webhook.serial)

    second = await door.accepted(webhook)
    later = await door.accepted(webhook)

    for event_id in (first, second, later):
        assert (await house.event(event_id))["id"] == first
    # What came in after them is delivered: they would have been too.
    marker = door.webhook()
    await door.accepted(marker)
    await house.receiver.first(marker.serial)
    assert len(house.receiver.of(webhook.serial)) == 1
    assert len(await house.deliveries(first)) == 1
    assert len(await house.deliveries(second)) == 1, "A filter follows an alias as GET does."


@pytest.mark.parametrize("provider", ["standard", "stripe", "slack", "paddle"])
async def test_a_retry_that_was_signed_anew_is_the_same_event(
    house: House, endpoint: Any, provider: str
) -> None:
    door = await house.door(provider)
    serial = new_serial()
    first = door.webhook(serial, age=60)
    event_id = await door.accepted(first)

    again = await door.accepted(door.webhook(serial, body=first.body))

    # Two gateway processes may have taken them, so that either may come first.
    assert (await house.event(again))["id"] == (await house.event(event_id))["id"]


async def test_a_burst_of_one_webhook_is_one_event(house: House, endpoint: Any) -> None:
    door = await house.door("stripe")
    webhook = door.webhook()

    replies = [await door.post(webhook) for _ in range(30)]

    assert {reply.status for reply in replies} == {202}
    resolved = {(await house.event(reply.json()["id"]))["id"] for reply in replies}
    assert len(resolved) == 1
    await house.receiver.first(webhook.serial)
    assert len(await house.deliveries(resolved.pop())) == 1
    assert len(house.receiver.of(webhook.serial)) == 1


async def test_the_same_webhook_at_another_source_is_another_event(
    house: House, endpoint: Any
) -> None:
    one, other = await house.door("github"), await house.door("github")
    webhook = one.webhook()

    first = await one.accepted(webhook)
    second = await other.accepted(webhook._replace(url=other.url))

    assert (await house.event(first))["id"] == first
    assert (await house.event(second))["id"] == second
    await until(lambda: len(house.receiver.of(webhook.serial)) == 2, "two deliveries")


async def test_an_unsigned_id_cannot_replay_an_event(house: House, endpoint: Any) -> None:
    door = await house.door("github")
    webhook = door.webhook()
    event_id = await door.accepted(webhook)

    replayed = webhook._replace(headers=webhook.headers | {"x-github-delivery": new_serial()})

    again = await door.accepted(replayed)
    assert (await house.event(again))["id"] == (await house.event(event_id))["id"]


async def test_every_live_secret_verifies_and_an_ended_one_does_not(house: House) -> None:
    door = await house.door("stripe")
    old = door.webhook()
    path = f"/v1/sources/{door.source['id']}"

    rotated = await house.rest.post(f"{path}/rotate-secret", {"overlap_s": 3600})
    assert rotated["secret"] != door.provider.secret
    await door.accepted(old)

    ended = next(item for item in rotated["secrets"] if item["ends_at"])
    reply = await house.rest.call("DELETE", f"{path}/secrets/{ended['id']}")
    assert reply.status < 300, reply

    async def is_refused() -> bool:
        return (await door.post(door.webhook())).status == 401

    await until(is_refused, "an end of the revoked secret", within=3)


async def test_a_destination_gets_what_it_asked_for_and_no_more(house: House) -> None:
    stripe, github = await house.door("stripe"), await house.door("github")
    await house.destination("/charges", event_types=["charge.*"])
    await house.destination("/refunds", event_types=["refund.*"])
    await house.destination("/github", source_ids=[github.source["id"]])
    charge, push = stripe.webhook(), github.webhook()

    event_id = await stripe.accepted(charge)
    await github.accepted(push)

    await house.receiver.first(charge.serial, path="/charges")
    await house.receiver.first(push.serial, path="/github")
    deliveries = await house.deliveries(event_id)
    assert "/refunds" not in {item.path for item in house.receiver.of(charge.serial)}
    assert "/github" not in {item.path for item in house.receiver.of(charge.serial)}
    assert "/charges" not in {item.path for item in house.receiver.of(push.serial)}
    assert len(deliveries) == len({item["destination_id"] for item in deliveries})


async def test_a_trace_goes_on_to_the_receiver(house: House, endpoint: Any) -> None:
    door = await house.door("stripe")
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    webhook = door.webhook(headers={"traceparent": f"00-{trace}-{span}-01"})

    event_id = await door.accepted(webhook)

    arrival = await house.receiver.first(webhook.serial)
    version, seen, parent, _flags = arrival.headers["traceparent"].split("-")
    assert (version, seen) == ("00", trace)
    assert parent != "0" * 16
    assert trace in (await house.event(event_id))["traceparent"]


@pytest.mark.parametrize(
    "traceparent", ["nonsense", f"00-{'0' * 32}-{'0' * 16}-01", "00-" + "a" * 500, ""]
)
async def test_a_broken_trace_is_no_reason_to_refuse(
    house: House, endpoint: Any, traceparent: str
) -> None:
    door = await house.door("stripe")
    webhook = door.webhook(headers={"traceparent": traceparent})

    await door.accepted(webhook)

    arrival = await house.receiver.first(webhook.serial)
    assert traceparent == "" or traceparent not in arrival.headers.get("traceparent", "")


async def test_bytes_that_are_no_text_are_delivered_exactly(house: House, endpoint: Any) -> None:
    door = await house.door("github")
    serial = new_serial()
    body = serial.encode() + bytes(range(256)) * 4
    webhook = door.webhook(serial, body=body, headers={"content-type": "application/octet-stream"})

    event_id = await door.accepted(webhook)

    arrival = await house.receiver.first(serial)
    assert arrival.body == body
    assert arrival.headers["content-type"] == "application/octet-stream"
    exact = await house.rest.call("GET", f"/v1/events/{event_id}/payload")
    assert exact.body == body


async def test_json_is_never_written_anew(house: House, endpoint: Any) -> None:
    door = await house.door("github")
    serial = new_serial()
    body = b'{ "b":1.0, "a" : "\\u00e9\\/", "n":1e2,\n "b": 2, "serial":"%s" }' % serial.encode()

    await door.accepted(door.webhook(serial, body=body))

    assert (await house.receiver.first(serial)).body == body


async def test_an_empty_body_is_a_webhook_too(house: House, endpoint: Any) -> None:
    door = await house.door("github")

    event_id = await door.accepted(door.webhook(body=b"", headers={"content-type": "text/plain"}))

    event = await house.event(event_id)
    assert event["size"] == 0
    await house.settled(event_id, "delivered")
    arrival = next(item for item in house.receiver.arrivals if item.event_id == event_id)
    assert arrival.body == b""


async def test_rotating_a_destinations_secret_signs_with_both(house: House) -> None:
    door = await house.door("stripe")
    made = await house.destination("/rotated", source_ids=[door.source["id"]])

    turned = await house.rest.post(
        f"/v1/destinations/{made['id']}/rotate-secret", {"overlap_s": 3600}
    )

    async def is_signed_by_both() -> bool:
        webhook = door.webhook()
        await door.accepted(webhook)
        arrival = await house.receiver.first(webhook.serial, path="/rotated")
        check_signature(made, arrival)
        if len(arrival.headers["webhook-signature"].split(" ")) < 2:
            return False
        check_signature(turned, arrival)
        return True

    await until(is_signed_by_both, "signatures by both secrets", within=10)


async def test_the_newest_events_come_first(house: House) -> None:
    door = await house.door("stripe")
    sent = [await door.accepted() for _ in range(5)]
    await house.event(sent[-1])

    page = await house.rest.get(f"/v1/events?source_id={door.source['id']}&limit=3")
    rest = await house.rest.get(
        f"/v1/events?source_id={door.source['id']}&limit=3&cursor={page['next_cursor']}"
    )

    assert [item["id"] for item in page["items"] + rest["items"]] == sent[::-1]
    assert rest["next_cursor"] is None
