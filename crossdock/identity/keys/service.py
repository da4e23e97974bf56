"""The keys that sign access tokens: in memory, kept current, rotated."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import structlog

from crossdock.db import Databases
from crossdock.errors import Unavailable
from crossdock.identity.keys import rules, store
from crossdock.identity.keys.model import KeyInfo, SigningKey, StoredKey
from crossdock.secrets.seal import SealBroken, Sealer

RELOAD_S: Final = 2.0
"""How often the keys are read again: the bound on how long a revoked one is still believed."""

ABSENT_S: Final = 30.0
"""How long a `kid` that nobody knows stays unknown."""

ABSENT_KIDS: Final = 1024
"""How many of them are remembered; the oldest goes first."""

SEEK_EVERY_S: Final = 1.0
"""How often unknown kids, however many, may have the keys read out of turn."""

log = structlog.get_logger(__name__)


class SigningKeys:
    """One process's copy of the keys, and the way to change them.

    Keys that are known stay known while the database is away. The first key is made by whoever
    finds none.
    """

    def __init__(
        self,
        database: Databases,
        sealer: Sealer,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._monotonic = monotonic
        self._keys: dict[str, SigningKey] = {}
        self._loading = asyncio.Lock()
        self._sought_at = -SEEK_EVERY_S
        self._absent: OrderedDict[str, float] = OrderedDict()

    async def run(self) -> NoReturn:
        """Keep the copy current; a database that is away is waited for."""
        away = False
        while True:
            try:
                await self.load()
            except Unavailable as error:
                if not away:
                    log.warning("signing_keys_not_read", reason=str(error))
                away = True
            else:
                away = False
            await asyncio.sleep(RELOAD_S)

    async def load(self) -> None:
        """Read the keys, and make the first if there is none.

        Raises:
            DatabaseUnavailable: the control database is away; what was known stays known.
        """
        async with self._loading:
            await self._load()

    def current(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            Unavailable: none is known yet.
        """
        key = rules.chosen(self._keys.values(), self._clock())
        if key is None:
            raise Unavailable("No key to sign tokens with is known yet.")
        return key

    def find(self, kid: str) -> SigningKey | None:
        """Return the published key of that name, if it is in memory."""
        key = self._keys.get(kid)
        if key is None or (key.ends_at is not None and key.ends_at <= self._clock()):
            return None
        return key

    async def seek(self, kid: str) -> bool:
        """Look once more for a key that was not in memory, and tell whether it is there now.

        For each `kid` the keys are read at most once in 30 s, and for all of them together once a
        second: junk costs nearly nothing. What is read adds to the keys that are known, or ends
        them by their own time; no `kid` throws another out.

        Raises:
            DatabaseUnavailable: the control database is away, so nobody can tell.
        """
        if self._absent.get(kid, 0.0) > self._monotonic():
            return False
        async with self._loading:  # those who come meanwhile find what the first one read
            now = self._monotonic()
            if self.find(kid) is not None:
                return True
            if self._absent.get(kid, 0.0) > now or now - self._sought_at < SEEK_EVERY_S:
                return False
            self._sought_at = now
            await self._load()
            if self.find(kid) is not None:
                return True
            self._remember_absent(kid)
            return False

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """Return the set of public keys (RFC 7517): what signs, what will, and what did."""
        now = self._clock()
        return {
            "keys": [
                key.jwk for key in self._keys.values() if key.ends_at is None or now < key.ends_at
            ]
        }

    async def rotate(self, *, at_once: bool = False, revoke_old: bool = False) -> KeyInfo:
        """Make a new key that takes the place of the current one.

        Args:
            at_once: it signs from now on, and not in ten minutes. Those who keep a copy of the
                published keys refuse its tokens until they fetch them again.
            revoke_old: all other keys end now, with every token that they signed. For a key that
                leaked; it implies `at_once`.

        Raises:
            Conflict: a new key is on its way already, and it was not asked for at once.
            DatabaseUnavailable: the control database is away; nothing changed.
        """
        async with self._database.control() as conn:
            now = await store.lock(conn)
            rotation = rules.rotate(
                await store.all_keys(conn), now, at_once=at_once, revoke_old=revoke_old
            )
            made = await self._add(conn, rotation, now)
            shown = _shown(await store.all_keys(conn), now)
        log.info("signing_key_made", kid=made, at_once=at_once, revoke_old=revoke_old)
        await self.load()
        return next(info for info in shown if info.kid == made)

    async def _load(self) -> None:
        async with self._database.control() as conn:
            stored = await store.live_keys(conn)
            if not stored:
                now = await store.lock(conn)
                stored = await store.live_keys(conn)
                if not stored:
                    first = rules.rotate((), now, at_once=True, revoke_old=False)
                    await self._add(conn, first, now)
                    stored = await store.live_keys(conn)
            if any(
                rules.is_over(key, datetime.fromtimestamp(self._clock(), UTC)) for key in stored
            ):
                await store.retire(conn)
        self._keys = {key.kid: key for one in stored if (key := self._opened(one)) is not None}

    async def _add(self, conn: Any, rotation: rules.Rotation, now: datetime) -> str:
        key = rules.generate(self._sealer)
        await store.end(conn, rotation.endings)
        await store.add(conn, key, created_at=now, signs_from=rotation.signs_from)
        await store.retire(conn)
        return key.kid

    def _opened(self, stored: StoredKey) -> SigningKey | None:
        known = self._keys.get(stored.id)
        ends_at = None if stored.ends_at is None else stored.ends_at.timestamp()
        if known is not None and known.ends_at == ends_at:
            return known
        try:
            return rules.opened(stored, self._sealer)
        except SealBroken as error:
            log.error("signing_key_not_ours", kid=stored.id, reason=str(error))
            return None

    def _remember_absent(self, kid: str) -> None:
        self._absent.pop(kid, None)
        self._absent[kid] = self._monotonic() + ABSENT_S
        while len(self._absent) > ABSENT_KIDS:
            self._absent.popitem(last=False)


async def list_keys(database: Databases) -> list[KeyInfo]:
    """Return all keys, newest first; this needs no key to open them.

    Raises:
        DatabaseUnavailable: the control database is away.
    """
    async with database.control() as conn:
        now = await store.now(conn)
        stored = await store.all_keys(conn)
    return _shown(stored, now)


def _shown(stored: Sequence[StoredKey], now: datetime) -> list[KeyInfo]:
    return [
        KeyInfo(
            kid=key.id,
            algorithm=key.algorithm,
            phase=phase,
            created_at=key.created_at,
            signs_from=key.signs_from,
            ends_at=key.ends_at,
        )
        for key, phase in zip(stored, rules.phases(stored, now), strict=True)
    ]
