"""What the sender is told, and what it says."""

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """Whom to call, as whom, and for how long."""

    url: str
    mail: str
    """The folder that letters are put into."""
    key: str
    """Of a tenant with everything."""
    operator: str
    """An access token."""
    operations: dict[str, tuple[str, str]]
    """Method and path, by the operation's id."""
    takes_key: list[str]
    """Operations that take an idempotency key."""
    patches: list[str]
    """Operations whose body is a merge patch."""
    sink: str
    """Where deliveries go: what is below `/fail` is refused for good."""
    users: int
    seconds: float


class Driven(msgspec.Struct, frozen=True):
    """How one operation did."""

    operation: str
    requests: int
    errors: int
    """Answers that were not expected."""
    rate: float
    """A second."""
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Outcome(msgspec.Struct, frozen=True):
    """How all of them did."""

    driven: list[Driven]
    failures: list[str]
    """What was not expected, with how often."""
