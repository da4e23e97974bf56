"""From rows to the snapshots that gateways hold. Pure; `crossdock.outbox` reads the rows."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from crossdock.secrets.model import decode
from proto.settings import FOREVER, SourceSettings

Snapshots = dict[str, SourceSettings]
"""By the bucket's key: the SHA-256 of the source's ingest token, in hex."""

GONE: Final = SourceSettings(version=FOREVER, tenant_id=b"", source_id=b"", source_state="deleted")
"""What a token that no source has any more leads to: nothing, for good."""


def snapshot(row: Mapping[str, Any]) -> tuple[str, SourceSettings]:
    """Return the key and the snapshot of one row of `crossdock.outbox.store`."""
    settings = SourceSettings(
        version=row["version"],
        tenant_id=row["tenant_id"].bytes,
        source_id=row["id"].bytes,
        shard=row["shard"],
        tenant_state=row["tenant_state"],
        source_state=row["source_state"],
        recipe=row["recipe"].encode(),
        secrets=decode(row["secrets"]),
        max_body_bytes=row["max_body_bytes"],
    )
    return row["token_hash"].hex(), settings


def snapshots(rows: Iterable[Mapping[str, Any]], also: Iterable[str] = ()) -> Snapshots:
    """Return the snapshots of rows; keys of `also` that no row has are gone."""
    found = dict(map(snapshot, rows))
    return {key: GONE for key in also if key not in found} | found
