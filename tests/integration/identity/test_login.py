"""Signing in, and everything that is no signing in."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher

from crossdock import ids
from crossdock.db import Databases
from crossdock.db.control import PLATFORM
from tests.beds.signing_in import PASSWORD, Person, SigningInBed, new_address

WEAK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def nobody() -> str:
    """Return an address that has no account, and that nobody has tried yet."""
    return f"nobody-{ids.new().hex}@example.com"


async def test_a_right_password_begins_a_session(bed: SigningInBed, ann: Person) -> None:
    answer = await ann.try_login()
    assert answer.status_code == 200, answer.text
    pair = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert pair["token_type"] == "Bearer"
    assert pair["expires_in"] == 600
    me = await ann.get(pair)
    assert me.status_code == 200, me.text
    assert me.json()["actor"]["email"] == ann.email
    assert me.json()["tenant"]["slug"] == ann.slug
    assert me.json()["roles"] == ["owner"]
    assert "sources:write" in me.json()["permissions"]
    assert [action for action, _ in await ann.actions()] == ["user.login"]
    logged_in = await bed.admin.fetchval(
        "SELECT last_login_at FROM crossdock.users WHERE id = $1", ann.id
    )
    assert logged_in is not None


async def wrong_password(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    return {"email": ann.email, "password": "something else altogether"}


async def no_such_address(bed: SigningInBed) -> dict[str, Any]:
    return {"email": nobody(), "password": PASSWORD}


async def no_such_address_in_a_tenant(bed: SigningInBed) -> dict[str, Any]:
    return {"email": nobody(), "password": PASSWORD, "tenant": (await bed.person()).slug}


async def no_such_tenant(bed: SigningInBed) -> dict[str, Any]:
    return {"email": (await bed.person()).email, "password": PASSWORD, "tenant": "no-such-tenant"}


async def somebody_elses_tenant(bed: SigningInBed) -> dict[str, Any]:
    ann, bob = await bed.person(), await bed.person()
    return {"email": ann.email, "password": PASSWORD, "tenant": bob.slug}


async def several_tenants(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await bed.person(email=ann.email)
    return {"email": ann.email, "password": PASSWORD}


async def disabled(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set(state="disabled")
    return {"email": ann.email, "password": PASSWORD}


async def no_password(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person(has_password=False)
    return {"email": ann.email, "password": PASSWORD}


async def provisioning(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set_tenant(state="provisioning")
    return {"email": ann.email, "password": PASSWORD}


async def terminated(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set_tenant(state="terminated")
    return {"email": ann.email, "password": PASSWORD}


async def suspended_and_wrong(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set_tenant(state="suspended")
    return {"email": ann.email, "password": "something else altogether"}


async def second_factor_and_wrong(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set(totp_sealed=b"sealed", totp_confirmed_at=await bed.now())
    return {"email": ann.email, "password": "something else altogether"}


async def address_changed(bed: SigningInBed) -> dict[str, Any]:
    ann = await bed.person()
    await ann.set(email=f"new-{ann.email}")
    return {"email": ann.email, "password": PASSWORD}


WAYS = [
    wrong_password,
    no_such_address,
    no_such_address_in_a_tenant,
    no_such_tenant,
    somebody_elses_tenant,
    several_tenants,
    disabled,
    no_password,
    provisioning,
    terminated,
    suspended_and_wrong,
    second_factor_and_wrong,
    address_changed,
]
Way = Callable[[SigningInBed], Awaitable[dict[str, Any]]]


def seen(answer: httpx.Response) -> Any:
    """Return all that a stranger sees of an answer."""
    return answer.status_code, answer.json(), sorted(answer.headers.items())


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_being_wrong_gets_one_answer(bed: SigningInBed, way: Way) -> None:
    expected = await bed.post("/v1/auth/login", {"email": nobody(), "password": "of nobody at all"})
    assert expected.status_code == 401
    assert expected.json()["type"] == "/problems/unauthenticated"
    answer = await bed.post("/v1/auth/login", await way(bed))
    assert seen(answer) == seen(expected)


class Work:
    """What a try costs, counted where it is done."""

    def __init__(self, bed: SigningInBed, monkeypatch: pytest.MonkeyPatch) -> None:
        self._hasher = bed.identity.hasher
        self.entered: list[str] = []
        for name in ("tenant", "control"):
            monkeypatch.setattr(Databases, name, self._counted(name, getattr(Databases, name)))

    def _counted(self, name: str, door: Any) -> Any:
        def counted(*args: Any) -> AbstractAsyncContextManager[Any]:
            self.entered.append(name)
            found: AbstractAsyncContextManager[Any] = door(*args)
            return found

        return counted

    async def of(self, bed: SigningInBed, body: dict[str, Any]) -> tuple[int, list[str]]:
        """Return the passwords hashed and the transactions begun by a try."""
        self.entered.clear()
        before = self._hasher._numbers
        assert (await bed.post("/v1/auth/login", body)).status_code == 401
        return self._hasher._numbers - before, list(self.entered)


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_being_wrong_is_the_same_work(
    bed: SigningInBed, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the clock, which would be a matter of luck, but by what takes the time."""
    body = await way(bed)
    work = Work(bed, monkeypatch)
    hashes, entered = await work.of(bed, body)
    assert hashes == 1
    if way in {disabled, provisioning, terminated}:  # whose password was right: nobody learns
        entered.remove("tenant")
    expected = await work.of(bed, {"email": nobody(), "password": "of nobody at all"})
    assert (hashes, entered) == expected
    assert expected == (1, ["control", "control", "control", "tenant", "tenant"])


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (wrong_password, "password"),
        (disabled, "disabled"),
        (no_password, "password"),
        (provisioning, "provisioning"),
        (suspended_and_wrong, "password"),
    ],
)
async def test_a_refusal_is_in_the_audit_of_its_tenant(
    bed: SigningInBed, way: Way, reason: str
) -> None:
    body, address = await way(bed), new_address()
    await bed.post("/v1/auth/login", body, address=address)
    rows = await bed.admin.fetch(
        "SELECT a.actor_kind, a.detail->>'reason' AS reason, a.address"
        " FROM crossdock.audit AS a JOIN crossdock.users AS u USING (tenant_id)"
        " WHERE u.email = $1 AND a.action = 'user.login.refused'",
        body["email"],
    )
    assert [tuple(row) for row in rows] == [("anonymous", reason, address)]


async def test_a_refusal_of_nobody_is_in_the_audit_of_the_platform(bed: SigningInBed) -> None:
    address = new_address()
    await bed.post("/v1/auth/login", {"email": nobody(), "password": PASSWORD}, address=address)
    row = await bed.admin.fetchrow(
        "SELECT action, target, detail::text FROM crossdock.audit"
        " WHERE tenant_id = $1 AND address = $2",
        PLATFORM,
        address,
    )
    assert tuple(row) == ("user.login.refused", None, '{"reason": "unknown"}')


async def test_who_knows_the_password_is_told_of_the_suspension(
    bed: SigningInBed, ann: Person
) -> None:
    await ann.set_tenant(state="suspended")
    answer = await ann.try_login()
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/tenant-suspended"
    assert await ann.refusals("user.login") == ["suspended"]
    await ann.set_tenant(state="active")
    await ann.login()


async def test_a_tenant_that_ends_can_be_read_and_no_more(bed: SigningInBed, ann: Person) -> None:
    await ann.set_tenant(state="terminating")
    pair = await ann.login()
    assert (await ann.get(pair, "/v1/sources")).status_code == 200
    answer = await ann.call(pair, "/v1/sources", {"name": "x", "scheme": "none"})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/tenant-suspended"


async def test_an_address_is_the_same_however_it_is_typed(bed: SigningInBed, ann: Person) -> None:
    await ann.login(email=ann.email.upper())


async def test_an_address_of_several_tenants_needs_the_tenants_name(bed: SigningInBed) -> None:
    ann = await bed.person()
    elsewhere = await bed.person(email=ann.email)
    assert (await ann.try_login(tenant=None)).status_code == 401
    for one in (ann, elsewhere):
        me = await one.get(await one.login())
        assert me.json()["tenant"]["slug"] == one.slug


async def test_a_code_that_nobody_asked_for_is_not_looked_at(ann: Person) -> None:
    await ann.login(code="123456")


@pytest.mark.parametrize("known", [True, False])
async def test_an_account_takes_ten_wrong_passwords_from_wherever(
    bed: SigningInBed, ann: Person, *, known: bool
) -> None:
    email = ann.email if known else f"not-{ann.email}"
    for _ in range(10):
        answer = await bed.post("/v1/auth/login", {"email": email, "password": "no " * 5})
        assert answer.status_code == 401
    answer = await bed.post("/v1/auth/login", {"email": email, "password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    refusals = await ann.refusals("user.login")
    assert refusals == (["password"] * 10 if known else [])


async def test_guesses_at_the_same_moment_count_one_by_one(bed: SigningInBed, ann: Person) -> None:
    body = {"email": ann.email, "password": "a guess of many"}
    answers = await asyncio.gather(*(bed.post("/v1/auth/login", body) for _ in range(40)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(429) == 30
    assert statuses.count(401) == 10


async def test_an_address_may_try_so_many_accounts(bed: SigningInBed) -> None:
    address = new_address()
    bodies = [{"email": f"x{at}@example.com", "password": "guess"} for at in range(40)]
    tries = [bed.post("/v1/auth/login", body, address=address) for body in bodies]
    refused = [answer for answer in await asyncio.gather(*tries) if answer.status_code == 429]
    assert len(refused) >= 8  # a try or two come back while the others run
    assert "retry-after" in refused[0].headers


async def test_an_ipv6_customer_is_one_address(bed: SigningInBed) -> None:
    statuses = set()
    for at in range(40):
        body = {"email": f"six{at}@example.com", "password": "guess"}
        answer = await bed.post("/v1/auth/login", body, address=f"2001:db8:7:7::{at:x}")
        statuses.add(answer.status_code)
        if 429 in statuses:
            break
    assert 429 in statuses


async def test_the_right_password_forgets_the_wrong_ones(bed: SigningInBed, ann: Person) -> None:
    for _ in range(2):
        for _ in range(9):
            assert (await ann.try_login("not the right one")).status_code == 401
            ann.address = new_address()
        await ann.login()


@asynccontextmanager
async def full_line(bed: SigningInBed) -> AsyncIterator[None]:
    """Have as many passwords wait as may, and the one that is at work take its time."""
    hasher = bed.identity.hasher
    await hasher.dummy()
    assert hasher.pid is not None
    os.kill(hasher.pid, signal.SIGSTOP)
    others = [asyncio.create_task(hasher.dummy())]
    while not hasher.waiting:  # it has joined the line
        await asyncio.sleep(0)
    while hasher.waiting:  # and is at work
        await asyncio.sleep(0)
    others += [asyncio.create_task(hasher.dummy()) for _ in range(hasher._limit)]
    while hasher.waiting < hasher._limit:
        await asyncio.sleep(0)
    try:
        yield
    finally:
        os.kill(hasher.pid, signal.SIGCONT)
        await asyncio.gather(*others)


async def test_a_full_line_turns_everybody_away_alike_before_anybody_looks(
    bed: SigningInBed, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with full_line(bed):
        work = Work(bed, monkeypatch)
        bodies = [{"email": email, "password": PASSWORD} for email in (ann.email, nobody())]
        answers = [await bed.post("/v1/auth/login", body) for body in bodies]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["type"] == "/problems/busy"
    assert int(answers[0].headers["retry-after"]) >= 1
    assert not work.entered


async def test_a_line_that_fills_meanwhile_turns_everybody_away_alike(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    async with second_admin.transaction():
        await second_admin.execute("LOCK crossdock.logins IN ACCESS EXCLUSIVE MODE")
        bodies = [{"email": email, "password": PASSWORD} for email in (ann.email, nobody())]
        trying = [asyncio.create_task(bed.post("/v1/auth/login", body)) for body in bodies]
        await bed.until_somebody_waits(2)
        filled = full_line(bed)
        await filled.__aenter__()
    answers = await asyncio.gather(*trying)
    await filled.__aexit__(None, None, None)
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json() == answers[1].json()


async def test_a_password_is_hashed_anew_where_hashes_have_become_dearer(
    bed: SigningInBed, ann: Person
) -> None:
    await ann.set(password_hash=WEAK.hash(PASSWORD))
    await ann.login()
    kept = await bed.admin.fetchval(
        "SELECT password_hash FROM crossdock.users WHERE id = $1", ann.id
    )
    assert not bed.identity.hasher.needs_rehash(kept)
    await ann.login()


async def test_a_password_that_changes_meanwhile_is_the_one_that_counts(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    transaction = second_admin.transaction()
    await transaction.start()
    await second_admin.execute(
        "UPDATE crossdock.users SET password_hash = $2 WHERE id = $1",
        ann.id,
        WEAK.hash("another one, set at this very moment"),
    )
    trying = asyncio.create_task(ann.try_login())
    await bed.until_somebody_waits()
    await transaction.commit()
    assert (await trying).status_code == 401
    assert await ann.refusals("user.login") == ["password"]


async def test_a_user_who_is_disabled_meanwhile_does_not_get_in(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    transaction = second_admin.transaction()
    await transaction.start()
    await second_admin.execute(
        "UPDATE crossdock.users SET state = 'disabled' WHERE id = $1", ann.id
    )
    trying = asyncio.create_task(ann.try_login())
    await bed.until_somebody_waits()
    await transaction.commit()
    assert (await trying).status_code == 401


@pytest.mark.parametrize(
    "extra",
    [
        {"tenant_id": "ten_00000000000000000000000000"},
        {"role": "owner"},
        {"roles": ["platform-admin"]},
        {"plan": "unlimited"},
        {"user_id": str(UUID(int=1))},
        {"permissions": ["tenants:write"]},
    ],
)
async def test_nobody_assigns_themselves_anything(
    bed: SigningInBed, ann: Person, extra: dict[str, Any]
) -> None:
    pair = await ann.login()
    answers = [
        await ann.try_login(**extra),
        await bed.post("/v1/auth/refresh", {"refresh_token": pair["refresh_token"], **extra}),
        await bed.post("/v1/auth/password/reset", {"email": ann.email, **extra}),
        await bed.post(
            "/v1/auth/password/reset/confirm", {"token": "x", "new_password": PASSWORD, **extra}
        ),
        await ann.call(
            pair,
            "/v1/auth/password",
            {"current_password": PASSWORD, "new_password": "x" * 20, **extra},
        ),
        await ann.call(pair, "/v1/auth/totp", {"password": PASSWORD, **extra}),
        await ann.call(pair, "/v1/auth/totp/confirm", {"code": "123456", **extra}),
    ]
    assert [answer.status_code for answer in answers] == [422] * len(answers)
    me = (await ann.get(pair)).json()
    assert (me["roles"], me["tenant"]["slug"]) == (["owner"], ann.slug)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"email": "no address"}, "/email"),
        ({"email": "x" * 400 + "@example.com"}, "/email"),
        ({"email": ""}, "/email"),
        ({"password": "x" * 1025}, "/password"),
        ({"tenant": "x" * 64}, "/tenant"),
        ({"code": "1" * 65}, "/code"),
        ({"code": 123456}, "/code"),
    ],
)
async def test_what_can_be_no_login_is_told_so(
    bed: SigningInBed, change: dict[str, Any], pointer: str
) -> None:
    body = {"email": nobody(), "password": PASSWORD} | change
    answer = await bed.post("/v1/auth/login", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_odd_text_is_wrong_and_breaks_nothing(bed: SigningInBed, ann: Person) -> None:
    for odd in ("' OR 1=1 --", "\u0000"[:0] + "\u202e", "pässwörd" * 20, "🗝" * 100):
        assert (await ann.try_login(odd)).status_code == 401
    answer = await bed.post("/v1/auth/login", {"email": ann.email, "password": "a\u0000b"})
    assert answer.status_code == 422


async def test_the_session_shows_where_it_began(bed: SigningInBed, ann: Person) -> None:
    body = {"email": ann.email, "password": PASSWORD}
    agent = b"Mozilla\t5.0 \x07" + b"x" * 400
    answer = await bed.post(
        "/v1/auth/login", body, address=ann.address, headers={"user-agent": agent}
    )
    session = (await ann.get(answer.json(), "/v1/auth/sessions")).json()["items"][0]
    assert session["address"] == ann.address
    assert session["user_agent"].startswith("Mozilla 5.0 x")
    assert len(session["user_agent"]) <= 256
    assert session["user_agent"].isprintable()
