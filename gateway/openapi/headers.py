"""The headers of answers, as the document has them."""

from typing import Any, Final

_REFERENCE: Final = "#/components/headers/"

COMPONENTS: Final[dict[str, Any]] = {
    "RateLimit": {
        "required": True,
        "description": (
            "What is left of the tightest limit: `r` units now, and after `t` seconds more"
            " (draft-ietf-httpapi-ratelimit-headers)."
        ),
        "schema": {"type": "string"},
        "example": '"tenant";r=299;t=1',
    },
    "RateLimit-Policy": {
        "required": True,
        "description": "The limits that hold for this request: `q` units in `w` seconds each.",
        "schema": {"type": "string"},
        "example": '"tenant";q=300;w=60, "key";q=6000;w=60',
    },
    "Retry-After": {
        "description": "Seconds to wait before the request is worth repeating.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "ETag": {
        "description": "The version: give it back as `If-Match` with a change.",
        "schema": {"type": "string"},
        "example": '"3"',
    },
    "Location": {
        "description": "Where the new resource is.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Idempotency-Replayed": {
        "description": (
            "There, and `true`, where this is the stored answer to an earlier request with the"
            " same `Idempotency-Key`."
        ),
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Allow": {
        "required": True,
        "description": "The methods that this path takes.",
        "schema": {"type": "string"},
        "example": "GET, OPTIONS, POST",
    },
    "WWW-Authenticate": {
        "required": True,
        "description": "How to authenticate (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="crossdock"',
    },
}

ALWAYS: Final = ("RateLimit", "RateLimit-Policy")
"""In every answer, errors included."""


def headers(*names: str) -> dict[str, Any]:
    """Return the headers of an answer: these, and those of every answer."""
    return {name: {"$ref": f"{_REFERENCE}{name}"} for name in (*ALWAYS, *names)}
