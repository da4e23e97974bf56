"""Entity tags (RFC 9110, 8.8.3): made, and compared.

A tag is `"<version>-<digest>"`. `If-Match` guards edits: it compares the version, which grows with
each edit, and not the rest, so that nobody is refused because somebody signed in meanwhile.
`If-None-Match` saves answers: it compares all of it. What is never edited has no version there.
"""

import re
from hashlib import blake2b
from typing import Any, Final

import msgspec
from litestar.types import Message, Scope

from crossdock.errors import Malformed, Violation

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"

_TAG: Final = re.compile(r'\s*(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e]*)"\s*(?:,|$)')
_OURS: Final = re.compile(r"(?P<version>[0-9]{1,18})(?:-[0-9a-f]{16})?")
"""As many digits as surely fit a bigint."""
_SHOWS_NOTHING: Final = frozenset({b"content-type", b"content-length", b"content-disposition"})
_IS_NOT_MODIFIED: Final = "crossdock.not_modified"


def tag_of(shown: Any, version: int | None = None) -> str:
    """Return the tag of what is shown of something, and of its version if it has any."""
    body = shown if isinstance(shown, bytes) else msgspec.json.encode(shown)
    digest = blake2b(body, digest_size=8).hexdigest()
    return f'"{"" if version is None else version}-{digest}"'


def versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that `If-Match` allows, or `None` where any will do.

    The comparison is a strong one (RFC 9110, 13.1.1): a weak tag matches nothing, and neither does
    one that was never made here.

    Raises:
        Malformed: the header is not a list of entity tags.
    """
    found = None if if_match is None else parse(IF_MATCH, if_match)
    if found is None:
        return None
    ours = (_OURS.fullmatch(tag) for is_weak, tag in found if not is_weak)
    return frozenset(int(match["version"]) for match in ours if match is not None)


def parse(header: str, text: str) -> list[tuple[bool, str]] | None:
    """Return the tags of a header, and whether each is weak; `None` for `*`, which is any.

    Raises:
        Malformed: it is not a list of entity tags.
    """
    if text.strip() == "*":
        return None
    found, position = [], 0
    while position < len(text):
        match = _TAG.match(text, position)
        if match is None:
            raise Malformed(None, Violation(f"{header}:", "This is not a list of entity tags."))
        found.append((match["weak"] is not None, match["tag"]))
        position = match.end()
    if not found:
        raise Malformed(None, Violation(f"{header}:", "This names no entity tag."))
    return found


async def not_modified(message: Message, of: Scope) -> None:
    """Answer 304 to whoever has this answer already (`before_send`)."""
    scope: Any = of
    if message["type"] == "http.response.start":
        if message["status"] == 200 and _has(scope, message):  # noqa: PLR2004 - as HTTP counts
            message["status"] = 304
            message["headers"] = [
                pair for pair in message["headers"] if pair[0].lower() not in _SHOWS_NOTHING
            ]
            scope[_IS_NOT_MODIFIED] = True
    elif message["type"] == "http.response.body" and _IS_NOT_MODIFIED in scope:
        message["body"] = b""


def _has(scope: Any, message: Any) -> bool:
    """Tell whether the caller has what is about to be sent: a weak comparison, of whole tags."""
    if scope["method"] not in {"GET", "HEAD"}:
        return False
    asked = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
    if asked is None:
        return False
    sent = next((value for name, value in message["headers"] if name.lower() == b"etag"), None)
    if sent is None:
        return False
    known = parse(IF_NONE_MATCH, asked.decode("latin-1"))
    return known is None or sent.decode("latin-1").strip('"') in {tag for _, tag in known}
