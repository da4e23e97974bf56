"""Colleagues come by invitation: by mail, once, for a while, as what they were invited as."""

import asyncio
import secrets
from typing import Any

import msgspec
import pytest

from tests.acceptance.identity.people import Person, Town, email, password, source
from tests.acceptance.identity.problems import invalid, ok, refused, refused_anyhow, told

INVITATIONS = "/v1/invitations"
ACCEPT = "/v1/invitations/accept"


async def invite(host: Person, *roles: str, address: str | None = None) -> Any:
    """Return an invitation as it was answered."""
    body = {"email": address or email("invited"), "roles": list(roles or ("viewer",))}
    return ok(await host.rest.post(INVITATIONS, body), 201)


def joining(token: str, **more: Any) -> dict[str, Any]:
    return {"token": token, "name": "Ingrid Invited", "password": password()} | more


async def test_a_viewer_comes_by_mail_and_may_look(town: Town, owner: Person) -> None:
    made = await source(owner.rest)
    address = email("viewer")

    answered = await invite(owner, "viewer", address=address)
    person = await town.accept(address)

    assert answered["id"].startswith("inv_")
    assert answered["email"] == address
    assert answered["roles"] == ["viewer"]
    me = await person.me()
    assert me["roles"] == ["viewer"]
    assert me["tenant"]["id"] == owner.tenant_id
    assert ok(await person.rest.get(f"/v1/sources/{made['id']}"))["id"] == made["id"]
    refused(await person.rest.post("/v1/sources", {"name": "x"}), 403, "forbidden")
    listed = {user["id"]: user for user in await owner.rest.all("/v1/users")}
    assert listed[person.id]["email"] == address


async def test_an_invitation_is_listed_without_what_opens_it(town: Town, owner: Person) -> None:
    answered = await invite(owner)
    token = await town.post.token(answered["email"])

    listed = await owner.rest.all(INVITATIONS)
    audit = await owner.rest.all("/v1/audit")

    assert answered["id"] in {invitation["id"] for invitation in listed}
    for text in map(msgspec.json.encode, (answered, listed, audit)):
        assert token.encode() not in text
        assert token[-20:].encode() not in text


async def test_an_invitation_is_taken_once_however_many_try(town: Town, owner: Person) -> None:
    answered = await invite(owner)
    token = await town.post.token(answered["email"])

    replies = await asyncio.gather(*(town.anyone().post(ACCEPT, joining(token)) for _ in range(10)))
    later = await town.anyone().post(ACCEPT, joining(token))

    assert [reply.status_code for reply in replies].count(201) == 1, [told(r) for r in replies]
    for reply in (*replies, later):
        if reply.status_code != 201:
            refused_anyhow(reply)
    people = await owner.rest.all("/v1/users")
    assert [user["email"] for user in people].count(answered["email"]) == 1


async def test_a_revoked_invitation_opens_nothing(town: Town, owner: Person) -> None:
    answered = await invite(owner)
    token = await town.post.token(answered["email"])

    reply = await owner.rest.delete(f"{INVITATIONS}/{answered['id']}")

    assert reply.status_code == 204, told(reply)
    refused_anyhow(await town.anyone().post(ACCEPT, joining(token)))
    people = await owner.rest.all("/v1/users")
    assert answered["email"] not in {user["email"] for user in people}


async def test_what_was_taken_back_and_what_was_taken_race(town: Town, owner: Person) -> None:
    for _ in range(4):
        answered = await invite(owner)
        token = await town.post.token(answered["email"])

        taken, back = await asyncio.gather(
            town.anyone().post(ACCEPT, joining(token)),
            owner.rest.delete(f"{INVITATIONS}/{answered['id']}"),
        )

        people = {user["email"] for user in await owner.rest.all("/v1/users")}
        assert (answered["email"] in people) == (taken.status_code == 201)
        assert back.status_code in {204, 404, 409}, told(back)
        refused_anyhow(await town.anyone().post(ACCEPT, joining(token)))


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "a" * 5000, "\x00", "é" * 40])
async def test_a_guess_opens_nothing(town: Town, token: str) -> None:
    refused_anyhow(await town.anyone().post(ACCEPT, joining(token)))


async def test_a_slip_costs_no_invitation(town: Town, owner: Person) -> None:
    answered = await invite(owner)
    token = await town.post.token(answered["email"])

    invalid(await town.anyone().post(ACCEPT, joining(token, password="short")), "/password")
    refused_anyhow(await town.anyone().post(ACCEPT, joining(token[:-1] + "~")))

    ok(await town.anyone().post(ACCEPT, joining(token)), 201)


@pytest.mark.parametrize("member", ["email", "roles", "tenant_id", "user_id"])
async def test_whoever_accepts_chooses_nothing_else(town: Town, owner: Person, member: str) -> None:
    answered = await invite(owner)
    token = await town.post.token(answered["email"])
    value = ["owner"] if member == "roles" else email("other")

    invalid(await town.anyone().post(ACCEPT, joining(token, **{member: value})), f"/{member}")

    told_ = ok(await town.anyone().post(ACCEPT, joining(token)), 201)
    user = ok(await owner.rest.get(f"/v1/users/{told_['user']['id']}"))
    assert (user["roles"], user["email"]) == (["viewer"], answered["email"])


async def test_who_is_here_already_is_not_invited_again(owner: Person, town: Town) -> None:
    colleague = await town.colleague(owner, "viewer")

    for address in (colleague.email, colleague.email.upper(), owner.email):
        body = {"email": address, "roles": ["developer"]}
        refused(await owner.rest.post(INVITATIONS, body), 409, "conflict")

    assert (await colleague.me())["roles"] == ["viewer"]


async def test_a_second_invitation_makes_no_second_user(town: Town, owner: Person) -> None:
    address = email("twice")
    await invite(owner, "viewer", address=address)
    first = await town.post.token(address)
    again = await owner.rest.post(INVITATIONS, {"email": address, "roles": ["developer"]})
    tokens = [first]
    if again.status_code == 201:
        tokens.append(await town.post.token(address))
    else:
        refused(again, 409, "conflict")

    replies = await asyncio.gather(
        *(town.anyone().post(ACCEPT, joining(token)) for token in tokens)
    )

    assert [reply.status_code for reply in replies].count(201) == 1, [told(r) for r in replies]
    people = [user for user in await owner.rest.all("/v1/users") if user["email"] == address]
    assert len(people) == 1


async def test_one_address_belongs_to_two_tenants(town: Town, owner: Person) -> None:
    founder = await town.founder()

    person = await town.colleague(owner, "viewer", address=founder.email)

    assert person.id != founder.id
    assert person.tenant_id == owner.tenant_id != founder.tenant_id
    assert (await founder.me())["roles"] == ["owner"]
    assert (await person.me())["roles"] == ["viewer"]
    refused(await founder.rest.get(f"/v1/users/{person.id}"), 404, "not-found")


async def test_an_invitation_is_another_tenants_business(town: Town, owner: Person) -> None:
    other = await town.founder()
    answered = await invite(owner)

    reply = await other.rest.delete(f"{INVITATIONS}/{answered['id']}")

    refused(reply, 404, "not-found")
    assert answered["id"] not in {item["id"] for item in await other.rest.all(INVITATIONS)}
    ok(
        await town.anyone().post(ACCEPT, joining(await town.post.token(answered["email"]))),
        201,
    )


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "no address"}, "/email"),
        ({"email": "a@example.com\r\nBcc: b@example.com"}, "/email"),
        ({"roles": []}, "/roles"),
        ({"roles": ["viewer"] * 100}, "/roles"),
        ({"tenant_id": "ten_x"}, "/tenant_id"),
        ({"expires_at": "2099-01-01T00:00:00Z"}, "/expires_at"),
    ],
)
async def test_a_bad_wish_is_refused(owner: Person, change: Any, pointer: str) -> None:
    body = {"email": email("x"), "roles": ["viewer"]} | change

    invalid(await owner.rest.post(INVITATIONS, body), pointer)


async def test_nobody_joins_a_suspended_tenant(town: Town, admin: Person) -> None:
    founder = await town.founder()
    answered = await invite(founder)
    token = await town.post.token(answered["email"])
    path = f"/v1/admin/tenants/{founder.tenant_id}"
    ok(await admin.rest.post(f"{path}/suspend", {"reason": "unpaid"}))

    reply = await town.anyone().post(ACCEPT, joining(token))

    refused_anyhow(reply)
    ok(await admin.rest.post(f"{path}/resume", {}))
    ok(await town.anyone().post(ACCEPT, joining(token)), 201)


async def test_a_role_that_is_gone_by_then_gives_nothing(town: Town, owner: Person) -> None:
    body = {"name": f"r-{secrets.token_hex(4)}", "permissions": ["sources:write"]}
    role = ok(await owner.rest.post("/v1/roles", body), 201)
    answered = await invite(owner, role["name"])
    token = await town.post.token(answered["email"])

    removed = await owner.rest.delete(f"/v1/roles/{role['id']}")
    reply = await town.anyone().post(ACCEPT, joining(token))

    if removed.status_code == 204 and reply.status_code == 201:
        user = ok(await owner.rest.get(f"/v1/users/{reply.json()['user']['id']}"))
        assert role["name"] not in user["roles"]
    elif removed.status_code != 204:
        refused(removed, 409, "conflict")
