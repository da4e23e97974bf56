"""The one table that turns errors into RFC 9457 problems; nothing else in the REST API catches.

What we raise on purpose says its own status and type. What Litestar raises is translated. All else
is a fault of ours: it is logged whole under an id, and the answer carries the id and nothing more.
"""

import math
import uuid
from collections.abc import Callable
from typing import Any, Final

import structlog
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from crossdock import errors, ids
from crossdock.errors import Violation
from gateway import problems
from gateway.parameters import pointer_of

_log: Final = structlog.get_logger(__name__)

CHALLENGE: Final = 'Bearer realm="crossdock"'
BAD_TOKEN: Final = f'{CHALLENGE}, error="invalid_token"'
"""RFC 6750, 3.1. Who sent no token is not told of errors in it."""

Answer = Response[bytes]
AnyRequest = Request[Any, Any, Any]


def to_problem(request: AnyRequest, error: Exception) -> Answer:
    """Return the answer to a request that ended in an error."""
    for kind, answer in _TABLE:
        if isinstance(error, kind):
            return answer(request, error)
    return _unexpected(request, error)


def _refused(request: AnyRequest, error: Any) -> Answer:
    headers = {}
    if isinstance(error, errors.Unauthenticated):
        is_bad = isinstance(error, errors.InvalidToken)
        headers["WWW-Authenticate"] = BAD_TOKEN if is_bad else CHALLENGE
    if isinstance(error, errors.TooManyRequests | errors.InProgress):
        headers["Retry-After"] = _seconds(error.retry_after_s)
    return _answer(
        problems.problem(
            error.status,
            error.problem,
            str(error),
            instance=problems.instance_of(request.scope["path"]),
            errors=error.violations,
            policies=error.policies if isinstance(error, errors.TooManyRequests) else (),
        ),
        headers,
    )


def _not_an_id(request: AnyRequest, error: Any) -> Answer:
    """Name the part of the path that can't be an id; ids elsewhere are checked where they are."""
    found = [
        Violation(f"{{{name}}}", f"This is not an id `{error.kind}_…`.")
        for name, value in request.path_params.items()
        if value == error.text
    ]
    return _refused(request, errors.NotFound(None, *found))


def _unavailable(request: AnyRequest, error: Any) -> Answer:
    _log.warning("request_unavailable", path=request.scope["path"], reason=str(error))
    # The class's own words: the message may name hosts, roles and statements.
    detail = (type(error).__doc__ or "").strip()
    instance = problems.instance_of(request.scope["path"])
    problem = problems.problem(503, error.problem, detail, instance=instance)
    return _answer(problem, {"Retry-After": _seconds(error.retry_after_s)})


def _invalid_parameters(request: AnyRequest, error: Any) -> Answer:
    """Path, query and header parameters are Litestar's to check; bodies are ours, before this."""
    found = [_parameter(request, item) for item in error.extra or ()]
    if any(violation is None for violation in found):
        return _refused(request, errors.Malformed("A JSON body is required."))
    violations = [violation for violation in found if violation is not None]
    if not violations:
        return _refused(request, errors.Malformed(error.detail))
    if any(violation.pointer.startswith("{") for violation in violations):
        return _refused(request, errors.NotFound(None, *violations))
    if all(violation.pointer.endswith(":") for violation in violations):
        return _refused(request, errors.Malformed(None, *violations))
    return _refused(request, errors.Invalid(None, *violations))


def _parameter(request: AnyRequest, item: dict[str, Any]) -> Violation | None:
    key = item.get("key", "")
    if key == "data" or item.get("source") == "body":
        return None
    return Violation(pointer_of(request.route_handler, key), f"{item['message']}.")


def _method_not_allowed(request: AnyRequest, error: Any) -> Answer:
    allowed = sorted(method.strip() for method in error.headers["allow"].split(","))
    problem = problems.problem(
        405,
        "method-not-allowed",
        f"This takes {', '.join(allowed)}.",
        instance=problems.instance_of(request.scope["path"]),
    )
    return _answer(problem, {"Allow": ", ".join(allowed)})


def _from_litestar(request: AnyRequest, error: Any) -> Answer:
    """Answer for what Litestar refuses by itself; of what it says besides, all is malformed."""
    if error.status_code >= 500:  # noqa: PLR2004 - as HTTP counts
        return _unexpected(request, error)
    kind = _BY_STATUS.get(error.status_code, errors.Malformed)
    return _refused(request, kind(error.detail))


def _unexpected(request: AnyRequest, error: Exception) -> Answer:
    instance = uuid.UUID(bytes=ids.new().bytes).urn
    _log.error(
        "request_failed",
        instance=instance,
        method=request.scope["method"],
        path=request.scope["path"],
        exc_info=error,
    )
    return _answer(problems.problem(500, "internal", instance=instance), {})


def _answer(problem: problems.Problem, headers: dict[str, str]) -> Answer:
    return Response(
        problems.encode(problem),
        status_code=problem.status,
        media_type=problems.CONTENT_TYPE,
        headers=headers,
    )


def _seconds(wait: float) -> str:
    return str(max(1, math.ceil(wait)))


_BY_STATUS: Final[dict[int, type[errors.Refused]]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
}
_TABLE: Final[tuple[tuple[type[Exception], Callable[[AnyRequest, Any], Answer]], ...]] = (
    (errors.NotAnId, _not_an_id),
    (errors.Refused, _refused),
    (errors.Unavailable, _unavailable),
    (ValidationException, _invalid_parameters),
    (MethodNotAllowedException, _method_not_allowed),
    (NotFoundException, lambda request, _error: _refused(request, errors.NotFound())),
    (RequestEntityTooLarge, lambda request, _error: _refused(request, errors.TooLarge())),
    (ClientException, _from_litestar),
    (HTTPException, _from_litestar),
)
"""From the special to the general; the first that fits answers."""
