"""Rules of transformations: what a script must be, and what it may return. Pure."""

from typing import Final

from crossdock import native
from crossdock.delivery.destinations.headers import check_headers
from crossdock.errors import Violation
from crossdock.transforms.model import Changed, Event, TransformFailed
from crossdock.transforms.wire import Head

MAX_SOURCE_BYTES: Final = 32 * 1024
LONGEST_TYPE: Final = 384
"""Characters of a media type, as of a webhook's own."""
_JSON: Final = "application/json"
_SAID: Final = 300
"""Characters of a script's own that a message quotes."""


def check_transform(text: str, pointer: str = "/transform") -> list[Violation]:
    """Return what is wrong with a script; none of it is run.

    It is parsed as it will be when it is run, which takes a few milliseconds at most.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return [Violation(pointer, "A script is text of Unicode, with no half of a character.")]
    if size > MAX_SOURCE_BYTES:
        words = f"A script has {MAX_SOURCE_BYTES // 1024} KiB at most."
        return [Violation(pointer, words)]
    found = native.check_script(text)
    if found is None:
        return []
    message, line, column = found
    place = f"Line {line}, column {column}: " if line else ""
    return [Violation(pointer, f"{place}{message}")]


def completed(event: Event, head: Head, body: bytes) -> Changed:
    """Return what is sent, from what a script returned and the event as it came.

    Raises:
        TransformFailed: what it returned can't be sent.
    """
    headers = dict(head.headers)
    if len(headers) < len(head.headers):
        raise TransformFailed("invalid", "`headers` has a name twice.")
    for name, value in head.headers:
        # Of the event's own, passed on with the others, those that are not for passing on.
        if event.headers.get(name.lower()) == value and check_headers({name: value}):
            del headers[name]
    for violation in check_headers(headers):
        raise TransformFailed("invalid", f"{violation.pointer[:_SAID]}: {violation.detail}")
    return Changed(
        body=body if head.has_body else event.body,
        content_type=_media_type(event, head),
        headers=headers,
    )


def _media_type(event: Event, head: Head) -> str:
    named = head.content_type
    if named is None:
        return _JSON if head.is_json and not says_json(event.content_type) else event.content_type
    if 0 < len(named) <= LONGEST_TYPE and named.isascii() and named.isprintable():
        return named
    words = f"`content_type` is visible ASCII, up to {LONGEST_TYPE} characters."
    raise TransformFailed("invalid", words)


def says_json(content_type: str) -> bool:
    """Tell whether a media type is JSON, or made of it."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in {_JSON, "text/json"} or kind.endswith("+json")
