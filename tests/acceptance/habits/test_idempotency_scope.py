"""Whose a key is: one caller's of one tenant, and no answer reaches anybody else."""

import asyncio
from functools import partial

import httpx
import msgspec
import pytest

from tests.acceptance.habits.home import (
    REPLAYED,
    Home,
    at_once,
    everywhere,
    key_header,
    named,
    open_home,
    source_wish,
    statuses,
)
from tests.acceptance.habits.telling import problem
from tests.acceptance.identity.people import Person, Town, email, password
from tests.acceptance.identity.problems import ok, told
from tests.acceptance.wire import Wire
from tests.faults.waiting import until

SOURCES = "/v1/sources"
MANY = 100


async def named_so(home: Home, name: str) -> int:
    """Return how many sources have that name."""
    return [item["name"] for item in await home.rest.all(SOURCES)].count(name)


async def test_a_hundred_at_once_have_one_effect(home: Home) -> None:
    wish, key = source_wish(), key_header()

    replies = await at_once(MANY, home.rest, "POST", SOURCES, wish, headers=key)

    assert set(statuses(replies)) <= {201, 409}, statuses(replies)
    made = [reply for reply in replies if reply.status_code == 201]
    assert len({reply.content for reply in made}) == 1
    assert [reply.headers.get(REPLAYED) for reply in made].count(None) == 1
    for reply in replies:
        if reply.status_code == 409:
            problem(reply, 409, "idempotency-in-progress")
            assert int(reply.headers["retry-after"]) >= 1
    assert await named_so(home, wish["name"]) == 1


async def test_who_is_told_to_come_again_gets_the_answer(home: Home) -> None:
    wish, key = source_wish(), key_header()
    first = await at_once(10, home.rest, "POST", SOURCES, wish, headers=key)

    again = await home.rest.call("POST", SOURCES, wish, headers=key)

    assert again.headers[REPLAYED] == "true"
    assert again.content in {reply.content for reply in first}


@pytest.mark.parametrize("pause_s", [0, 0.002, 0.005, 0.01, 0.02])
async def test_who_hung_up_gets_the_answer_later(home: Home, pause_s: float) -> None:
    wish, key = source_wish(), key_header()
    body = msgspec.json.encode(wish)
    headers = home.rest.headers | key | {"content-type": "application/json"}
    async with Wire(home.town.url + SOURCES) as wire:
        length = {"content-length": str(len(body))}
        await wire.send(wire.head((headers | length).items()) + body)
        await asyncio.sleep(pause_s)

    async def answer() -> httpx.Response | None:
        reply = await home.rest.call("POST", SOURCES, raw=body, headers=headers)
        return reply if reply.status_code != 409 else None

    reply = await until(answer, "an answer that is no 409")
    assert reply is not None
    ok(reply, 201)
    assert await named_so(home, wish["name"]) == 1


async def test_of_two_requests_under_one_key_one_is_heard(home: Home) -> None:
    wishes, key = [source_wish() for _ in range(4)], key_header()

    replies = await asyncio.gather(
        *(home.rest.call("POST", SOURCES, wish, headers=key) for _ in range(8) for wish in wishes)
    )

    assert {reply.status_code for reply in replies} <= {201, 409, 422}
    made = {ok(reply)["name"] for reply in replies if reply.status_code == 201}
    assert len(made) == 1
    for wish in wishes:
        again = await home.rest.call("POST", SOURCES, wish, headers=key)
        assert again.status_code == (201 if wish["name"] in made else 422), told(again)
        assert await named_so(home, wish["name"]) == (wish["name"] in made)


async def test_another_key_of_the_tenant_has_keys_of_its_own(home: Home) -> None:
    other, key = await home.caller("sources:read", "sources:write"), key_header()
    mine = await home.rest.call("POST", SOURCES, source_wish(), headers=key)

    theirs = await other.call("POST", SOURCES, source_wish(), headers=key)

    assert ok(theirs, 201)["id"] != ok(mine, 201)["id"]
    assert REPLAYED not in theirs.headers


async def test_the_same_request_of_another_key_is_another_request(home: Home) -> None:
    other, key = await home.caller("sources:read", "sources:write"), key_header()
    wish = source_wish()
    ok(await home.rest.call("POST", SOURCES, wish, headers=key), 201)

    theirs = await other.call("POST", SOURCES, wish, headers=key)

    problem(theirs, 409, "conflict")


async def test_another_tenant_has_keys_of_its_own(home: Home, neighbour: Home) -> None:
    wish, key = source_wish(), key_header()
    mine = await home.rest.call("POST", SOURCES, wish, headers=key)

    theirs = await neighbour.rest.call("POST", SOURCES, wish, headers=key)

    assert ok(theirs, 201)["id"] != ok(mine, 201)["id"]
    assert REPLAYED not in theirs.headers


async def test_a_person_and_their_key_are_two(founder: Person) -> None:
    body = {"name": named("key"), "permissions": ["sources:read", "sources:write"]}
    made = ok(await founder.rest.post("/v1/api-keys", body), 201)
    program, key = founder.town.bearer(made["key"]), key_header()
    mine = await founder.rest.call("POST", SOURCES, source_wish(), headers=key)

    theirs = await program.call("POST", SOURCES, source_wish(), headers=key)

    assert ok(theirs, 201)["id"] != ok(mine, 201)["id"]


async def test_another_session_of_a_person_may_ask_for_the_answer(founder: Person) -> None:
    wish, key = source_wish(), key_header()
    first = await founder.rest.call("POST", SOURCES, wish, headers=key)
    later = await founder.login()

    again = await later.rest.call("POST", SOURCES, wish, headers=key)

    assert ok(again, 201) == ok(first, 201)
    assert again.headers[REPLAYED] == "true"


async def test_to_sign_out_in_one_session_is_not_to_have_signed_out_in_another(
    founder: Person,
) -> None:
    sessions, key = [await founder.login() for _ in range(2)], key_header()

    for session in sessions:
        reply = await session.rest.call("POST", "/v1/auth/logout", headers=key)
        assert reply.status_code == 204, told(reply)

    for session in sessions:
        await everywhere(partial(session.rest.get, "/v1/auth/me"), 401)


async def test_who_lost_a_right_gets_no_answer_from_before(founder: Person) -> None:
    colleague = await founder.town.colleague(founder, "developer")
    wish, key = source_wish(), key_header()
    ok(await colleague.rest.call("POST", SOURCES, wish, headers=key), 201)
    ok(await founder.rest.patch(f"/v1/users/{colleague.id}", {"roles": ["viewer"]}), 200)

    await everywhere(lambda: colleague.rest.call("POST", SOURCES, wish, headers=key), 401, 403)
    again = await (await colleague.login()).rest.call("POST", SOURCES, wish, headers=key)
    problem(again, 403, "forbidden")


async def test_a_revoked_key_gets_no_answer_from_before(home: Home) -> None:
    body = {"name": named("key"), "permissions": ["sources:read", "sources:write"]}
    made = ok(await home.rest.post("/v1/api-keys", body), 201)
    program, wish, key = home.town.bearer(made["key"]), source_wish(), key_header()
    ok(await program.call("POST", SOURCES, wish, headers=key), 201)
    await home.rest.delete(f"/v1/api-keys/{made['id']}")

    await everywhere(lambda: program.call("POST", SOURCES, wish, headers=key), 401)


async def test_a_secret_comes_again_for_whoever_made_it(home: Home) -> None:
    body = {"name": named("key"), "permissions": ["sources:read"]}
    key = key_header()
    first = await home.rest.call("POST", "/v1/api-keys", body, headers=key)

    again = await home.rest.call("POST", "/v1/api-keys", body, headers=key)

    assert again.content == first.content
    assert again.headers[REPLAYED] == "true"
    ok(await home.town.bearer(ok(again)["key"]).get(SOURCES), 200)


async def test_a_rotation_happens_once(home: Home) -> None:
    path, key = (await home.source(scheme="stripe")).headers["location"], key_header()
    first = await home.rest.call("POST", f"{path}/rotate-secret", {}, headers=key)

    again = await home.rest.call("POST", f"{path}/rotate-secret", {}, headers=key)

    assert ok(again, 200)["secret"] == ok(first, 200)["secret"]
    assert len(ok(await home.rest.get(path))["secrets"]) == 2


async def test_a_quota_that_was_reached_is_not_kept(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "crowded", sources=1)
    ok(await home.rest.post(SOURCES, source_wish()), 201)
    wish, key = source_wish(), key_header()
    refused = await home.rest.call("POST", SOURCES, wish, headers=key)
    problem(refused, 403, "quota-reached")
    await home.limits(sources=2)

    again = await home.rest.call("POST", SOURCES, wish, headers=key)

    ok(again, 201)
    assert REPLAYED not in again.headers


async def test_a_signup_that_is_sent_again_sends_one_letter(town: Town) -> None:
    stranger, address = town.anyone(), email("again")
    wish = {"email": address, "password": password(), "name": "A", "tenant_name": "B"}
    key = key_header()
    first = await stranger.call("POST", "/v1/signup", wish, headers=key)

    again = await stranger.call("POST", "/v1/signup", wish, headers=key)
    # A letter that comes later, to know that those before have come.
    ok(await stranger.post("/v1/signup", wish), 202)

    assert ok(again, 202) == ok(first, 202)
    assert again.headers[REPLAYED] == "true"
    await until(lambda: len(town.post.to(address)) == 2, "two letters", within=30)


async def test_signups_of_two_addresses_share_no_key(town: Town) -> None:
    stranger, key = town.anyone(), key_header()
    replies = []
    for address in (email("one"), email("two")):
        wish = {"email": address, "password": password(), "name": "A", "tenant_name": "B"}
        replies.append(await stranger.call("POST", "/v1/signup", wish, headers=key))

    for reply in replies:
        ok(reply, 202)
        assert REPLAYED not in reply.headers


async def test_a_sign_in_is_never_answered_again(founder: Person) -> None:
    body = {"email": founder.email, "password": founder.password, "tenant": founder.slug}
    key, stranger = key_header(), founder.town.anyone()

    pairs = [await stranger.call("POST", "/v1/auth/login", body, headers=key) for _ in range(2)]

    assert REPLAYED not in pairs[1].headers
    for reply in pairs:
        assert reply.status_code in {200, 400}, told(reply)
    if pairs[0].status_code == 200:
        assert ok(pairs[0])["session_id"] != ok(pairs[1])["session_id"]


async def test_an_operators_request_has_one_effect(admin: Person) -> None:
    wish, key = {"name": named("tenant")}, key_header()

    replies = await at_once(10, admin.rest, "POST", "/v1/admin/tenants", wish, headers=key)

    assert set(statuses(replies)) <= {201, 409}, [told(reply) for reply in replies]
    assert len({ok(reply)["id"] for reply in replies if reply.status_code == 201}) == 1
    again = await admin.rest.call("POST", "/v1/admin/tenants", wish, headers=key)
    assert again.headers[REPLAYED] == "true"
    tenants = await admin.rest.all("/v1/admin/tenants")
    assert [tenant["name"] for tenant in tenants].count(wish["name"]) == 1


async def test_a_suspended_tenant_gets_no_answer_from_before(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "suspended")
    wish, key = source_wish(), key_header()
    ok(await home.rest.call("POST", SOURCES, wish, headers=key), 201)
    path = f"/v1/admin/tenants/{home.id}/suspend"
    ok(await admin.rest.post(path, {"reason": "tried"}), 200)

    await everywhere(lambda: home.rest.call("POST", SOURCES, wish, headers=key), 403)
