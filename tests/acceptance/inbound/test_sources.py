"""Sources: what they take, how much of it, and with which secrets."""

from typing import Any

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.acceptance.inbound.answers import invalid, refused
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.faults.rest import Reply
from tests.faults.waiting import until


async def change(house: House, door: Door, **fields: Any) -> Reply:
    return await house.rest.call("PATCH", f"/v1/sources/{door.source['id']}", fields)


async def send(door: Door, content_type: str | None) -> Reply:
    headers = {} if content_type is None else {"content-type": content_type}
    return await door.post(door.webhook(headers=headers))


async def test_content_types_that_a_source_does_not_take_are_415(house: House) -> None:
    door = await house.door("github", content_types=["application/json", "text/csv"])

    refused(await send(door, "text/plain"), 415, "unsupported-media-type")
    refused(await send(door, "application/json-seq"), 415)
    refused(await send(door, ""), 415)

    for taken in ("application/json", "Application/JSON; charset=utf-8", "text/csv;header=present"):
        assert (await send(door, taken)).status == 202, taken


async def test_another_content_type_is_refused_whoever_signed_it(house: House) -> None:
    door = await house.door("github", content_types=["application/json"])
    webhook = door.webhook(headers={"content-type": "text/plain"})
    forged = webhook.headers | {"X-Hub-Signature-256": f"sha256={'0' * 64}"}

    reply = await door.post(webhook._replace(headers=forged))

    refused(reply, {401, 415})


async def test_any_content_type_is_taken_unless_told(house: House) -> None:
    door = await house.door("github")

    assert not door.source["content_types"]
    assert (await send(door, "application/x-odd")).status == 202


@pytest.mark.parametrize(
    "types", [["json"], ["a/b; c=d"], ["*/*"], [""], "a/b", ["a\r\n/b"], ["é/b"]]
)
async def test_what_is_no_content_type_is_refused(house: House, types: Any) -> None:
    door = await house.door("github")

    invalid(await change(house, door, content_types=types), "/content_types")


async def test_a_source_has_its_own_limits(house: House) -> None:
    door = await house.door("github", max_body_bytes=500, webhooks_per_minute=3)
    large = door.webhook(body=b"x" * 501, headers={"content-type": "text/plain"})

    refused(await door.post(large), 413, "too-large")
    replies = [await door.post(door.webhook()) for _ in range(6)]

    assert [reply.status for reply in replies][:3] == [202] * 3
    last = refused(replies[-1], 429, "quota-exceeded")
    assert last["violated-policies"] == ["source"]
    assert int(replies[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize("limit", [0, -1, 5 * 1024**2 + 1, "many", 1.5])
async def test_a_limit_that_is_none_is_refused(house: House, limit: Any) -> None:
    door = await house.door("github")

    invalid(await change(house, door, max_body_bytes=limit), "/max_body_bytes")


async def test_an_old_secret_verifies_for_as_long_as_chosen(house: House) -> None:
    feed = await open_feed(house)

    rotated = await house.rest.post(f"{feed.at}/rotate-secret", {"overlap_s": 0})

    assert rotated["secret"]

    async def ended() -> bool:
        return (await feed.send("late.news")).reply.status == 401

    await until(ended, "an end of the old secret", within=3)


async def test_both_secrets_verify_while_they_overlap(house: House) -> None:
    door = await house.door("bearer")
    path = f"/v1/sources/{door.source['id']}/rotate-secret"

    secrets = [new_serial() for _ in range(3)]
    for secret in secrets:
        await house.rest.post(path, {"secret": secret, "overlap_s": 600})

    for secret in (door.provider.secret, *secrets):
        headers = {"Authorization": f"Bearer {secret}"}

        async def taken(headers: dict[str, str] = headers) -> bool:
            return (await door.post(door.webhook(headers=headers))).status == 202

        await until(taken, "a secret that verifies", within=3)
    wrong = await door.post(door.webhook(headers={"Authorization": "Bearer wrong"}))
    refused(wrong, 401, "signature-invalid")


@pytest.mark.parametrize("overlap", [-1, 7 * 86_400 + 1, 1e999, "long", None])
async def test_an_overlap_is_at_most_a_week(house: House, overlap: Any) -> None:
    door = await house.door("bearer")
    path = f"/v1/sources/{door.source['id']}/rotate-secret"
    body = b'{"overlap_s":1e999}' if overlap == 1e999 else None

    reply = await house.rest.call(
        "POST",
        path,
        None if body else {"overlap_s": overlap},
        raw=body,
        headers={"content-type": "application/json"},
    )

    assert reply.status in {400, 422}, reply
    assert len((await house.rest.get(f"/v1/sources/{door.source['id']}"))["secrets"]) == 1


async def test_ten_secrets_are_the_most(house: House) -> None:
    door = await house.door("bearer")
    path = f"/v1/sources/{door.source['id']}/rotate-secret"

    replies = [await house.rest.call("POST", path, {"overlap_s": 600}) for _ in range(12)]

    refusals = [reply for reply in replies if reply.status not in {200, 201}]
    assert refusals
    assert {reply.status for reply in refusals} <= {409, 422}, refusals
    assert len((await house.rest.get(f"/v1/sources/{door.source['id']}"))["secrets"]) <= 10


async def test_what_a_source_is_told_comes_back(house: House) -> None:
    fields = {
        "content_types": ["application/json"],
        "indexed_fields": ["/data/object/customer", "/a~1b/0"],
        "encrypts": False,
    }
    feed = await open_feed(house, **fields)

    told = await house.rest.get(feed.at)

    assert {name: told[name] for name in fields} == fields
    assert told["pause_mode"] is None


@pytest.mark.parametrize(
    "pointers",
    [
        *(["data"], [""], ["/a~2"], ["/x" * 200], [f"/{n}" for n in range(9)], ["/a", "/a"]),
        *("/a", [7], ["/a\x00"]),
    ],
)
async def test_what_is_no_index_is_refused(feed: Feed, pointers: Any) -> None:
    reply = await change(feed.house, feed.door, indexed_fields=pointers)

    invalid(reply, "/indexed_fields")


async def test_what_is_sealed_is_not_indexed(house: House, feed: Feed) -> None:
    both = {"encrypts": True, "indexed_fields": ["/a"]}

    assert (await change(house, feed.door, **both)).status == 422
    assert (await change(house, feed.door, encrypts=True)).status == 200
    assert (await change(house, feed.door, indexed_fields=["/a"])).status == 422
