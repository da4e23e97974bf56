"""Snapshots that travel by key-value watch: a version each, and the highest one wins."""

from typing import Final, Literal

import msgspec


class SourceSettings(msgspec.Struct, tag="source.v1", frozen=True):
    """All that a gateway must know of one source to take a webhook without asking anybody."""

    version: int
    """Grows with every change of the source or its tenant's state; readers keep the highest."""
    tenant_id: bytes
    source_id: bytes
    shard: int
    tenant_state: Literal["active", "suspended", "terminating", "terminated"]
    source_state: Literal["active", "paused", "disabled", "deleted"]
    sealed_recipe: bytes
    """The recipe of `crossdock.native.Source`, secrets and all, sealed under the gateways' key."""
    max_body_bytes: int
    expires_at: float | None = None
    """Unix seconds when one of the recipe's secrets ends and a new snapshot is due."""


encoder: Final = msgspec.msgpack.Encoder()
decoder: Final = msgspec.msgpack.Decoder(SourceSettings)
