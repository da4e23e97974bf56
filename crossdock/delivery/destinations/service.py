"""The use cases of destinations."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids
from crossdock.db import Databases
from crossdock.delivery.destinations import rules, store
from crossdock.delivery.destinations.checking import Limits, check
from crossdock.delivery.destinations.editing import editable, normal, patched
from crossdock.delivery.destinations.keyring import DestinationKeys
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    DestinationState,
    Kind,
    OpenedDestination,
    Signing,
    Visible,
)
from crossdock.delivery.guard import Guard
from crossdock.delivery.inbox import store as inbox
from crossdock.delivery.stats import store as stats
from crossdock.errors import Conflict, Invalid, NotFound, PreconditionFailed, Violation
from crossdock.paging import Slice, Window
from crossdock.secrets import rules as rotation
from crossdock.secrets.seal import Sealer
from crossdock.tenancy import quotas


class Destinations:
    """Makes and changes a tenant's destinations."""

    def __init__(
        self,
        database: Databases,
        sealer: Sealer,
        guard: Guard,
        *,
        timeout_s: float,
        concurrency: int = 32,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say over what.

        Args:
            database: where they are kept.
            sealer: seals their secrets.
            guard: says what may be called.
            timeout_s: the longest an attempt may take here.
            concurrency: the most attempts under way to one destination, in one worker process.
            clock: the current time.
        """
        self._database = database
        self._keys = DestinationKeys(sealer)
        self._guard = guard
        self._limits = Limits(timeout_s=timeout_s, concurrency=concurrency)
        self._clock = clock

    async def create(
        self,
        tenant_id: UUID,
        edit: DestinationEdit,
        *,
        kind: Kind = "http",
        signing: Signing = "hmac",
    ) -> OpenedDestination:
        """Make a destination and what signs its deliveries.

        A shared secret is shown this once; of a key pair only the public half ever is.

        Raises:
            Invalid: the URL is not one to call, or another part breaks a rule.
            Conflict: another destination has that name.
            QuotaReached: the tenant has as many destinations as it may.
        """
        now = self._clock()
        destination_id = ids.new(now.timestamp())
        check(edit, kind, self._guard, self._limits, now)
        edit = normal(edit, kind)
        secret, shown = self._keys.generate(tenant_id, destination_id, signing)
        made = Destination(
            tenant_id=tenant_id,
            id=destination_id,
            name=edit.name,
            url="",
            state="enabled",
            disabled_reason=None,
            source_ids=(),
            event_types=(),
            secrets=(secret,),
            retry=None,
            timeout_s=self._limits.timeout_s,
            failing_since=None,
            version=1,
            created_at=now,
            updated_at=now,
            kind=kind,
            signing=signing,
            credentials=self._keys.seal_credentials(tenant_id, destination_id, edit),
        )
        destination = self._edited(made, edit)
        async with self._database.tenant(tenant_id) as conn:
            await quotas.take(conn, tenant_id, "destinations")
            await self._check_sources(conn, tenant_id, edit)
            if not await store.add(conn, destination):
                raise Conflict("Another destination has that name.")
        return OpenedDestination(destination, shown)

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
            destination = change.destination
            kind = destination.kind
            before = editable(destination, self._keys.credentials(destination))
            after = normal(patched(before, kind, changes), kind)
            if after != before:
                has_new_keys = (after.auth, after.headers) != (before.auth, before.headers)
                now = self._clock()
                check(after, kind, self._guard, self._limits, now, credentials=has_new_keys)
                await self._check_sources(conn, tenant_id, after)
                if has_new_keys:
                    sealed = self._keys.seal_credentials(tenant_id, destination_id, after)
                    destination = replace(destination, credentials=sealed)
                change.destination = self._edited(destination, after)
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
            await inbox.empty(conn, tenant_id, destination_id)
            await stats.forget(conn, tenant_id, destination_id)

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
                    disabled_at=(
                        self._clock() if state == "disabled" else change.destination.disabled_at
                    ),
                    failing_since=None,
                )
        return change.destination

    async def rotate_secret(
        self,
        tenant_id: UUID,
        destination_id: UUID,
        overlap: timedelta,
        versions: frozenset[int] | None = None,
        *,
        signing: Signing | None = None,
    ) -> OpenedDestination:
        """Make a new current secret; during `overlap` deliveries are signed by the old ones too.

        Another way to sign begins at once: no delivery is ever signed in both ways.

        Args:
            tenant_id: Whose destination it is.
            destination_id: Which.
            overlap: For how long the old ones sign too.
            versions: Those of which one must be current, or `None` for any.
            signing: How deliveries are signed from now on; as before unless given.

        Raises:
            NotFound: this tenant has no such destination.
            PreconditionFailed: it has another version by now.
            Invalid: the overlap is out of range, or another way to sign is to have one.
            Conflict: there would be too many secrets.
        """
        now = self._clock().timestamp()
        async with self._changing(tenant_id, destination_id, versions) as (_, change):
            before = change.destination
            way = signing or before.signing
            if way != before.signing and overlap:
                detail = "Deliveries are signed in one way: another one begins without an overlap."
                raise Invalid(None, Violation("/overlap_s", detail))
            made, shown = self._keys.generate(tenant_id, destination_id, way)
            secrets = rotation.rotate(before.secrets, made, now=now, overlap=overlap)
            change.destination = replace(before, secrets=secrets, signing=way)
        return OpenedDestination(change.destination, shown)

    def visible(self, destination: Destination) -> Visible:
        """Return what may be seen of a destination's sealed parts."""
        return self._keys.visible(destination, self._clock().timestamp())

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

    def _edited(self, destination: Destination, edit: DestinationEdit) -> Destination:
        return replace(
            destination,
            name=edit.name,
            url=rules.address_of(destination.kind, edit.url, edit.settings),
            source_ids=edit.source_ids,
            event_types=edit.event_types,
            retry=edit.retry,
            timeout_s=edit.timeout_s or self._limits.timeout_s,
            settings=edit.settings,
            filter=edit.filter,
            transform=edit.transform,
            rate=edit.rate,
            concurrency=edit.concurrency,
            order=edit.order,
            breaker=edit.breaker,
        )

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


class _Change:
    def __init__(self, destination: Destination) -> None:
        self.destination = destination
