"""The use cases of alerts: raised once, told to the owners by mail, listed, and resolved.

An alert is one row for its kind, subject, level and period: raised again, it changes nothing and
tells nobody. The row and the letters are written in the transaction of whoever raises it.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from crossdock import ids
from crossdock.alerts import store
from crossdock.alerts.model import Alert, Owner
from crossdock.alerts.store import Connection, RawConnection
from crossdock.db import Database, Databases
from crossdock.mail.letters import Letters
from crossdock.mail.model import Mail
from crossdock.mail.service import Postbox
from crossdock.paging import Slice, Window
from crossdock.tenancy.plans import WORDS

QUOTA: Final = "quota"
"""The kind of alert that tells of a quota; its level is per cent, its detail `used`, `limit`."""


class Alerts:
    """Lists a tenant's alerts."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(
        self, tenant_id: UUID, window: Window, *, is_open: bool | None = None
    ) -> Slice[Alert]:
        """Return a page of alerts, newest first; only open or only resolved ones on demand."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window, is_open=is_open), window)


class Alarm:
    """Raises and resolves alerts in the transactions of others."""

    def __init__(
        self,
        postbox: Postbox,
        letters: Letters,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._postbox = postbox
        self._letters = letters
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
        for mail in self._mails(alert, await store.owners(conn, tenant_id)):
            await self._postbox.put(conn, tenant_id, mail)
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

    async def tell_raw(self, conn: RawConnection, alert: Alert) -> None:
        """Write to the owners of an alert that was raised by others, on such a connection."""
        for mail in self._mails(alert, await store.owners_raw(conn, alert.tenant_id)):
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
        return Alert(
            tenant_id=tenant_id,
            id=ids.new(),
            kind=kind,
            subject=subject,
            level=level,
            period=period,
            detail=detail or {},
            created_at=self._clock(),
            resolved_at=None,
        )

    def _mails(self, alert: Alert, owners: Iterable[Owner]) -> list[Mail]:
        return [self._letter(alert, owner) for owner in owners]

    def _letter(self, alert: Alert, owner: Owner) -> Mail:
        if alert.kind == QUOTA:
            return self._letters.quota_reached(
                owner.email,
                tenant=owner.tenant,
                resource=WORDS.get(alert.subject, alert.subject),
                percent=alert.level,
                used=alert.detail["used"],
                limit=alert.detail["limit"],
            )
        return self._letters.alert(
            owner.email,
            tenant=owner.tenant,
            what=f"{alert.kind} of {alert.subject}",
            detail=str(alert.detail.get("message", "")),
        )


async def resolve_past(
    database: Database, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> None:
    """Resolve a shard's alerts about days that are over; needs the role `maintenance`.

    Raises:
        DatabaseUnavailable: the shard is away; what is left is left for the next time.
    """
    async with database.maintenance() as conn:
        await store.resolve_before(conn, clock().astimezone(UTC).date().isoformat())
