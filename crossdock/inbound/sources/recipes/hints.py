"""Why does the example not verify? Other ways are tried, and the one that fits is named.

All that is told is which way fits: never a signature that would have been right, nor a secret. The
search is bounded by a number of ways and of bytes that are hashed.
"""

import hmac
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import msgspec

from crossdock import native
from crossdock.inbound.model import HmacRecipe, Recipe, Scheme
from crossdock.inbound.sources.recipes.trial import Attempt, Hint, tried
from crossdock.inbound.sources.recipes.ways import Way, algorithm_of, keys_of, message_of, ways_of
from crossdock.inbound.sources.rules import complete_recipe

MOST_WAYS: Final = 6000
MOST_BYTES: Final = 96 * 1024 * 1024

_OTHERS: Final[tuple[Scheme, ...]] = (
    "standard",
    "stripe",
    "github",
    "shopify",
    "slack",
    "twilio",
    "zoom",
    "zendesk",
    "square",
    "paddle",
    "linear",
)
"""Schemes that sign, and need no recipe to be tried."""
_EDITED: Final[tuple[tuple[Callable[[bytes], bytes], str], ...]] = (
    (lambda body: body.removesuffix(b"\n"), "without the line break at its end"),
    (lambda body: body.rstrip(b"\r\n"), "without the line breaks at its end"),
    (lambda body: body + b"\n", "with a line break at its end"),
    (bytes.strip, "without the white space around it"),
    (lambda body: body.replace(b"\r\n", b"\n"), "with line breaks of one character (LF)"),
    (lambda body: body.replace(b"\n", b"\r\n"), "with line breaks of two characters (CR LF)"),
)
"""What editors do to text that is pasted, undone."""


def hints(attempt: Attempt) -> tuple[Hint, ...]:
    """Return what would have to be another for the example to verify: the first way that fits."""
    for search in (_bodies, _schemes, _recipes):
        found = search(attempt)
        if found:
            return found
    return ()


def _bodies(attempt: Attempt) -> tuple[Hint, ...]:
    body = attempt.pasted.body
    for edit, words in _EDITED:
        changed = edit(body)
        pasted = msgspec.structs.replace(attempt.pasted, body=changed)
        if changed != body and _verifies(attempt._replace(pasted=pasted)):
            return (Hint("/example/body", "", f"It verifies {words}."),)
    return ()


def _schemes(attempt: Attempt) -> tuple[Hint, ...]:
    recipe = Recipe(public_url=attempt.recipe.public_url)
    for scheme in _OTHERS:
        other = attempt._replace(scheme=scheme, recipe=recipe)
        if scheme != attempt.scheme and _verifies(other):
            return (Hint("/scheme", scheme, f"It verifies by the scheme `{scheme}`."),)
    return ()


def _verifies(attempt: Attempt) -> bool:
    try:
        source = native.Source(complete_recipe(attempt.scheme, attempt.recipe, attempt.secrets))
    except native.RecipeError:
        return False
    return tried(source, attempt).verified


def _recipes(attempt: Attempt) -> tuple[Hint, ...]:
    """Try other recipes of the generic scheme, as far as the bounds allow."""
    recipe = attempt.recipe.hmac
    url = attempt.recipe.public_url or attempt.pasted.url
    keys = [key for text in attempt.secrets for key in keys_of(text)]
    room = MOST_BYTES
    for way in islice(ways_of(attempt.pasted, recipe, url), MOST_WAYS):
        message = message_of(way, attempt.pasted, url)
        for encoding, key in keys:
            room -= len(message)
            if room < 0:
                return ()
            made = hmac.digest(key, message, algorithm_of(way.read.digest))
            if hmac.compare_digest(made, way.read.digest):
                return tuple(_told(way, encoding, recipe))
    return ()


def _told(way: Way, key_encoding: str, recipe: HmacRecipe | None) -> Iterator[Hint]:
    """Yield each member in which a way differs from the recipe."""
    if recipe is None:
        yield Hint("/scheme", "hmac", "It verifies by the scheme `hmac`, as follows.")
    fits = {
        "signature_header": way.read.header,
        "prefix": way.read.prefix,
        "algorithm": algorithm_of(way.read.digest),
        "encoding": way.read.encoding,
        "key_encoding": key_encoding,
        "template": way.template,
        "timestamp_header": way.timestamp_header,
        "id_header": way.id_header,
    }
    before = recipe or HmacRecipe(signature_header="?")
    for name, value in fits.items():
        said = getattr(before, name)
        if _folded(name, said) != _folded(name, value):
            words = f"It verifies with `{value}` here." if value else "It verifies without this."
            yield Hint(f"/recipe/hmac/{name}", value or "", words)


def _folded(name: str, value: str | None) -> str | None:
    """Return a value as it is compared: headers' names have no case."""
    return value.lower() if value and name.endswith("_header") else value
