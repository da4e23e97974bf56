"""Decoding bodies: strict, and whatever comes a clean refusal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Invalid, Malformed
from gateway.request import decode


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Something to decode."""

    number: int
    anything: dict[str, Any] = {}


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"number": 1, "anything": {"a":'])
def test_json_that_is_nested_too_deeply_is_malformed(opening: bytes) -> None:
    for declared in (Body, Any):
        with pytest.raises((Malformed, Invalid)):
            decode(opening * 10_000, declared)
    deep = b'{"number": 1, "anything": {"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}}"
    with pytest.raises(Malformed, match="deeply"):
        decode(deep, Body)


@pytest.mark.parametrize("body", [b'{"number": "1"}', b'{"number": 1.5}', b'{"number": true}'])
def test_nothing_passes_for_a_number_but_a_number(body: bytes) -> None:
    with pytest.raises(Invalid) as error:
        decode(body, Body)
    assert error.value.violations[0].pointer == "/number"


@pytest.mark.parametrize("text", ["1", "1.0", "1e0", "10e-1"])
def test_one_is_one_however_it_is_written(text: str) -> None:
    assert decode(b'{"number": %s}' % text.encode(), Body) == Body(1)


def test_a_number_that_a_double_does_not_hold_is_none() -> None:
    with pytest.raises(Invalid):
        decode(b'{"number": 9007199254740993.0}', Body)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes) -> None:
    try:
        decode(body, Body)
    except (Malformed, Invalid) as error:
        assert len(str(error)) < 200  # noqa: PT017 - either outcome is fine
