"""Sealing: only the same key and context open, and nothing shows."""

import copy
import pickle
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import ConfigurationError
from crossdock.secrets.seal import KEY_BYTES, SealBroken, Sealer

KEY = bytes(range(KEY_BYTES))
SECRET = b"whsec_made_up_for_this_test"
CONTEXT = b"tenant and row and purpose"


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_what_is_sealed_opens_again(plaintext: bytes, context: bytes) -> None:
    sealer = Sealer(KEY)
    assert sealer.open(sealer.seal(plaintext, context=context), context=context) == plaintext


def test_another_context_does_not_open() -> None:
    sealed = Sealer(KEY).seal(SECRET, context=CONTEXT)
    for context in (b"", CONTEXT[:-1], CONTEXT + b"x", b"another row"):
        with pytest.raises(SealBroken):
            Sealer(KEY).open(sealed, context=context)


def test_another_key_does_not_open() -> None:
    sealed = Sealer(KEY).seal(SECRET, context=CONTEXT)
    with pytest.raises(SealBroken):
        Sealer(bytes(KEY_BYTES)).open(sealed, context=CONTEXT)


def test_every_bit_counts() -> None:
    sealed = Sealer(KEY).seal(SECRET, context=CONTEXT)
    for position in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            Sealer(KEY).open(bytes(damaged), context=CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            Sealer(KEY).open(sealed[:length], context=CONTEXT)


def test_no_two_sealed_values_are_alike() -> None:
    sealer = Sealer(KEY)
    assert len({sealer.seal(SECRET, context=CONTEXT) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("no base64!", "is not valid base64"),
        ("é", "is not valid base64"),
        (b64encode(bytes(16)).decode(), "holds 16 bytes"),
        (b64encode(bytes(33)).decode(), "holds 33 bytes"),
    ],
)
def test_a_bad_key_is_a_clear_error_that_does_not_quote_it(text: str | None, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        Sealer.from_text(text, setting="CROSSDOCK_KEYS__SOURCES")
    assert "CROSSDOCK_KEYS__SOURCES" in str(refused.value)
    assert not text or text not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_good_key_is_taken() -> None:
    sealer = Sealer.from_text(b64encode(KEY).decode(), setting="KEY")
    assert sealer.open(Sealer(KEY).seal(SECRET, context=CONTEXT), context=CONTEXT) == SECRET


def test_nothing_shows() -> None:
    sealer = Sealer(KEY)
    with pytest.raises(SealBroken) as broken:
        sealer.open(sealer.seal(SECRET, context=CONTEXT), context=b"")
    for text in (repr(sealer), str(sealer), f"{sealer}", repr(broken.value), str(broken.value)):
        assert "made_up" not in text
        assert b64encode(KEY).decode() not in text
        assert repr(KEY)[2:-1] not in text
    for carry_off in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            carry_off(sealer)
