"""The problems that operations answer with, one response a status, with an example a type."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from crossdock.errors import Violation
from gateway import problems
from gateway.idempotency import KEPT_REFUSALS
from gateway.openapi.headers import headers
from gateway.openapi.schemas import TEMPLATE
from gateway.problems.types import TYPES, ProblemType

_HEADERS: Final = dict.fromkeys(KEPT_REFUSALS, ("Idempotency-Replayed",)) | {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_SCHEMA: Final = {"$ref": TEMPLATE.format(name="Problem")}
PROBLEM_CONTENT: Final = {problems.CONTENT_TYPE: {"schema": _SCHEMA}}
_VIOLATION: Final = Violation("/name", "Expected `str` of length >= 1.")


def components() -> dict[str, Any]:
    """Return the responses that operations refer to."""
    statuses = sorted({kind.status for kind in TYPES})
    return {_name(status): _response(status) for status in statuses} | {
        "Problem": {
            "description": "Any other problem.",
            "headers": headers(),
            "content": PROBLEM_CONTENT,
        }
    }


def content_of(status: int) -> dict[str, Any]:
    """Return what the problems of a status look like, where it has answers of another kind too."""
    content: dict[str, Any] = _response(status)["content"]
    return content


def problem(status: int | None = None) -> dict[str, str]:
    """Return the reference to the problems of a status, or to any other problem."""
    return {"$ref": f"#/components/responses/{'Problem' if status is None else _name(status)}"}


def _name(status: int) -> str:
    return f"Problem{status}"


def _response(status: int) -> dict[str, Any]:
    kinds = [kind for kind in TYPES if kind.status == status]
    return {
        "description": HTTPStatus(status).phrase,
        "headers": headers(*_HEADERS.get(status, ())),
        "content": {
            problems.CONTENT_TYPE: {
                "schema": _SCHEMA,
                "examples": {
                    kind.name: {"summary": kind.title, "value": _example(kind)} for kind in kinds
                },
            }
        },
    }


def _example(kind: ProblemType) -> Any:
    """Return a problem of that type as it looks on the wire."""
    made = problems.problem(kind.status, kind.name, kind.meaning, instance="/v1/sources")
    match kind.name:
        case "invalid":
            made = msgspec.structs.replace(made, errors=[_VIOLATION])
        case "quota-exceeded":
            made = msgspec.structs.replace(made, violated_policies=["tenant"])
        case "internal":
            made = msgspec.structs.replace(
                made, detail=None, instance="urn:uuid:01a207fd-7a9f-70cf-9058-2657a7b502ff"
            )
        case _:
            pass
    return msgspec.to_builtins(made)
