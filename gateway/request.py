"""The request as controllers see it: strict JSON, a verified principal, its origin, and pages."""

import asyncio
from collections.abc import Mapping
from types import NoneType
from typing import Any, Final, TypeVar, get_args
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ClientException, InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from crossdock import paging, validation
from crossdock.access.model import Principal
from crossdock.errors import (
    Invalid,
    Malformed,
    TimedOut,
    TooLarge,
    UnsupportedMediaType,
    Violation,
)
from crossdock.identity.origin import Origin
from gateway.edge.addresses import Proxies

MAX_BODY_BYTES: Final = 256 * 1024
"""Of a request to the REST API; nothing that is written here comes near it."""

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"

_FLOAT: Final = "got `float`"
"""How msgspec says that it wanted an integer."""
_EXACT: Final = 2.0**53

Row = TypeVar("Row", bound=paging.Identified)
T = TypeVar("T")

_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}
"""One for each declared type of body; there are as many as handlers."""


class ApiRequest(Request[None, Principal, State]):
    """A request to the REST API."""

    @property
    def tenant_id(self) -> UUID:
        """The caller's tenant: the only one this request can see."""
        return self.auth.tenant_id

    @property
    def origin(self) -> Origin:
        """Where this came from, past the proxies that are trusted."""
        proxies: Proxies = self.app.state.proxies
        peer = "" if self.client is None else self.client.host
        address = proxies.client(peer, self.headers.getall("x-forwarded-for", []))
        return Origin.of(address, self.headers.get("user-agent", ""))

    async def body(self) -> bytes:
        """Return the body; the server itself would wait for a stalled sender for ever.

        Raises:
            TimedOut: it did not arrive in time.
            TooLarge: it is larger than is taken.
            Malformed: the sender went away in the middle of it, or gives no length that is one.
        """
        try:
            async with asyncio.timeout(self.app.state.body_timeout_s):
                return await super().body()
        except TimeoutError as error:
            raise TimedOut from error
        except InternalServerException as error:  # this is how Litestar tells of a disconnect
            raise Malformed("The body ended before it was complete.") from error
        except RequestEntityTooLarge as error:
            raise TooLarge from error
        except ClientException as error:
            length = Violation("Content-Length:", "This is not a length.")
            raise Malformed(None, length) from error

    async def json(self) -> Any:
        """Return the body, decoded as the handler's `data` parameter is declared.

        Litestar would decode to plain objects first and convert them laxly ("1" passes for 1), and
        would take any content type for JSON.

        Raises:
            UnsupportedMediaType: the body is not declared to be JSON.
            Malformed: it is not JSON.
            Invalid: it breaks a rule; the pointer says where.
        """
        media_type, parameters = self.content_type
        accepted = (JSON, MERGE_PATCH) if self.method == "PATCH" else (JSON,)
        if media_type not in accepted or parameters.get("charset", "utf-8").lower() != "utf-8":
            wanted = f"Send {' or '.join(accepted)}, in UTF-8."
            raise UnsupportedMediaType(wanted, Violation("Content-Type:", wanted))
        body = await self.body()
        declared = self.route_handler.parsed_fn_signature.parameters["data"].annotation
        data = decode(body, _sent(declared))
        if b"\\u0000" in body:
            _refuse_nulls(msgspec.json.decode(body))
        return data

    def window(
        self, resource: str, limit: int, cursor: str | None, filters: Mapping[str, Any]
    ) -> paging.Window:
        """Return the part of a list that `limit` and `cursor` ask for.

        Raises:
            Invalid: the cursor is of another list, tenant or filter.
        """
        if cursor is None:
            return paging.Window(None, limit)
        binding = paging.binding(resource, self.tenant_id, dict(filters))
        return paging.Window(self._cursors.decode(cursor, binding), limit)

    def next_cursor(
        self, resource: str, found: paging.Slice[Row], filters: Mapping[str, Any]
    ) -> str | None:
        """Return the cursor of the page after `found`, if there is one."""
        if not found.more:
            return None
        binding = paging.binding(resource, self.tenant_id, dict(filters))
        return self._cursors.encode(found.items[-1].id, binding)

    @property
    def public_url(self) -> str:
        """Where senders reach this installation, without a slash at the end."""
        url: str = self.app.state.public_url
        return url

    @property
    def _cursors(self) -> paging.Cursors:
        cursors: paging.Cursors = self.app.state.cursors
        return cursors


def _sent(declared: Any) -> Any:
    """Return the type of a body that is there: what may be left out is still no `null`."""
    kinds = get_args(declared)
    left = [kind for kind in kinds if kind is not NoneType]
    return left[0] if len(left) == 1 < len(kinds) else declared


def decode(body: bytes, declared: type[T]) -> T:
    """Return `body` as an instance of `declared`.

    Raises:
        Malformed: it is not JSON.
        Invalid: it breaks a rule of the type.
    """
    try:
        try:
            return _decoder(declared).decode(body)
        except msgspec.ValidationError as error:
            if _FLOAT not in str(error):
                raise
            return msgspec.convert(_with_integers(msgspec.json.decode(body)), declared)
    except msgspec.ValidationError as error:
        raise Invalid(None, validation.violation(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error


def _decoder(declared: type[T]) -> msgspec.json.Decoder[T]:
    known = _decoders.get(declared)
    if known is None:
        known = _decoders[declared] = msgspec.json.Decoder(declared)
    return known


def _with_integers(value: Any) -> Any:
    """Return plain JSON with `1.0` as the integer that it is (JSON Schema 2020-12, 4.2.2).

    Numbers that a double does not hold exactly stay as they are, and are refused.
    """
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        return {name: _with_integers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_integers(member) for member in value]
    return value


def _refuse_nulls(value: Any, *steps: str | int) -> None:
    """Refuse U+0000 anywhere: PostgreSQL keeps no text with it, and nobody means it."""
    if isinstance(value, str):
        if "\0" in value:
            where = validation.pointer(*steps)
            raise Invalid(None, Violation(where, "Text may not contain the null character."))
    elif isinstance(value, dict):
        for name, member in value.items():
            _refuse_nulls(name, *steps)
            _refuse_nulls(member, *steps, name)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _refuse_nulls(member, *steps, index)
