"""From rows to the snapshots that gateways hold. Pure; `crossdock.outbox.store` reads the rows."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from crossdock.access.roles.model import Definition
from crossdock.access.roles.rules import resolve
from crossdock.secrets.model import decode
from crossdock.tenancy.plans import rate
from proto.settings import (
    FOREVER,
    SESSION,
    TENANT,
    TYPE,
    USER,
    EventTypeSettings,
    Revoked,
    Snapshot,
    SourceSettings,
    TenantSettings,
    UserSettings,
    WrappedKey,
)

Row = Mapping[str, Any]

Snapshots = dict[str, Snapshot]
"""By the bucket's key; `proto.settings` says which key is whose."""

GONE: Final = SourceSettings(version=FOREVER, tenant_id=b"", source_id=b"", source_state="deleted")
"""What a token that no source has any more leads to: nothing, for good."""

NO_KEY: Final = WrappedKey(id=b"", wrapped=b"")
"""Of a source that is to seal its payloads while its tenant has no data key: nothing opens it, so
that no payload is stored plain for want of a key."""

_DIGITS: Final = frozenset("0123456789abcdef")
_DIGEST: Final = 64
_ID: Final = 32


class _Role(msgspec.Struct):
    name: str
    permissions: frozenset[str]
    inherits: tuple[str, ...]


_roles: Final = msgspec.json.Decoder(list[_Role])
_quotas: Final = msgspec.json.Decoder(dict[str, int])


def tenant_key(tenant_id: UUID) -> str:
    """Return the key of a tenant's settings."""
    return f"{TENANT}{tenant_id.hex}"


def revocation_key(prefix: str, tenant_id: UUID, one: UUID) -> str:
    """Return the key of what is revoked: `SESSION` or `USER`, and whose it is."""
    return f"{prefix}{tenant_id.hex}{one.hex}"


def is_token(key: str) -> bool:
    """Tell whether a key can be that of a source's settings."""
    return len(key) == _DIGEST and _DIGITS.issuperset(key)


def tenant_of(key: str) -> UUID | None:
    """Return the tenant whose settings a key is for; `None` for a key of another kind."""
    digits = key.removeprefix(TENANT)
    if digits == key or len(digits) != _ID or not _DIGITS.issuperset(digits):
        return None
    return UUID(hex=digits)


def type_of(key: str) -> tuple[UUID, UUID] | None:
    """Return the tenant and the event type that a key is for; `None` for a key of another kind."""
    digits = key.removeprefix(TYPE)
    if digits == key or len(digits) != 2 * _ID or not _DIGITS.issuperset(digits):
        return None
    return UUID(hex=digits[:_ID]), UUID(hex=digits[_ID:])


def type_key(tenant_id: UUID, type_id: UUID) -> str:
    """Return the key of an event type's settings."""
    return f"{TYPE}{tenant_id.hex}{type_id.hex}"


def sources(rows: Iterable[Row], also: Iterable[str] = ()) -> Snapshots:
    """Return the snapshots of sources; keys of `also` that no row has are gone."""
    found: Snapshots = {row["token_hash"].hex(): _source(row) for row in rows}
    return {key: GONE for key in also if key not in found} | found


def tenants(rows: Iterable[Row], also: Iterable[UUID] = ()) -> Snapshots:
    """Return the snapshots of tenants; those of `also` that no row has are gone."""
    found: Snapshots = {tenant_key(row["id"]): _tenant(row) for row in rows}
    gone = {tenant_key(tenant): _gone(tenant) for tenant in also}
    return {key: one for key, one in gone.items() if key not in found} | found


def types(rows: Iterable[Row], also: Iterable[tuple[UUID, UUID]] = ()) -> Snapshots:
    """Return the snapshots of event types; those of `also` that no row has are gone."""
    found: Snapshots = {type_key(row["tenant_id"], row["id"]): _type(row) for row in rows}
    gone = {type_key(*one): EventTypeSettings(FOREVER, one[0].bytes) for one in also}
    return {key: one for key, one in gone.items() if key not in found} | found


def sessions(rows: Iterable[Row]) -> Snapshots:
    """Return what must be known of sessions that were revoked."""
    return _revocations(SESSION, rows, lambda row: Revoked(_version(row), row["until"]))


def users(rows: Iterable[Row]) -> Snapshots:
    """Return what must be known of users whose tokens end; of one that is gone, all of them do."""
    return _revocations(
        USER,
        rows,
        lambda row: UserSettings(
            _version(row), row["until"] if row["gone"] else row["at"], row["until"]
        ),
    )


def _revocations(prefix: str, rows: Iterable[Row], one: Callable[[Row], Snapshot]) -> Snapshots:
    """Return those that some access token may still live to see."""
    return {
        revocation_key(prefix, row["tenant_id"], row["id"]): one(row)
        for row in rows
        if row["until"] is not None and row["until"] > row["now"]
    }


def _version(row: Row) -> int:
    return FOREVER if row["gone"] else int(row["version"])


def _source(row: Row) -> SourceSettings:
    holds = row["buffers"] and row["source_state"] == "paused"
    return SourceSettings(
        version=row["version"],
        tenant_id=row["tenant_id"].bytes,
        source_id=row["id"].bytes,
        shard=row["shard"],
        tenant_state=row["tenant_state"],
        source_state="active" if holds else row["source_state"],
        recipe=row["recipe"].encode(),
        secrets=decode(row["secrets"]),
        max_body_bytes=row["max_body_bytes"],
        blocked_until=row["blocked_until"],
        webhooks_per_minute=row["webhooks_per_minute"] or 0,
        tenant_webhooks_per_minute=rate(
            row["plan"], _quotas.decode(row["quotas"]), "webhooks_per_minute"
        )
        or 0,
        content_types=tuple(row["content_types"]),
        holds=holds,
        indexed=tuple(row["indexed_fields"]),
        data_key=_data_key(row) if row["encrypts"] else None,
    )


def _data_key(row: Row) -> WrappedKey:
    if row["data_key_id"] is None:
        return NO_KEY
    return WrappedKey(row["data_key_id"].bytes, row["data_key"])


def _type(row: Row) -> EventTypeSettings:
    return EventTypeSettings(
        version=row["version"],
        tenant_id=row["tenant_id"].bytes,
        name=row["name"],
        mode=row["mode"],
        number=row["latest"],
        schema=(row["schema"] or "").encode(),
    )


def _tenant(row: Row) -> TenantSettings:
    return TenantSettings(
        version=row["version"],
        tenant_id=row["id"].bytes,
        shard=row["shard"],
        state=row["state"],
        plan=row["plan"],
        quotas=_quotas.decode(row["quotas"]),
        not_before=row["not_before"],
        blocked_until=row["blocked_until"],
        roles=_resolved(_roles.decode(row["roles"])),
    )


def _gone(tenant_id: UUID) -> TenantSettings:
    return TenantSettings(version=FOREVER, tenant_id=tenant_id.bytes, state="terminated")


def _resolved(roles: Iterable[_Role]) -> dict[str, tuple[str, ...]]:
    """Return a tenant's own roles, each with all of its permissions."""
    own = {role.name: Definition(role.permissions, role.inherits) for role in roles}
    return {name: tuple(sorted(found)) for name, found in resolve(own).items()}
