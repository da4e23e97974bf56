"""What binds a source's sealed values to their row, so that one moved elsewhere does not open."""

from uuid import UUID


def secret_context(tenant_id: UUID, source_id: UUID) -> bytes:
    """Return the associated data of a source's signing secrets."""
    return b"source.secret:" + tenant_id.bytes + source_id.bytes


def token_context(tenant_id: UUID, source_id: UUID) -> bytes:
    """Return the associated data of a source's ingest token."""
    return b"source.token:" + tenant_id.bytes + source_id.bytes
