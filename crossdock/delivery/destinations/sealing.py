"""What binds a destination's sealed secrets to their row, so that none opens elsewhere."""

from uuid import UUID


def secret_context(tenant_id: UUID, destination_id: UUID) -> bytes:
    """Return the associated data of a destination's signing secrets."""
    return b"destination.secret:" + tenant_id.bytes + destination_id.bytes
