"""What goes over the pipes to the process that runs scripts; see `native/src/scripts/wire.rs`."""

from asyncio import StreamReader
from typing import Final, Literal

import msgspec

from crossdock.transforms.model import Dropped, Event, FailureKind, TransformFailed

LENGTH_BYTES: Final = 4
MOST_HEAD_BYTES: Final = 4 * 1024 * 1024
"""Of an answer; a script that broke out could announce more than there is memory."""


class Hello(msgspec.Struct, frozen=True):
    """The first that a process says: it is ready."""

    unconfined: str | None
    """Why it could not give up its rights; `None` where it has."""


class Head(msgspec.Struct, frozen=True):
    """What came of a run, but for the body."""

    kind: Literal["changed", "dropped"] | FailureKind
    cpu_ns: int
    content_type: str | None = None
    headers: list[tuple[str, str]] = []
    has_body: bool = False
    is_json: bool = False
    message: str = ""
    line: int = 0
    column: int = 0


class _Seen(msgspec.Struct, frozen=True):
    """An event as a script sees it, but for its payload."""

    id: str
    type: str
    source_id: str
    received_at: str
    content_type: str
    headers: dict[str, str]


_head: Final = msgspec.json.Decoder(Head)
_encode: Final = msgspec.json.Encoder().encode


def request(script: bytes, event: Event) -> bytes:
    """Return the frame that asks for a run."""
    seen = _encode(
        _Seen(
            event.id,
            event.type,
            event.source_id,
            event.received_at.isoformat().replace("+00:00", "Z"),
            event.content_type,
            event.headers,
        )
    )
    parts = (_length(script), script, _length(seen), seen, event.body)
    whole = b"".join(parts)
    return _length(whole) + whole


async def read(reader: StreamReader, longest: int) -> bytes:
    """Return the next frame.

    Raises:
        EOFError: it ended before that.
        ValueError: it would be longer than so many bytes.
    """
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    if length > longest:
        raise ValueError("A frame is too long.")
    return await reader.readexactly(length)


def answer(frame: bytes) -> tuple[Head, bytes]:
    """Take an answer apart.

    Raises:
        ValueError: it is none.
    """
    ends = LENGTH_BYTES + int.from_bytes(frame[:LENGTH_BYTES], "big")
    return _head.decode(frame[LENGTH_BYTES:ends]), frame[ends:]


def outcome(head: Head) -> Dropped | None:
    """Return what became of an event, unless it was changed.

    Raises:
        TransformFailed: the script failed.
    """
    match head.kind:
        case "changed":
            return None
        case "dropped":
            return Dropped()
        case kind:
            raise TransformFailed(kind, head.message, head.line or None, head.column or None)


def _length(part: bytes) -> bytes:
    return len(part).to_bytes(LENGTH_BYTES, "big")
