"""The command line, as a newcomer meets it."""

import pytest

from crossdock.samples.sender import CORRUPTIONS
from tests.acceptance.house import House
from tests.acceptance.providers import PROVIDERS
from tests.faults.rest import Rest
from tests.faults.stack import Finished
from tests.faults.waiting import until

REFUSALS = {
    "signature": "signature-invalid",
    "timestamp": "timestamp-outside-tolerance",
    "body": "signature-invalid",
    "secret": "signature-invalid",
    "missing": "signature-missing",
}


async def send(house: House, scheme: str, url: str, secret: str, *more: str) -> Finished:
    return await house.stack.command(
        "send", "--scheme", scheme, "--source", url, "--secret", secret, "--json", *more
    )


@pytest.mark.parametrize(
    "scheme", sorted({provider.scheme for provider in PROVIDERS.values()} - {"hmac"})
)
async def test_send_signs_every_scheme(house: House, scheme: str) -> None:
    door = await house.door(scheme)

    sent = await send(house, scheme, door.url, door.provider.secret, "--count", "5")

    assert sent.code == 0, sent
    told = sent.last_json()
    assert told["sent"] == 5
    assert told["answers"] == {"accepted": 5}
    assert len(set(told["event_ids"])) == 5
    for event_id in told["event_ids"]:
        assert (await house.event(event_id))["id"] == event_id


@pytest.mark.parametrize("corruption", CORRUPTIONS)
async def test_send_spoils_on_demand(house: House, corruption: str) -> None:
    door = await house.door("stripe")

    sent = await send(
        house, "stripe", door.url, door.provider.secret, "--corrupt", corruption, "--count", "3"
    )

    assert sent.code == 0, "Every spoilt one was refused, as it should be."
    assert sent.last_json()["answers"] == {REFUSALS[corruption]: 3}


async def test_send_tells_by_its_exit_code_that_something_was_not_taken(house: House) -> None:
    door = await house.door("stripe")

    wrong = await send(house, "stripe", door.url, "whsec_of_another_source")
    nobody = await send(house, "stripe", "http://127.0.0.1:9/in/x", "whsec_x")

    assert (wrong.code, wrong.last_json()["answers"]) == (1, {"signature-invalid": 1})
    assert (nobody.code, nobody.last_json()["answers"]) == (1, {"no answer": 1})


@pytest.mark.parametrize(
    "words",
    [
        ("send", "--source", "http://127.0.0.1:9/in/x", "--scheme", "carrier-pigeon"),
        ("send", "--source", "nowhere", "--secret", "x"),
        ("send", "--source", "http://127.0.0.1:9/in/x"),
        ("send", "--source", "http://127.0.0.1:9/in/x", "--secret", "x", "--corrupt", "mind"),
        ("send", "--source", "http://127.0.0.1:9/in/x", "--scheme", "none", "--corrupt", "body"),
        ("send",),
        ("worker", "--roles", "king"),
    ],
)
async def test_wrong_words_are_told_in_a_line(house: House, words: tuple[str, ...]) -> None:
    told = await house.stack.command(*words)

    assert told.code == 2
    assert "Traceback" not in told.err
    assert told.err


async def test_a_tenant_is_made_by_one_command(house: House) -> None:
    tenant = await house.stack.tenant("By command")

    assert tenant.id.startswith("ten_")
    assert tenant.key.startswith("cdk_")
    async with Rest(house.stack.url, tenant.key) as rest:
        shown = await rest.get("/v1/tenant")
    assert (shown["id"], shown["name"], shown["state"]) == (tenant.id, "By command", "active")


async def test_a_second_up_on_one_folder_says_so(house: House) -> None:
    told = await house.stack.command("up", "--data", str(house.stack.folder))

    assert told.code != 0
    assert "Traceback" not in told.err
    assert str(house.stack.supervisor.pid) in told.err or "already" in told.err


async def test_doctor_finds_a_healthy_stack_healthy(house: House) -> None:
    told = await house.stack.command("doctor", "--data", str(house.stack.folder))

    assert told.code == 0, told


async def test_the_way_of_the_readme(house: House) -> None:
    secret = "whsec_my_stripe_secret"
    source = await house.rest.post(
        "/v1/sources", {"name": "payments", "scheme": "stripe", "secrets": [secret]}
    )
    await house.destination("/readme", event_types=["charge.*"], source_ids=[source["id"]])

    async def sent() -> Finished | None:
        told = await send(house, "stripe", source["ingest_url"], secret, "--count", "10")
        return told if told.code == 0 else None

    told = await until(sent, "ten webhooks taken")

    assert told is not None
    await until(lambda: len(house.receiver.at("/readme")) == 10, "ten deliveries")
    events = await house.rest.get("/v1/events?limit=5")
    assert len(events["items"]) == 5
    assert (await house.rest.get("/v1/deliveries?state=dead"))["items"] == []
