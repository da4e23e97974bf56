"""Quotas: never over the limit, however many ask at once; usage and alerts say where one stands."""

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import httpx
import pytest

from tests.acceptance.identity.people import (
    Caller,
    Person,
    Town,
    email,
    password,
    settled,
    source,
)
from tests.acceptance.identity.problems import invalid, kind, ok, refused, told
from tests.faults.waiting import until

LIMIT = 5
AT_ONCE = 50


class Resource(NamedTuple):
    """Something that a plan limits."""

    quota: str
    path: str
    body: Callable[[], dict[str, Any]]


def _name() -> str:
    return f"n-{secrets.token_hex(6)}"


RESOURCES = (
    Resource("sources", "/v1/sources", lambda: {"name": _name(), "scheme": "none", "secrets": []}),
    Resource(
        "destinations",
        "/v1/destinations",
        lambda: {"name": _name(), "url": "https://example.com/hooks"},
    ),
    Resource(
        "api_keys", "/v1/api-keys", lambda: {"name": _name(), "permissions": ["sources:read"]}
    ),
)


async def limit(admin: Person, person: Person, **quotas: int | None) -> Any:
    """Give a tenant limits of its own."""
    path = f"/v1/admin/tenants/{person.tenant_id}/quota"
    return ok(await admin.rest.patch(path, {"quotas": quotas}))


async def used(caller: Caller) -> dict[str, Any]:
    """Return usage by resource."""
    told_ = ok(await caller.get("/v1/tenant/usage"))
    return told_.get("usage", told_)  # type: ignore[no-any-return]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.quota)
async def test_fifty_at_once_never_pass_the_limit(
    town: Town, admin: Person, resource: Resource
) -> None:
    founder = await town.founder()
    await limit(admin, founder, **{resource.quota: LIMIT})

    replies = await asyncio.gather(
        *(founder.rest.post(resource.path, resource.body()) for _ in range(AT_ONCE))
    )

    made = [reply for reply in replies if reply.status_code == 201]
    assert len(made) == LIMIT, sorted({told(reply) for reply in replies})[:3]
    for reply in replies:
        if reply not in made:
            refused(reply, {403, 409, 429, 503})
    over = await founder.rest.post(resource.path, resource.body())
    assert kind(over) == "quota-reached", told(over)
    listed = await founder.rest.all(resource.path)
    assert len(listed) == LIMIT
    assert (await used(founder.rest))[resource.quota]["used"] == LIMIT
    assert (await used(founder.rest))[resource.quota]["limit"] == LIMIT


async def test_what_is_removed_makes_room(town: Town, admin: Person) -> None:
    founder = await town.founder()
    await limit(admin, founder, sources=1)
    made = await source(founder.rest)
    wish = {"name": "second", "scheme": "none", "secrets": []}
    refused(await founder.rest.post("/v1/sources", wish), {403, 409, 429})

    assert (await founder.rest.delete(f"/v1/sources/{made['id']}")).status_code == 204

    await source(founder.rest)


async def test_users_count_whether_invited_or_here(town: Town, admin: Person) -> None:
    founder = await town.founder()
    await limit(admin, founder, users=3)
    hosts = [email("guest") for _ in range(8)]

    invited = await asyncio.gather(
        *(
            founder.rest.post("/v1/invitations", {"email": host, "roles": ["viewer"]})
            for host in hosts
        )
    )
    guests = [host for host, reply in zip(hosts, invited, strict=True) if reply.status_code == 201]
    tokens = [await town.post.token(guest) for guest in guests[:5]]
    joined = await asyncio.gather(
        *(
            town.anyone().post(
                "/v1/invitations/accept", {"token": token, "name": "G", "password": password()}
            )
            for token in tokens
        )
    )

    people = await founder.rest.all("/v1/users")
    assert len(people) == 1 + [reply.status_code for reply in joined].count(201)
    assert len(people) == 3, [told(reply) for reply in (*invited, *joined)]


async def test_a_limit_below_what_is_there_takes_nothing_away(town: Town, admin: Person) -> None:
    founder = await town.founder()
    for _ in range(3):
        await source(founder.rest)

    await limit(admin, founder, sources=1)

    assert len(await founder.rest.all("/v1/sources")) == 3
    wish = {"name": "fourth", "scheme": "none", "secrets": []}
    refused(await founder.rest.post("/v1/sources", wish), {403, 409, 429})
    await limit(admin, founder, sources=None)
    await source(founder.rest)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"quotas": {"sources": -1}}, "/quotas"),
        ({"quotas": {"sources": 1.5}}, "/quotas"),
        ({"quotas": {"sources": "many"}}, "/quotas"),
        ({"quotas": {"sources": 10**30}}, "/quotas"),
        ({"quotas": {"moons": 1}}, "/quotas"),
        ({"quotas": []}, "/quotas"),
        ({"plan": "no-such-plan"}, "/plan"),
        ({"plan": 1}, "/plan"),
        ({"state": "active"}, "/state"),
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(
    admin: Person, owner: Person, body: Any, pointer: str
) -> None:
    before = await used(owner.rest)

    path = f"/v1/admin/tenants/{owner.tenant_id}/quota"
    invalid(await admin.rest.patch(path, body), pointer)

    assert await used(owner.rest) == before


async def test_the_tenant_does_not_set_its_own(town: Town, owner: Person) -> None:
    path = f"/v1/admin/tenants/{owner.tenant_id}/quota"
    refused(await owner.rest.patch(path, {"quotas": {"sources": 1000}}), 403, "forbidden")
    for body in ({"quotas": {"sources": 1000}}, {"plan": "enterprise"}):
        refused(await owner.rest.patch("/v1/tenant", body), 422, "invalid")


async def levels(person: Person, subject: str) -> list[int]:
    """Return the levels of the alerts about something."""
    alerts = await person.rest.all("/v1/alerts")
    return sorted(alert["level"] for alert in alerts if alert["subject"] == subject)


async def test_at_eighty_and_at_a_hundred_there_is_one_alert_each(
    town: Town, admin: Person
) -> None:
    founder = await town.founder()
    await limit(admin, founder, sources=LIMIT)
    made = [await source(founder.rest) for _ in range(3)]
    assert await levels(founder, "sources") == []

    async def at(*expected: int) -> bool:
        return await levels(founder, "sources") == list(expected)

    made.append(await source(founder.rest))
    await until(partial(at, 80), "an alert at 80%", within=10)
    made.append(await source(founder.rest))
    await until(partial(at, 80, 100), "an alert at 100%", within=10)
    wish = {"name": "over", "scheme": "none", "secrets": []}
    for _ in range(3):
        refused(await founder.rest.post("/v1/sources", wish), {403, 409, 429})
    assert (await founder.rest.delete(f"/v1/sources/{made[0]['id']}")).status_code == 204
    await source(founder.rest)

    assert await levels(founder, "sources") == [80, 100], "Once each, not each time."


@pytest.mark.slow
async def test_a_days_events_end_at_the_limit_and_go_on_above_it(town: Town, admin: Person) -> None:
    founder, neighbour = await town.founders(2)
    door, next_door = await source(founder.rest), await source(neighbour.rest)
    numbers = count()

    async def post(url: str) -> httpx.Response:
        """Send one that was not there before: what is sent again is no new event."""
        return await town.http.post(url, content=b'{"n": %d}' % next(numbers))

    send, send_next_door = (partial(post, each["ingest_url"]) for each in (door, next_door))
    await limit(admin, founder, events_per_day=20)
    await settled(send, 202)

    async def is_over() -> bool:
        reply: httpx.Response = await send()
        if reply.status_code == 429:
            assert kind(reply) == "quota-exceeded"
            assert int(reply.headers["retry-after"]) >= 1
            return True
        assert reply.status_code == 202, told(reply)
        return False

    await until(is_over, "the end of the day's quota", within=15)
    assert (await send_next_door()).status_code == 202
    assert 100 in await levels(founder, "events_per_day")
    ok(await founder.rest.get("/v1/events"))
    shown = (await used(founder.rest))["events_per_day"]
    assert shown["used"] >= 20

    await limit(admin, founder, events_per_day=100_000)

    await until(partial(_takes, send), "webhooks again", within=10)


async def _takes(send: Callable[[], Any]) -> bool:
    return bool((await send()).status_code == 202)
