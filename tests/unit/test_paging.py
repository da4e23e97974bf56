"""Cursors: opaque, signed, and bound to their list."""

import base64
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Invalid
from crossdock.paging import Cursors, Slice, Window, binding

CURSORS = Cursors(b"a key")
TENANT = uuid.UUID(int=1)
BINDING = binding("events", TENANT, {"source_id": None})


class Row(msgspec.Struct):
    """Something that is listed."""

    id: uuid.UUID


@given(st.uuids())
def test_a_cursor_leads_back_to_its_position(position: uuid.UUID) -> None:
    assert CURSORS.decode(CURSORS.encode(position, BINDING), BINDING) == position


@pytest.mark.parametrize(
    "other",
    [
        binding("deliveries", TENANT, {"source_id": None}),
        binding("events", uuid.UUID(int=2), {"source_id": None}),
        binding("events", TENANT, {"source_id": uuid.UUID(int=3)}),
        binding("events", TENANT, {}),
    ],
)
def test_a_cursor_is_of_one_list_one_tenant_and_one_filter(other: bytes) -> None:
    with pytest.raises(Invalid) as error:
        CURSORS.decode(CURSORS.encode(uuid.UUID(int=9), BINDING), other)
    assert error.value.violations[0].pointer == "?cursor"


def test_the_order_of_filters_does_not_matter() -> None:
    assert binding("x", TENANT, {"a": 1, "b": 2}) == binding("x", TENANT, {"b": 2, "a": 1})


def test_every_changed_bit_is_noticed() -> None:
    cursor = CURSORS.encode(uuid.UUID(int=9), BINDING)
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Invalid):
            CURSORS.decode(base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), BINDING)


def test_another_installations_cursor_is_refused() -> None:
    with pytest.raises(Invalid):
        CURSORS.decode(Cursors(b"other").encode(uuid.UUID(int=9), BINDING), BINDING)


@given(st.text(max_size=80))
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Invalid):
        CURSORS.decode(junk, BINDING)


@pytest.mark.parametrize(("count", "shown", "more"), [(0, 0, False), (2, 2, False), (3, 2, True)])
def test_one_row_too_many_tells_of_a_next_page(*, count: int, shown: int, more: bool) -> None:
    window = Window(None, 2)
    page = Slice.cut([Row(uuid.UUID(int=n)) for n in range(count)][: window.fetch], window)
    assert (len(page.items), page.more) == (shown, more)
