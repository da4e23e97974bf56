"""Refusals that a tenant can look at: each is counted and the last are kept, with no secret."""

import hashlib
from typing import Any

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.test_refusals import forged, unsigned
from tests.faults.waiting import until

SECRETS = {
    "authorization": "Bearer do-not-tell-me-1",
    "cookie": "session=do-not-tell-me-2",
    "x-api-key": "do-not-tell-me-3",
    "x-auth-token": "do-not-tell-me-4",
    "proxy-authorization": "Basic do-not-tell-me-5",
    "x-something": "do-not-tell-me-6",
    "x-hub-signature": "sha1=do-not-tell-me-7",
}


def at(door: Door) -> str:
    return f"/v1/sources/{door.source['id']}/refusals"


async def kept(house: House, door: Door, number: int) -> list[Any]:
    """Return a source's refusals, newest first, once there are so many."""
    seen: list[Any] = []

    async def enough() -> bool:
        seen[:] = await house.rest.all(at(door))
        return len(seen) >= number

    await until(enough, lambda: f"{number} refusals: {seen}", within=10)
    return seen


async def counted(house: House, door: Door) -> dict[str, int]:
    """Return how many refusals there were, by reason."""
    found: dict[str, int] = {}
    for item in (await house.rest.get(f"{at(door)}/counts?days=2"))["counts"]:
        found[item["reason"]] = found.get(item["reason"], 0) + item["count"]
    return found


async def test_a_refusal_is_kept_with_what_helps_and_no_secret(house: House) -> None:
    door = await house.door("github")
    webhook = forged(door, door.webhook())
    webhook = webhook._replace(headers=webhook.headers | SECRETS)

    refused(await door.post(webhook), 401, "signature-invalid")

    newest = next(
        item for item in await kept(house, door, 1) if item["reason"] == "signature-invalid"
    )
    assert newest["size"] == len(webhook.body)
    assert newest["body_sha256"] == hashlib.sha256(webhook.body).hexdigest()
    headers = {name.lower(): value for name, value in newest["headers"]}
    assert set(SECRETS) | {"content-type", "x-hub-signature-256"} <= set(headers)
    assert headers["content-type"] == webhook.headers["content-type"]
    text = str(newest)
    assert "do-not-tell-me" not in text
    assert webhook.headers["X-Hub-Signature-256"].removeprefix("sha256=") not in text
    assert "octo-org/hello" not in text, "The body is nowhere."
    assert door.provider.secret not in text
    assert door.url.rpartition("/")[2] not in text
    stored = await house.rest.all(f"/v1/events?source_id={door.source['id']}")
    assert stored == []


async def test_every_reason_is_counted_by_its_name(house: House) -> None:
    door = await house.door("stripe", max_body_bytes=2_000, content_types=["application/json"])
    big = door.webhook(body=b'{"a":"' + b"x" * 3_000 + b'"}')
    before = await counted(house, door)
    answers = [
        await door.post(webhook)
        for webhook in (
            forged(door, door.webhook()),
            forged(door, door.webhook()),
            unsigned(door, door.webhook()),
            door.webhook(age=4_000),
            door.webhook(body=b'{"id":'),
            door.webhook(headers={"content-type": "text/csv"}),
            big,
        )
    ]

    wanted: dict[str, int] = {}
    for answer in answers:
        name = answer.json()["type"].replace("#", "/").rpartition("/")[2]
        wanted[name] = wanted.get(name, 0) + 1
    assert len(wanted) == 6, wanted

    async def all_told() -> bool:
        after = await counted(house, door)
        return all(after.get(name, 0) - before.get(name, 0) >= n for name, n in wanted.items())

    async def seen() -> str:
        return f"{wanted}: {await counted(house, door)}"

    try:
        await until(all_told, "all counts", within=8)
    except AssertionError:
        raise AssertionError(await seen()) from None
    after = await counted(house, door)
    for name, number in wanted.items():
        if name != "signature-missing":  # the door knocked without one until it was known
            assert after[name] - before.get(name, 0) == number


async def test_the_newest_are_kept_and_all_are_counted(house: House) -> None:
    door = await house.door("github")
    await kept(house, door, 1)
    before = (await counted(house, door)).get("signature-invalid", 0)
    for _ in range(90):
        await door.post(forged(door, door.webhook()))

    async def all_counted() -> bool:
        return (await counted(house, door)).get("signature-invalid", 0) - before == 90

    await until(all_counted, "a count of all", within=10)
    listed = await kept(house, door, 8)
    assert 8 <= len(listed) <= 50
    times = [item["at"] for item in listed]
    assert times == sorted(times, reverse=True)
    first = await house.rest.get(f"{at(door)}?limit=4")
    second = await house.rest.get(f"{at(door)}?limit=4&cursor={first['next_cursor']}")
    assert [*first["items"], *second["items"]] == listed[:8]


async def test_a_body_is_never_kept(house: House) -> None:
    door = await house.door("github")
    marker = f"planted-{new_serial()}"
    body = f'{{"card": "{marker}"}}'.encode()

    await door.post(door.webhook(body=body + b" ")._replace(body=body))

    assert marker not in str(await kept(house, door, 1))


async def test_a_stranger_leaves_no_trace_at_a_source(house: House) -> None:
    door = await house.door("github")
    before = await counted(house, door)
    url = f"{house.stack.url}/in/{new_serial()}{new_serial()[:11]}"
    for _ in range(5):
        refused(await house.anyone.call("POST", url, raw=b"{}"), 404, "unknown-source")

    await door.post(forged(door, door.webhook()))

    await until(lambda: _grew(house, door, before), "a count", within=8)
    after = await counted(house, door)
    assert after.get("unknown-source") is None


async def _grew(house: House, door: Door, before: dict[str, int]) -> bool:
    after = await counted(house, door)
    return after.get("signature-invalid", 0) > before.get("signature-invalid", 0)


async def test_another_tenants_refusals_are_not_there(house: House, neighbour: House) -> None:
    theirs = await neighbour.door("github")
    await theirs.post(forged(theirs, theirs.webhook()))
    await kept(neighbour, theirs, 1)

    refused(await house.rest.call("GET", at(theirs)), 404, "not-found")
    refused(await house.rest.call("GET", f"{at(theirs)}/counts"), 404, "not-found")
    refused(await house.anyone.call("GET", at(theirs)), 401)


async def test_days_are_a_number_of_them(house: House) -> None:
    door = await house.door("github")

    for days in ("0", "-1", "x", "1e3", "99999999999", "1.5"):
        refused(await house.rest.call("GET", f"{at(door)}/counts?days={days}"), {400, 422})


async def test_odd_headers_are_kept_as_text(house: House) -> None:
    door = await house.door("github")
    webhook = forged(door, door.webhook())
    odd = {"content-type": "text/html; <script>", "user-agent": "é" * 10 + "\t" + "x" * 2_000}
    many = {f"x-many-{number}": "y" for number in range(60)}

    await door.post(webhook._replace(headers=webhook.headers | many | odd))

    for item in await kept(house, door, 1):
        assert len(str(item)) < 16_000
