"""A source's settings made ready for webhooks: keys opened, native handles made, at first use."""

import time
from math import inf
from uuid import UUID

import msgspec
import structlog

from crossdock.errors import Unavailable
from crossdock.inbound.sources.sealing import secret_context
from crossdock.limits.policies import of_source
from crossdock.native import Fields, Limit, RecipeError, Source
from crossdock.secrets import rules
from crossdock.secrets.payloads import DataKey, unwrap
from crossdock.secrets.seal import SealBroken, Sealer
from proto.settings import SourceSettings

log = structlog.get_logger(__name__)


class PreparedSource:
    """One version of one source. `native` may be asked for again and again: it is kept."""

    __slots__ = (
        "_broken",
        "_data_key",
        "_fields",
        "_limits",
        "_native",
        "_payloads",
        "_sealer",
        "_valid_until",
        "is_unusual",
        "settings",
    )

    def __init__(
        self, settings: SourceSettings, sealer: Sealer, payloads: Sealer | None = None
    ) -> None:
        """Take settings; nothing is opened yet.

        Args:
            settings: as they travel.
            sealer: opens its secrets.
            payloads: opens its data key; without it a source that has one can't be used.
        """
        self.settings = settings
        self.is_unusual = bool(settings.content_types or settings.indexed or settings.data_key)
        """Whether its webhooks need more than to be verified and stored."""
        self._sealer = sealer
        self._payloads = payloads
        self._data_key: DataKey | None = None
        self._fields: Fields | None = None
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

    @property
    def data_key(self) -> DataKey | None:
        """What seals its payloads; `None` where they stay plain. Kept as well.

        Raises:
            Unavailable: as `native`; nothing of it is taken then, lest it be stored plain.
        """
        if self.settings.data_key is None or self._data_key is not None:
            return self._data_key
        self._check()
        if self._payloads is None:
            raise self._unusable("there is no key here that opens its data key")
        try:
            tenant_id = UUID(bytes=self.settings.tenant_id)
            self._data_key = unwrap(self._payloads, tenant_id, self.settings.data_key)
        except SealBroken as error:
            raise self._unusable(str(error)) from None
        return self._data_key

    @property
    def fields(self) -> Fields | None:
        """What is indexed of its payloads; kept as well.

        Raises:
            Unavailable: as `native`.
        """
        if not self.settings.indexed or self._fields is not None:
            return self._fields
        self._check()
        try:
            self._fields = Fields(list(self.settings.indexed))
        except ValueError as error:
            raise self._unusable(str(error)) from None
        return self._fields

    def _prepare(self, now: float) -> Source:
        self._check()
        try:
            self._native = Source(self._recipe(now))
        except (RecipeError, SealBroken, msgspec.MsgspecError, UnicodeDecodeError) as error:
            # No traceback, for its frames hold the secrets; and only these two never quote one.
            reason = str(error) if isinstance(error, RecipeError | SealBroken) else "not readable"
            raise self._unusable(reason) from None
        self._valid_until = rules.next_end(self.settings.secrets, now) or inf
        return self._native

    def _check(self) -> None:
        if self._broken:
            raise Unavailable("This source's settings cannot be used.", retry_after_s=60)

    def _unusable(self, reason: str) -> Unavailable:
        self._broken = True
        log.error(
            "source_settings_broken",
            source=str(UUID(bytes=self.settings.source_id)),
            version=self.settings.version,
            reason=reason,
        )
        return Unavailable("This source's settings cannot be used.", retry_after_s=60)

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
