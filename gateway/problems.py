"""RFC 9457 problem details: the one shape of every error that leaves a gateway.

`type` is a relative reference, `/problems/<name>`: it is stable, it is what programs compare, and
`docs/api.md` explains each name. A refusal for too many requests carries the type registered
with IANA instead, as the rate limit draft asks.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from crossdock.errors import Violation

CONTENT_TYPE: Final = "application/problem+json"

_REGISTERED: Final = {
    "quota-exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded",
}

_encoder: Final = msgspec.json.Encoder()


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem details object; members without a value are left out."""

    type: str
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    errors: Sequence[Violation] = ()


def problem(
    status: int,
    name: str,
    detail: str | None = None,
    *,
    title: str | None = None,
    instance: str | None = None,
    errors: Sequence[Violation] = (),
) -> Problem:
    """Return the problem called `name`; its title is the status's phrase unless given."""
    return Problem(
        type=_REGISTERED.get(name, f"/problems/{name}"),
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=instance,
        errors=errors,
    )


def encode(value: Problem) -> bytes:
    """Return the JSON of a problem, for those who answer without Litestar."""
    return _encoder.encode(value)
