"""What must be refused is refused, in a shape that helps an honest sender and no one else."""

from collections import Counter
from time import time
from typing import Any

import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House, Webhook
from tests.acceptance.providers import PROVIDERS, SIGNING, TIMED, Request
from tests.faults.rest import Reply
from tests.faults.waiting import until

MEMBERS = {"type", "title", "status", "detail", "instance", "errors"}
"""RFC 9457's, and ours for validation."""
UNTOLD = {"date", "content-length", "server"}


@pytest.fixture(scope="module")
async def doors(house: House) -> dict[str, Door]:
    """A source of each scheme that refuses anything."""
    return {name: await house.door(name) for name in PROVIDERS if name != "none"}


def problem(reply: Reply, status: int, name: str | None = None) -> Any:
    """Check the shape of a refusal and return it."""
    assert reply.status == status, reply
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json"
    told = reply.json()
    assert {"type", "title", "status"} <= set(told) <= MEMBERS
    assert told["status"] == status
    if name is not None:
        assert told["type"].rpartition("/")[2] == name
    assert "Traceback" not in reply.body.decode()
    return told


def check_discretion(reply: Reply, door: Door, webhook: Webhook) -> None:
    """A refusal tells neither the secret nor what signature it had expected."""
    told = reply.body.decode() + str(reply.headers)
    assert door.provider.secret not in told
    right = door.provider.sign(Request(webhook.url, webhook.body, time(), webhook.serial))
    for value in right.values():
        for part in value.replace("=", " ").replace(",", " ").split():
            assert len(part) < 20 or part not in told


def spoilt(webhook: Webhook) -> Webhook:
    """Return it with one bit of the body changed, still of the same kind."""
    return webhook._replace(body=webhook.body.replace(webhook.serial.encode(), b"0" * 32))


def unsigned(door: Door, webhook: Webhook) -> Webhook:
    """Return it without anything that its provider signs by."""
    headers = webhook.headers.items()
    kept = {name: value for name, value in headers if name.lower() not in door.provider.signs}
    return webhook._replace(headers=kept)


def forged(door: Door, webhook: Webhook) -> Webhook:
    """Return it with the signature of something else, or by someone who guesses the secret."""
    other = Request(webhook.url + "x", webhook.body + b" ", time(), webhook.serial)
    signature = door.provider.sign(other)
    if not door.provider.signs_body:
        signature = {name: value[:-4] + "AAA=" for name, value in signature.items()}
    return webhook._replace(headers=webhook.headers | signature)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "none"])
async def test_a_wrong_signature_is_refused(doors: dict[str, Door], provider: str) -> None:
    door = doors[provider]
    webhook = forged(door, door.webhook())

    reply = await door.post(webhook)

    problem(reply, 401, "signature-invalid")
    check_discretion(reply, door, webhook)


@pytest.mark.parametrize("provider", SIGNING)
async def test_a_tampered_body_is_refused(doors: dict[str, Door], provider: str) -> None:
    door = doors[provider]
    webhook = spoilt(door.webhook())

    reply = await door.post(webhook)

    problem(reply, 401, "signature-invalid")
    check_discretion(reply, door, webhook)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "none"])
async def test_a_missing_signature_is_refused(doors: dict[str, Door], provider: str) -> None:
    door = doors[provider]
    webhook = unsigned(door, door.webhook())

    reply = await door.post(webhook)

    problem(reply, 401, "signature-missing")
    check_discretion(reply, door, webhook)


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "none"])
@pytest.mark.parametrize("value", ["", "v1", "=", "t=1", "v1,", "é", "v0=zz", "a" * 4000])
async def test_a_malformed_signature_is_refused(
    doors: dict[str, Door], provider: str, value: str
) -> None:
    door = doors[provider]
    webhook = door.webhook()
    bare = unsigned(door, webhook)

    reply = await door.post(
        bare._replace(headers=bare.headers | dict.fromkeys(door.provider.signs, value))
    )

    told = problem(reply, 401)
    assert told["type"].rpartition("/")[2] in {"signature-invalid", "signature-missing"}


@pytest.mark.parametrize("provider", TIMED)
async def test_a_stale_timestamp_is_refused(doors: dict[str, Door], provider: str) -> None:
    door = doors[provider]
    tolerance = door.provider.tolerance_s or 0

    stale = await door.post(door.webhook(age=tolerance + 30))
    fresh = await door.post(door.webhook(age=tolerance - 30))

    problem(stale, 401, "timestamp-outside-tolerance")
    assert fresh.status == 202, fresh


@pytest.mark.parametrize("provider", TIMED)
async def test_a_future_timestamp_is_refused(doors: dict[str, Door], provider: str) -> None:
    door = doors[provider]
    tolerance = door.provider.tolerance_s or 0

    future = await door.post(door.webhook(age=-(tolerance + 30)))
    fast = await door.post(door.webhook(age=-(tolerance - 30)))

    problem(future, 401, "timestamp-outside-tolerance")
    assert fast.status == 202, fast


@pytest.mark.parametrize("provider", TIMED)
async def test_the_time_is_judged_only_once_the_signature_matched(
    doors: dict[str, Door], provider: str
) -> None:
    door = doors[provider]

    reply = await door.post(spoilt(door.webhook(age=3600)))

    problem(reply, 401, "signature-invalid")


async def test_what_was_refused_leaves_nothing_behind(house: House) -> None:
    door = await house.door("stripe")
    for webhook in (spoilt(door.webhook()), door.webhook(age=3600)):
        assert (await door.post(webhook)).status == 401
    accepted = await door.accepted()
    await house.event(accepted)

    events = await house.rest.all(f"/v1/events?source_id={door.source['id']}")

    assert [event["id"] for event in events] == [accepted]


async def test_a_body_that_is_too_large_is_refused(house: House) -> None:
    door = await house.door("github", max_body_bytes=1000)
    just = door.webhook(body=b"x" * 1000, headers={"content-type": "text/plain"})
    over = door.webhook(body=b"x" * 1001, headers={"content-type": "text/plain"})

    assert (await door.post(just)).status == 202
    problem(await door.post(over), 413)


async def test_a_body_over_the_installations_limit_is_refused(house: House) -> None:
    door = await house.door("github")
    limit = door.source["max_body_bytes"]
    just = door.webhook(body=b"x" * limit, headers={"content-type": "text/plain"})
    over = door.webhook(body=b"x" * (limit + 1), headers={"content-type": "text/plain"})

    event_id = await door.accepted(just)
    problem(await door.post(over), 413)

    assert (await house.event(event_id))["size"] == limit


def shape(reply: Reply) -> tuple[Any, ...]:
    """Return what a stranger sees of an answer, without what differs anyway."""
    told = reply.json()
    told.pop("instance", None)
    headers = {
        name.lower(): value
        for name, value in reply.headers.items()
        if name.lower() not in UNTOLD | {"x-request-id", "traceparent"}
    }
    return reply.status, headers, told


async def test_an_unknown_source_answers_in_one_shape(house: House) -> None:
    door = await house.door("stripe")
    deleted = await house.door("stripe")
    gone = await house.rest.call("DELETE", f"/v1/sources/{deleted.source['id']}")
    assert gone.status < 300, gone
    base, _, token = door.url.rpartition("/")
    unknown = token[:-6] + ("A" * 6 if not token.endswith("A" * 6) else "B" * 6)
    swapped = token[::-1]
    tokens = [unknown, swapped, "x", "-" * 20, "%00", "%ff%fe", "é", token + "a", "a" * 3000]

    async def is_gone() -> bool:
        return (await deleted.post(deleted.webhook())).status == 404

    await until(is_gone, "an end of the deleted source", within=3)
    webhook = door.webhook()
    replies = [
        await house.anyone.call("POST", f"{base}/{told}", raw=webhook.body, headers=webhook.headers)
        for told in tokens
    ]
    replies.append(await deleted.post(deleted.webhook()))

    for reply in replies:
        problem(reply, 404)
    assert len({msgspec.json.encode(shape(reply)) for reply in replies}) == 1, [
        shape(reply) for reply in replies
    ]
    assert Counter(len(reply.body) > 2000 for reply in replies)[True] == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
async def test_another_method_is_not_allowed(house: House, method: str) -> None:
    door = await house.door("stripe")

    reply = await house.anyone.call(method, door.url, raw=b"{}")

    problem(reply, 405)
    assert "POST" in [part.strip() for part in reply.headers["Allow"].split(",")]


@pytest.mark.parametrize("state", ["pause", "delete"])
async def test_a_source_that_is_not_open_takes_nothing(house: House, state: str) -> None:
    door = await house.door("stripe")
    path = f"/v1/sources/{door.source['id']}"
    reply = (
        await house.rest.call("DELETE", path)
        if state == "delete"
        else await house.rest.call("POST", f"{path}/{state}")
    )
    assert reply.status < 300, reply

    async def refused() -> Reply | None:
        answer = await door.post(door.webhook())
        return answer if answer.status != 202 else None

    answer = await until(refused, "a refusal", within=2)
    assert answer is not None
    problem(answer, 404 if state == "delete" else 403)


async def test_a_paused_source_that_is_resumed_takes_webhooks_again(house: House) -> None:
    door = await house.door("stripe")
    path = f"/v1/sources/{door.source['id']}"
    await house.rest.post(f"{path}/pause")

    async def answered(status: int) -> bool:
        return (await door.post(door.webhook())).status == status

    await until(lambda: answered(403), "a pause", within=3)
    await house.rest.post(f"{path}/resume")
    await until(lambda: answered(202), "a resumption", within=3)


async def test_a_query_is_no_way_around_a_signature(house: House) -> None:
    door = await house.door("square")
    webhook = door.webhook()

    reply = await door.post(webhook._replace(url=webhook.url + "?more=1"))

    problem(reply, 401, "signature-invalid")


async def test_the_signed_url_never_comes_from_the_host_header(house: House) -> None:
    door = await house.door("square")
    content, labels = door.provider.content(new_serial(), time())
    evil = door.url.replace("127.0.0.1", "evil.example")
    signature = door.provider.sign(Request(evil, content, time(), ""))
    host = evil.split("/")[2]

    for headers in ({"host": host}, {"host": host, "x-forwarded-host": host}):
        reply = await house.anyone.call(
            "POST", door.url, raw=content, headers=labels | signature | headers
        )
        problem(reply, 401, "signature-invalid")
