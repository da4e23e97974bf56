"""The use cases of alerts: raised once, told by mail, listed, and resolved.

An alert is one row for its kind, subject, level and period: raised again, it changes nothing and
tells nobody. The row and the letters are written in the transaction of whoever raises it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from crossdock import ids
from crossdock.alerts import store
from crossdock.alerts.letters import QUOTA, AlertLetters
from crossdock.alerts.model import Alert, AlertEdit, Owner
from crossdock.alerts.store import Connection, RawConnection
from crossdock.db import Database, Databases
from crossdock.errors import NotFound
from crossdock.mail.letters import Letters
from crossdock.mail.service import Postbox
from crossdock.paging import Slice, Window

__all__ = ["QUOTA", "Alarm", "Alerts", "Connection", "RawConnection", "resolve_past"]

MOST_LETTERS: Final = 20
"""Alerts of a tenant in an hour of which letters are written; the last one says that it is."""
HOUR: Final = timedelta(hours=1)


class Alerts:
    """Shows a tenant its alerts."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(
        self,
        tenant_id: UUID,
        window: Window,
        *,
        is_open: bool | None = None,
        kind: str | None = None,
    ) -> Slice[Alert]:
        """Return a page of alerts, newest first.

        Args:
            tenant_id: Whose.
            window: Which page.
            is_open: Only open ones, or only those that have passed.
            kind: Only those of one sort.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.page(conn, tenant_id, window, is_open=is_open, kind=kind)
        return Slice.cut(found, window)

    async def get(self, tenant_id: UUID, alert_id: UUID) -> Alert:
        """Return one alert.

        Raises:
            NotFound: this tenant has no such alert.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, alert_id)
        if found is None:
            raise NotFound
        return found


class Alarm:
    """Raises and resolves alerts in the transactions of others."""

    def __init__(
        self,
        postbox: Postbox,
        letters: Letters,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say by whom letters are taken and written; `clock` is injected by tests."""
        self._postbox = postbox
        self._letters = AlertLetters(letters)
        self._clock = clock

    async def raise_once(
        self,
        conn: Connection,
        tenant_id: UUID,
        *,
        kind: str,
        subject: str,
        level: int,
        period: str = "",
        detail: dict[str, Any] | None = None,
    ) -> bool:
        """Raise an alert inside the tenant that was entered; tell whether it is new."""
        alert = self._alert(
            tenant_id, kind=kind, subject=subject, level=level, period=period, detail=detail
        )
        if not await store.add(conn, alert):
            return False
        await self.tell(conn, alert)
        return True

    async def raise_once_raw(
        self,
        conn: RawConnection,
        tenant_id: UUID,
        *,
        kind: str,
        subject: str,
        level: int,
        period: str = "",
        detail: dict[str, Any] | None = None,
    ) -> bool:
        """Raise an alert on a connection of `maintenance` or `operator`; tell whether it is new."""
        alert = self._alert(
            tenant_id, kind=kind, subject=subject, level=level, period=period, detail=detail
        )
        if not await store.add_raw(conn, alert):
            return False
        await self.tell_raw(conn, alert)
        return True

    async def tell(self, conn: Connection, alert: Alert) -> int:
        """Write the letters of an alert, inside its tenant; return how many."""
        said = await store.settings(conn, alert.tenant_id)
        number = await store.number(conn, alert, alert.created_at - HOUR)
        wishes = AlertEdit() if said is None else said.edit
        people = _told(alert, wishes, await store.owners(conn, alert.tenant_id), number)
        for one in people:
            mail = self._letters.raised(alert, *one, is_last=number == MOST_LETTERS)
            await self._postbox.put(conn, alert.tenant_id, mail)
        return len(people)

    async def tell_raw(self, conn: RawConnection, alert: Alert) -> None:
        """Write the letters of an alert, on the connection of a duty."""
        wishes = await store.settings_raw(conn, alert.tenant_id)
        number = await store.number_raw(conn, alert, alert.created_at - HOUR)
        owners = await store.owners_raw(conn, alert.tenant_id)
        for one in _told(alert, wishes, owners, number):
            mail = self._letters.raised(alert, *one, is_last=number == MOST_LETTERS)
            await self._postbox.put_raw(conn, alert.tenant_id, mail)

    async def tell_passed(self, conn: RawConnection, alert: Alert, now: datetime) -> None:
        """Write to those who were told of an alert that all is well again; as `tell_raw`."""
        wishes = await store.settings_raw(conn, alert.tenant_id)
        number = await store.number_raw(conn, alert, alert.created_at - HOUR)
        owners = await store.owners_raw(conn, alert.tenant_id)
        for to, tenant in _told(alert, wishes, owners, number):
            mail = self._letters.passed(alert, to, tenant, now)
            await self._postbox.put_raw(conn, alert.tenant_id, mail)

    async def resolve(self, conn: Connection, tenant_id: UUID, kind: str, subject: str) -> None:
        """Note inside the tenant that what was told of a subject has passed."""
        await store.resolve(conn, tenant_id, kind, subject)

    def _alert(
        self,
        tenant_id: UUID,
        *,
        kind: str,
        subject: str,
        level: int,
        period: str,
        detail: dict[str, Any] | None,
    ) -> Alert:
        now = self._clock()
        return Alert(
            tenant_id=tenant_id,
            id=ids.new(),
            kind=kind,
            subject=subject,
            level=level,
            period=period,
            detail=detail or {},
            created_at=now,
            resolved_at=None,
        )


def _told(
    alert: Alert, wishes: AlertEdit, owners: Sequence[Owner], number: int
) -> list[tuple[str, str]]:
    """Return the addresses that an alert is told to, each once, with the tenant's name.

    Args:
        alert: which.
        wishes: of its tenant.
        owners: of its tenant.
        number: the how many-th of its hour it is.
    """
    if alert.kind in wishes.muted or (alert.kind != QUOTA and number > MOST_LETTERS):
        return []
    name = owners[0].tenant if owners else "your tenant"
    addresses = dict.fromkeys([owner.email for owner in owners] + list(wishes.emails))
    return [(address, name) for address in addresses]


async def resolve_past(
    database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Resolve a shard's alerts about days that are over; needs the role `maintenance`.

    Raises:
        DatabaseUnavailable: the shard is away; what is left is left for the next time.
    """
    async with database.maintenance() as conn:
        await store.resolve_before(conn, clock().astimezone(UTC).date().isoformat())
