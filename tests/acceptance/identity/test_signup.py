"""A tenant and its owner come about: signed up, proven by mail, limited, and no more than once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.identity.people import LEAKED, Town, email, password, slug
from tests.acceptance.identity.problems import invalid, kind, ok, refused, refused_anyhow, told

SIGNUP = "/v1/signup"
VERIFY = "/v1/signup/verify"
STORM = 60
"""More sign-ups than anybody makes from one address in a minute."""


def wish(**more: Any) -> dict[str, Any]:
    return {
        "email": email("founder"),
        "password": password(),
        "name": "Frida Founder",
        "tenant_name": "Acme",
        "slug": slug(),
    } | more


async def test_a_tenant_and_its_owner_come_of_a_proven_address(town: Town) -> None:
    asked = wish()
    promised = ok(await town.anyone().post(SIGNUP, asked), 202)
    ends = datetime.fromisoformat(promised["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends <= timedelta(hours=24)
    assert set(promised) == {"expires_at"}
    login = {"email": asked["email"], "password": asked["password"]}

    early = await town.anyone().post("/v1/auth/login", login)
    token = await town.post.token(asked["email"])
    made = ok(await town.anyone().post(VERIFY, {"token": token}), 201)
    pair = ok(await town.anyone().post("/v1/auth/login", login), 200)
    me = ok(await town.bearer(pair["access_token"]).get("/v1/auth/me"))

    refused(early, 401, "unauthenticated")
    assert made["tenant"]["slug"] == asked["slug"]
    assert made["tenant"]["name"] == asked["tenant_name"]
    assert made["tenant"]["id"].startswith("ten_")
    assert made["user"]["id"].startswith("usr_")
    assert made["user"]["email"] == asked["email"]
    assert me["tenant"] == {
        "id": made["tenant"]["id"],
        "slug": asked["slug"],
        "state": "active",
    }
    assert (me["actor"]["kind"], me["actor"]["id"]) == ("user", made["user"]["id"])
    assert me["roles"] == ["owner"]
    assert {"users:write", "roles:write", "sources:write"} <= set(me["permissions"])


async def test_the_command_line_shows_the_letter(town: Town) -> None:
    asked = await town.signup()
    words = ("--to", asked["email"], "--data", str(town.stack.folder))

    shown = await town.stack.command("mail", "token", "--wait", "10", *words)
    listed = await town.stack.command("mail", "list", "--json", *words)
    nobody = await town.stack.command(
        "mail", "token", "--to", email("nobody"), "--data", str(town.stack.folder)
    )

    assert (shown.code, shown.out.strip()) == (0, await town.post.token(asked["email"]))
    assert listed.out.count(asked["email"]) == 1
    assert (nobody.code, nobody.out) == (1, "")
    ok(await town.anyone().post(VERIFY, {"token": shown.out.strip()}), 201)


async def test_an_owner_sees_no_other_tenant(town: Town) -> None:
    one, other = await town.founders(2)

    people = await one.rest.all("/v1/users")
    shown = ok(await one.rest.get("/v1/tenant"))
    refusal = await one.rest.get(f"/v1/users/{other.id}")

    assert [user["id"] for user in people] == [one.id]
    assert shown["id"] == one.tenant_id
    refused(refusal, 404, "not-found")
    refused(await one.rest.get("/v1/admin/tenants"), 403, "forbidden")


async def test_a_token_proves_once(town: Town) -> None:
    asked = await town.signup()
    token = await town.post.token(asked["email"])

    replies = await asyncio.gather(
        *(town.anyone().post(VERIFY, {"token": token}) for _ in range(10))
    )
    later = await town.anyone().post(VERIFY, {"token": token})

    made = [reply for reply in replies if reply.status_code == 201]
    assert len(made) == 1, [told(reply) for reply in replies]
    for reply in (*(reply for reply in replies if reply not in made), later):
        refused_anyhow(reply)


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "a" * 5000, "\x00", "é" * 40, "../../x"])
async def test_a_guess_proves_nothing(town: Town, token: str) -> None:
    refused_anyhow(await town.anyone().post(VERIFY, {"token": token}))


async def test_a_spoilt_token_proves_nothing_and_spoils_nothing(town: Town) -> None:
    asked = await town.signup()
    token = await town.post.token(asked["email"])
    spoilt = token[:-1] + ("A" if token[-1] != "A" else "B")

    refused_anyhow(await town.anyone().post(VERIFY, {"token": spoilt}))
    ok(await town.anyone().post(VERIFY, {"token": token}), 201)


async def test_of_two_who_want_one_slug_one_gets_it(town: Town) -> None:
    wanted = slug()
    rivals = [await town.signup(slug=wanted) for _ in range(2)]
    tokens = [await town.post.token(rival["email"]) for rival in rivals]

    replies = await asyncio.gather(
        *(town.anyone().post(VERIFY, {"token": token}) for token in tokens)
    )

    made = [reply.json() for reply in replies if reply.status_code == 201]
    assert made, [told(reply) for reply in replies]
    assert [answer["tenant"]["slug"] for answer in made].count(wanted) == 1
    for reply in replies:
        if reply.status_code != 201:
            refused(reply, 409, "conflict")


async def test_a_slug_that_is_taken_is_said_so(town: Town) -> None:
    founder = await town.founder()

    reply = await town.anyone().post(SIGNUP, wish(slug=founder.slug))

    refused(reply, {409, 422})


async def test_a_slug_is_made_where_none_is_given(town: Town) -> None:
    asked = wish(tenant_name=f"Müller & Söhne {slug()}")
    asked.pop("slug")
    ok(await town.anyone().post(SIGNUP, asked), 202)

    token = await town.post.token(asked["email"])
    made = ok(await town.anyone().post(VERIFY, {"token": token}), 201)

    assert made["tenant"]["slug"].replace("-", "").isalnum()
    assert made["tenant"]["slug"].isascii()
    assert made["tenant"]["slug"] == made["tenant"]["slug"].lower()


@pytest.mark.parametrize(
    "value",
    ["", "-a", "a-", "Upper", "with space", "a.b", "a/b", "../x", "é", "a" * 200, "a\n", "ten_x"],
)
async def test_a_slug_that_is_none_is_refused(town: Town, value: str) -> None:
    invalid(await town.anyone().post(SIGNUP, wish(slug=value)), "/slug")


async def test_the_operators_own_slug_is_not_to_be_had(town: Town) -> None:
    refused(await town.anyone().post(SIGNUP, wish(slug="platform")), {409, 422})


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "x@",
        "@example.com",
        "a b@example.com",
        "a@b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\nX: y",
        "a@example.com, b@example.com",
        "A <a@example.com>",
        "a@-example.com",
        "\x00@example.com",
        "a" * 400 + "@example.com",
    ],
)
async def test_an_address_that_is_none_is_refused(town: Town, address: str) -> None:
    invalid(await town.anyone().post(SIGNUP, wish(email=address)), "/email")


async def test_case_makes_no_other_address(town: Town) -> None:
    founder = await town.founder()

    session = await founder.login(email=founder.email.upper())

    assert ok(await session.rest.get("/v1/auth/me"))["actor"]["id"] == founder.id


@pytest.mark.parametrize("value", ["", "short", "elevenchars", "a" * 11])
async def test_a_short_password_is_refused(town: Town, value: str) -> None:
    invalid(await town.anyone().post(SIGNUP, wish(password=value)), "/password")


async def test_a_password_that_leaked_elsewhere_is_refused(town: Town) -> None:
    invalid(await town.anyone().post(SIGNUP, wish(password=LEAKED)), "/password")
    ok(await town.anyone().post(SIGNUP, wish(password=LEAKED.upper())), 202)


async def test_an_endless_password_costs_nothing(town: Town) -> None:
    reply = await town.anyone().post(SIGNUP, wish(password="a1B" * 20_000))

    assert reply.status_code in {413, 422}, told(reply)


async def test_twelve_characters_of_any_kind_are_enough(town: Town) -> None:
    founder = await town.founder(password="Ünï ☃ 12 çhr")

    assert (await founder.me())["actor"]["id"] == founder.id


@pytest.mark.parametrize("member", ["name", "tenant_name"])
async def test_a_name_is_no_way_into_the_mails_headers(town: Town, member: str) -> None:
    evil = email("evil")
    asked = wish(**{member: f"x\r\nBcc: {evil}\r\n\r\nhello"})

    reply = await town.anyone().post(SIGNUP, asked)

    if reply.status_code != 422:
        ok(reply, 202)
        await town.post.token(asked["email"])
    assert town.post.to(evil) == []


@pytest.mark.parametrize("member", ["email", "password", "name", "tenant_name"])
async def test_what_must_be_said_must_be_said(town: Town, member: str) -> None:
    asked = wish()
    asked.pop(member)

    refused(await town.anyone().post(SIGNUP, asked), 422, "invalid")


async def test_a_form_is_no_json(town: Town) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    refused(await town.anyone().call("POST", SIGNUP, raw=b"email=x", headers=form), 415)
    labelled = {"content-type": "application/json"}
    refused(await town.anyone().call("POST", SIGNUP, raw=b'{"email"', headers=labelled), 400)


async def test_an_address_does_not_sign_up_for_ever(town: Town) -> None:
    flood, neighbour = town.anyone(), town.anyone()

    last = await flood.post(SIGNUP, wish())
    for _ in range(STORM):
        if last.status_code != 202:
            break
        last = await flood.post(SIGNUP, wish())

    refused(last, 429)
    assert kind(last) == "quota-exceeded"
    assert int(last.headers["retry-after"]) >= 1
    ok(await neighbour.post(SIGNUP, wish()), 202)


async def test_a_mailbox_is_not_flooded(town: Town) -> None:
    address = email("victim")

    replies = [await town.anyone().post(SIGNUP, wish(email=address)) for _ in range(STORM)]

    assert {reply.status_code for reply in replies} <= {202, 429}
    await town.post.token(address)
    assert len(town.post.to(address)) < STORM / 4, "Somebody else's mailbox was filled."
