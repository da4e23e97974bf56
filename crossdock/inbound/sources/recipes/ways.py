"""The ways in which a webhook could have been signed, as far as its headers give them away."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from typing import Final, Literal, NamedTuple

from crossdock.inbound.model import HmacRecipe
from crossdock.inbound.sources.examples import Pasted

Algorithm = Literal["sha1", "sha256", "sha384", "sha512"]

MOST_HEADERS: Final = 4
"""So many are looked at for a signature, a time or an id."""

_ALGORITHMS: Final[dict[int, Algorithm]] = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
_SIGNS: Final = re.compile("sign|hmac|digest|hash")
_TIMES: Final = re.compile("time|date")
_IDS: Final = re.compile("id$|delivery")
_PREFIX: Final = re.compile(r"[A-Za-z0-9]{1,10}[=:,]")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_PLACE: Final = re.compile(r"\{(timestamp|id|url|body)\}")
_SEPARATORS: Final = (".", ":", "", "|", "\n")
_ORDERS: Final = (
    ("{timestamp}", "{body}"),
    ("{body}", "{timestamp}"),
    ("{id}", "{timestamp}", "{body}"),
    ("{timestamp}", "{id}", "{body}"),
    ("{id}", "{body}"),
    ("{url}", "{body}"),
    ("{body}", "{url}"),
    ("{timestamp}", "{url}", "{body}"),
    ("{url}", "{timestamp}", "{body}"),
)
_TEMPLATES: Final = (
    "{body}",
    *(separator.join(order) for separator in _SEPARATORS for order in _ORDERS),
    "v0:{timestamp}:{body}",
    "v1:{timestamp}:{body}",
)


class Read(NamedTuple):
    """A header's value, taken for a signature."""

    header: str
    prefix: str
    encoding: Literal["hex", "base64"]
    digest: bytes


class Way(NamedTuple):
    """One way of signing, but for the key."""

    read: Read
    template: str
    timestamp_header: str | None
    id_header: str | None


def ways_of(pasted: Pasted, recipe: HmacRecipe | None, url: str) -> Iterator[Way]:
    """Yield ways that would be possible; those next to the recipe come first."""
    texts = pasted.texts
    reads = list(_reads(texts, recipe))
    said = (recipe.timestamp_header, recipe.id_header) if recipe else (None, None)
    times = [
        name
        for name in _headers(texts, _TIMES, said[0])
        if _SECONDS.fullmatch(texts[name]) is not None
    ]
    named = _headers(texts, _IDS, said[1])
    templates = dict.fromkeys((recipe.template, *_TEMPLATES) if recipe else _TEMPLATES)
    for template, read in product(templates, reads):
        places = set(_PLACE.findall(template))
        if "url" in places and not url:
            continue
        choices = (
            times if "timestamp" in places else [None],
            named if "id" in places else [None],
        )
        for timestamp_header, id_header in product(*choices):
            yield Way(read, template, timestamp_header, id_header)


def message_of(way: Way, pasted: Pasted, url: str) -> bytes:
    """Return what is signed that way."""
    texts = pasted.texts
    values = {
        "timestamp": texts.get(way.timestamp_header or "", "").encode("latin-1"),
        "id": texts.get(way.id_header or "", "").encode("latin-1"),
        "url": url.encode(),
        "body": pasted.body,
    }
    parts = _PLACE.split(way.template)
    return b"".join(
        values[part] if place % 2 else part.encode() for place, part in enumerate(parts)
    )


def algorithm_of(digest: bytes) -> Algorithm:
    """Return the algorithm whose hashes are as long as this one."""
    return _ALGORITHMS[len(digest)]


def keys_of(secret: str) -> Iterator[tuple[Literal["raw", "hex", "base64"], bytes]]:
    """Yield the keys that a secret may stand for."""
    yield "raw", secret.encode()
    with suppress(ValueError):
        yield "hex", bytes.fromhex(secret)
    with suppress(ValueError):
        yield "base64", base64.b64decode(secret, validate=True)


def _headers(texts: Mapping[str, str], wanted: re.Pattern[str], said: str | None) -> list[str]:
    """Return the headers that may be meant, the one that the recipe names first."""
    named = [said.lower()] if said and said.lower() in texts else []
    named += [name for name in texts if wanted.search(name) and name not in named]
    return named[:MOST_HEADERS]


def _reads(texts: Mapping[str, str], recipe: HmacRecipe | None) -> Iterator[Read]:
    said = recipe.signature_header if recipe else None
    for name in _headers(texts, _SIGNS, said):
        for prefix in _prefixes(texts[name], recipe):
            rest = texts[name][len(prefix) :]
            yield from (Read(name, prefix, *found) for found in _digests(rest))


def _prefixes(value: str, recipe: HmacRecipe | None) -> Iterable[str]:
    found = [recipe.prefix] if recipe and value.startswith(recipe.prefix) else []
    match = _PREFIX.match(value)
    return dict.fromkeys([*found, "", *([match[0]] if match else [])])


def _digests(text: str) -> Iterator[tuple[Literal["hex", "base64"], bytes]]:
    for encoding, key in keys_of(text):
        if encoding != "raw" and len(key) in _ALGORITHMS:
            yield encoding, key
