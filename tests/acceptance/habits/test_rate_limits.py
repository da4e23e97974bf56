"""How often who may ask, and that every answer says how much is left."""

from time import monotonic
from typing import Any

import httpx

from tests.acceptance.habits.home import Home, at_once, named, open_home, source_wish, statuses
from tests.acceptance.habits.telling import exceeded, policies, problem, state
from tests.acceptance.identity.people import Caller, Person, Town
from tests.acceptance.identity.problems import ok, told
from tests.faults.waiting import until

SOURCES = "/v1/sources"
TENANT = "/v1/tenant"
ANY = ("sources:read", "sources:write", "tenant:read")


async def emptied(caller: Caller, most: int) -> httpx.Response:
    """Ask until it is too much; return the refusal."""
    for _ in range(most):
        reply = await caller.get(TENANT)
        if reply.status_code == 429:
            return reply
        ok(reply, 200)
    raise AssertionError(f"{most} requests were not too many.")


async def test_every_answer_says_what_is_left(home: Home) -> None:
    for reply in (
        await home.rest.get(SOURCES),
        await home.rest.post(SOURCES, {}),
        await home.rest.get("/v1/sources/nothing"),
        await home.rest.get("/v1/nothing"),
        await home.rest.delete(SOURCES),
        await home.town.anyone().get(SOURCES),
        await home.town.bearer("nonsense").get(SOURCES),
        await home.town.anyone().post("/v1/auth/login", {}),
        await home.town.anyone().get("/health/live"),
        await home.town.anyone().get("/.well-known/jwks.json"),
    ):
        assert policies(reply), told(reply)
        assert state(reply).reset_s >= 0


async def test_a_request_is_held_against_the_tenant_and_the_key(home: Home) -> None:
    assert set(policies(await home.rest.get(SOURCES))) == {"tenant", "key"}


async def test_a_stranger_is_held_against_their_address(town: Town) -> None:
    assert set(policies(await town.anyone().get("/v1/nothing"))) == {"address"}


async def test_an_operator_has_a_limit_too(admin: Person) -> None:
    assert set(policies(await admin.rest.get("/v1/admin/tenants"))) == {"key"}


async def test_a_tenant_without_limits_has_none_but_its_keys(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "unlimited")
    path = f"/v1/admin/tenants/{home.id}/quota"
    wish = {"plan": "unlimited", "quotas": {"requests_per_minute": None}}
    ok(await admin.rest.patch(path, wish), 200)

    async def is_free() -> bool:
        return set(policies(await home.rest.get(TENANT))) == {"key"}

    await until(is_free, "an end of the tenant's limit", within=10)


async def test_a_tight_key_admits_what_it_may_over_both_processes(home: Home) -> None:
    quota, asked = 6, 40
    caller, began = await home.caller(*ANY, requests_per_minute=quota), monotonic()

    replies = await at_once(asked, caller, "GET", TENANT)

    # One more comes every ten seconds, so a slow machine may see a few more than six.
    refilled = int((monotonic() - began) * quota / 60) + 1
    assert set(statuses(replies)) == {200, 429}
    assert quota <= statuses(replies).count(200) < quota + 1 + refilled
    for reply in replies:
        if reply.status_code == 429:
            exceeded(reply, "key")


async def test_what_is_left_is_told_to_the_last(home: Home) -> None:
    caller = await home.caller(*ANY, requests_per_minute=3)

    left = [state(await caller.get(TENANT)) for _ in range(3)]

    assert {one.name for one in left} == {"key"}
    # One comes back every twenty seconds, should this machine be that slow.
    assert left[0].remaining == 2
    assert left[0].remaining >= left[1].remaining - 1
    assert left[2].remaining in {0, 1}


async def test_the_policy_says_what_was_asked_for(home: Home) -> None:
    caller = await home.caller(*ANY, requests_per_minute=7)

    policy = policies(await caller.get(TENANT))["key"]

    assert (policy.quota, policy.window_s) == (7, 60)


async def test_a_refusal_names_the_policy_and_when_to_come_again(home: Home) -> None:
    caller = await home.caller(*ANY, requests_per_minute=2)

    reply = await emptied(caller, 30)

    wait = exceeded(reply, "key")
    assert wait <= 60
    assert state(reply).name == "key"
    assert state(reply).remaining == 0
    assert "tenant" in policies(reply)


async def test_after_the_time_it_said_it_is_open_again(home: Home) -> None:
    caller = await home.caller(*ANY, requests_per_minute=60)
    replies = await at_once(100, caller, "GET", TENANT)
    waits = [exceeded(reply, "key") for reply in replies if reply.status_code == 429]

    async def is_open() -> bool:
        return (await caller.get(TENANT)).status_code == 200

    assert 1 <= min(waits) <= max(waits) <= 2
    await until(is_open, "an open door", within=15, step=0.2)


async def test_a_refused_request_has_no_effect(home: Home) -> None:
    caller, wish = await home.caller(*ANY, requests_per_minute=1), source_wish()
    await emptied(caller, 30)

    reply = await caller.post(SOURCES, wish)

    exceeded(reply, "key")
    assert wish["name"] not in [item["name"] for item in await home.rest.all(SOURCES)]


async def test_one_key_does_not_use_up_another(home: Home) -> None:
    tight = await home.caller(*ANY, requests_per_minute=1)
    other = await home.caller(*ANY, requests_per_minute=50)
    await emptied(tight, 30)

    ok(await other.get(TENANT), 200)
    ok(await home.rest.get(TENANT), 200)


async def test_what_a_key_is_refused_costs_its_tenant_nothing(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "thrifty")
    tight = await home.caller(*ANY, requests_per_minute=1)
    wide = await home.caller(*ANY)
    await home.limits(requests_per_minute=60)
    await _is_told(home, "tenant", 60)
    await emptied(tight, 30)
    before = state(await wide.get(TENANT))

    refused = await at_once(50, tight, "GET", TENANT)
    after = state(await wide.get(TENANT))

    assert statuses(refused).count(429) >= 40
    assert (before.name, after.name) == ("tenant", "tenant")
    assert after.remaining >= before.remaining - 12


async def test_a_tenants_limit_is_its_own(town: Town, admin: Person, neighbour: Home) -> None:
    home = await open_home(town, admin, "limited")
    await home.limits(requests_per_minute=20)
    await _is_told(home, "tenant", 20)

    refused = await emptied(home.rest, 100)

    exceeded(refused, "tenant")
    ok(await neighbour.rest.get(TENANT), 200)


async def test_all_keys_of_a_tenant_share_its_limit(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "shared")
    callers = [await home.caller(*ANY) for _ in range(3)]
    await home.limits(requests_per_minute=20)
    await _is_told(home, "tenant", 20)
    began = monotonic()

    replies = [reply for caller in callers for reply in await at_once(20, caller, "GET", TENANT)]

    assert statuses(replies).count(200) <= 20 + (monotonic() - began) / 3 + 1
    assert statuses(replies).count(429) > 0


async def test_a_limit_that_an_operator_takes_back_is_gone(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "restored")
    await home.limits(requests_per_minute=1)
    await _is_told(home, "tenant", 1)
    await emptied(home.rest, 30)
    await home.limits(requests_per_minute=None)

    async def is_open() -> bool:
        return (await home.rest.get(TENANT)).status_code == 200

    await until(is_open, "the plan's own limit", within=10)


async def test_a_limit_of_a_key_must_be_a_number_above_nothing(home: Home) -> None:
    for odd in (0, -1, 1.5, "1", True, 10**30):
        body: Any = {"name": named("key"), "permissions": ["sources:read"]}
        reply = await home.rest.post("/v1/api-keys", body | {"requests_per_minute": odd})
        said = problem(reply, 422, "invalid")
        assert [error["pointer"] for error in said["errors"]] == ["/requests_per_minute"], odd


async def test_a_keys_limit_is_shown_and_comes_with_its_successor(home: Home) -> None:
    body = {"name": named("key"), "permissions": ["tenant:read"], "requests_per_minute": 9}
    made = ok(await home.rest.post("/v1/api-keys", body), 201)
    path = f"/v1/api-keys/{made['id']}"

    assert ok(await home.rest.get(path))["requests_per_minute"] == 9
    later = ok(await home.rest.post(f"{path}/rotate", {}), 201)
    assert later["requests_per_minute"] == 9
    reply = await home.town.bearer(later["key"]).get(TENANT)
    assert policies(reply)["key"].quota == 9


async def _is_told(home: Home, name: str, quota: int) -> None:
    """Wait until both processes answer with that policy, or refuse by it."""

    async def is_so() -> bool:
        replies = await at_once(6, home.rest, "GET", TENANT)
        return all(policies(reply)[name].quota == quota for reply in replies)

    await until(is_so, f"a limit of {quota}", within=10, step=0.2)
