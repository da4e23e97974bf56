"""How much is in memory at once, whatever events are like."""

from typing import Any, Final
from uuid import UUID

import pytest

from crossdock.republish.model import Stored
from crossdock.republish.service import CHUNK, CHUNK_BYTES, Republisher

MOST: Final = 1024 * 1024


def stored(size: int, *, is_sealed: bool = False) -> Stored:
    return Stored(
        id=UUID(int=1),
        source_id=UUID(int=2),
        stream_seq=1,
        event_type="",
        content_type="",
        traceparent="",
        size=size,
        is_sealed=is_sealed,
    )


def republisher(per_second: int = 20_000) -> Republisher:
    nothing: Any = None
    return Republisher(nothing, nothing, most=MOST, per_second=per_second)


@pytest.mark.parametrize(
    ("page", "sizes"),
    [
        ([], []),
        ([stored(10)] * 250, [CHUNK, CHUNK, 50]),
        ([stored(MOST)] * 20, [8, 8, 4]),
        ([stored(MOST + 1)] * 20, [20]),
        ([stored(MOST, is_sealed=True)] * 20, [20]),
    ],
    ids=["nothing", "small", "as large as messages carry", "larger", "sealed"],
)
async def test_a_page_is_cut_by_number_and_by_bytes_that_are_read(
    page: list[Stored], sizes: list[int]
) -> None:
    chunks = list(republisher()._chunks(page))
    assert [len(chunk) for chunk in chunks] == sizes
    assert [event for chunk in chunks for event in chunk] == page
    assert CHUNK_BYTES == 8 * MOST


async def test_a_slow_rate_takes_small_steps() -> None:
    assert {len(chunk) for chunk in republisher(3)._chunks([stored(1)] * 9)} == {3}
