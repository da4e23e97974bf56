"""Signing in, changing and resetting a password, and a user's own sessions."""

import asyncio
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest

from tests.acceptance.identity.people import Person, Town, email, password, settled
from tests.acceptance.identity.problems import invalid, kind, ok, refused, refused_anyhow, told
from tests.faults.stack import TEMPO

ACCESS_TTL_S = int(TEMPO["CROSSDOCK_IDENTITY__ACCESS_TTL_S"])
LOGIN = "/v1/auth/login"
RESET = "/v1/auth/password/reset"
STORM = 60
PAIR = {
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "refresh_expires_at",
    "session_id",
}


async def test_signing_in_gives_a_pair_of_tokens(owner: Person) -> None:
    reply = await owner.try_login()

    pair = ok(reply, 200)
    assert set(pair) == PAIR
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", ACCESS_TTL_S)
    assert pair["session_id"].startswith("ses_")
    assert pair["refresh_token"].startswith("cdr_dev_")
    assert "no-store" in reply.headers["cache-control"]
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    "change",
    [
        {"password": "not it, but as long"},
        {"email": "nobody.at.all@example.com"},
        {"tenant": "no-such-tenant"},
        {"tenant": "platform"},
    ],
)
async def test_what_is_wrong_is_not_told(owner: Person, change: dict[str, str]) -> None:
    reply = await owner.try_login(**change)
    known = await owner.try_login(password="not it either, no")

    refused(reply, 401, "unauthenticated")
    assert reply.json()["detail"] == known.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "x@example.com"}, ""),
        ({"email": 1, "password": "x"}, "/email"),
        ({"email": "x@example.com", "password": ["x"]}, "/password"),
        ({"email": "x@example.com", "password": "x", "admin": True}, "/admin"),
    ],
)
async def test_a_body_that_is_none_is_refused(town: Town, body: Any, pointer: str) -> None:
    invalid(await town.anyone().post(LOGIN, body), pointer)


async def test_somebody_of_two_tenants_names_one(town: Town, owner: Person) -> None:
    other = await town.founder()
    address = email("both")
    here = await town.colleague(owner, "viewer", address=address)
    there = await town.colleague(other, "developer", address=address)

    unnamed = await town.anyone().post(LOGIN, {"email": address, "password": here.password})

    refused(unnamed, 401, "unauthenticated")
    assert "tenant" in unnamed.json()["detail"].lower()
    assert unnamed.json() == (await here.try_login(password="wrong, but long enough")).json() | {
        key: unnamed.json()[key] for key in unnamed.json() if key == "instance"
    }
    for person in (here, there):
        assert ok(await (await person.login()).rest.get("/v1/auth/me"))["actor"]["id"] == person.id
    refused(await here.try_login(password=there.password), 401, "unauthenticated")
    assert here.id != there.id


async def storm(town: Town, bodies: list[Any], *, one_address: bool) -> list[httpx.Response]:
    """Try these one after the other until one is throttled."""
    caller, replies = town.anyone(), []
    for body in bodies:
        replies.append(await (caller if one_address else town.anyone()).post(LOGIN, body))
        if replies[-1].status_code != 401:
            break
    return replies


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_account_is_not_guessed_for_ever(town: Town, is_known: bool) -> None:  # noqa: FBT001 - a case
    victim, bystander = await town.founders(2)
    address = victim.email if is_known else email("nobody")
    bodies = [{"email": address, "password": f"guess number {n}"} for n in range(STORM)]

    replies = await storm(town, bodies, one_address=False)

    refused(replies[-1], 429)
    assert kind(replies[-1]) == "quota-exceeded"
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert len(replies) > 3, "Whoever mistypes twice is let in the third time."
    await bystander.login()


async def test_an_address_does_not_guess_at_everybody(town: Town) -> None:
    founder = await town.founder()
    bodies = [{"email": email("spray"), "password": "Summer 2026!!"} for _ in range(2 * STORM)]

    replies = await storm(town, bodies, one_address=True)

    refused(replies[-1], 429)
    await founder.login()


async def test_a_new_password_ends_all_other_sessions(town: Town) -> None:
    founder = await town.founder()
    other, old, new = await founder.login(), founder.password, password()

    change = {"current_password": old, "new_password": new}
    pair = ok(await founder.rest.post("/v1/auth/password", change), 200)

    assert set(pair) == PAIR
    await settled(partial(other.rest.get, "/v1/auth/me"), 401)
    for refresh in (other.refresh, founder.session.refresh):
        refused(await town.anyone().post("/v1/auth/refresh", {"refresh_token": refresh}), 401)
    await settled(partial(town.bearer(pair["access_token"]).get, "/v1/auth/me"), 200)
    refused(await founder.try_login(), 401, "unauthenticated")
    ok(await founder.try_login(password=new), 200)


async def test_whoever_does_not_know_the_password_does_not_change_it(town: Town) -> None:
    founder = await town.founder()

    wrong = {"current_password": "a guess of theirs", "new_password": password()}
    refused(await founder.rest.post("/v1/auth/password", wrong), {401, 403, 422})
    weak = {"current_password": founder.password, "new_password": "short"}
    invalid(await founder.rest.post("/v1/auth/password", weak), "/new_password")

    ok(await founder.rest.get("/v1/auth/me"))
    await founder.login()


async def test_a_reset_sets_a_password_and_ends_all_sessions(town: Town) -> None:
    founder, new = await town.founder(), password()

    reply = await town.anyone().post(RESET, {"email": founder.email})
    assert ok(reply, 202) == {}
    token = await town.post.token(founder.email)
    weak = await town.anyone().post(f"{RESET}/confirm", {"token": token, "new_password": "short"})
    body = {"token": token, "new_password": new}
    done = await town.anyone().post(f"{RESET}/confirm", body)

    invalid(weak, "/new_password")
    assert done.status_code == 204, told(done)
    await settled(partial(founder.rest.get, "/v1/auth/me"), 401)
    stale = {"refresh_token": founder.session.refresh}
    refused(await town.anyone().post("/v1/auth/refresh", stale), 401)
    refused(await founder.try_login(), 401, "unauthenticated")
    ok(await founder.try_login(password=new), 200)
    refused_anyhow(await town.anyone().post(f"{RESET}/confirm", body))


async def test_a_reset_is_used_once_however_many_try(town: Town) -> None:
    founder = await town.founder()
    ok(await town.anyone().post(RESET, {"email": founder.email, "tenant": founder.slug}), 202)
    token = await town.post.token(founder.email)
    wanted = [password() for _ in range(6)]

    replies = await asyncio.gather(
        *(
            town.anyone().post(f"{RESET}/confirm", {"token": token, "new_password": new})
            for new in wanted
        )
    )

    statuses = [reply.status_code for reply in replies]
    assert statuses.count(204) == 1, [told(reply) for reply in replies]
    founder.password = wanted[statuses.index(204)]
    await founder.login()


async def test_one_kind_of_token_is_no_other(town: Town, owner: Person) -> None:
    ok(await town.anyone().post(RESET, {"email": owner.email}), 202)
    reset = await town.post.token(owner.email)
    invited = email("invited")
    ok(await owner.rest.post("/v1/invitations", {"email": invited, "roles": ["viewer"]}), 201)
    invitation = await town.post.token(invited)
    pending = await town.signup()
    signup = await town.post.token(pending["email"])

    for token in (reset, invitation, owner.session.refresh, owner.session.access):
        refused_anyhow(await town.anyone().post("/v1/signup/verify", {"token": token}))
    for token in (signup, invitation, owner.session.refresh):
        body = {"token": token, "new_password": password()}
        refused_anyhow(await town.anyone().post(f"{RESET}/confirm", body))
    for token in (signup, reset):
        join = {"token": token, "name": "x", "password": password()}
        refused_anyhow(await town.anyone().post("/v1/invitations/accept", join))
        refused((await town.bearer(token).get("/v1/auth/me")), 401, "unauthenticated")


async def test_a_mailbox_is_not_flooded_with_resets(town: Town) -> None:
    founder = await town.founder()

    replies = [await town.anyone().post(RESET, {"email": founder.email}) for _ in range(STORM)]

    assert {reply.status_code for reply in replies} <= {202, 429}
    await town.post.token(founder.email)
    assert len(town.post.to(founder.email)) < STORM / 4


async def test_sessions_are_listed_and_ended_one_by_one(town: Town) -> None:
    founder = await town.founder()
    other = await founder.login()
    colleague = await town.colleague(founder, "viewer")

    listed = await founder.rest.all("/v1/auth/sessions")
    foreign = await founder.rest.delete(f"/v1/auth/sessions/{colleague.session.id}")
    ended = await founder.rest.delete(f"/v1/auth/sessions/{other.id}")

    assert {session["id"] for session in listed} == {founder.session.id, other.id}
    assert other.refresh not in msgspec.json.encode(listed).decode()
    refused(foreign, 404, "not-found")
    assert ended.status_code == 204
    await settled(partial(other.rest.get, "/v1/auth/me"), 401)
    body = {"refresh_token": other.refresh}
    refused(await town.anyone().post("/v1/auth/refresh", body), 401)
    ok(await founder.rest.get("/v1/auth/me"))
    ok(await colleague.rest.get("/v1/auth/me"))


async def test_a_key_has_no_sessions_and_no_password(town: Town, owner: Person) -> None:
    body = {"name": "all", "permissions": (await owner.me())["permissions"]}
    made = ok(await owner.rest.post("/v1/api-keys", body), 201)
    robot = town.bearer(made["key"])

    for method, path in (
        ("GET", "/v1/auth/sessions"),
        ("POST", "/v1/auth/logout"),
        ("DELETE", f"/v1/auth/sessions/{owner.session.id}"),
    ):
        refused(await robot.call(method, path), 403, "forbidden")
    change = {"current_password": owner.password, "new_password": password()}
    refused(await robot.post("/v1/auth/password", change), 403, "forbidden")
    refused(await robot.post("/v1/auth/totp", {"password": owner.password}), 403, "forbidden")
    assert ok(await robot.get("/v1/auth/me"))["actor"]["kind"] == "key"
