"""What was secret is told once, to whoever made it, and is in no other answer."""

from typing import Any

from tests.acceptance.estate import belongings
from tests.acceptance.habits.home import (
    Home,
    destination_wish,
    key_header,
    named,
    source_wish,
)
from tests.acceptance.habits.telling import problem
from tests.acceptance.identity.people import Person, password
from tests.acceptance.identity.problems import ok
from tests.acceptance.openapi import operations

SOURCES = "/v1/sources"


async def test_no_look_shows_a_secret_again(founder: Person) -> None:
    given = named("a-secret-of-theirs")
    source = ok(await founder.rest.post(SOURCES, source_wish(scheme="stripe")), 201)
    wish = source_wish(scheme="github", secrets=[given])
    ok(await founder.rest.post(SOURCES, wish), 201)
    rotated = ok(await founder.rest.post(f"{SOURCES}/{source['id']}/rotate-secret", {}), 200)
    destination = ok(await founder.rest.post("/v1/destinations", destination_wish()), 201)
    body = {"name": named("key"), "permissions": ["sources:read"]}
    key = ok(await founder.rest.post("/v1/api-keys", body), 201)
    secrets = {
        given,
        founder.password,
        founder.session.access,
        founder.session.refresh,
        source["secret"],
        rotated["secret"],
        destination["secret"],
        key["key"],
    }

    async with founder.town.stack.rest(founder.session.access) as rest:
        everything = str(await belongings(rest, await operations(rest)))

    assert source["id"] in everything
    assert destination["id"] in everything
    assert key["id"] in everything
    assert not [secret for secret in secrets if secret in everything]


async def test_a_secret_of_theirs_is_not_told_back(home: Home) -> None:
    given, key = named("a-secret-of-theirs"), key_header()
    wish = source_wish(scheme="github", secrets=[given])
    made = await home.rest.call("POST", SOURCES, wish, headers=key)
    path = made.headers["location"]

    answers = [
        made,
        await home.rest.call("POST", SOURCES, wish, headers=key),
        await home.rest.post(SOURCES, wish),
        await home.rest.post(SOURCES, wish | {"nonsense": given}),
        await home.rest.post(SOURCES, wish | {"secrets": [given, 7]}),
        await home.rest.post(f"{path}/rotate-secret", {"secret": given, "overlap_s": -1}),
        await home.rest.get(path),
        await home.rest.get(f"{path}?secret={given}"),
    ]

    for answer in answers:
        assert given not in answer.text
        assert given not in str(answer.headers)


async def test_a_secret_that_comes_again_comes_to_nobody_else(home: Home, neighbour: Home) -> None:
    body, key = {"name": named("key"), "permissions": ["sources:read"]}, key_header()
    made = ok(await home.rest.call("POST", "/v1/api-keys", body, headers=key), 201)
    narrow = await home.caller("sources:read")
    equal = await home.caller("api-keys:write", "sources:read")

    for caller, allowed in (
        (narrow, {403}),
        (home.town.anyone(), {401}),
        (home.town.bearer(made["key"]), {403}),
        (equal, {201}),
        (neighbour.rest, {201}),
    ):
        reply = await caller.call("POST", "/v1/api-keys", body, headers=key)
        assert reply.status_code in allowed, reply.text
        assert made["key"] not in reply.text
        assert made["id"] not in reply.text


async def test_a_password_is_in_no_answer(founder: Person) -> None:
    new, stranger = password(), founder.town.anyone()
    tries: list[tuple[str, dict[str, Any]]] = [
        ("/v1/auth/login", {"email": "nobody@example.com", "password": new}),
        ("/v1/auth/login", {"email": new, "password": [new]}),
        ("/v1/auth/login", {"email": "nobody@example.com", "password": new, "nonsense": new}),
        ("/v1/auth/password/reset/confirm", {"token": new, "new_password": new}),
        ("/v1/invitations/accept", {"token": new, "name": "x", "password": new}),
        ("/v1/signup", {"email": "x", "password": new, "name": "n", "tenant_name": "t"}),
    ]

    for path, body in tries:
        reply = await stranger.post(path, body)
        problem(reply, {400, 401, 404, 409, 422})
        assert new not in reply.text, path
