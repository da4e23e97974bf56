"""What a source keeps secret: its signing secrets and its token, made, sealed and opened here."""

import base64
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from crossdock import native
from crossdock.inbound.model import OpenedSource, Scheme, Source
from crossdock.inbound.sources import rules, sealing
from crossdock.secrets import rules as rotation
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer


class Keyring:
    """Seals what belongs to sources, and opens it again."""

    def __init__(self, sealer: Sealer, clock: Callable[[], datetime]) -> None:
        self._sealer = sealer
        self._clock = clock

    def secret(self, tenant_id: UUID, source_id: UUID, text: str) -> SealedSecret:
        """Return a secret as its source's row keeps it, under a name of its own."""
        context = sealing.secret_context(tenant_id, source_id)
        return SealedSecret(_new_secret_id(), self._sealer.seal(text.encode(), context=context))

    def secrets(
        self, tenant_id: UUID, source_id: UUID, texts: Sequence[str]
    ) -> tuple[SealedSecret, ...]:
        """Return several, the current one first; the others end as after a rotation."""
        sealed: tuple[SealedSecret, ...] = ()
        for text in reversed(texts):
            secret = self.secret(tenant_id, source_id, text)
            sealed = rotation.rotate(sealed, secret, now=self._clock().timestamp())
        return sealed

    def live(self, source: Source) -> list[str]:
        """Return the secrets that verify now, the current one first."""
        context = sealing.secret_context(source.tenant_id, source.id)
        return [
            self._sealer.open(secret.sealed, context=context).decode()
            for secret in rotation.live(source.secrets, self._clock().timestamp())
        ]

    def token(self, tenant_id: UUID, source_id: UUID, token: str) -> bytes:
        """Return a token as its source's row keeps it."""
        context = sealing.token_context(tenant_id, source_id)
        return self._sealer.seal(token.encode(), context=context)

    def open(self, source: Source) -> OpenedSource:
        """Return a source with its token; without one, where nobody can need it."""
        if not source.token_sealed:
            return OpenedSource(source, "")
        context = sealing.token_context(source.tenant_id, source.id)
        return OpenedSource(
            source, self._sealer.open(source.token_sealed, context=context).decode()
        )


def generate(scheme: Scheme) -> str | None:
    """Return a fresh secret in the scheme's form; `None` where it has none."""
    return None if scheme == "none" else native.generate_secret(scheme)


def new_token() -> str:
    """Return a token that nobody guesses."""
    return base64.urlsafe_b64encode(os.urandom(rules.TOKEN_BYTES)).rstrip(b"=").decode()


def _new_secret_id() -> str:
    return base64.b32encode(os.urandom(5)).decode().lower()
