"""Every error a use case may raise on purpose.

    CrossdockError
    ├── ConfigurationError        settings are missing or wrong; says which and how to mend
    ├── ProcessFailed             a process that we started ended, or never became ready
    ├── TenantMismatch            a fault of ours: work for one tenant reached for another's rows
    ├── Refused                   the caller can mend it; carries status and problem type
    │   ├── Malformed             400
    │   │   └── KeyMissing        400, an idempotency key is asked for here
    │   ├── Unauthenticated       401
    │   │   ├── InvalidToken          a credential was sent, and it is no good (RFC 6750)
    │   │   └── SecondFactorRequired  the password was right, a code is wanted too
    │   ├── Forbidden             403
    │   │   ├── QuotaReached      403, the tenant has as many of these as it may
    │   │   ├── SignupClosed      403, operators make the tenants here
    │   │   └── TenantSuspended   403, a tenant that is not active wanted to change something
    │   ├── NotFound              404, also for what belongs to another tenant
    │   │   └── NotAnId           404, no id of the kind that is wanted, so an id of nothing
    │   ├── TimedOut              408, the request's body did not come in time
    │   ├── Conflict              409
    │   │   ├── InProgress        409, the same idempotency key is at work
    │   │   ├── OutcomeUnknown    409, what the key was used for was cut off
    │   │   └── Incompatible      409, a schema refuses what the one before it allowed
    │   ├── PreconditionFailed    412
    │   ├── TooLarge              413
    │   ├── UnsupportedMediaType  415
    │   ├── Invalid               422, with JSON pointers
    │   ├── SchemaViolated        422, a payload breaks its event type's schema
    │   ├── RecipeMismatch        422, a pasted example is not signed as the recipe says
    │   ├── PreconditionRequired  428, If-Match is demanded here
    │   ├── KeyReused             422, the idempotency key is another request's
    │   └── TooManyRequests       429, with the seconds to wait
    └── Unavailable               503: a dependency is away; the caller may retry after some seconds
        ├── BrokerUnavailable
        │   └── NotTaken          to ask the same again does no harm, whatever became of it
        ├── Busy                  a bounded queue is full
        └── DatabaseUnavailable
            └── PoolExhausted     the tenant waited too long for one of its connections

A class's docstring is its default message. `gateway/errors.py` turns these into RFC 9457 problems,
`workers/errors.py` into ack, retry or dead letter; nobody else catches them.
"""

from typing import ClassVar

import msgspec


class CrossdockError(Exception):
    """Something went wrong in Crossdock."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ConfigurationError(CrossdockError):
    """The settings are missing or wrong."""


class ProcessFailed(CrossdockError):
    """A process that Crossdock started ended, or never became ready."""


class TenantMismatch(CrossdockError):
    """Work for one tenant reached for another's rows."""


class Violation(msgspec.Struct, frozen=True):
    """One broken rule of a request: where, and which."""

    pointer: str
    """RFC 6901 JSON pointer into the body; else `?name` of a query parameter, `{name}` of a part of
    the path, or `Name:` of a header."""
    detail: str


class Refused(CrossdockError):
    """The request was refused."""

    status: ClassVar[int] = 400
    problem: ClassVar[str] = "refused"
    """Last segment of the problem's `type`; stable, in the registry (`gateway.problems.types`)."""

    def __init__(self, message: str | None = None, *violations: Violation) -> None:
        super().__init__(message)
        self.violations = violations


class Malformed(Refused):
    """The request could not be read."""

    status = 400
    problem = "malformed"


class Unauthenticated(Refused):
    """The credentials are missing, unknown, expired or revoked."""

    status = 401
    problem = "unauthenticated"


class InvalidToken(Unauthenticated):
    """The credentials are missing, unknown, expired or revoked."""


class SecondFactorRequired(Unauthenticated):
    """This account asks for a code of its second factor, too."""

    problem = "second-factor-required"


class Forbidden(Refused):
    """These credentials do not permit that."""

    status = 403
    problem = "forbidden"


class QuotaReached(Forbidden):
    """This tenant has as many of these as its plan allows."""

    problem = "quota-reached"


class SignupClosed(Forbidden):
    """Signing up is closed here; ask whoever runs this installation for an account."""

    problem = "signup-closed"


class TenantSuspended(Forbidden):
    """This tenant is not active; it may read, but nothing changes."""

    problem = "tenant-suspended"


class NotFound(Refused):
    """There is no such thing here."""

    status = 404
    problem = "not-found"


class NotAnId(NotFound):
    """There is no such thing here."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__()
        self.kind = kind
        self.text = text


class TimedOut(Refused):
    """The request took too long to arrive."""

    status = 408
    problem = "timed-out"


class Conflict(Refused):
    """That conflicts with what is already there."""

    status = 409
    problem = "conflict"


class InProgress(Conflict):
    """A request with this idempotency key is still running; come again for its answer."""

    problem = "idempotency-in-progress"
    retry_after_s: ClassVar[float] = 1.0


class OutcomeUnknown(Conflict):
    """A request with this key was cut off half-way; look whether it had its effect."""

    problem = "outcome-unknown"


class Incompatible(Conflict):
    """The new schema is not compatible with the one before it."""

    problem = "schema-incompatible"


class PreconditionFailed(Refused):
    """It was changed by somebody else since it was read."""

    status = 412
    problem = "precondition-failed"


class TooLarge(Refused):
    """The request is too large."""

    status = 413
    problem = "too-large"


class UnsupportedMediaType(Refused):
    """The request's media type is not one that is understood here."""

    status = 415
    problem = "unsupported-media-type"


class Invalid(Refused):
    """The request breaks one or more rules."""

    status = 422
    problem = "invalid"


class SchemaViolated(Refused):
    """The payload breaks the schema of its event type."""

    status = 422
    problem = "schema-violated"


class RecipeMismatch(Refused):
    """The example is not signed as the recipe says."""

    status = 422
    problem = "recipe-mismatch"


class KeyReused(Refused):
    """This idempotency key was used for another request."""

    status = 422
    problem = "idempotency-key-reused"


class KeyMissing(Malformed):
    """This needs an Idempotency-Key, so that it never happens twice."""

    problem = "idempotency-key-missing"


class TooManyRequests(Refused):
    """Too many requests."""

    status = 429
    problem = "quota-exceeded"

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_s: float = 1.0,
        policies: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.policies = policies
        """The rate limits that were reached, by name; none where tries were counted."""


class Unavailable(CrossdockError):
    """A part that this needs is away for the moment."""

    problem: ClassVar[str] = "unavailable"

    def __init__(self, message: str | None = None, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BrokerUnavailable(Unavailable):
    """The message broker is away or full; nothing was accepted."""


class NotTaken(BrokerUnavailable):
    """The message broker is away or full; send the same again, which does no harm."""


class DatabaseUnavailable(Unavailable):
    """The database is away for the moment."""


class PoolExhausted(DatabaseUnavailable):
    """All connections that this tenant may use are busy."""


class Busy(Unavailable):
    """Too much of this is going on at the moment."""

    problem = "busy"
