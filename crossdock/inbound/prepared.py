"""A source's settings made ready for webhooks: secrets opened, native handle made, at first use."""

import time
from math import inf
from uuid import UUID

import msgspec
import structlog

from crossdock.errors import Unavailable
from crossdock.inbound.sealing import secret_context
from crossdock.limits.policies import of_source
from crossdock.native import Limit, RecipeError, Source
from crossdock.secrets import rules
from crossdock.secrets.seal import SealBroken, Sealer
from proto.settings import SourceSettings

log = structlog.get_logger(__name__)


class PreparedSource:
    """One version of one source. `native` may be asked for again and again: it is kept."""

    __slots__ = ("_broken", "_limits", "_native", "_sealer", "_valid_until", "settings")

    def __init__(self, settings: SourceSettings, sealer: Sealer) -> None:
        self.settings = settings
        self._sealer = sealer
        self._native: Source | None = None
        self._limits: tuple[Limit, ...] | None = None
        self._valid_until = 0.0
        self._broken = False

    @property
    def native(self) -> Source:
        """Return the handle that verifies, with the secrets that are live now.

        Raises:
            Unavailable: these settings can't be used; that was logged, once.
        """
        if self._native is not None and time.time() < self._valid_until:
            return self._native
        return self._prepare(time.time())

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What its webhooks are counted against, once they are verified; kept as well."""
        if self._limits is None:
            self._limits = of_source(self.settings)
        return self._limits

    def _prepare(self, now: float) -> Source:
        if self._broken:
            raise Unavailable("This source's settings cannot be used.", retry_after_s=60)
        try:
            self._native = Source(self._recipe(now))
        except (RecipeError, SealBroken, msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._broken = True
            # No traceback, for its frames hold the secrets; and only these two never quote one.
            reason = str(error) if isinstance(error, RecipeError | SealBroken) else "not readable"
            log.error(
                "source_settings_broken",
                source=str(UUID(bytes=self.settings.source_id)),
                version=self.settings.version,
                reason=reason,
            )
            raise Unavailable("This source's settings cannot be used.", retry_after_s=60) from None
        self._valid_until = rules.next_end(self.settings.secrets, now) or inf
        return self._native

    def _recipe(self, now: float) -> bytes:
        settings = self.settings
        context = secret_context(UUID(bytes=settings.tenant_id), UUID(bytes=settings.source_id))
        recipe = msgspec.json.decode(settings.recipe, type=dict[str, object])
        live = rules.live(settings.secrets, now)
        if live:
            recipe["secrets"] = [
                self._sealer.open(secret.sealed, context=context).decode() for secret in live
            ]
        return msgspec.json.encode(recipe)

    def __repr__(self) -> str:
        return f"PreparedSource({self.settings.source_id.hex()}, {self.settings.version})"
