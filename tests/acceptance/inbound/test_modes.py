"""What becomes of an event that breaks its type's schema, in each mode."""

import asyncio
from typing import Any

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import pointers, refused
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.inbound.registry import ORDER, TYPES, register
from tests.faults.waiting import until

BROKEN = {"total": "a lot"}


async def act(house: House, event_id: str, verb: str) -> Any:
    """Release or drop an event."""
    return await house.rest.call("POST", f"/v1/events/{event_id}/{verb}")


async def test_off_takes_and_delivers_anything(house: House, feed: Feed) -> None:
    made = await register(house, "off")

    sent = await feed.send(made["name"], **BROKEN)

    await feed.arrived(sent)
    assert (await house.event(sent.id))["status"] == "accepted"


async def test_warn_delivers_and_says_what_is_wrong(house: House, feed: Feed) -> None:
    made = await register(house, "warn")

    event_id = await feed.judged(made["name"], "warned", **BROKEN)

    event = await house.event(event_id)
    assert pointers(event["violations"]) == {"/data/total"}
    await house.settled(event_id, "delivered")
    kept = await feed.send(made["name"], total=1)
    await feed.arrived(kept)
    event = await house.event(kept.id)
    assert event["status"] == "accepted"
    assert not event["violations"]


async def test_reject_answers_with_pointers_and_keeps_nothing(house: House, feed: Feed) -> None:
    made = await register(house, "reject")

    reply = await feed.rejected(made["name"], **BROKEN)

    told = refused(reply, 422, "schema-violated")
    assert pointers(told) == {"/data/total"}
    assert "a lot" * 20 not in reply.body.decode()
    assert all(len(error["detail"]) <= 200 for error in told["errors"])
    before = {arrival.serial for arrival in feed.came()}
    again = await feed.send(made["name"], **BROKEN)
    refused(again.reply, 422, "schema-violated")
    taken = await feed.send(made["name"], total=3)
    await feed.arrived(taken)
    assert {arrival.serial for arrival in feed.came()} - before == {taken.serial}


async def test_a_broken_schema_never_quotes_much_of_the_payload(house: House, feed: Feed) -> None:
    made = await register(house, "reject")
    secret = "card-4111111111111111-" * 40

    reply = await feed.rejected(made["name"], total=secret)

    assert secret[:65] not in reply.body.decode()


async def test_at_most_five_violations_are_told(house: House, feed: Feed) -> None:
    schema = {"properties": {"data": {"additionalProperties": {"type": "integer"}}}}
    made = await register(house, "reject", schema=schema)

    reply = await feed.rejected(made["name"], **{f"field{number}": "x" for number in range(50)})

    assert 1 <= len(refused(reply, 422, "schema-violated")["errors"]) <= 5


async def test_a_signature_is_looked_at_before_a_schema(house: House, feed: Feed) -> None:
    made = await register(house, "reject")
    await feed.rejected(made["name"], **BROKEN)
    webhook = feed.door.webhook(body=b'{"id":"evt_x","type":"%s"}' % made["name"].encode())
    forged = webhook.headers | {"Stripe-Signature": f"t=1,v1={'0' * 64}"}

    reply = await feed.door.post(webhook._replace(headers=forged))

    refused(reply, 401, "signature-invalid")


async def test_what_is_not_json_breaks_any_schema(house: House) -> None:
    made = await register(house, "quarantine", schema={})
    recipe = {"event_type": {"fixed": made["name"]}}
    door = await house.door("github", recipe=recipe)
    headers = {"content-type": "text/plain"}

    async def held() -> Any:
        webhook = door.webhook(body=b"total=" + new_serial().encode(), headers=headers)
        event = await house.event(await door.accepted(webhook))
        return event if event["status"] == "quarantined" else None

    event = await until(held, "an event in quarantine")

    assert pointers(event["violations"]) == {""}


async def test_quarantine_can_be_looked_at_released_and_is_delivered_once(
    house: House, feed: Feed
) -> None:
    made = await register(house, "quarantine")
    event_id = await feed.judged(made["name"], "quarantined", **BROKEN)
    await feed.passed()
    assert event_id not in {arrival.event_id for arrival in feed.came()}
    assert await house.deliveries(event_id) == []
    event = await house.event(event_id)
    assert pointers(event["violations"]) == {"/data/total"}
    assert "a lot" in event["payload"]
    listed = await house.rest.all("/v1/events?status=quarantined")
    assert event_id in {item["id"] for item in listed}

    released = [await act(house, event_id, "release") for _ in range(3)]

    assert {reply.status for reply in released} == {200}, released
    assert {reply.json()["status"] for reply in released} <= {"releasing", "released"}
    await house.settled(event_id, "delivered")
    await feed.event(event_id, "released")
    assert (await act(house, event_id, "release")).json()["status"] == "released"
    await feed.passed()
    assert [arrival.event_id for arrival in feed.came()].count(event_id) == 1
    assert len(await house.deliveries(event_id)) == 1
    refused(await act(house, event_id, "drop"), 409, "conflict")


async def test_what_is_dropped_is_never_delivered(house: House, feed: Feed) -> None:
    made = await register(house, "quarantine")
    event_id = await feed.judged(made["name"], "quarantined", **BROKEN)

    dropped = [await act(house, event_id, "drop") for _ in range(2)]

    assert [reply.status for reply in dropped] == [200, 200], dropped
    assert {reply.json()["status"] for reply in dropped} == {"dropped"}
    refused(await act(house, event_id, "release"), 409, "conflict")
    replayed = await house.rest.call("POST", f"/v1/events/{event_id}/replay")
    assert replayed.status == 409, replayed
    await feed.passed()
    assert event_id not in {arrival.event_id for arrival in feed.came()}
    assert await house.deliveries(event_id) == []


async def test_release_and_drop_at_once_have_one_winner(house: House, feed: Feed) -> None:
    made = await register(house, "quarantine")
    await feed.judged(made["name"], "quarantined", **BROKEN)
    for _ in range(5):
        event_id = (await feed.send(made["name"], **BROKEN)).id
        await feed.event(event_id, "quarantined")
        verbs = ["release", "drop"] * 3

        replies = await asyncio.gather(*(act(house, event_id, verb) for verb in verbs))

        assert {reply.status for reply in replies} <= {200, 409}, replies
        won = {
            verb
            for verb, reply in zip(verbs, replies, strict=True)
            if reply.status == 200  # the loser's are 409 whenever they came
        }
        assert len(won) == 1, replies
        await feed.event(event_id, "dropped" if won == {"drop"} else "released")
        assert len(await house.deliveries(event_id)) == (won == {"release"})


async def test_only_what_is_in_quarantine_can_be_released_or_dropped(
    house: House, feed: Feed
) -> None:
    sent = await feed.send("anything")
    await feed.arrived(sent)

    for verb in ("release", "drop"):
        refused(await act(house, sent.id, verb), 409, "conflict")
        refused(await act(house, "evt_00000000000000000000000000", verb), 404, "not-found")


async def test_a_repeat_of_what_is_in_quarantine_is_the_same_event(
    house: House, feed: Feed
) -> None:
    made = await register(house, "quarantine")
    await feed.judged(made["name"], "quarantined", **BROKEN)
    sent = await feed.send(made["name"], **BROKEN)
    await feed.event(sent.id, "quarantined")

    again = await feed.send_raw(sent.body, serial=sent.serial)

    assert (await house.event(again.id))["id"] == sent.id
    assert (await act(house, sent.id, "release")).status == 200
    await house.settled(sent.id, "delivered")
    assert len(await house.deliveries(sent.id)) == 1


async def test_a_type_that_is_removed_is_not_judged_any_more(house: House, feed: Feed) -> None:
    made = await register(house, "reject")
    await feed.rejected(made["name"], **BROKEN)

    assert (await house.rest.call("DELETE", f"{TYPES}/{made['id']}")).status == 204

    await feed.judged(made["name"], "accepted", **BROKEN)


async def test_the_mode_of_one_tenant_is_nothing_to_another(
    house: House, neighbour: House, feed: Feed
) -> None:
    made = await register(neighbour, "reject")
    await register(neighbour, "reject", name="shared.name", schema=ORDER)
    await feed.rejected((await register(house, "reject"))["name"], **BROKEN)

    for name in (made["name"], "shared.name"):
        sent = await feed.send(name, **BROKEN)
        await feed.arrived(sent)


@pytest.mark.parametrize("mode", ["warn", "reject"])
async def test_a_webhook_that_is_not_kept_counts_as_a_refusal_only_when_it_is_one(
    house: House, feed: Feed, mode: str
) -> None:
    made = await register(house, mode)
    if mode == "warn":
        await feed.judged(made["name"], "warned", **BROKEN)
    else:
        await feed.rejected(made["name"], **BROKEN)

    async def reasons() -> set[str]:
        listed = await house.rest.all(f"{feed.at}/refusals")
        return {item["reason"] for item in listed}

    if mode == "reject":
        await until(lambda: _has(reasons, "schema-violated"), "a refusal in the list")
    else:
        assert "schema-violated" not in await reasons()


async def _has(reasons: Any, wanted: str) -> bool:
    return wanted in await reasons()
