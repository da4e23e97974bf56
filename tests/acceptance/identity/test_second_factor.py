"""A second factor: enrolled with care, asked for at sign-in, each code once, a way back in."""

import asyncio
import base64
import hashlib
import hmac
import struct
from collections.abc import Iterator
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.acceptance.identity.people import Person, Session, Town, password, unauthenticated
from tests.acceptance.identity.problems import kind, ok, refused, refused_anyhow, told
from tests.faults.waiting import until

TOTP = "/v1/auth/totp"
STEP_S = 30
STORM = 40


def code_at(secret: str, step: int) -> str:
    """Return the code of a step (RFC 6238)."""
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(raw, struct.pack(">Q", step), hashlib.sha1)
    place = mac[-1] & 15
    number = struct.unpack(">I", mac[place : place + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class Phone:
    """An authenticator app, whose owner never types a code twice."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._last = 0

    async def code(self) -> str:
        """Return a code that is good and was not used: of this step, or of a neighbour."""

        def unused() -> int | None:
            now = int(time()) // STEP_S
            return next((step for step in (now - 1, now, now + 1) if step > self._last), None)

        step = await until(unused, "the next code", within=STEP_S + 5)
        assert step is not None
        self._last = step
        return code_at(self.secret, step)

    def wrong(self) -> str:
        """Return a code that is not good at all now."""
        now = int(time()) // STEP_S
        near = {code_at(self.secret, step) for step in range(now - 20, now + 21)}
        return next(code for code in _numbers() if code not in near)


def _numbers() -> Iterator[str]:
    return (f"{n:06}" for n in range(123456, 1_000_000))


async def enrol(person: Person) -> tuple[Phone, list[str]]:
    """Turn it on; return the phone and the recovery codes."""
    begun = ok(await person.rest.post(TOTP, {"password": person.password}), 200)
    phone = Phone(begun["secret"])
    told_ = ok(await person.rest.post(f"{TOTP}/confirm", {"code": await phone.code()}), 200)
    return phone, told_["recovery_codes"]


async def test_a_code_is_asked_for_once_it_is_on(town: Town) -> None:
    founder = await town.founder()
    begun = ok(await founder.rest.post(TOTP, {"password": founder.password}), 200)
    assert (await founder.try_login()).status_code == 200, "Not before it is confirmed."
    phone = Phone(begun["secret"])
    uri = urlsplit(begun["uri"])
    confirmed = await founder.rest.post(f"{TOTP}/confirm", {"code": await phone.code()})
    codes = ok(confirmed, 200)["recovery_codes"]

    without = await founder.try_login()
    wrong = await founder.try_login(code=phone.wrong())
    right = await founder.try_login(code=await phone.code())

    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query)["secret"] == [begun["secret"]]
    assert len(set(codes)) == len(codes) >= 8
    refused(without, 401, "second-factor-required")
    refused(wrong, 401)
    session = Session(town, ok(right, 200))
    ok(await session.rest.get("/v1/auth/me"))
    await session.renew()


async def test_it_is_not_said_before_the_password_is_right(town: Town) -> None:
    founder = await town.founder()
    phone, codes = await enrol(founder)
    plain = await town.founder()

    for more in ({}, {"code": await phone.code()}, {"code": codes[0]}):
        reply = await founder.try_login(password="not the right one", **more)
        other = await plain.try_login(password="not the right one", **more)
        unauthenticated(reply)
        assert reply.json()["detail"] == other.json()["detail"]
    # None of these used a code up.
    ok(await founder.try_login(code=codes[0]), 200)


async def test_a_code_is_good_once(town: Town) -> None:
    founder = await town.founder()
    phone, _ = await enrol(founder)
    code = await phone.code()

    replies = await asyncio.gather(*(founder.try_login(code=code) for _ in range(6)))
    later = await founder.try_login(code=code)

    assert [reply.status_code for reply in replies].count(200) == 1, [told(r) for r in replies]
    refused(later, {401, 429})


async def test_the_code_that_confirmed_signs_nobody_in(town: Town) -> None:
    founder = await town.founder()
    begun = ok(await founder.rest.post(TOTP, {"password": founder.password}), 200)
    code = await Phone(begun["secret"]).code()
    ok(await founder.rest.post(f"{TOTP}/confirm", {"code": code}), 200)

    refused(await founder.try_login(code=code), 401)


async def test_a_recovery_code_is_good_once(town: Town) -> None:
    founder = await town.founder()
    _, codes = await enrol(founder)

    replies = await asyncio.gather(*(founder.try_login(code=codes[0]) for _ in range(6)))

    assert [reply.status_code for reply in replies].count(200) == 1, [told(r) for r in replies]
    refused(await founder.try_login(code=codes[0]), {401, 429})
    ok(await founder.try_login(code=codes[1]), 200)


async def test_new_recovery_codes_end_the_old_ones(town: Town) -> None:
    founder = await town.founder()
    phone, old = await enrol(founder)
    path = f"{TOTP}/recovery-codes"

    refused_anyhow(await founder.rest.post(path, {"password": "x" * 12, "code": phone.wrong()}))
    body = {"password": founder.password, "code": await phone.code()}
    new = ok(await founder.rest.post(path, body), 200)["recovery_codes"]

    assert not set(old) & set(new)
    refused(await founder.try_login(code=old[0]), 401)
    ok(await founder.try_login(code=new[0]), 200)


async def test_it_is_turned_on_only_by_who_knows_the_password(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")

    refused_anyhow(await colleague.rest.post(TOTP, {"password": "not the right one"}))
    refused_anyhow(await colleague.rest.post(f"{TOTP}/confirm", {"code": "123456"}))
    begun = ok(await colleague.rest.post(TOTP, {"password": colleague.password}), 200)
    phone = Phone(begun["secret"])
    refused_anyhow(await colleague.rest.post(f"{TOTP}/confirm", {"code": phone.wrong()}))

    ok(await colleague.try_login(), 200)


async def test_it_is_turned_off_only_with_both(town: Town) -> None:
    founder = await town.founder()
    phone, codes = await enrol(founder)
    path = f"{TOTP}/disable"

    for body in (
        {"password": founder.password, "code": phone.wrong()},
        {"password": "not the right one", "code": codes[0]},
    ):
        refused_anyhow(await founder.rest.post(path, body))
    for partial in ({"password": founder.password}, {"code": codes[0]}, {}):
        refused(await founder.rest.post(path, partial), 422, "invalid")
    refused(await founder.try_login(), 401, "second-factor-required")
    off = await founder.rest.post(path, {"password": founder.password, "code": await phone.code()})

    assert off.status_code == 204, told(off)
    ok(await founder.try_login(), 200)


async def test_a_reset_password_does_not_turn_it_off(town: Town) -> None:
    founder = await town.founder()
    _, codes = await enrol(founder)
    ok(await town.anyone().post("/v1/auth/password/reset", {"email": founder.email}), 202)
    new = password()
    body = {"token": await town.post.token(founder.email), "new_password": new}
    done = await town.anyone().post("/v1/auth/password/reset/confirm", body)
    assert done.status_code == 204, told(done)
    founder.password = new

    refused(await founder.try_login(), 401, "second-factor-required")
    ok(await founder.try_login(code=codes[0]), 200)


async def test_a_second_enrolment_does_not_replace_the_first_unasked(town: Town) -> None:
    founder = await town.founder()
    phone, _ = await enrol(founder)

    again = await founder.rest.post(TOTP, {"password": founder.password})

    if again.is_success:
        assert again.json()["secret"] != phone.secret
    else:
        refused(again, 409, "conflict")
    refused(await founder.try_login(), 401, "second-factor-required")
    ok(await founder.try_login(code=await phone.code()), 200)


async def test_codes_are_not_guessed_for_ever(town: Town) -> None:
    founder = await town.founder()
    phone, _ = await enrol(founder)

    replies = []
    for _ in range(STORM):
        replies.append(await founder.try_login(code=phone.wrong()))
        if replies[-1].status_code != 401:
            break

    refused(replies[-1], 429)
    assert kind(replies[-1]) == "quota-exceeded"
    assert len(replies) <= 20, "A million codes are few."


FULL_WIDTH = "\uff11\uff12\uff13\uff14\uff15\uff16"


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", FULL_WIDTH, "12 34 56\x00", "a" * 5000]
)
async def test_what_looks_like_no_code_is_none(town: Town, owner: Person, code: Any) -> None:
    # Whoever has no second factor may send one anyway, and it says nothing.
    reply = await owner.try_login(code=code)

    assert reply.status_code in {200, 401, 422}, told(reply)


async def test_secrets_are_shown_when_made_and_never_again(town: Town) -> None:
    founder = await town.founder()
    phone, codes = await enrol(founder)

    texts = [
        (await founder.rest.get(path)).text
        for path in ("/v1/auth/me", "/v1/audit", f"/v1/users/{founder.id}", "/v1/auth/sessions")
    ]

    for text in texts:
        assert phone.secret not in text
        assert not [code for code in codes if code in text]
