"""Settings that travel by key-value watch: a version each, and the highest one wins.

| key | value |
| --- | --- |
| SHA-256 of an ingest token, in hex | `SourceSettings` |
| `tenant.` and the tenant's id in hex | `TenantSettings` |
| `session.`, its tenant's id and its own in hex | `Revoked` |
| `user.`, their tenant's id and their own in hex | `UserSettings` |
| `type.`, its tenant's id and its own in hex | `EventTypeSettings` |
| `beat` | `Beat` |
"""

from typing import Final, Literal, TypeAlias

import msgspec

BEAT_KEY: Final = "beat"
TENANT: Final = "tenant."
SESSION: Final = "session."
USER: Final = "user."
TYPE: Final = "type."
"""How the keys of these begin; their ids follow in hex. The tenant's is part of them all: what one
tenant's rows say of an id is nothing to another's tokens."""

TenantState = Literal["provisioning", "active", "suspended", "terminating", "terminated"]


class SealedSecret(msgspec.Struct, frozen=True):
    """One secret of a rotation, sealed; also what the `secrets` columns hold, as JSON."""

    id: str
    """Names it in the API and in the audit; no part of the secret."""
    sealed: bytes = b""
    """What `crossdock.secrets.seal.Sealer` made; the context names tenant, row and purpose."""
    not_after: float | None = None
    """Unix seconds when its overlap ends; `None` while it is the current one."""

    def __repr__(self) -> str:
        return f"SealedSecret(id={self.id!r}, not_after={self.not_after!r})"


class WrappedKey(msgspec.Struct, frozen=True):
    """A tenant's data key, sealed under the key that gateways and workers hold."""

    id: bytes
    """Its row's, 16 bytes."""
    wrapped: bytes

    def __repr__(self) -> str:
        return f"WrappedKey({self.id.hex()})"


class SourceSettings(msgspec.Struct, tag="source.v1", frozen=True):
    """All that a gateway must know of one source to take a webhook without asking anybody.

    The sender of a snapshot needs no key: secrets pass through as they were sealed, and a gateway
    opens those that are live when the source is first used.
    """

    version: int
    """Grows with every change of the source or of its tenant; readers keep the highest."""
    tenant_id: bytes
    source_id: bytes
    shard: int = 0
    tenant_state: TenantState = "active"
    source_state: Literal["active", "paused", "disabled", "deleted"] = "active"
    recipe: bytes = b"{}"
    """The recipe of `crossdock.native.Source` as JSON, without its secrets."""
    secrets: tuple[SealedSecret, ...] = ()
    max_body_bytes: int = 0
    blocked_until: float = 0.0
    """Unix seconds until which the tenant's daily quota is used up; 0 while there is some left."""
    webhooks_per_minute: int = 0
    """The source's own limit; 0 where it has none."""
    tenant_webhooks_per_minute: int = 0
    """What all sources of its tenant may take together; 0 where that has no limit."""
    content_types: tuple[str, ...] = ()
    """Media types that it takes, in lower case; empty for all."""
    holds: bool = False
    """Whether it is paused and takes webhooks all the same, to be delivered once it is resumed."""
    indexed: tuple[str, ...] = ()
    """JSON pointers to the values by which its events are found."""
    data_key: WrappedKey | None = None
    """What seals its payloads; `None` where it leaves them plain."""


class EventTypeSettings(msgspec.Struct, tag="type.v1", frozen=True):
    """The schema that a tenant's events of one type are held to."""

    version: int
    """Grows with every change; readers keep the highest."""
    tenant_id: bytes
    name: str = ""
    """Empty once it is gone."""
    mode: Literal["off", "warn", "quarantine", "reject"] = "off"
    number: int = 0
    """Which version of the schema this is."""
    schema: bytes = b""
    """JSON Schema, 2020-12, as JSON; empty while there is none."""


class TenantSettings(msgspec.Struct, tag="tenant.v1", frozen=True):
    """What a gateway must know of one tenant to judge a request without asking anybody."""

    version: int
    """Grows with every change of the tenant or of its roles; readers keep the highest."""
    tenant_id: bytes
    shard: int = 0
    state: TenantState = "active"
    plan: str = "standard"
    quotas: dict[str, int] = {}
    """Limits of its own in place of its plan's, by the quota's name."""
    not_before: float = 0.0
    """Unix seconds; an access token that was issued before is worth nothing."""
    blocked_until: float = 0.0
    """As in `SourceSettings`."""
    roles: dict[str, tuple[str, ...]] = {}
    """The tenant's own roles, each with all of its permissions, inherited ones included."""


class Revoked(msgspec.Struct, tag="session.v1", frozen=True):
    """A session, or an operator's access to a tenant, that ended before its access tokens do."""

    version: int
    until: float
    """Unix seconds when the last of its access tokens has expired, and nobody need remember."""


class UserSettings(msgspec.Struct, tag="user.v1", frozen=True):
    """A user whose access tokens of before a moment are worth nothing."""

    version: int
    not_before: float
    """Unix seconds."""
    until: float
    """As in `Revoked`."""


class Beat(msgspec.Struct, tag="beat.v1", frozen=True):
    """Proof, in the order of the bucket, of how far it follows PostgreSQL.

    Whoever has read the bucket up to a beat has every change of all transactions before `position`.
    """

    position: int
    """A PostgreSQL transaction id (xid8); all below it are finished, and published if settings."""
    at: float
    """Unix seconds by PostgreSQL's clock when that was so."""
    behind_s: float
    """Age of the oldest change not yet published; 0 when there is none."""


FOREVER: Final = 2**63 - 1
"""The version of what is gone: nothing comes after it, for no token and no id is given twice."""

Snapshot: TypeAlias = SourceSettings | TenantSettings | Revoked | UserSettings | EventTypeSettings
"""What a bucket holds beside the beat."""

encoder: Final = msgspec.msgpack.Encoder()
decoder: Final = msgspec.msgpack.Decoder(Snapshot)
beat_decoder: Final = msgspec.msgpack.Decoder(Beat)
