"""What a tenant wants to be told of: shown, changed, and tried out."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from crossdock import ids, merge_patch
from crossdock.access.model import Principal
from crossdock.alerts import store
from crossdock.alerts.model import Alert, AlertEdit, AlertSettings, Tried
from crossdock.alerts.service import Alarm
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Invalid, TooManyRequests, Violation
from crossdock.identity.emails import normalise
from crossdock.validation import convert
from crossdock.versions import check

Way = Literal["mail", "webhook"]

TEST_EVERY: Final = timedelta(minutes=1)
"""A tenant tries no more often: its letters go to whom it likes."""


class Wishes:
    """A tenant's settings of alerts."""

    def __init__(
        self,
        database: Databases,
        alarm: Alarm,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say where, and who writes letters; `clock` is injected by tests."""
        self._database = database
        self._alarm = alarm
        self._clock = clock

    async def get(self, tenant_id: UUID) -> AlertSettings:
        """Return them; the defaults where nobody changed them."""
        async with self._database.tenant(tenant_id) as conn:
            return await store.settings(conn, tenant_id) or AlertSettings(AlertEdit(), 1)

    async def patch(
        self,
        tenant_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
        *,
        by: Principal,
        address: str | None = None,
    ) -> AlertSettings:
        """Merge changes (RFC 7396) into them; what is set to null gets its default again.

        Args:
            tenant_id: Whose.
            changes: A merge patch of `AlertEdit`.
            versions: Those of which one must be current, or `None` for any.
            by: Who asks.
            address: Where they are.

        Raises:
            PreconditionFailed: they have another version by now.
            Invalid: the outcome breaks a rule.
        """
        async with self._database.tenant(tenant_id) as conn:
            await store.begin_settings(conn, tenant_id, AlertEdit())
            found = await store.settings(conn, tenant_id, lock=True)
            before = found or AlertSettings(AlertEdit(), 1)
            check(before.version, versions)
            merged = merge_patch.apply(msgspec.to_builtins(before.edit), changes)
            edit = _settled(convert(merged, AlertEdit))
            if edit == before.edit:
                return before
            after = AlertSettings(edit, before.version + 1, self._clock())
            await store.save_settings(conn, tenant_id, after)
            entry = Entry(
                action="alert-settings.update",
                actor_kind=by.actor.kind,
                actor_id=by.actor.id,
                target=ids.encode("ten", tenant_id),
                address=address,
                detail={name: [old, new] for name, old, new in _differences(before.edit, edit)},
            )
            await audit.add(conn, tenant_id, entry)
        return after

    async def test(self, tenant_id: UUID, ways: Collection[Way]) -> Tried:
        """Raise a test alert, which has passed at once, and tell it by these ways.

        Raises:
            TooManyRequests: there was one a moment ago.
        """
        now = self._clock().astimezone(UTC)
        begun = now.replace(second=0, microsecond=0)
        by_webhook = "webhook" in ways
        alert = Alert(
            tenant_id=tenant_id,
            id=ids.new(),
            kind="test",
            subject="test",
            level=1,
            period=begun.isoformat(),
            detail={"name": "test", "ways": sorted(ways)},
            created_at=now,
            resolved_at=now,
        )
        async with self._database.tenant(tenant_id) as conn:
            if not await store.add(conn, alert, to_tell=by_webhook):
                left = begun + TEST_EVERY - now
                words = "There was a test alert a moment ago."
                raise TooManyRequests(words, retry_after_s=max(1, round(left.total_seconds())))
            letters = await self._alarm.tell(conn, alert) if "mail" in ways else 0
            listeners = await store.count_listeners(conn, tenant_id) if by_webhook else 0
        return Tried(alert, letters, listeners)


def _settled(edit: AlertEdit) -> AlertEdit:
    """Return settings as they are kept: addresses in their one way, and everything once.

    Raises:
        Invalid: an address is none.
    """
    emails: list[str] = []
    wrong: list[Violation] = []
    for place, text in enumerate(edit.emails):
        try:
            emails.append(normalise(text, pointer=f"/emails/{place}"))
        except Invalid as error:
            wrong += error.violations
    if wrong:
        raise Invalid(None, *wrong)
    return msgspec.structs.replace(
        edit, emails=tuple(dict.fromkeys(emails)), muted=tuple(sorted(set(edit.muted)))
    )


def _differences(before: AlertEdit, after: AlertEdit) -> list[tuple[str, Any, Any]]:
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return [(name, old[name], new[name]) for name in new if old[name] != new[name]]
