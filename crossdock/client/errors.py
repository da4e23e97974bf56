"""What a call may end in instead of an answer.

    ClientError
    ├── ConnectionFailed              no answer came, after all tries
    ├── UnexpectedAnswer              an answer came that is none of this API's
    └── ProblemError                  the API refused, and says why (RFC 9457)
        ├── Malformed                 400
        │   └── IdempotencyKeyMissing
        ├── Unauthenticated           401
        │   └── SecondFactorRequired
        ├── Forbidden                 403
        │   ├── QuotaReached
        │   ├── SignupClosed
        │   └── TenantSuspended
        ├── NotFound                  404
        ├── MethodNotAllowed          405
        ├── TimedOut                  408
        ├── Conflict                  409
        │   ├── InProgress
        │   ├── OutcomeUnknown
        │   └── SchemaIncompatible
        ├── PreconditionFailed        412
        ├── TooLarge                  413
        ├── UnsupportedMediaType      415
        ├── Invalid                   422
        ├── SchemaViolated            422
        ├── RecipeMismatch            422
        ├── IdempotencyKeyReused      422
        ├── TooManyRequests           429
        └── ServerError               5xx
            └── Unavailable           503
                └── Busy

The class is chosen by the problem's `type`; one that this version does not know falls back to the
class of its status, so that an older client still understands a newer server.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar, Final

import httpx
import msgspec


class ClientError(Exception):
    """A call did not end in an answer."""


class ConnectionFailed(ClientError):
    """No answer came. Whether the request had its effect is not known, unless it never left."""


class UnexpectedAnswer(ClientError):
    """The answer is none of this API's: another server, a proxy, or a much other version."""


class FieldProblem(msgspec.Struct, frozen=True):
    """One broken rule of a request."""

    pointer: str
    """JSON pointer into the body, `?name` of a query parameter, `{name}` of one in the path, or
    `Name:` of a header."""
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A problem details object as it came; members that it lacks have these defaults."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str | None = None
    instance: str | None = None
    errors: Sequence[FieldProblem] = ()
    violated_policies: Sequence[str] = msgspec.field(default=(), name="violated-policies")


class ProblemError(ClientError):
    """The API refused a request, and says why."""

    problem_type: ClassVar[str | None] = None
    """The last word of the problem's `type` that this class stands for."""
    of_status: ClassVar[int | None] = None
    """The status whose problems it takes where their `type` is not known."""

    def __init__(self, status: int, problem: Problem, retry_after_s: float | None) -> None:
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s
        """Seconds that the server asks to wait for, if it does."""
        where = "".join(f"; {one.pointer}: {one.detail}" for one in problem.errors)
        super().__init__(f"{status} {problem.type}: {problem.detail or problem.title}{where}")

    @property
    def errors(self) -> Sequence[FieldProblem]:
        """Which rules the request broke, and where."""
        return self.problem.errors


class Malformed(ProblemError):
    """The request could not be read."""

    problem_type, of_status = "malformed", 400


class IdempotencyKeyMissing(Malformed):
    """This call needs a key; the client's own methods always send one."""

    problem_type = "idempotency-key-missing"


class Unauthenticated(ProblemError):
    """The token is missing, unknown, expired or revoked."""

    problem_type, of_status = "unauthenticated", 401


class SecondFactorRequired(Unauthenticated):
    """The password was right, a `code` is wanted too."""

    problem_type = "second-factor-required"


class Forbidden(ProblemError):
    """The token does not permit that."""

    problem_type, of_status = "forbidden", 403


class QuotaReached(Forbidden):
    """The tenant has as many of these as it may."""

    problem_type = "quota-reached"


class SignupClosed(Forbidden):
    """Operators make the tenants here."""

    problem_type = "signup-closed"


class TenantSuspended(Forbidden):
    """The tenant may read, but nothing changes."""

    problem_type = "tenant-suspended"


class NotFound(ProblemError):
    """There is no such thing, or it is another tenant's."""

    problem_type, of_status = "not-found", 404


class MethodNotAllowed(ProblemError):
    """The path takes other methods."""

    problem_type, of_status = "method-not-allowed", 405


class TimedOut(ProblemError):
    """The request did not arrive in time."""

    problem_type, of_status = "timed-out", 408


class Conflict(ProblemError):
    """A name that is taken, or a state that does not allow it."""

    problem_type, of_status = "conflict", 409


class InProgress(Conflict):
    """A request with this idempotency key is still running."""

    problem_type = "idempotency-in-progress"


class OutcomeUnknown(Conflict):
    """A request with this idempotency key was cut off half-way: look whether it had its effect."""

    problem_type = "outcome-unknown"


class SchemaIncompatible(Conflict):
    """The new schema refuses what the one before it allowed; `errors` says where."""

    problem_type = "schema-incompatible"


class PreconditionFailed(ProblemError):
    """It was changed since its `etag` was read."""

    problem_type, of_status = "precondition-failed", 412


class TooLarge(ProblemError):
    """The request is too large."""

    problem_type, of_status = "too-large", 413


class UnsupportedMediaType(ProblemError):
    """The request's media type is not one that is understood."""

    problem_type, of_status = "unsupported-media-type", 415


class Invalid(ProblemError):
    """The request breaks rules; `errors` says which and where."""

    problem_type, of_status = "invalid", 422


class SchemaViolated(ProblemError):
    """The payload breaks its event type's schema; `errors` says where."""

    problem_type = "schema-violated"


class RecipeMismatch(ProblemError):
    """The example is not signed as the recipe says; `errors` has hints."""

    problem_type = "recipe-mismatch"


class IdempotencyKeyReused(ProblemError):
    """This idempotency key was used for another request."""

    problem_type = "idempotency-key-reused"


class TooManyRequests(ProblemError):
    """A limit was reached; `problem.violated_policies` names it."""

    problem_type, of_status = "quota-exceeded", 429


class ServerError(ProblemError):
    """A fault of the server's; `problem.instance` is what its log has it under."""

    problem_type, of_status = "internal", 500


class Unavailable(ServerError):
    """A part that this needs is away for the moment."""

    problem_type, of_status = "unavailable", 503


class Busy(Unavailable):
    """The server has too much of this at the moment."""

    problem_type = "busy"


def _all(kind: type[ProblemError]) -> list[type[ProblemError]]:
    return [kind, *(below for one in kind.__subclasses__() for below in _all(one))]


BY_TYPE: Final = {kind.problem_type: kind for kind in _all(ProblemError) if kind.problem_type}
BY_STATUS: Final = {
    status: kind for kind in _all(ProblemError) if (status := vars(kind).get("of_status"))
}

_SERVER: Final = 500
_decoder: Final = msgspec.json.Decoder(Problem)


def refusal(response: httpx.Response, retry_after_s: float | None) -> ProblemError:
    """Return the error that an answer of 4xx or 5xx is."""
    status = response.status_code
    problem = _read(response)
    known = BY_TYPE.get(problem_name(problem.type)) or BY_STATUS.get(status)
    kind = known or (ServerError if status >= _SERVER else ProblemError)
    return kind(status, problem, retry_after_s)


def problem_name(text: str) -> str:
    """Return the last word of a problem's `type`, by which it is told from others."""
    return text.rpartition("#")[2].rpartition("/")[2]


def _read(response: httpx.Response) -> Problem:
    """Read a problem; what stands between here and the server may answer in HTML."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/problem+json":
        try:
            return _decoder.decode(response.content)
        except msgspec.MsgspecError:
            pass
    try:
        phrase = HTTPStatus(response.status_code).phrase
    except ValueError:
        phrase = "Refused"
    return Problem(title=phrase, status=response.status_code)
