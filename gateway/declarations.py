"""What a handler that changes something declares of requests that are sent again.

Each declares exactly one of these, as an option; one that declares nothing, or two, keeps the
application from starting.

- `idempotency=Atomic()`: all it does is in its caller's tenant, so its effect and its stored answer
  are one transaction.
- `idempotency=Apart()`: it also does something elsewhere (another tenant, the control database), or
  waits for long: it is claimed first, and its answer is stored afterwards.
- `idempotency=Scoped("email")`: it is public. Whose key it is says the address that it comes from,
  and this member of its body; otherwise as `Apart`.
- `no_key="…"`: it takes no key, for this reason.

`secret=True` says that an answer holds a secret: it is kept in the database, sealed, and nowhere
else.
"""

import msgspec


class Atomic(msgspec.Struct, frozen=True, kw_only=True):
    """Claim, effect and answer are one transaction."""

    secret: bool = False
    required: bool = False
    """Whether there must be a key."""


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that is committed, then the effect, then the answer."""

    secret: bool = False
    required: bool = False


class Scoped(msgspec.Struct, frozen=True):
    """As `Apart`, of a stranger."""

    by: str
    """The member of the body that says who it is about."""
    secret: bool = False
    required: bool = False


Declared = Atomic | Apart | Scoped
