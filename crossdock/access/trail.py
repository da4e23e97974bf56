"""What access control leaves in the audit: who changed whose rights, and who tried to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Forbidden


def entry(
    by: Principal | None, action: str, target: str | None, address: str | None, **detail: Any
) -> Entry:
    """Return an entry of the audit; without a principal the system did it."""
    return Entry(
        action=action,
        actor_kind="system" if by is None else by.actor.kind,
        actor_id=None if by is None else by.actor.id,
        target=target,
        address=address or None,
        detail=detail,
    )


@asynccontextmanager
async def refusals(
    database: Databases,
    by: Principal | None,
    action: str,
    target: str | None,
    address: str | None,
) -> AsyncIterator[None]:
    """Record that a block was forbidden, once its own transaction is rolled back.

    Only what is about rights: who lacks room or sends nonsense did not try to reach further.
    """
    try:
        yield
    except Forbidden as error:
        if by is not None and type(error) is Forbidden:
            refused = entry(by, f"{action}.refused", target, address, reason=str(error))
            async with database.tenant(by.tenant_id) as conn:
                await audit.add(conn, by.tenant_id, refused)
        raise
