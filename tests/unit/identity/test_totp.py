"""Second factors: RFC 6238's own examples, each step once, and codes on paper."""

import base64
import re
import uuid
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Unauthenticated
from crossdock.identity import totp
from crossdock.secrets.seal import SealBroken, Sealer

SEED: Final = base64.b32encode(b"12345678901234567890").decode()
NOW: Final = 1_790_000_010.0
STEP: Final = int(NOW // 30)
TENANT: Final = uuid.UUID(int=1)
USER: Final = uuid.UUID(int=2)


def code(step: int = STEP, seed: str = SEED) -> str:
    return pyotp.TOTP(seed).generate_otp(step)


@pytest.mark.parametrize(
    ("now", "right"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_it_is_what_rfc_6238_says(now: float, right: str) -> None:
    assert totp.verify(SEED, right, now=now, last_step=None) == int(now // 30)


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_clock_may_be_off_by_a_step(off: int) -> None:
    assert totp.verify(SEED, code(STEP + off), now=NOW, last_step=None) == STEP + off


@pytest.mark.parametrize("off", [-3, -2, 2, 3])
def test_but_not_by_more(off: int) -> None:
    with pytest.raises(Unauthenticated):
        totp.verify(SEED, code(STEP + off), now=NOW, last_step=None)


@given(st.integers(-1, 1), st.integers(-1, 1))
def test_a_step_counts_once_and_none_before_it(first: int, second: int) -> None:
    used = totp.verify(SEED, code(STEP + first), now=NOW, last_step=None)
    if second > first:
        assert totp.verify(SEED, code(STEP + second), now=NOW, last_step=used) == STEP + second
        return
    with pytest.raises(Unauthenticated):
        totp.verify(SEED, code(STEP + second), now=NOW, last_step=used)


@pytest.mark.parametrize("typed", ["{} {}", " {}{} ", "{}\u00a0{}"])
def test_blanks_do_not_matter(typed: str) -> None:
    right = code()
    text = typed.format(right[:3], right[3:])
    assert totp.looks_like_totp(text)
    assert totp.verify(SEED, text, now=NOW, last_step=None) == STEP


@pytest.mark.parametrize(
    "junk",
    ["", "12345", "1234567", "abcdef", chr(0xFF11) * 6, "-12345", "12345.", "1" * 10_000, "\ud800"],
)
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Unauthenticated):
        totp.verify(SEED, junk, now=NOW, last_step=None)
    assert not totp.looks_like_totp(junk) or len(junk) > 6


def test_the_right_code_in_other_digits_is_refused() -> None:
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code())
    with pytest.raises(Unauthenticated):
        totp.verify(SEED, wide, now=NOW, last_step=None)


def test_an_application_understands_the_uri() -> None:
    seed = totp.new_seed()
    assert re.fullmatch(r"[A-Z2-7]{32}", seed)
    uri = totp.uri(seed, account="ann+x@example.com (Acme: & Söhne)")
    found = pyotp.parse_uri(uri)
    assert isinstance(found, pyotp.TOTP)
    assert (found.secret, found.issuer) == (seed, "Crossdock")
    assert found.name == "ann+x@example.com (Acme: & Söhne)"
    assert parse_qs(urlsplit(uri).query) == {"secret": [seed], "issuer": ["Crossdock"]}


def test_a_sealed_seed_opens_for_its_user_only() -> None:
    sealer = Sealer(bytes(32))
    sealed = totp.seal(sealer, SEED, tenant_id=TENANT, user_id=USER)
    assert SEED.encode() not in sealed
    assert totp.unseal(sealer, sealed, tenant_id=TENANT, user_id=USER) == SEED
    for other in ((TENANT, uuid.UUID(int=3)), (uuid.UUID(int=3), USER), (USER, TENANT)):
        with pytest.raises(SealBroken):
            totp.unseal(sealer, sealed, tenant_id=other[0], user_id=other[1])


def test_recovery_codes_are_ten_for_people_to_type() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == 10
    for one in codes:
        assert re.fullmatch(r"([2-9A-HJKMNP-TV-Z]{4}-){3}[2-9A-HJKMNP-TV-Z]{4}", one)
        assert not totp.looks_like_totp(one)
        hashed = totp.recovery_hash(one, user_id=USER)
        for typed in (one.lower(), one.replace("-", " "), f" {one}\n", one.replace("-", "")):
            assert totp.recovery_hash(typed, user_id=USER) == hashed
        assert totp.recovery_hash(one, user_id=TENANT) != hashed
    assert len(set(totp.recovery_hashes(codes, user_id=USER))) == 10


@given(st.text())
def test_any_text_can_be_tried_as_a_recovery_code(typed: str) -> None:
    assert len(totp.recovery_hash(typed, user_id=USER)) == 32
