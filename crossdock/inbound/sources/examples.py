"""An example of a webhook that somebody pasted, to try a recipe on before it is saved."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crossdock.errors import Invalid, Violation

LONGEST: Final = 160 * 1024
"""Bytes of an example's body: as base64, and with all else, they fit into a request."""

HeaderValue = Annotated[str, Meta(max_length=8192)]


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A webhook as its provider sent it: its headers, and its body to the byte."""

    headers: Annotated[dict[str, HeaderValue], Meta(max_length=100)]
    """All of them; in any case."""
    body: Annotated[str, Meta(max_length=LONGEST)] | None = None
    """As text, exactly as it was sent; or else as `body_base64`."""
    body_base64: Annotated[str, Meta(max_length=LONGEST * 4 // 3 + 4)] | None = None
    url: Annotated[str, Meta(max_length=2048, pattern="^https?://")] | None = None
    """What it was posted to, where the URL is signed."""
    method: Annotated[str, Meta(max_length=16, pattern="^[A-Za-z]+$")] = "POST"


class Pasted(msgspec.Struct, frozen=True):
    """An example in the form that signatures are checked in."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    url: str
    method: str = "POST"

    @property
    def texts(self) -> Mapping[str, str]:
        """Headers by name, in lower case; the first of each."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            found.setdefault(name.decode("latin-1"), value.decode("latin-1"))
        return found


def read(example: Example, at: str = "/example") -> Pasted:
    """Return an example as bytes.

    Args:
        example: What was pasted.
        at: Where it stands in its request.

    Raises:
        Invalid: it has no body or two, or one that is no base64; or a header can't be one.
    """
    return Pasted(
        headers=_headers(example.headers, at),
        body=_body(example, at),
        url=example.url or "",
        method=example.method.upper(),
    )


def _headers(pasted: Mapping[str, str], at: str) -> list[tuple[bytes, bytes]]:
    try:
        # As HTTP carries them; whoever pastes more than Latin-1 has no header of HTTP's.
        return [
            (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
            for name, value in pasted.items()
        ]
    except UnicodeEncodeError as error:
        detail = "No header has characters like these."
        raise Invalid(None, Violation(f"{at}/headers", detail)) from error


def _body(example: Example, at: str) -> bytes:
    if (example.body is None) == (example.body_base64 is None):
        detail = "The body is either `body` or `body_base64`."
        raise Invalid(None, Violation(f"{at}/body", detail))
    if example.body is not None:
        try:
            return example.body.encode()
        except UnicodeEncodeError as error:
            detail = "This is no Unicode text; use `body_base64`."
            raise Invalid(None, Violation(f"{at}/body", detail)) from error
    try:
        return base64.b64decode(example.body_base64 or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(None, Violation(f"{at}/body_base64", "This is not base64.")) from error
