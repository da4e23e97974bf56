"""Rules of sources: what their recipe, token and name must be. Pure."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from crossdock import native
from crossdock.errors import Conflict, Invalid, PreconditionFailed, Violation
from crossdock.inbound.model import (
    PauseMode,
    Recipe,
    Source,
    SourceEdit,
    SourceScheme,
    SourceState,
)

TOKEN_BYTES = 32
"""Random bytes of an ingest token: whoever has the URL may knock, nobody guesses it."""

OWN: Final = "api"
"""The scheme of what the tenant publishes itself."""

_POINTER: Final = re.compile(r"(/([^~/=]|~[01])*)+")
"""RFC 6901, but without `=`: a query says `pointer=value`, and the first one ends the pointer."""

_SWITCHES: dict[SourceState, frozenset[SourceState]] = {
    "active": frozenset({"paused"}),
    "paused": frozenset({"active"}),
}
"""From which states an owner reaches which; `disabled` is the operator's word."""


def token_hash(token: str) -> bytes:
    """Return what is stored and looked up of an ingest token; it is random, so SHA-256 will do."""
    return hashlib.sha256(token.encode()).digest()


def complete_recipe(scheme: SourceScheme, recipe: Recipe, secrets: Iterable[str]) -> bytes:
    """Return the recipe that `crossdock.native.Source` is prepared from."""
    fields = {"scheme": scheme, **msgspec.to_builtins(recipe), "secrets": list(secrets)}
    return msgspec.json.encode(fields)


def check_recipe(
    scheme: SourceScheme, recipe: Recipe, secrets: Iterable[str], *, pointer: str = "/recipe"
) -> None:
    """Check that webhooks can be verified by it, by preparing to.

    Raises:
        Invalid: they can't be; the detail says what to mend and never quotes a secret.
    """
    if scheme == OWN:
        _check_no_recipe(recipe)
        return
    try:
        native.Source(complete_recipe(scheme, recipe, secrets))
    except native.RecipeError as error:
        raise Invalid(None, Violation(pointer, f"{error}.")) from error


def _check_no_recipe(recipe: Recipe) -> None:
    if recipe != Recipe():
        detail = "What the tenant publishes itself is not signed, so there is no recipe."
        raise Invalid(None, Violation("/recipe", detail))


def settled(edit: SourceEdit) -> SourceEdit:
    """Return settings as they are kept: media types in lower case, each once.

    Raises:
        Invalid: pointers are none, are there twice, or are to be indexed in what is encrypted.
    """
    violations = _faults(edit.indexed_fields)
    if edit.encrypts and edit.indexed_fields:
        detail = "A source that encrypts its payloads indexes nothing of them."
        violations.append(Violation("/indexed_fields", detail))
    if violations:
        raise Invalid(None, *violations)
    types = tuple(dict.fromkeys(name.lower() for name in edit.content_types))
    return msgspec.structs.replace(edit, content_types=types)


def _faults(pointers: Sequence[str]) -> list[Violation]:
    """Return what is wrong with pointers to be indexed."""
    found = [
        Violation(f"/indexed_fields/{place}", "This is no JSON pointer (RFC 6901) without `=`.")
        for place, pointer in enumerate(pointers)
        if not _POINTER.fullmatch(pointer)
    ]
    if len(set(pointers)) < len(pointers):
        found.append(Violation("/indexed_fields", "A pointer is there twice."))
    return found


def check_size(max_body_bytes: int | None, limit: int) -> int:
    """Return the size limit of a source: what was asked for, or the gateway's own.

    Raises:
        Invalid: the gateway takes no body that large.
    """
    if max_body_bytes is not None and max_body_bytes > limit:
        raise Invalid(None, Violation("/max_body_bytes", f"The limit here is {limit} bytes."))
    return max_body_bytes or limit


def check_version(version: int, allowed: frozenset[int] | None) -> None:
    """Check that what is about to change is what the caller has seen.

    Raises:
        PreconditionFailed: it has changed since.
    """
    if allowed is not None and version not in allowed:
        raise PreconditionFailed


def editable(source: Source) -> SourceEdit:
    """Return the part of a source that its owner can change."""
    return SourceEdit(
        name=source.name,
        recipe=source.recipe,
        max_body_bytes=source.max_body_bytes,
        webhooks_per_minute=source.webhooks_per_minute,
        content_types=source.content_types,
        indexed_fields=source.indexed_fields,
        encrypts=source.encrypts,
    )


def paused(source: Source, mode: PauseMode) -> Source:
    """Return a source that is paused in that way; it may be so already.

    Raises:
        Conflict: an owner can't get it from where it is to there.
    """
    _switch(source, "paused")
    return msgspec.structs.replace(source, state="paused", buffers=mode == "buffer")


def resumed(source: Source) -> Source:
    """Return a source that takes webhooks again; it may do so already.

    Raises:
        Conflict: an owner can't get it from where it is to there.
    """
    _switch(source, "active")
    return msgspec.structs.replace(source, state="active", buffers=False)


def _switch(source: Source, state: SourceState) -> None:
    if source.state != state and source.state not in _SWITCHES.get(state, ()):
        raise Conflict(f"This source is {source.state}; that is not its owner's to change.")
