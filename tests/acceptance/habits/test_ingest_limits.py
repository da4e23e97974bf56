"""Webhooks are charged to whom they are for, and junk to whoever sent it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.acceptance.habits.home import Home, named
from tests.acceptance.habits.telling import POLICY, QUOTA_EXCEEDED, STATE
from tests.acceptance.house import Door, House, Webhook, open_house
from tests.acceptance.identity.gateways import another_gateway
from tests.acceptance.identity.people import Person
from tests.acceptance.identity.problems import ok
from tests.faults.receiver import Receiver
from tests.faults.rest import Reply
from tests.faults.stack import Stack
from tests.faults.waiting import until

BURST = 10
JUNK = {"content-type": "application/json"}


@pytest.fixture(scope="module")
async def narrow(stack: Stack) -> AsyncIterator[str]:
    """A gateway that lets an address knock ten times, and knows addresses behind a proxy."""
    environ = {
        "CROSSDOCK_GATEWAY__TRUSTED_PROXIES": "127.0.0.1/32",
        "CROSSDOCK_LIMITS__ADDRESS_PER_MINUTE": "1",
        "CROSSDOCK_LIMITS__ADDRESS_BURST": str(BURST),
        "CROSSDOCK_LIMITS__EXCHANGE": "false",
    }
    async with another_gateway(stack, environ) as url:
        yield url


def came_from(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address}


def moved(webhook: Webhook, door: Door, gateway: str) -> str:
    """Return a webhook's address at another gateway."""
    return webhook.url.replace(door.house.stack.url, gateway)


async def sent(door: Door, gateway: str, address: str) -> Reply:
    """Send a genuine webhook to that gateway from that address."""
    webhook = door.webhook()
    headers = webhook.headers | came_from(address)
    url = moved(webhook, door, gateway)
    return await door.house.anyone.call("POST", url, raw=webhook.body, headers=headers)


async def knocked(door: Door, gateway: str, address: str, path: str = "") -> Reply:
    """Send junk to that gateway from that address."""
    url = f"{gateway}{path}" if path else moved(door.webhook(), door, gateway)
    headers = JUNK | came_from(address)
    return await door.house.anyone.call("POST", url, raw=b"{}", headers=headers)


async def worn_out(door: Door, gateway: str, address: str, path: str = "") -> Reply:
    """Knock until it is too much; return the refusal."""
    for _ in range(BURST + 20):
        reply = await knocked(door, gateway, address, path)
        if reply.status == 429:
            return reply
        assert reply.status in {401, 404}, reply
    raise AssertionError("That was not too often.")


async def used_up(door: Door) -> Reply:
    """Send webhooks until it is too much; return the refusal."""
    for _ in range(200):
        reply = await door.post(door.webhook())
        if reply.status == 429:
            return reply
        assert reply.status == 202, reply
    raise AssertionError("That was not too often.")


def exceeded(reply: Reply, policy: str) -> Any:
    assert reply.status == 429, reply
    said = reply.json()
    assert said["type"] == QUOTA_EXCEEDED
    assert policy in said["violated-policies"]
    assert int(reply.headers["retry-after"]) >= 1
    return said


async def test_a_webhook_is_told_what_is_left(house: House) -> None:
    door = await house.door("github")

    reply = await door.post(door.webhook())

    assert reply.status == 202, reply
    left = STATE.fullmatch(reply.headers["ratelimit"])
    names = POLICY.findall(reply.headers["ratelimit-policy"])
    assert left
    assert left[1] in {name for name, _, _ in names}
    assert msgspec.json.decode(reply.body)["id"].startswith("evt_")


async def test_a_source_takes_as_many_as_it_was_given(house: House) -> None:
    door = await house.door("github", webhooks_per_minute=3)

    statuses = [(await door.post(door.webhook())).status for _ in range(3)]
    refused = [await door.post(door.webhook()) for _ in range(4)]

    assert statuses == [202, 202, 202]
    # One comes back every twenty seconds, should this machine be that slow.
    over = [reply for reply in refused if reply.status == 429]
    assert len(over) >= 2, refused
    for reply in over:
        exceeded(reply, "source")


async def test_what_was_too_much_is_not_kept(house: House) -> None:
    door = await house.door("github", webhooks_per_minute=2)

    replies = [await door.post(door.webhook()) for _ in range(6)]

    accepted = [reply.json()["id"] for reply in replies if reply.status == 202]
    assert len(accepted) < 6
    for event_id in accepted:
        await house.event(event_id)
    events = await house.rest.all(f"/v1/events?source_id={door.source['id']}")
    assert {event["id"] for event in events} == set(accepted)


async def test_junk_does_not_drain_a_source(house: House) -> None:
    door = await house.door("github", webhooks_per_minute=2)
    for _ in range(20):
        reply = await house.anyone.call("POST", door.url, raw=b"{}", headers=JUNK)
        assert reply.status == 401, reply

    statuses = [(await door.post(door.webhook())).status for _ in range(2)]

    assert statuses == [202, 202]


async def test_one_source_does_not_use_up_another(house: House) -> None:
    tight = await house.door("github", webhooks_per_minute=1)
    other = await house.door("github")
    await used_up(tight)

    assert (await other.post(other.webhook())).status == 202


async def test_a_sources_limit_may_be_changed_and_lifted(house: House) -> None:
    door = await house.door("github", webhooks_per_minute=1)
    path = f"/v1/sources/{door.source['id']}"
    await used_up(door)

    patched = await house.rest.call("PATCH", path, {"webhooks_per_minute": None})

    assert patched.ok()["webhooks_per_minute"] is None

    async def is_open() -> bool:
        return (await door.post(door.webhook())).status == 202

    await until(is_open, "an end of the limit", within=10)


async def test_a_sources_limit_is_a_number_above_nothing(house: House) -> None:
    for odd in (0, -5, 2.5, "3", 10**30):
        wish = {"name": "odd", "scheme": "none", "webhooks_per_minute": odd}
        reply = await house.rest.call("POST", "/v1/sources", wish)
        assert reply.status == 422, reply
        pointers = [error["pointer"] for error in reply.json()["errors"]]
        assert pointers == ["/webhooks_per_minute"], odd


async def test_the_webhooks_of_a_tenant_have_a_limit(
    stack: Stack, receiver: Receiver, admin: Person
) -> None:
    house = await open_house(stack, receiver, named("limited"))
    doors = [await house.door("github") for _ in range(2)]
    wish = {"quotas": {"webhooks_per_minute": 4}}
    ok(await admin.rest.patch(f"/v1/admin/tenants/{house.id}/quota", wish), 200)

    async def refused() -> Reply | None:
        replies = [await door.post(door.webhook()) for door in doors]
        return next((reply for reply in replies if reply.status == 429), None)

    reply = await until(refused, "a refusal", within=20)
    assert reply is not None
    exceeded(reply, "webhooks")
    await house.close()


async def test_an_address_that_knocks_too_often_is_told_so(house: House, narrow: str) -> None:
    door = await house.door("github")

    reply = await worn_out(door, narrow, "203.0.113.1")

    exceeded(reply, "address")
    assert (await knocked(door, narrow, "203.0.113.2")).status == 401


async def test_tokens_that_nobody_has_are_charged_to_the_address(house: House, narrow: str) -> None:
    door = await house.door("github")

    exceeded(await worn_out(door, narrow, "203.0.113.5", "/in/nobody-has-this"), "address")
    exceeded(await knocked(door, narrow, "203.0.113.5", "/in/nor-that"), "address")


async def test_a_genuine_webhook_is_taken_from_any_address(house: House, narrow: str) -> None:
    door = await house.door("github")
    await worn_out(door, narrow, "203.0.113.9")

    reply = await sent(door, narrow, "203.0.113.9")

    assert reply.status == 202, reply


async def test_a_new_source_takes_webhooks_from_an_address_that_is_worn_out(
    house: House, narrow: str
) -> None:
    old = await house.door("github")
    await worn_out(old, narrow, "203.0.113.13")
    new = await house.door("github")

    async def is_taken() -> bool:
        return (await sent(new, narrow, "203.0.113.13")).status == 202

    await until(is_taken, "a webhook that is taken", within=10)


async def test_who_can_prove_who_they_are_is_served_beside_whoever_cannot(
    home: Home, narrow: str
) -> None:
    http, address, sources = home.town.http, came_from("203.0.113.17"), f"{narrow}/v1/sources"
    ok(await http.get(sources, headers=home.rest.headers), 200)
    wrong = address | {"authorization": "Bearer nonsense"}
    for _ in range(BURST + 10):
        await http.get(f"{narrow}/v1/nothing", headers=address)
        await http.get(sources, headers=wrong)

    assert (await http.get(sources, headers=address)).status_code == 429
    assert (await http.get(sources, headers=wrong)).status_code == 429
    ok(await http.get(sources, headers=home.rest.headers | address), 200)


async def test_who_asks_for_nothing_locks_no_neighbour_out(home: Home, narrow: str) -> None:
    http, address = home.town.http, came_from("203.0.113.29")
    await worn_out_caller(home, narrow, "203.0.113.29")
    other = await home.caller("sources:read")

    reply = await http.get(f"{narrow}/v1/sources", headers=other.headers | address)

    ok(reply, 200)


@pytest.mark.parametrize("path", ["/health/live", "/.well-known/jwks.json", "/problems/not-found"])
async def test_what_everybody_needs_is_never_refused(home: Home, narrow: str, path: str) -> None:
    address = came_from("203.0.113.21")
    for _ in range(BURST * 2):
        reply = await home.town.http.get(narrow + path, headers=address)
        assert reply.status_code == 200, reply
        assert "ratelimit" in reply.headers


async def test_every_way_to_ask_for_nothing_is_charged(home: Home, narrow: str) -> None:
    """No credential, unknown routes and methods, and sign-ins: one count."""
    http, address = home.town.http, came_from("203.0.113.25")
    ways: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/v1/sources", {}),
        ("GET", "/nothing", {}),
        ("PUT", "/v1/sources", {}),
        ("POST", "/v1/auth/login", {"content-type": "application/json"}),
        ("POST", "/v1/auth/refresh", {"content-type": "application/json"}),
    ]

    seen = []
    for number in range(BURST + 14):
        method, path, headers = ways[number % len(ways)]
        reply = await http.request(method, narrow + path, headers=headers | address)
        seen.append(reply.status_code)

    assert 429 in seen
    first = seen.index(429)
    assert first >= BURST
    assert set(seen[first:]) == {429}


async def worn_out_caller(home: Home, gateway: str, address: str) -> None:
    """Ask for nothing from an address until it may not any more."""
    for _ in range(BURST + 20):
        reply = await home.town.http.get(f"{gateway}/v1/nothing", headers=came_from(address))
        if reply.status_code == 429:
            return
    raise AssertionError("That was not too often.")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:1::1", "2001:db8:1:1:ffff::9"),
        ("2001:db8:1:2::1", "2001:DB8:0001:0002::2"),
        ("198.51.100.1", "::ffff:198.51.100.1"),
        ("198.51.100.9", "10.9.8.7, 198.51.100.9"),
    ],
)
async def test_these_count_as_one_address(home: Home, narrow: str, one: str, other: str) -> None:
    await worn_out_caller(home, narrow, one)

    reply = await home.town.http.get(f"{narrow}/v1/nothing", headers=came_from(other))

    assert reply.status_code == 429


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8:1:3::1", "2001:db8:1:4::1"), ("198.51.100.5", "198.51.100.6")],
)
async def test_these_count_as_two_addresses(home: Home, narrow: str, one: str, other: str) -> None:
    await worn_out_caller(home, narrow, one)

    reply = await home.town.http.get(f"{narrow}/v1/nothing", headers=came_from(other))

    assert reply.status_code == 404
