"""What some webhooks need beyond the plain path: limits on their type, a seal, another place.

A source says that it is unusual (`PreparedSource.is_unusual`), or a body is too large for a
message, or nobody knows how large it is. Whoever is neither pays for one look.
"""

import time
from typing import Final
from uuid import UUID

from crossdock import native
from crossdock.bus.objects import ObjectWriter
from crossdock.config import GatewaySettings
from crossdock.errors import BrokerUnavailable, TooLarge
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.secrets.payloads import seal_payload
from gateway.asgi import Header, Scope
from gateway.edge.unread import UNKNOWN, length_of
from gateway.ingest import answers
from gateway.ingest.room import Room

_CONTENT_TYPE: Final = b"content-type"


class Unusual:
    """Admits what is unusual about webhooks."""

    def __init__(self, settings: GatewaySettings, objects: ObjectWriter | None) -> None:
        """Say how.

        Args:
            settings: the gateway's.
            objects: takes large bodies; without it they are refused.
        """
        self.inline_bytes: Final = settings.inline_body_bytes
        self.room: Final = Room(settings.large_bodies_bytes)
        self.objects: Final = objects

    def admit(self, source: PreparedSource, scope: Scope, length: int, limit: int) -> "Special":
        """Return what is to be done for a webhook whose body comes next.

        Args:
            source: whose.
            scope: the request.
            length: of its body, as announced, or `UNKNOWN`.
            limit: what it may be at most.

        Raises:
            Answered: the source takes bodies of other types; or it is a handshake.
            Busy: too many large bodies are held already.
            TooLarge: it is.
            Unavailable: the source's settings can't be used.
        """
        settings = source.settings
        if settings.content_types and not _is_of(scope["headers"], settings.content_types):
            raise _asked(source, scope) or answers.wrong_media_type(settings)
        if length > limit:
            raise TooLarge
        special = Special(self, source)
        if length != UNKNOWN:
            special.look(length)
        return special


class Special:
    """One unusual webhook; `end` it in any case."""

    __slots__ = ("_held", "_key", "_tenant_id", "_unusual", "fields")

    def __init__(self, unusual: Unusual, source: PreparedSource) -> None:
        self._unusual = unusual
        self._tenant_id = source.settings.tenant_id
        self._key = source.data_key
        self._held = 0
        self.fields = source.fields

    def look(self, size: int) -> None:
        """Look whether there would be room for a body, before any of it is read.

        Raises:
            Busy: there is none for now.
        """
        if size > self._unusual.inline_bytes:
            self._unusual.room.check(self._tenant_id, self._needed(size))

    def hold(self, size: int) -> None:
        """Take room for what has come of a body: who announces much and sends little has none.

        Raises:
            Busy: there is none for now.
        """
        if size > self._unusual.inline_bytes:
            more = self._needed(size) - self._held
            self._unusual.room.take(self._tenant_id, more, mine=self._held)
            self._held += more

    def _needed(self, size: int) -> int:
        # Sealing makes another one of it.
        return size if self._key is None else size * 2

    def is_apart(self, body: bytes) -> bool:
        """Tell whether the body is attached to its message later, by `store`."""
        return self._key is not None or len(body) > self._unusual.inline_bytes

    async def store(self, message: native.Message, body: bytes) -> None:
        """Attach a body that is apart: sealed, or put where its message only says it is.

        It does nothing to one that is not.

        Raises:
            BrokerUnavailable: it could not be stored.
        """
        if not self.is_apart(body):
            return
        data_key, event = b"", message.event_id
        if self._key is not None:
            tenant_id = UUID(bytes=self._tenant_id)
            body = seal_payload(self._key, tenant_id, UUID(bytes=event), body)
            data_key = self._key.id.bytes
        if len(body) <= self._unusual.inline_bytes:
            message.attach(body, data_key=data_key)
            return
        if self._unusual.objects is None:
            raise BrokerUnavailable("there is no place for large bodies")
        name = native.typeid("evt", event)
        await self._unusual.objects.put(name, body)
        message.attach(b"", claim=name, data_key=data_key)

    def end(self) -> None:
        """Give back the room that was taken."""
        if self._held:
            self._unusual.room.give_back(self._tenant_id, self._held)
            self._held = 0


def _is_of(headers: list[Header], wanted: tuple[str, ...]) -> bool:
    """Tell whether a request says it is of one of these media types, and of no other."""
    said = [value for name, value in headers if name == _CONTENT_TYPE]
    return bool(said) and all(
        one.partition(b";")[0].strip().lower().decode("latin-1") in wanted for one in said
    )


def _asked(source: PreparedSource, scope: Scope) -> answers.Answered | None:
    """Return the answer to a question that a POST without a body may be, whatever its type."""
    query, headers = scope["query_string"], scope["headers"]
    if not query or length_of(headers):
        return None
    words = source.native.handshake("POST", query, headers, b"", time.time())
    return None if words is None else answers.handshake(*words)
