"""What binds a sealed letter to its row, so that none opens elsewhere."""

from uuid import UUID


def mail_context(tenant_id: UUID, mail_id: UUID) -> bytes:
    """Return the associated data of a letter."""
    return b"mail:" + tenant_id.bytes + mail_id.bytes
