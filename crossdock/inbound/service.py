"""The use cases of sources. A write and the word that it happened are one transaction."""

import base64
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch, native
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound
from crossdock.inbound import rules, sealing, store
from crossdock.inbound.model import OpenedSource, Scheme, Source, SourceEdit, SourceState
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.secrets import rules as rotation
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from crossdock.tenancy import quotas
from crossdock.validation import convert


class Sources:
    """Makes and changes a tenant's sources."""

    def __init__(
        self,
        database: Databases,
        sealer: Sealer,
        *,
        max_body_bytes: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._max_body_bytes = max_body_bytes
        self._clock = clock

    async def create(
        self, tenant_id: UUID, scheme: Scheme, edit: SourceEdit, secrets: Sequence[str]
    ) -> OpenedSource:
        """Make a source, with a secret of its own where none is given and the scheme has any.

        Args:
            tenant_id: Whose it will be.
            scheme: How its sender signs.
            edit: The rest of it.
            secrets: The current one first; the others verify for a day more, as after a rotation.

        Raises:
            Invalid: the recipe and the secrets are nothing to verify by.
            Conflict: another source has that name.
            QuotaReached: the tenant has as many sources as it may.
        """
        now = self._clock()
        source_id = ids.new(now.timestamp())
        made = None if secrets else _generate(scheme)
        texts = secrets or ((made,) if made else ())
        rules.check_recipe(scheme, edit.recipe, texts)
        token = _new_token()
        source = Source(
            tenant_id=tenant_id,
            id=source_id,
            name=edit.name,
            scheme=scheme,
            state="active",
            recipe=edit.recipe,
            secrets=self._seal_all(tenant_id, source_id, texts, now),
            token_hash=rules.token_hash(token),
            token_sealed=self._sealer.seal(
                token.encode(), context=sealing.token_context(tenant_id, source_id)
            ),
            max_body_bytes=rules.check_size(edit.max_body_bytes, self._max_body_bytes),
            webhooks_per_minute=edit.webhooks_per_minute,
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self._database.tenant(tenant_id) as conn:
            await quotas.take(conn, tenant_id, "sources")
            if not await store.add_source(conn, source):
                raise Conflict("Another source has that name.")
            await outbox.add(conn, tenant_id, "source", str(source_id))
        return OpenedSource(source, token, made)

    async def page(self, tenant_id: UUID, window: Window) -> Slice[OpenedSource]:
        """Return a page of sources, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            rows = await store.page_sources(conn, tenant_id, window)
        return Slice.cut([self._open(row) for row in rows], window)

    async def get(self, tenant_id: UUID, source_id: UUID) -> OpenedSource:
        """Return one source.

        Raises:
            NotFound: this tenant has no such source.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_source(conn, tenant_id, source_id)
        if found is None:
            raise NotFound
        return self._open(found)

    async def patch(
        self,
        tenant_id: UUID,
        source_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
    ) -> OpenedSource:
        """Merge changes (RFC 7396) into what is editable of a source.

        Args:
            tenant_id: Whose source it is.
            source_id: Which.
            changes: A merge patch of `SourceEdit`.
            versions: Those of which one must be current, or `None` for any.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would be no source.
            Conflict: another source has the new name.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            before = rules.editable(change.source)
            after = convert(merge_patch.apply(msgspec.to_builtins(before), changes), SourceEdit)
            if after != before:
                rules.check_recipe(
                    change.source.scheme, after.recipe, self._live_secrets(change.source)
                )
                change.source = replace(
                    change.source,
                    name=after.name,
                    recipe=after.recipe,
                    max_body_bytes=rules.check_size(after.max_body_bytes, self._max_body_bytes),
                    webhooks_per_minute=after.webhooks_per_minute,
                )
        return self._open(change.source)

    async def delete(
        self, tenant_id: UUID, source_id: UUID, versions: frozenset[int] | None
    ) -> None:
        """Delete a source: its URL answers as if it had never been. Its events stay.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            change.source = replace(change.source, state="deleted", secrets=(), token_sealed=b"")

    async def switch(
        self,
        tenant_id: UUID,
        source_id: UUID,
        state: SourceState,
        versions: frozenset[int] | None = None,
    ) -> OpenedSource:
        """Pause a source (its senders get 403) or resume it; to repeat it changes nothing.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Conflict: it was disabled by the operator.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            if rules.switch(change.source, state):
                change.source = replace(change.source, state=state)
        return self._open(change.source)

    async def rotate_secret(
        self,
        tenant_id: UUID,
        source_id: UUID,
        secret: str | None,
        overlap: timedelta,
        versions: frozenset[int] | None = None,
    ) -> OpenedSource:
        """Make a given or a new secret the current one; the old ones verify for `overlap` more.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Invalid: the secret can't be used with the scheme, or the overlap is out of range.
            Conflict: the scheme has no secrets, or there would be too many.
        """
        now = self._clock().timestamp()
        async with self._changing(tenant_id, source_id, versions) as change:
            source = change.source
            made = _generate(source.scheme) if secret is None else None
            chosen = secret or made
            if chosen is None or source.scheme == "none":
                raise Conflict("A source of the scheme none has no secret to rotate.")
            rules.check_recipe(source.scheme, source.recipe, (chosen,), pointer="/secret")
            sealed = self._seal(tenant_id, source_id, chosen)
            secrets = rotation.rotate(source.secrets, sealed, now=now, overlap=overlap)
            change.source = replace(source, secrets=secrets)
        return replace(self._open(change.source), new_secret=made)

    async def revoke_secret(
        self,
        tenant_id: UUID,
        source_id: UUID,
        secret_id: str,
        versions: frozenset[int] | None = None,
    ) -> None:
        """End one of the overlapping secrets at once.

        Raises:
            NotFound: this tenant has no such source, or it no such live secret.
            PreconditionFailed: it has another version by now.
            Conflict: it is the current secret.
        """
        now = self._clock().timestamp()
        async with self._changing(tenant_id, source_id, versions) as change:
            secrets = rotation.revoke(change.source.secrets, secret_id, now=now)
            change.source = replace(change.source, secrets=secrets)

    @asynccontextmanager
    async def _changing(
        self, tenant_id: UUID, source_id: UUID, versions: frozenset[int] | None
    ) -> AsyncIterator["_Change"]:
        """Hold a source while the block changes it; a changed one is written as a new version."""
        async with self._database.tenant(tenant_id) as conn:
            found = await store.lock_source(conn, tenant_id, source_id)
            if found is None:
                raise NotFound
            rules.check_version(found.version, versions)
            change = _Change(found)
            yield change
            if change.source != found:
                change.source = replace(
                    change.source, version=found.version + 1, updated_at=self._clock()
                )
                await store.save_source(conn, change.source)
                await outbox.add(conn, tenant_id, "source", str(source_id))

    def _seal(self, tenant_id: UUID, source_id: UUID, text: str) -> SealedSecret:
        context = sealing.secret_context(tenant_id, source_id)
        return SealedSecret(_new_secret_id(), self._sealer.seal(text.encode(), context=context))

    def _seal_all(
        self, tenant_id: UUID, source_id: UUID, texts: Sequence[str], now: datetime
    ) -> tuple[SealedSecret, ...]:
        sealed: tuple[SealedSecret, ...] = ()
        for text in reversed(texts):
            secret = self._seal(tenant_id, source_id, text)
            sealed = rotation.rotate(sealed, secret, now=now.timestamp())
        return sealed

    def _live_secrets(self, source: Source) -> list[str]:
        context = sealing.secret_context(source.tenant_id, source.id)
        return [
            self._sealer.open(secret.sealed, context=context).decode()
            for secret in rotation.live(source.secrets, self._clock().timestamp())
        ]

    def _open(self, source: Source) -> OpenedSource:
        context = sealing.token_context(source.tenant_id, source.id)
        token = self._sealer.open(source.token_sealed, context=context).decode()
        return OpenedSource(source, token)


class _Change:
    def __init__(self, source: Source) -> None:
        self.source = source


def _generate(scheme: Scheme) -> str | None:
    return None if scheme == "none" else native.generate_secret(scheme)


def _new_token() -> str:
    return base64.urlsafe_b64encode(os.urandom(rules.TOKEN_BYTES)).rstrip(b"=").decode()


def _new_secret_id() -> str:
    return base64.b32encode(os.urandom(5)).decode().lower()
