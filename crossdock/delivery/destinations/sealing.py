"""What binds a destination's sealed secrets to their row, so that none opens elsewhere."""

from uuid import UUID

from crossdock.delivery.destinations import credentials
from crossdock.delivery.destinations.credentials import Credentials
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer


def secret_context(tenant_id: UUID, destination_id: UUID) -> bytes:
    """Return the associated data of a destination's signing secrets."""
    return b"destination.secret:" + tenant_id.bytes + destination_id.bytes


def credentials_context(tenant_id: UUID, destination_id: UUID) -> bytes:
    """Return the associated data of what a destination is called with."""
    return b"destination.credentials:" + tenant_id.bytes + destination_id.bytes


def open_credentials(
    sealer: Sealer, tenant_id: UUID, destination_id: UUID, sealed: SealedSecret | None
) -> Credentials:
    """Return what a destination is called with; nothing, where nothing was given.

    Raises:
        SealBroken: it was sealed by another key or for another destination, or is damaged.
    """
    if sealed is None:
        return Credentials()
    context = credentials_context(tenant_id, destination_id)
    return credentials.decode(sealer.open(sealed.sealed, context=context))
