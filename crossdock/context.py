"""Whose work this is: the tenant that a request or a message was found to belong to.

It is bound where the caller is recognised, once, and read wherever the tenant matters without
being asked for: the door to the database refuses another tenant's rows, and each line of the log
names it. A context variable follows the task and ends with it, so that nothing of one request is
left for the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

from crossdock.errors import TenantMismatch

_tenant: Final[ContextVar[UUID | None]] = ContextVar("crossdock_tenant", default=None)


def bind(tenant_id: UUID) -> None:
    """Say whose work the rest of this task is."""
    _tenant.set(tenant_id)


@contextmanager
def bound(tenant_id: UUID | None) -> Iterator[None]:
    """Say whose work a block is; `None` where it is for several tenants, or for none."""
    token = _tenant.set(tenant_id)
    try:
        yield
    finally:
        _tenant.reset(token)


def current() -> UUID | None:
    """Return the tenant whose work this is, if it is one's."""
    return _tenant.get()


def check(tenant_id: UUID) -> None:
    """Check that work on a tenant's rows is that tenant's own.

    Raises:
        TenantMismatch: it is bound to another one.
    """
    bound_to = _tenant.get()
    if bound_to is not None and bound_to != tenant_id:
        raise TenantMismatch
