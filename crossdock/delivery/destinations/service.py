"""The use cases of destinations."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch, native
from crossdock.db import Databases
from crossdock.delivery import rules
from crossdock.delivery.destinations import store
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    DestinationState,
    OpenedDestination,
)
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.delivery.guard import Guard
from crossdock.errors import Conflict, Invalid, NotFound, PreconditionFailed, Violation
from crossdock.paging import Slice, Window
from crossdock.secrets import rules as rotation
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from crossdock.tenancy import quotas
from crossdock.validation import convert


class Destinations:
    """Makes and changes a tenant's destinations."""

    def __init__(
        self,
        database: Databases,
        sealer: Sealer,
        guard: Guard,
        *,
        timeout_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._guard = guard
        self._timeout_s = timeout_s
        self._clock = clock

    async def create(self, tenant_id: UUID, edit: DestinationEdit) -> OpenedDestination:
        """Make a destination and its signing secret, which is shown this once.

        Raises:
            Invalid: the URL is not one to call, or another part breaks a rule.
            Conflict: another destination has that name.
            QuotaReached: the tenant has as many destinations as it may.
        """
        now = self._clock()
        destination_id = ids.new(now.timestamp())
        secret = native.generate_secret("standard")
        self._check(edit)
        destination = Destination(
            tenant_id=tenant_id,
            id=destination_id,
            name=edit.name,
            url=edit.url,
            state="enabled",
            disabled_reason=None,
            source_ids=edit.source_ids,
            event_types=edit.event_types,
            secrets=(self._seal(tenant_id, destination_id, secret),),
            retry=edit.retry,
            timeout_s=edit.timeout_s or self._timeout_s,
            failing_since=None,
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self._database.tenant(tenant_id) as conn:
            await quotas.take(conn, tenant_id, "destinations")
            await self._check_sources(conn, tenant_id, edit)
            if not await store.add(conn, destination):
                raise Conflict("Another destination has that name.")
        return OpenedDestination(destination, secret)

    async def page(self, tenant_id: UUID, window: Window) -> Slice[Destination]:
        """Return a page of destinations, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, destination_id: UUID) -> Destination:
        """Return one destination.

        Raises:
            NotFound: this tenant has no such destination.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, destination_id)
        if found is None:
            raise NotFound
        return found

    async def patch(
        self,
        tenant_id: UUID,
        destination_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
    ) -> Destination:
        """Merge changes (RFC 7396) into what is editable of a destination.

        Args:
            tenant_id: Whose destination it is.
            destination_id: Which.
            changes: A merge patch of `DestinationEdit`.
            versions: Those of which one must be current, or `None` for any.

        Raises:
            NotFound: this tenant has no such destination.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would break a rule.
            Conflict: another destination has the new name.
        """
        async with self._changing(tenant_id, destination_id, versions) as (conn, change):
            before = _editable(change.destination)
            patched = merge_patch.apply(msgspec.to_builtins(before), changes)
            after = convert(patched, DestinationEdit)
            if after != before:
                self._check(after)
                await self._check_sources(conn, tenant_id, after)
                change.destination = replace(
                    change.destination,
                    name=after.name,
                    url=after.url,
                    source_ids=after.source_ids,
                    event_types=after.event_types,
                    retry=after.retry,
                    timeout_s=after.timeout_s or self._timeout_s,
                )
        return change.destination

    async def delete(
        self, tenant_id: UUID, destination_id: UUID, versions: frozenset[int] | None
    ) -> None:
        """Delete a destination; what is still on its way there is cancelled when it comes due.

        Raises:
            NotFound: this tenant has no such destination.
            PreconditionFailed: it has another version by now.
        """
        async with self._changing(tenant_id, destination_id, versions) as (conn, _):
            await store.remove(conn, tenant_id, destination_id)

    async def switch(
        self,
        tenant_id: UUID,
        destination_id: UUID,
        state: DestinationState,
        versions: frozenset[int] | None = None,
    ) -> Destination:
        """Disable a destination, or enable it again; to repeat it changes nothing.

        While it is disabled it takes no new deliveries, and the unfinished ones wait for it.

        Raises:
            NotFound: this tenant has no such destination.
            PreconditionFailed: it has another version by now.
        """
        async with self._changing(tenant_id, destination_id, versions) as (_, change):
            if change.destination.state != state:
                change.destination = replace(
                    change.destination,
                    state=state,
                    disabled_reason="by_owner" if state == "disabled" else None,
                    failing_since=None,
                )
        return change.destination

    async def rotate_secret(
        self,
        tenant_id: UUID,
        destination_id: UUID,
        overlap: timedelta,
        versions: frozenset[int] | None = None,
    ) -> OpenedDestination:
        """Make a new current secret; during `overlap` deliveries are signed by the old ones too.

        Raises:
            NotFound: this tenant has no such destination.
            PreconditionFailed: it has another version by now.
            Invalid: the overlap is out of range.
            Conflict: there would be too many secrets.
        """
        now = self._clock().timestamp()
        made = native.generate_secret("standard")
        async with self._changing(tenant_id, destination_id, versions) as (_, change):
            sealed = self._seal(tenant_id, destination_id, made)
            before = change.destination.secrets
            secrets = rotation.rotate(before, sealed, now=now, overlap=overlap)
            change.destination = replace(change.destination, secrets=secrets)
        return OpenedDestination(change.destination, made)

    @asynccontextmanager
    async def _changing(
        self, tenant_id: UUID, destination_id: UUID, versions: frozenset[int] | None
    ) -> AsyncIterator[tuple[Any, "_Change"]]:
        """Hold a destination while the block changes it; a changed one gets a new version."""
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, destination_id, lock=True)
            if found is None:
                raise NotFound
            if versions is not None and found.version not in versions:
                raise PreconditionFailed
            change = _Change(found)
            yield conn, change
            if change.destination != found:
                change.destination = replace(
                    change.destination, version=found.version + 1, updated_at=self._clock()
                )
                await store.save(conn, change.destination)

    def _check(self, edit: DestinationEdit) -> None:
        found = self._guard.check_url(edit.url)
        found += rules.check_types(edit.event_types)
        if edit.retry is not None:
            found += rules.check_policy(edit.retry)
        if edit.timeout_s is not None and edit.timeout_s > self._timeout_s:
            limit = f"The limit here is {self._timeout_s:g} seconds."
            found.append(Violation("/timeout_s", limit))
        if found:
            raise Invalid(None, *found)

    async def _check_sources(self, conn: Any, tenant_id: UUID, edit: DestinationEdit) -> None:
        if not edit.source_ids:
            return
        known = await store.known_sources(conn, tenant_id, edit.source_ids)
        unknown = [
            Violation(f"/source_ids/{index}", "There is no such source.")
            for index, source_id in enumerate(edit.source_ids)
            if source_id not in known
        ]
        if unknown:
            raise Invalid(None, *unknown)

    def _seal(self, tenant_id: UUID, destination_id: UUID, secret: str) -> SealedSecret:
        sealed = self._sealer.seal(
            secret.encode(), context=secret_context(tenant_id, destination_id)
        )
        return SealedSecret(ids.new().hex, sealed)


class _Change:
    def __init__(self, destination: Destination) -> None:
        self.destination = destination


def _editable(destination: Destination) -> DestinationEdit:
    return DestinationEdit(
        name=destination.name,
        url=destination.url,
        source_ids=destination.source_ids,
        event_types=destination.event_types,
        retry=destination.retry,
        timeout_s=destination.timeout_s,
    )
