"""What is sealed of destinations: made, opened, and shown without its secrets."""

from base64 import b64decode, b64encode
from typing import Final
from uuid import UUID

from crossdock import ids, native
from crossdock.delivery.destinations import credentials
from crossdock.delivery.destinations.credentials import Credentials
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    Signing,
    Visible,
)
from crossdock.delivery.destinations.sealing import (
    credentials_context,
    open_credentials,
    secret_context,
)
from crossdock.secrets import rules as rotation
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer

_SEED_BYTES: Final = 32
_PRIVATE: Final = "whsk_"
_PUBLIC: Final = "whpk_"


class DestinationKeys:
    """Seals and opens with the key of destinations."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def generate(
        self, tenant_id: UUID, destination_id: UUID, signing: Signing
    ) -> tuple[SealedSecret, str | None]:
        """Return a fresh secret, sealed, and what its owner is shown of it this once, if anything.

        Of a key pair nothing is: its public half can be seen at any time.
        """
        if signing == "ed25519":
            made, _ = native.generate_key_pair()
            return self._seal(tenant_id, destination_id, made), None
        made = native.generate_secret("standard")
        return self._seal(tenant_id, destination_id, made), made

    def seal_credentials(
        self, tenant_id: UUID, destination_id: UUID, edit: DestinationEdit
    ) -> SealedSecret | None:
        """Return what a destination is called with, sealed as one; `None` where that is nothing."""
        if not edit.headers and edit.auth is None:
            return None
        plain = credentials.encode(Credentials(edit.headers, edit.auth))
        context = credentials_context(tenant_id, destination_id)
        return SealedSecret(ids.new().hex, self._sealer.seal(plain, context=context))

    def credentials(self, destination: Destination) -> Credentials:
        """Return what a destination is called with.

        Raises:
            SealBroken: it was sealed by another key or for another destination, or is damaged.
        """
        return open_credentials(
            self._sealer, destination.tenant_id, destination.id, destination.credentials
        )

    def visible(self, destination: Destination, now: float) -> Visible:
        """Return what may be seen: ways without secrets, names without values, public halves.

        Raises:
            SealBroken: it was sealed by another key or for another destination, or is damaged.
        """
        opened = self.credentials(destination)
        return Visible(
            credentials.shown(opened.auth),
            tuple(sorted(opened.headers)),
            self._public_keys(destination, now),
        )

    def _public_keys(self, destination: Destination, now: float) -> dict[str, str]:
        if destination.signing != "ed25519":
            return {}
        context = secret_context(destination.tenant_id, destination.id)
        return {
            secret.id: _public_half(self._sealer.open(secret.sealed, context=context).decode())
            for secret in rotation.live(destination.secrets, now)
        }

    def _seal(self, tenant_id: UUID, destination_id: UUID, secret: str) -> SealedSecret:
        context = secret_context(tenant_id, destination_id)
        return SealedSecret(ids.new().hex, self._sealer.seal(secret.encode(), context=context))


def _public_half(private: str) -> str:
    """Return the `whpk_` of a `whsk_`, which holds seed and public half together."""
    both = b64decode(private.removeprefix(_PRIVATE))
    return _PUBLIC + b64encode(both[_SEED_BYTES:]).decode()
