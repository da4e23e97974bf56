"""RFC 9457 problem details: the one shape of every error that leaves a gateway.

`type` is a relative reference, `/problems/<name>`: it is stable, it is what programs compare, and
it leads to a page. The names are in `types.py`. A refusal for too many requests
carries the type registered with IANA instead, as the rate limit draft asks.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from crossdock.errors import Violation
from gateway.problems.types import BY_NAME

CONTENT_TYPE: Final = "application/problem+json"

_PATH: Final = "/:@!$&'()*+,;="
"""What may stand in a path as it is, besides letters, digits and `-._~` (RFC 3986, 3.3)."""

_encoder: Final = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem details object; members without a value are left out."""

    type: str
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    errors: Sequence[Violation] = ()
    violated_policies: Sequence[str] = msgspec.field(default=(), name="violated-policies")
    """The rate limits that were reached, as the rate limit draft has it."""


def problem(
    status: int,
    name: str,
    detail: str | None = None,
    *,
    instance: str | None = None,
    errors: Sequence[Violation] = (),
    policies: Sequence[str] = (),
) -> Problem:
    """Return the problem of a registered type.

    Raises:
        LookupError: no type has that name and that status; a fault of ours.
    """
    kind = BY_NAME.get(name)
    if kind is None or kind.status != status:
        raise LookupError(f"No problem type is called {name} and has the status {status}.")
    return Problem(
        type=kind.uri,
        title=kind.title,
        status=status,
        detail=detail,
        instance=instance,
        errors=errors,
        violated_policies=policies,
    )


def instance_of(path: str) -> str:
    """Return the reference to a request's path, which ASGI has without its percent signs.

    It begins with one slash: two would make a host of what follows (RFC 3986, 4.2).
    """
    shown = quote(path, _PATH, errors="replace")
    return f"/%2F{shown[2:]}" if shown.startswith("//") else shown


def encode(value: Problem) -> bytes:
    """Return the JSON of a problem, for those who answer without Litestar."""
    return _encoder.encode(value)
