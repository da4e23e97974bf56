"""Rules of sources: what their recipe, token and name must be. Pure."""

import hashlib
from collections.abc import Iterable

import msgspec

from crossdock import native
from crossdock.errors import Conflict, Invalid, PreconditionFailed, Violation
from crossdock.inbound.model import Recipe, Scheme, Source, SourceEdit, SourceState

TOKEN_BYTES = 32
"""Random bytes of an ingest token: whoever has the URL may knock, nobody guesses it."""

_SWITCHES: dict[SourceState, frozenset[SourceState]] = {
    "active": frozenset({"paused"}),
    "paused": frozenset({"active"}),
}
"""From which states an owner reaches which; `disabled` is the operator's word."""


def token_hash(token: str) -> bytes:
    """Return what is stored and looked up of an ingest token; it is random, so SHA-256 will do."""
    return hashlib.sha256(token.encode()).digest()


def complete_recipe(scheme: Scheme, recipe: Recipe, secrets: Iterable[str]) -> bytes:
    """Return the recipe that `crossdock.native.Source` is prepared from."""
    fields = {"scheme": scheme, **msgspec.to_builtins(recipe), "secrets": list(secrets)}
    return msgspec.json.encode(fields)


def check_recipe(
    scheme: Scheme, recipe: Recipe, secrets: Iterable[str], *, pointer: str = "/recipe"
) -> None:
    """Check that webhooks can be verified by it, by preparing to.

    Raises:
        Invalid: they can't be; the detail says what to mend and never quotes a secret.
    """
    try:
        native.Source(complete_recipe(scheme, recipe, secrets))
    except native.RecipeError as error:
        raise Invalid(None, Violation(pointer, f"{error}.")) from error


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
    )


def switch(source: Source, state: SourceState) -> bool:
    """Tell whether a source must be written to be in `state`; it may be in it already.

    Raises:
        Conflict: an owner can't get it from where it is to there.
    """
    if source.state == state:
        return False
    if source.state not in _SWITCHES.get(state, ()):
        raise Conflict(f"This source is {source.state}; that is not its owner's to change.")
    return True
