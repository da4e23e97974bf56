"""Requests with a key: one effect, and the same answer for as long as the key is known.

There are two ways, and the handler's work decides which.

*Atomic*: the work is done in the caller's tenant and nowhere else. One transaction locks the key,
looks whether it was answered before, does the work, which joins it (`crossdock.db.joining`), and
stores the answer. A crash at any moment leaves all of it or nothing.

*Apart*: the work reaches further, or waits for long. The claim is committed first and the answer
afterwards. A crash in between leaves a claim without an answer, and nobody can say what became of
it: so it is not done again, and whoever asks is told so.

Nobody waits for a key: the lock is had at once, or the request is told to come again. A hundred
equal requests hold no more than one connection in each process.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog

from crossdock.db import Databases
from crossdock.db.joining import joining
from crossdock.db.tenant_pool import raw_of
from crossdock.errors import (
    Busy,
    InProgress,
    KeyReused,
    NotTaken,
    OutcomeUnknown,
    Unavailable,
)
from crossdock.idempotency import store
from crossdock.idempotency.model import Answer, Claim, Found
from crossdock.idempotency.vault import Vault
from crossdock.secrets.seal import SealBroken
from crossdock.telemetry.metrics import IDEMPOTENT_REQUESTS

LEASE_S: Final = 60.0
"""How long a claim of work that is done apart counts as under way. No request takes as long."""

Act = Callable[[], Awaitable[Answer | None]]
"""Does the work and returns the answer to be kept, or `None` where it would not come out the same.

A refusal is such an answer, or none. Any other error undoes the work, as far as that can be.
"""

End = Callable[[store.RawConnection, Claim], Awaitable[None]]
"""Writes down what became of a claim."""

log = structlog.get_logger(__name__)


class Hot(Protocol):
    """Knows answers of the last minutes without asking the database."""

    def get(self, digest: bytes) -> bytes | None:
        """Return a sealed answer."""

    def share(self, digest: bytes, sealed: bytes) -> None:
        """Keep a sealed answer, here and elsewhere."""


class Idempotency:
    """Does a request's work once, and gives its answer again."""

    def __init__(
        self, database: Databases, vault: Vault, hot: Hot, *, lease_s: float = LEASE_S
    ) -> None:
        self._database = database
        self._vault = vault
        self._hot = hot
        self._lease_s = lease_s
        self._under_way: set[bytes] = set()

    async def atomic(self, claim: Claim, act: Act) -> Answer | None:
        """Do work and store its answer in one transaction, unless it was done before.

        Returns the answer of before, or `None` where the work was done now.

        Raises:
            InProgress: it is under way.
            KeyReused: the key is another request's.
            DatabaseUnavailable: the database is away; nothing was done, or all of it.
        """
        if (hot := self._from_memory(claim)) is not None:
            return hot
        sealed = None
        with self._alone(claim):
            async with self._database.tenant(claim.tenant_id) as connection:
                raw = await raw_of(connection)
                before = self._judge(claim, await store.claim(raw, claim))
                if before is not None:
                    return before
                with joining(claim.tenant_id, connection, raw):
                    answer = await act()
                if answer is not None:
                    sealed = self._vault.seal(claim, answer)
                    await store.add_done(raw, claim, answer.status, sealed)
            self._done(claim, sealed)
        return None

    async def apart(self, claim: Claim, act: Act) -> Answer | None:
        """Do work under a claim that is committed before it, unless it was done before.

        Returns the answer of before, or `None` where the work was done now.

        Raises:
            InProgress: it is under way.
            OutcomeUnknown: it was begun, and nobody knows what became of it.
            KeyReused: the key is another request's.
            DatabaseUnavailable: the database is away; nothing was done.
        """
        if (hot := self._from_memory(claim)) is not None:
            return hot
        with self._alone(claim):
            async with self._database.tenant(claim.tenant_id) as connection:
                raw = await raw_of(connection)
                before = self._judge(claim, await store.claim(raw, claim))
                if before is not None:
                    return before
                await store.add_running(raw, claim)
            try:
                answer = await act()
            except (Busy, NotTaken):  # before anything was done, or done again at no harm
                await self._end(claim, store.release)
                raise
            except Exception:
                await self._end(claim, store.give_up)
                raise
            if answer is None:
                await self._end(claim, store.release)
                self._done(claim, None)
            else:
                sealed = self._vault.seal(claim, answer)
                kept = partial(store.finish, status=answer.status, sealed=sealed)
                self._done(claim, sealed if await self._end(claim, kept) else None)
        return None

    def _from_memory(self, claim: Claim) -> Answer | None:
        """Return an answer that is known here; what does not open is as good as none."""
        sealed = self._hot.get(claim.digest)
        if sealed is None:
            return None
        try:
            answer = self._open(claim, sealed)
        except (SealBroken, msgspec.MsgspecError):
            return None
        IDEMPOTENT_REQUESTS.labels("hot").inc()
        return answer

    def _open(self, claim: Claim, sealed: bytes) -> Answer:
        stored = self._vault.open(claim, sealed)
        if stored.fingerprint != claim.fingerprint:
            raise _reused()
        return stored.answer

    @contextmanager
    def _alone(self, claim: Claim) -> Iterator[None]:
        """Be the only one in this process: the others need not ask the database."""
        if claim.digest in self._under_way:
            raise _in_progress()
        self._under_way.add(claim.digest)
        try:
            yield
        finally:
            self._under_way.discard(claim.digest)

    def _judge(self, claim: Claim, found: Found) -> Answer | None:
        """Return the answer of before, or `None` where the work is to be done now."""
        if found.fingerprint is not None and found.fingerprint != claim.fingerprint:
            raise _reused()
        if found.state == "done" and found.sealed is not None:
            answer = self._open(claim, found.sealed)
            IDEMPOTENT_REQUESTS.labels("replayed").inc()
            return answer
        if not found.is_mine:
            raise _in_progress()
        if found.state is not None:
            if found.state == "running" and found.age_s < self._lease_s:
                raise _in_progress()
            IDEMPOTENT_REQUESTS.labels("unknown").inc()
            raise OutcomeUnknown
        return None

    async def _end(self, claim: Claim, end: End) -> bool:
        """Write down how work apart ended; tell whether that could be done.

        Whoever asked is answered in any case. What can't be written now is unknown to those who ask
        again, once the lease is over.
        """
        try:
            async with self._database.tenant(claim.tenant_id) as connection:
                await end(await raw_of(connection), claim)
        except Unavailable as error:
            log.warning("idempotency_key_left", reason=str(error))
            return False
        return True

    def _done(self, claim: Claim, sealed: bytes | None) -> None:
        IDEMPOTENT_REQUESTS.labels("first").inc()
        if sealed is not None and not claim.is_secret:
            self._hot.share(claim.digest, sealed)


def _reused() -> KeyReused:
    IDEMPOTENT_REQUESTS.labels("reused").inc()
    return KeyReused()


def _in_progress() -> InProgress:
    IDEMPOTENT_REQUESTS.labels("in_progress").inc()
    return InProgress()
