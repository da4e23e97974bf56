"""An object store of NATS, for bytes that are too many for one message.

The layout is that of NATS' own object stores (its ADR-20), so `nats object get` shows what is
there: chunks on one subject, and a description with size and digest on another. What differs from
nats-py's way is how it is done: chunks are published several at a time, a reader waits no longer
than it says, and deleting leaves nothing behind. nats-py's leaves a marker for each object, which
would fill a bucket that refuses when it is full.

An object's name is given once, and its chunks' subject is made of the name. So chunks whose
description was never written, because their writer died, are found and removed by name, too.
"""

import asyncio
import base64
import hashlib
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec
from nats.errors import NoRespondersError

from crossdock import native
from crossdock.bus.connection import Bus, as_unavailable
from crossdock.bus.publisher import Publisher
from crossdock.errors import BrokerUnavailable, CrossdockError

CHUNK_BYTES: Final = 256 * 1024
"""Below `max_payload`, and below it too where the broker sends it back in base64."""
WINDOW: Final = 4
"""Chunks of one object that may be on their way: besides the object itself, what a put holds."""
PUT_TIMEOUT_S: Final = 30.0
LONGEST_PUT_S: Final = 60.0
"""A process that was stopped meanwhile gives up: whoever sweeps the bucket takes an object that
nothing names for nobody's, after ten times as long."""
REQUEST_TIMEOUT_S: Final = 5.0
DELETES_AT_ONCE: Final = 16

_NOT_FOUND: Final = 404
_DIGEST: Final = "SHA-256="

Answer = TypeVar("Answer")


class BodyGone(CrossdockError):
    """There is no such object, or not all of it."""


class _Options(msgspec.Struct):
    max_chunk_size: int = CHUNK_BYTES


class _Description(msgspec.Struct):
    """What ADR-20 calls ObjectInfo."""

    name: str
    bucket: str
    nuid: str
    size: int
    mtime: str
    chunks: int
    digest: str
    options: _Options = msgspec.field(default_factory=_Options)


class _Error(msgspec.Struct):
    code: int = 0
    description: str = ""


class _Stored(msgspec.Struct):
    seq: int
    subject: str
    time: datetime
    data: bytes = b""


class _Got(msgspec.Struct):
    error: _Error | None = None
    message: _Stored | None = None


class _Purged(msgspec.Struct):
    error: _Error | None = None


class _State(msgspec.Struct):
    messages: int
    first_ts: datetime
    subjects: dict[str, int] = {}


class _Info(msgspec.Struct):
    state: _State
    ts: datetime
    error: _Error | None = None


class Span(msgspec.Struct, frozen=True):
    """How old a stream is, by the broker's clock."""

    now: datetime
    oldest: datetime | None
    """When its first message was stored; `None` where it has none."""


def stream(bucket: str) -> str:
    """Return the stream that a bucket is."""
    return f"OBJ_{bucket}"


def subjects(bucket: str) -> list[str]:
    """Return what that stream takes."""
    return [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"]


class Objects:
    """A bucket's objects: read, removed and listed."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._bucket = bucket
        self._stream = stream(bucket)
        self._chunks = f"$O.{bucket}.C."
        self._descriptions = f"$O.{bucket}.M."

    async def get(self, name: str) -> bytes:
        """Return an object.

        Raises:
            BodyGone: there is none of that name, or it is not whole.
            BrokerUnavailable: the broker did not answer.
        """
        token = _token(name)
        found = await self._message({"last_by_subj": f"{self._descriptions}{token}"})
        if found is None:
            raise BodyGone
        described = msgspec.json.decode(found.data, type=_Description)
        parts, digest, after = [], hashlib.sha256(), 0
        for _ in range(described.chunks):
            chunk = await self._message({"seq": after + 1, "next_by_subj": self._chunks + token})
            if chunk is None:
                raise BodyGone
            after = chunk.seq
            digest.update(chunk.data)
            parts.append(chunk.data)
        if _digest(digest.digest()) != described.digest:
            raise BodyGone
        return b"".join(parts)

    async def delete(self, names: Iterable[str]) -> None:
        """Remove objects, whole or not; those that are not there are removed already.

        Raises:
            BrokerUnavailable: the broker did not answer; some of them may be gone.
        """
        room = asyncio.Semaphore(DELETES_AT_ONCE)

        async def remove(name: str) -> None:
            wanted = {"filter": f"$O.{self._bucket}.*.{_token(name)}"}
            async with room:
                answer = await self._ask("STREAM.PURGE", self._stream, wanted, _Purged)
            if answer.error is not None:
                raise BrokerUnavailable(answer.error.description)

        await asyncio.gather(*(remove(name) for name in names))

    async def span(self, of: str) -> Span:
        """Return how old any stream is.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        info = await self._info(of, {})
        return Span(info.ts, info.state.first_ts if info.state.messages else None)

    async def older_than(self, moment: datetime) -> list[str]:
        """Return the names of what was stored before a moment of the broker's clock.

        Raises:
            BrokerUnavailable: the broker did not answer.
        """
        info = await self._info(self._stream, {"subjects_filter": f"$O.{self._bucket}.>"})
        if not info.state.messages or info.state.first_ts >= moment:
            return []
        found = []
        after = 0
        # Descriptions are few bytes each; the first that is young enough ends the walk.
        while described := await self._message(
            {"seq": after + 1, "next_by_subj": f"{self._descriptions}>"}
        ):
            if described.time >= moment:
                break
            after = described.seq
            found.append(_name(described.subject))
        for subject in info.state.subjects:
            token = subject.removeprefix(self._chunks)
            if token == subject or f"{self._descriptions}{token}" in info.state.subjects:
                continue
            chunk = await self._message({"last_by_subj": subject})
            if chunk is not None and chunk.time < moment:
                found.append(_name(subject))
        return found

    async def _message(self, wanted: Mapping[str, int | str]) -> _Stored | None:
        answer = await self._ask("STREAM.MSG.GET", self._stream, wanted, _Got)
        if answer.error is not None and answer.error.code != _NOT_FOUND:
            raise BrokerUnavailable(answer.error.description)
        return answer.message

    async def _info(self, name: str, wanted: Mapping[str, int | str]) -> _Info:
        return await self._ask("STREAM.INFO", name, wanted, _Info)

    async def _ask(
        self, what: str, of: str, wanted: Mapping[str, int | str], kind: type[Answer]
    ) -> Answer:
        request = self._bus.client.request(
            f"$JS.API.{what}.{of}", msgspec.json.encode(wanted), timeout=REQUEST_TIMEOUT_S
        )
        with as_unavailable():
            try:
                # Shielded: nats-py waits in a way that may lose a cancellation before Python 3.12.
                reply = await asyncio.shield(asyncio.ensure_future(request))
            except NoRespondersError as error:
                raise BrokerUnavailable("JetStream does not answer.") from error
        try:
            return msgspec.json.decode(reply.data, type=kind)
        except msgspec.DecodeError as error:
            raise BrokerUnavailable(f"NATS did not tell: {reply.data[:200]!r}") from error


class ObjectWriter:
    """Puts objects into a bucket: one of a process's own connections to the broker."""

    def __init__(self, publisher: Publisher, objects: Objects, bucket: str) -> None:
        """Say by what.

        Args:
            publisher: one without group commit, for a batch is for one stream.
            objects: the same bucket, to remove what could not be put whole.
            bucket: its name.
        """
        self._publisher = publisher
        self._objects = objects
        self._bucket = bucket
        self._removals: set[asyncio.Task[None]] = set()

    async def put(self, name: str, data: bytes) -> None:
        """Store an object under a name that was never used; return once the broker has all of it.

        What names it must be published next, with nothing to wait for in between.

        Raises:
            BrokerUnavailable: it is not stored, or nobody knows.
        """
        token = _token(name)
        subject = f"$O.{self._bucket}.C.{token}"
        under_way: deque[asyncio.Future[None]] = deque()
        began = time.monotonic()
        try:
            async with asyncio.timeout(PUT_TIMEOUT_S):
                for start in range(0, len(data), CHUNK_BYTES):
                    if len(under_way) >= WINDOW:
                        await under_way.popleft()
                    chunk = native.Message(subject, data[start : start + CHUNK_BYTES])
                    under_way.append(self._publisher.publish(chunk))
                # Nobody reads it before all of it is there: whoever waits for us tells them.
                described = self._describe(name, token, data)
                under_way.append(
                    self._publisher.publish(
                        native.Message(f"$O.{self._bucket}.M.{token}", described)
                    )
                )
                while under_way:
                    await under_way.popleft()
        except TimeoutError:
            self._remove(name)
            raise BrokerUnavailable("the broker took too long to store a body") from None
        except BaseException:
            self._remove(name)
            raise
        if time.monotonic() - began > LONGEST_PUT_S:
            raise BrokerUnavailable("a body was stored too long ago to be safe")

    def _describe(self, name: str, token: str, data: bytes) -> bytes:
        return msgspec.json.encode(
            _Description(
                name=name,
                bucket=self._bucket,
                nuid=token,
                size=len(data),
                mtime=datetime.now(UTC).isoformat(),
                chunks=-(-len(data) // CHUNK_BYTES),
                digest=_digest(hashlib.sha256(data).digest()),
            )
        )

    def _remove(self, name: str) -> None:
        """Make room again where a full bucket took half an object; a sweep finds what is left."""
        if self._publisher.is_connected:
            task = asyncio.create_task(self._forget(name))
            self._removals.add(task)
            task.add_done_callback(self._removals.discard)

    async def _forget(self, name: str) -> None:
        with suppress(BrokerUnavailable):
            await self._objects.delete((name,))


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _name(subject: str) -> str:
    return base64.urlsafe_b64decode(subject.rpartition(".")[2]).decode()


def _digest(digest: bytes) -> str:
    return _DIGEST + base64.urlsafe_b64encode(digest).decode()
