"""Signing up: one tenant of one token, whoever else is in a hurry, and whatever breaks off."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest
from msgspec.structs import replace

from crossdock import ids
from crossdock.access.users import store as users_store
from crossdock.config import IdentitySettings, Settings
from crossdock.db import Databases
from crossdock.errors import Conflict, CrossdockError, Invalid, SignupClosed, TooManyRequests
from crossdock.identity import emails
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.passwords import PasswordPolicy
from crossdock.identity.throttle import Throttle
from crossdock.mail.letters import Letters, token_of
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.model import Joined
from crossdock.tenancy.service import Tenants
from crossdock.tenancy.signup import Founder, Signups, store
from crossdock.tenancy.signup.model import Form

PASSWORD: Final = "correct horse battery staple"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
async def hasher() -> AsyncIterator[PasswordHasher]:
    found = PasswordHasher()
    yield found
    await found.close()


@pytest.fixture(scope="module")
def postbox(settings: Settings) -> Postbox:
    return Postbox(Sealer.from_text(settings.keys.mail, setting="x"))


@pytest.fixture(scope="module")
def make_signups(
    database: Databases, hasher: PasswordHasher, postbox: Postbox
) -> Callable[..., Signups]:
    """Makes the service."""

    def make(clock: Clock | None = None, **settings: Any) -> Signups:
        return Signups(
            database,
            settings=IdentitySettings(**settings),
            hasher=hasher,
            policy=PasswordPolicy(),
            throttle=Throttle(database),
            postbox=postbox,
            letters=Letters("http://x"),
            clock=clock or Clock(),
        )

    return make


@pytest.fixture(scope="module")
def signups(make_signups: Callable[..., Signups]) -> Signups:
    return make_signups()


def form(**more: Any) -> Form:
    unique = ids.new().hex
    wish = {
        "email": f"{unique}@example.com",
        "password": PASSWORD,
        "name": "Frida",
        "tenant_name": "Acme",
        "slug": f"s-{unique}",
    }
    return Form(**(wish | more))


def address() -> str:
    """Return one that nobody else has used."""
    return f"2001:db8:{ids.new().hex[-4:]}:{ids.new().hex[-4:]}::1"


class Desk:
    """Signs up, and reads the letters."""

    def __init__(self, signups: Signups, postbox: Postbox, admin: asyncpg.Connection) -> None:
        self.signups = signups
        self._postbox = postbox
        self._admin = admin

    async def token(self, wish: Form) -> str:
        """Sign up and return the letter's token."""
        await self.signups.begin(wish, address=address())
        return await self.letter(wish)

    async def letter(self, wish: Form) -> str:
        rows = await self._admin.fetch(
            "SELECT m.tenant_id, m.id, m.sealed FROM crossdock.mails AS m"
            " JOIN crossdock.signups AS s ON s.tenant_id = m.tenant_id WHERE s.email = $1"
            " ORDER BY m.id DESC",
            emails.normalise(wish.email),
        )
        mail = self._postbox.open(rows[0]["tenant_id"], rows[0]["id"], rows[0]["sealed"])
        assert mail.to == emails.normalise(wish.email)
        assert wish.password not in mail.text
        token = token_of(mail.text)
        assert token is not None
        return token

    async def verify(self, token: str, **more: Any) -> Joined:
        return await self.signups.verify(token, address=address(), **more)

    async def rows(self, table: str, tenant_id: Any) -> list[dict[str, Any]]:
        query = f"SELECT * FROM crossdock.{table} WHERE tenant_id = $1"  # noqa: S608
        return [dict(row) for row in await self._admin.fetch(query, tenant_id)]


@pytest.fixture(scope="module")
def desk(signups: Signups, postbox: Postbox, admin: asyncpg.Connection) -> Desk:
    return Desk(signups, postbox, admin)


async def test_a_proven_address_makes_a_tenant_and_its_owner(
    desk: Desk, tenants: Tenants, hasher: PasswordHasher
) -> None:
    wish = form(email=f"Frida.{ids.new().hex}@Example.COM")
    token = await desk.token(wish)
    assert await _find(tenants, wish) is None, "Nothing is there before the address is proven."
    made = await desk.verify(token)

    tenant = await tenants.find(wish.slug or "")
    assert (tenant.id, tenant.state, tenant.plan) == (made.tenant_id, "active", "free")
    (user,) = await desk.rows("users", made.tenant_id)
    assert (user["id"], user["email"]) == (made.user_id, wish.email.lower())
    assert (user["roles"], user["state"]) == (["owner"], "active")
    assert await hasher.verify(user["password_hash"], PASSWORD)
    (login,) = await desk.rows("logins", made.tenant_id)
    assert login["email_hash"] == emails.hash_of(wish.email.lower())
    entries = await desk.rows("audit", made.tenant_id)
    assert {entry["action"] for entry in entries} == {"tenant.create", "user.create"}
    assert {entry["actor_id"] for entry in entries} == {made.user_id}


async def test_of_those_who_send_one_token_at_once_one_hears_of_the_tenant(desk: Desk) -> None:
    token = await desk.token(form())
    outcomes = await asyncio.gather(*(desk.verify(token) for _ in range(6)), return_exceptions=True)
    made = [one for one in outcomes if isinstance(one, Joined)]
    assert len(made) == 1, outcomes
    assert sum(isinstance(one, Conflict) for one in outcomes) == 5
    for table in ("users", "logins", "placements"):
        assert len(await desk.rows(table, made[0].tenant_id)) == 1
    assert len(await desk.rows("audit", made[0].tenant_id)) == 2
    with pytest.raises(Conflict, match="Sign in"):
        await desk.verify(token)


async def test_of_two_who_want_one_slug_the_other_goes_on_with_another(desk: Desk) -> None:
    first, second = form(), form()
    second = replace(second, slug=first.slug)
    tokens = [await desk.token(first), await desk.token(second)]
    outcomes = await asyncio.gather(*map(desk.verify, tokens), return_exceptions=True)
    lost = [
        token
        for token, outcome in zip(tokens, outcomes, strict=True)
        if isinstance(outcome, Conflict)
    ]
    assert len(lost) == 1, outcomes
    assert sum(isinstance(outcome, Joined) for outcome in outcomes) == 1
    with pytest.raises(Conflict, match="another `slug` beside it"):
        await desk.verify(lost[0])
    with pytest.raises(Invalid):
        await desk.verify(lost[0], slug="www")
    other = f"{first.slug}-2"
    assert (await desk.verify(lost[0], slug=other)).slug == other


async def test_a_slug_that_is_taken_is_refused_at_once_and_none_is_made_apart(desk: Desk) -> None:
    name = f"Name {ids.new().hex}"
    one = await desk.verify(await desk.token(form(slug=None, tenant_name=name)))
    other = await desk.verify(await desk.token(form(slug=None, tenant_name=name)))
    assert one.slug == name.lower().replace(" ", "-")
    assert other.slug.startswith(f"{one.slug}-")
    with pytest.raises(Conflict):
        await desk.token(form(slug=one.slug))


class _BrokeOff(CrossdockError):
    """As if the process had ended here."""


@pytest.mark.parametrize("broken", ["founding", "add_owner", "add_login", "mark_verified"])
async def test_what_broke_off_is_finished_by_the_same_token(
    desk: Desk, database: Databases, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    wish = form()
    token = await desk.token(wish)

    def break_off(*_: Any) -> Any:
        raise _BrokeOff

    with monkeypatch.context() as patch:
        places: dict[str, Any] = {"founding": database.shard(0), "add_login": users_store}
        subject = places.get(broken, store)
        patch.setattr(subject, broken, break_off)
        with pytest.raises(_BrokeOff):
            await desk.verify(token)
    rival = form(slug=None)
    with pytest.raises(Conflict):
        await desk.verify(await desk.token(rival), slug=wish.slug)
    made = await desk.verify(token)
    assert made.slug == wish.slug
    for table in ("users", "logins", "placements"):
        assert len(await desk.rows(table, made.tenant_id)) == 1
    assert len(await desk.rows("audit", made.tenant_id)) == 2


async def test_what_broke_off_and_was_left_is_finished_by_a_worker(
    desk: Desk,
    database: Databases,
    tenants: Tenants,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wish, unproven = form(), form()
    token = await desk.token(wish)
    await desk.token(unproven)

    def break_off(*_: Any) -> Any:
        raise _BrokeOff

    with monkeypatch.context() as patch:
        patch.setattr(users_store, "add_login", break_off)
        with pytest.raises(_BrokeOff):
            await desk.verify(token)
    later = Clock()
    later.now += timedelta(days=3)
    cleaner = Founder(database, clock=later)
    await cleaner.forget()
    tenant = await tenants.find(wish.slug or "")
    assert len(await desk.rows("logins", tenant.id)) == 1
    assert await _find(tenants, unproven) is None
    await cleaner.forget()
    assert await desk.rows("signups", tenant.id) == []


async def test_a_token_ends(
    make_signups: Callable[..., Signups], postbox: Postbox, admin: asyncpg.Connection
) -> None:
    clock = Clock()
    desk = Desk(make_signups(clock, signup_ttl_s=60), postbox, admin)
    token = await desk.token(form())
    clock.now += timedelta(seconds=61)
    with pytest.raises(Invalid, match=r"expired\. Sign up again"):
        await desk.verify(token)
    with pytest.raises(Invalid, match="none"):
        await desk.verify("a" * 43)


async def test_where_signing_up_is_closed_nobody_does(make_signups: Callable[..., Signups]) -> None:
    closed = make_signups(signup_open=False)
    with pytest.raises(SignupClosed):
        await closed.begin(form(), address=address())
    with pytest.raises(SignupClosed):
        await closed.verify("a" * 43, address=address())


async def test_a_known_address_is_answered_like_any_other(desk: Desk) -> None:
    known = form()
    await desk.verify(await desk.token(known))
    more = form(email=known.email.upper())
    again = await desk.token(more)
    assert (await desk.verify(again, password=more.password)).email == known.email


async def test_a_strangers_signup_is_not_taken_for_ones_own(desk: Desk) -> None:
    """Whoever verified it would own a tenant whose password the stranger knows."""
    mine = form()
    theirs = form(email=mine.email, password="a password that thieves chose")
    strange = await desk.token(theirs)
    own = await desk.token(mine)
    for token, password in ((strange, None), (own, None), (strange, mine.password), (own, "no")):
        with pytest.raises(Invalid) as caught:
            await desk.verify(token, password=password)
        assert [one.pointer for one in caught.value.violations] == ["/password"]
    assert (await desk.verify(own, password=mine.password)).slug == mine.slug
    with pytest.raises(Invalid, match="more than once"):
        await desk.verify(strange, password=mine.password)
    with pytest.raises(Conflict, match="was verified"):
        await desk.verify(own)


async def test_nobody_signs_up_for_ever(desk: Desk) -> None:
    here, victim = address(), form().email
    with pytest.raises(TooManyRequests) as error:  # noqa: PT012 - whichever try it is
        for _ in range(40):
            with pytest.raises(Invalid):
                await desk.signups.begin(form(password="short"), address=here)
    assert error.value.retry_after_s > 0
    letters = 0
    with pytest.raises(TooManyRequests):  # noqa: PT012
        for _ in range(10):
            await desk.signups.begin(form(email=victim), address=address())
            letters += 1
    assert 1 <= letters <= 5


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"email": "x"}, "/email"),
        ({"password": "short"}, "/password"),
        ({"slug": "platform"}, "/slug"),
        ({"slug": "ab"}, "/slug"),
        ({"slug": "A B"}, "/slug"),
        ({"name": "a\nb"}, "/name"),
        ({"tenant_name": "a\r\nBcc: x"}, "/tenant_name"),
    ],
)
async def test_what_will_not_do_is_said_where_it_is(
    signups: Signups, wrong: dict[str, str], pointer: str
) -> None:
    with pytest.raises(Invalid) as error:
        await signups.begin(form(**wrong), address=address())
    assert error.value.violations[0].pointer == pointer


async def _find(tenants: Tenants, wish: Form) -> Any:
    return next((one for one in await tenants.all() if one.placement.slug == wish.slug), None)
