"""A second factor: each code counts once."""

import asyncio
from typing import Any

import httpx
import pyotp
import pytest

from crossdock.identity import emails, totp
from tests.beds.signing_in import PASSWORD, Person, SigningInBed, new_address

TOTP = "/v1/auth/totp"


class Phone:
    """An authenticator."""

    def __init__(self, bed: SigningInBed, ann: Person, secret: str) -> None:
        self.bed = bed
        self.ann = ann
        self._totp = pyotp.TOTP(secret)

    async def code(self, steps: int = 0) -> str:
        """Return the code of a step, as many away from the present one by the shard's clock."""
        now = (await self.bed.now()).timestamp()
        return self._totp.generate_otp(int(now // totp.STEP_S) + steps)

    async def forget(self) -> None:
        """Have no code count as used."""
        await self.ann.set(totp_step=None)

    async def wrong(self) -> str:
        """Return six digits that are none of the codes that count."""
        right = {await self.code(steps) for steps in range(-3, 4)}
        return next(f"{at:06}" for at in range(10) if f"{at:06}" not in right)


async def set_up(bed: SigningInBed, ann: Person, pair: Any) -> tuple[Phone, list[str]]:
    """Switch the second factor on; return what makes codes, and the recovery codes."""
    seed = (await ann.call(pair, TOTP, {"password": PASSWORD})).json()
    phone = Phone(bed, ann, seed["secret"])
    answer = await ann.call(pair, f"{TOTP}/confirm", {"code": await phone.code()})
    assert answer.status_code == 200, answer.text
    await phone.forget()
    return phone, answer.json()["recovery_codes"]


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return an answer's status and kind of problem."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


async def test_a_seed_is_shown_once_and_counts_when_confirmed(
    bed: SigningInBed, ann: Person
) -> None:
    pair = await ann.login()
    answer = await ann.call(pair, TOTP, {"password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    seed = answer.json()
    assert seed["uri"].startswith("otpauth://totp/")
    assert seed["secret"] in seed["uri"]
    await ann.login()
    phone = Phone(bed, ann, seed["secret"])
    wrong = await ann.call(pair, f"{TOTP}/confirm", {"code": await phone.wrong()})
    assert wrong.status_code == 403
    answer = await ann.call(pair, f"{TOTP}/confirm", {"code": await phone.code()})
    codes = answer.json()["recovery_codes"]
    assert len(set(codes)) == 10
    assert problem(await ann.try_login()) == (401, "second-factor-required")
    row = await ann.row()
    assert seed["secret"].encode() not in row["totp_sealed"]
    actions = [action for action, _ in await ann.actions()]
    assert "user.totp-setup" in actions
    assert "user.totp-confirm" in actions
    assert "user.totp-confirm.refused" in actions


async def test_signing_in_takes_password_and_code(bed: SigningInBed, ann: Person) -> None:
    phone, _ = await set_up(bed, ann, await ann.login())
    assert problem(await ann.try_login()) == (401, "second-factor-required")
    assert problem(await ann.try_login("the wrong password")) == (401, "unauthenticated")
    wrong = await ann.try_login("the wrong password", code=await phone.code())
    assert problem(wrong) == (401, "unauthenticated")
    assert problem(await ann.try_login(code=await phone.wrong())) == (401, "unauthenticated")
    await ann.login(code=await phone.code())
    assert await ann.refusals("user.login") == ["code-wanted", "password", "password", "code"]


async def test_a_wrong_password_looks_the_same_with_and_without_a_second_factor(
    bed: SigningInBed, ann: Person
) -> None:
    bob = await bed.person()
    await set_up(bed, ann, await ann.login())
    texts = {(await one.try_login("the wrong password")).text for one in (ann, bob)}
    assert len(texts) == 1


async def test_no_code_counts_twice(bed: SigningInBed, ann: Person) -> None:
    phone, _ = await set_up(bed, ann, await ann.login())
    code = await phone.code()
    await ann.login(code=code)
    assert (await ann.try_login(code=code)).status_code == 401
    assert (await ann.try_login(code=await phone.code(-1))).status_code == 401
    await ann.login(code=await phone.code(1))


async def test_the_code_that_confirmed_does_not_count_again(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    seed = (await ann.call(pair, TOTP, {"password": PASSWORD})).json()
    phone = Phone(bed, ann, seed["secret"])
    code = await phone.code()
    await ann.call(pair, f"{TOTP}/confirm", {"code": code})
    assert (await ann.try_login(code=code)).status_code == 401


@pytest.mark.parametrize("kind", ["code", "recovery"])
async def test_of_those_who_use_a_code_at_once_one_gets_in(
    bed: SigningInBed, ann: Person, kind: str
) -> None:
    phone, codes = await set_up(bed, ann, await ann.login())
    code = await phone.code() if kind == "code" else codes[0]
    answers = await asyncio.gather(*(ann.try_login(code=code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_a_recovery_code_counts_once_however_it_is_typed(
    bed: SigningInBed, ann: Person
) -> None:
    _, codes = await set_up(bed, ann, await ann.login())
    await ann.login(code=codes[0].lower().replace("-", " "))
    assert (await ann.try_login(code=codes[0])).status_code == 401
    await ann.login(code=codes[1])
    bob = await bed.person()
    await set_up(bed, bob, await bob.login())
    assert (await bob.try_login(code=codes[2])).status_code == 401


async def test_recovery_codes_are_kept_as_hashes(bed: SigningInBed, ann: Person) -> None:
    _, codes = await set_up(bed, ann, await ann.login())
    kept = await bed.admin.fetch(
        "SELECT hash FROM crossdock.recovery_codes WHERE user_id = $1", ann.id
    )
    assert len(kept) == 10
    assert {len(row["hash"]) for row in kept} == {32}
    assert not {row["hash"] for row in kept} & {code.encode() for code in codes}


async def test_codes_are_not_guessed_even_with_the_password(bed: SigningInBed, ann: Person) -> None:
    phone, _ = await set_up(bed, ann, await ann.login())
    wrong = await phone.wrong()
    for _ in range(10):
        ann.address = new_address()
        assert (await ann.try_login(code=wrong)).status_code == 401
    # Not by the limit on passwords: that one is there for who does not know it.
    await bed.identity.throttle.clear("login account", emails.hash_of(ann.email).hex())
    assert (await ann.try_login(code=await phone.code())).status_code == 429
    assert problem(await ann.try_login()) == (401, "second-factor-required")


async def test_nor_are_they_by_who_is_signed_in(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    phone, _ = await set_up(bed, ann, pair)
    body = {"password": PASSWORD, "code": await phone.wrong()}
    statuses = [(await ann.call(pair, f"{TOTP}/disable", body)).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]


async def test_taking_it_away_needs_password_and_code(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    phone, _ = await set_up(bed, ann, pair)
    for password, code in (
        ("not the password", await phone.code()),
        (PASSWORD, await phone.wrong()),
    ):
        body = {"password": password, "code": code}
        assert (await ann.call(pair, f"{TOTP}/disable", body)).status_code == 403
    assert problem(await ann.try_login()) == (401, "second-factor-required")
    body = {"password": PASSWORD, "code": await phone.code()}
    assert (await ann.call(pair, f"{TOTP}/disable", body)).status_code == 204
    await ann.login()
    assert await ann.refusals("user.totp-disable") == ["password", "code"]
    left = await bed.admin.fetchval(
        "SELECT count(*) FROM crossdock.recovery_codes WHERE user_id = $1", ann.id
    )
    assert left == 0


async def test_other_recovery_codes_end_those_of_before(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    _, codes = await set_up(bed, ann, pair)
    body = {"password": PASSWORD, "code": codes[0]}
    answer = await ann.call(pair, f"{TOTP}/recovery-codes", body)
    assert answer.status_code == 200
    fresh = answer.json()["recovery_codes"]
    assert not set(fresh) & set(codes)
    assert (await ann.try_login(code=codes[1])).status_code == 401
    await ann.login(code=fresh[0])


async def test_a_stolen_token_does_not_replace_the_factor(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await set_up(bed, ann, pair)
    before = (await ann.row())["totp_sealed"]
    assert (await ann.call(pair, TOTP, {"password": "a guess"})).status_code == 403
    assert (await ann.call(pair, TOTP, {"password": PASSWORD})).status_code == 409
    assert (await ann.call(pair, f"{TOTP}/confirm", {"code": "123456"})).status_code == 409
    assert (await ann.row())["totp_sealed"] == before


async def test_without_a_factor_there_is_none_to_take_away(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    body = {"password": PASSWORD, "code": "123456"}
    for path in (f"{TOTP}/disable", f"{TOTP}/recovery-codes"):
        assert (await ann.call(pair, path, body)).status_code == 409
    assert (await ann.call(pair, f"{TOTP}/confirm", {"code": "123456"})).status_code == 409


async def test_each_change_is_mailed(bed: SigningInBed, ann: Person) -> None:
    await set_up(bed, ann, await ann.login())
    letters = await ann.letters("note")
    assert [letter.subject for letter in letters] == [
        f"Your second factor for {ann.slug} was changed"
    ]
