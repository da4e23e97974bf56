"""Another password by mail."""

import asyncio
import re
from hashlib import sha256
from typing import Any

import asyncpg
import httpx
import pytest

from crossdock import ids
from crossdock.access.tokentext import TokenForm
from tests.beds.signing_in import PASSWORD, Person, SigningInBed, new_address

NEW = "a sentence that nobody has said"
_TOKEN = re.compile(r"cdp_test_\w+")


async def ask(bed: SigningInBed, email: str, **more: Any) -> httpx.Response:
    """Ask for a letter."""
    return await bed.post("/v1/auth/password/reset", {"email": email, **more})


async def confirm(bed: SigningInBed, token: str, new: str = NEW) -> httpx.Response:
    """Set a password with a token."""
    return await bed.post("/v1/auth/password/reset/confirm", {"token": token, "new_password": new})


async def tokens(bed: SigningInBed, ann: Person) -> list[str]:
    """Return the tokens that were mailed to somebody, in order."""
    await bed.identity.afterwards.drain()
    letters = await ann.letters("password-reset")
    return [_TOKEN.findall(letter.text)[0] for letter in letters]


async def token_of(bed: SigningInBed, ann: Person) -> str:
    """Ask for a token and return it."""
    assert (await ask(bed, ann.email)).status_code == 202
    return (await tokens(bed, ann))[-1]


async def test_a_token_sets_a_password_and_ends_all_sessions(
    bed: SigningInBed, ann: Person
) -> None:
    pair = await ann.login()
    token = await token_of(bed, ann)
    answer = await confirm(bed, token)
    assert answer.status_code == 204, answer.text
    assert (await ann.get(pair)).status_code == 401
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert (await ann.try_login()).status_code == 401
    await ann.login(NEW)
    assert await bed.outbox_of(ann) == [("user", str(ann.id))]
    assert len(await ann.letters("password-changed")) == 1
    actions = [action for action, _ in await ann.actions()]
    assert actions[1:3] == ["user.password-reset-request", "user.password-reset"]


async def test_a_token_is_good_once(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    assert (await confirm(bed, token)).status_code == 204
    assert (await confirm(bed, token, "yet another sentence entirely")).status_code == 401
    assert await ann.refusals("user.password-reset") == ["token"]
    await ann.login(NEW)


async def test_of_those_who_use_a_token_at_once_one_wins(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    wishes = [f"{NEW} {at}" for at in range(6)]
    answers = await asyncio.gather(*(confirm(bed, token, wish) for wish in wishes))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [204] + [401] * 5
    await ann.login(wishes[statuses.index(204)])


async def test_the_other_tokens_end_with_the_first_that_is_used(
    bed: SigningInBed, ann: Person
) -> None:
    first, second = await token_of(bed, ann), await token_of(bed, ann)
    assert (await confirm(bed, second)).status_code == 204
    assert (await confirm(bed, first)).status_code == 401


async def test_a_changed_password_ends_the_tokens(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert (await ann.call(await ann.login(), "/v1/auth/password", body)).status_code == 200
    assert (await confirm(bed, token)).status_code == 401


async def test_a_token_lives_half_an_hour(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    life = await bed.admin.fetchval(
        "SELECT expires_at - created_at FROM crossdock.password_resets WHERE user_id = $1", ann.id
    )
    assert abs(life.total_seconds() - 1800) < 1
    await bed.admin.execute(
        "UPDATE crossdock.password_resets SET expires_at = now() WHERE user_id = $1", ann.id
    )
    assert (await confirm(bed, token)).status_code == 401
    await ann.login()


async def test_a_poor_password_does_not_use_the_token_up(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    assert (await confirm(bed, token, "short")).status_code == 422
    assert (await confirm(bed, token)).status_code == 204


async def test_only_hashes_of_tokens_are_kept(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    secret = TokenForm("cdp").parse(token, "test")[2]
    kept = await bed.admin.fetchval(
        "SELECT hash FROM crossdock.password_resets WHERE user_id = $1", ann.id
    )
    assert kept == sha256(secret).digest() != secret


async def test_a_made_up_token_opens_nothing(bed: SigningInBed, ann: Person) -> None:
    token = await token_of(bed, ann)
    bob = await bed.person()
    form = TokenForm("cdp")
    tenant_id, user_id, secret = form.parse(token, "test")
    made_up = [
        "x",
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        form.format("prod", tenant_id, user_id, secret),
        form.format("test", bob.tenant_id, bob.id, secret),
        form.format("test", tenant_id, bob.id, secret),
        form.format("test", tenant_id, ids.new(), secret),
        form.format("test", ids.new(), user_id, secret),
        form.format("test", tenant_id, user_id, bytes(32)),
    ]
    answers = [await confirm(bed, one) for one in made_up]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    await bob.login()
    assert (await confirm(bed, token)).status_code == 204


async def test_the_answer_does_not_tell_who_has_an_account(bed: SigningInBed, ann: Person) -> None:
    disabled, suspended = await bed.person(), await bed.person()
    await disabled.set(state="disabled")
    await suspended.set_tenant(state="suspended")
    answers = [
        await ask(bed, ann.email),
        await ask(bed, f"not-{ann.email}"),
        await ask(bed, ann.email, tenant="no-such-tenant"),
        await ask(bed, disabled.email),
        await ask(bed, suspended.email),
    ]
    seen = {(one.status_code, one.text, str(sorted(one.headers.items()))) for one in answers}
    assert len(seen) == 1
    assert answers[0].status_code == 202
    assert len(await tokens(bed, ann)) == 1
    assert not await tokens(bed, disabled)
    assert not await tokens(bed, suspended)


async def test_the_answer_comes_before_anybody_looks(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    """So its time can't tell either. Here the look-up waits, and the answer is there."""
    async with second_admin.transaction():
        await second_admin.execute("LOCK crossdock.logins IN ACCESS EXCLUSIVE MODE")
        assert (await ask(bed, ann.email)).status_code == 202
        await bed.until_somebody_waits()
        assert not await ann.letters("password-reset")
    assert len(await tokens(bed, ann)) == 1


async def test_an_address_of_several_tenants_gets_a_letter_for_each(bed: SigningInBed) -> None:
    ann = await bed.person()
    elsewhere = await bed.person(email=ann.email)
    await ask(bed, ann.email)
    assert [len(await tokens(bed, one)) for one in (ann, elsewhere)] == [1, 1]
    await ask(bed, ann.email, tenant=elsewhere.slug)
    assert [len(await tokens(bed, one)) for one in (ann, elsewhere)] == [1, 2]
    assert (await confirm(bed, (await tokens(bed, elsewhere))[0])).status_code == 204
    await ann.login()


@pytest.mark.parametrize("known", [True, False])
async def test_nobody_is_buried_in_letters(bed: SigningInBed, ann: Person, *, known: bool) -> None:
    email = ann.email if known else f"not-{ann.email}"
    statuses = [(await ask(bed, email)).status_code for _ in range(5)]
    assert statuses == [202, 202, 202, 429, 429]
    assert len(await tokens(bed, ann)) == (3 if known else 0)


async def test_tokens_are_not_guessed_in_a_loop(bed: SigningInBed) -> None:
    address = new_address()
    body = {"token": "x", "new_password": NEW}
    statuses = set()
    for _ in range(40):
        answer = await bed.post("/v1/auth/password/reset/confirm", body, address=address)
        statuses.add(answer.status_code)
    assert statuses == {401, 429}


async def test_a_reset_lets_in_whom_guessers_had_locked_out(bed: SigningInBed, ann: Person) -> None:
    for _ in range(11):
        await bed.post("/v1/auth/login", {"email": ann.email, "password": "a guess"})
    assert (await ann.try_login()).status_code == 429
    await confirm(bed, await token_of(bed, ann))
    await ann.login(NEW)


async def test_a_reset_does_not_get_around_the_second_factor(
    bed: SigningInBed, ann: Person
) -> None:
    await ann.set(totp_sealed=b"sealed", totp_confirmed_at=await bed.now())
    await confirm(bed, await token_of(bed, ann))
    answer = await ann.try_login(NEW)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/second-factor-required"
