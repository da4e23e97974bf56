"""Settings that travel by key-value watch: a version each, and the highest one wins."""

from typing import Final, Literal

import msgspec

BEAT_KEY: Final = "beat"
"""The one key of the bucket that is no token: a `Beat`."""


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
    tenant_state: Literal["active", "suspended", "terminating", "terminated"] = "active"
    source_state: Literal["active", "paused", "disabled", "deleted"] = "active"
    recipe: bytes = b"{}"
    """The recipe of `crossdock.native.Source` as JSON, without its secrets."""
    secrets: tuple[SealedSecret, ...] = ()
    max_body_bytes: int = 0


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
"""The version of a deleted source: nothing comes after it, for a token is never given twice."""

encoder: Final = msgspec.msgpack.Encoder()
decoder: Final = msgspec.msgpack.Decoder(SourceSettings)
beat_decoder: Final = msgspec.msgpack.Decoder(Beat)
