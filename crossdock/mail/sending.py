"""The duty of sending: claims what is due on a shard, sends it, and writes down what came of it.

Any number of workers may. A claim is a lease: while it lasts no other sender takes the letter, and
an attempt ends long before it does. A sender that dies leaves its letters to the next one, under
the same Message-ID; so a letter arrives at least once, and a repeat can be told.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NoReturn, Self

import msgspec
import structlog

from crossdock.config import Settings
from crossdock.db import Database
from crossdock.errors import Unavailable
from crossdock.mail import rules, store
from crossdock.mail.folder import MailFolder
from crossdock.mail.message import Sender, compose
from crossdock.mail.model import Due, Mail
from crossdock.mail.service import Postbox
from crossdock.mail.smtp import SmtpTransport
from crossdock.mail.transport import Nowhere, Transport, Undeliverable, Unsent
from crossdock.secrets.seal import SealBroken, Sealer
from crossdock.telemetry.metrics import MAILS

AT_ONCE: Final = 8
"""Letters that one sender has under way."""
SEND_TIMEOUT_S: Final = 30.0
LEASE_S: Final = 90.0
"""Beyond the timeout, the time to write down what came of it, and to spare."""
POLL_S: Final = 1.0
FORGET_EVERY_S: Final = 3600.0
KEPT_DAYS: Final = 7

log = structlog.get_logger(__name__)


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    mail: Due
    problem: str | None = None
    """`None` once it is sent."""
    final: bool = False


class Courier:
    """Sends the letters of one shard; needs the role `maintenance`."""

    def __init__(
        self,
        database: Database,
        postbox: Postbox,
        transport: Transport,
        sender: Sender,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lease_s: float = LEASE_S,
        timeout_s: float = SEND_TIMEOUT_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._database = database
        self._postbox = postbox
        self._transport = transport
        self._sender = sender
        self._clock = clock
        self._lease_s = lease_s
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._outcomes: list[Outcome] = []
        self._away = False
        self._forget_at = 0.0

    @classmethod
    def from_settings(cls, database: Database, settings: Settings) -> Self:
        """Return the courier of a shard, as settings say how letters leave.

        Raises:
            ConfigurationError: the key `keys.mail` is missing, or the way out is wrongly set.
        """
        sealer = Sealer.from_text(settings.keys.mail, setting="CROSSDOCK_KEYS__MAIL")
        sender = Sender(settings.mail.sender)
        return cls(database, Postbox(sealer), transport_of(settings), sender)

    async def run(self) -> NoReturn:
        """Send until cancelled; an outage of the database is waited out."""
        try:
            while True:
                if not await self._turn():
                    await asyncio.sleep(self._poll_s * random.uniform(0.7, 1.0))  # noqa: S311
        finally:
            # The words about letters that were sent while we were told to end.
            with suppress(Unavailable):
                await asyncio.shield(self._record())

    async def work(self) -> int:
        """Send what is due, a few at a time, and return how many were tried.

        Raises:
            DatabaseUnavailable: the database is away; what was sent is written down by the next
                call, before it claims anything.
        """
        await self._record()
        async with self._database.maintenance() as conn:
            due = await store.claim(conn, AT_ONCE, self._lease_s)
        if not due:
            return 0
        try:
            async with asyncio.TaskGroup() as sending:
                for mail in due:
                    sending.create_task(self._attempt(mail))
        except asyncio.CancelledError:
            await self._give_back(due)
            raise
        await self._record()
        return len(due)

    async def forget(self) -> None:
        """Remove letters that were sent or given up a week ago; nothing of their text was left."""
        async with self._database.maintenance() as conn:
            await store.forget(conn, days=KEPT_DAYS)

    async def _turn(self) -> bool:
        """Do what there is to do; tell whether there may be more of it."""
        now = asyncio.get_running_loop().time()
        try:
            more = await self.work() > 0
            if now >= self._forget_at:
                await self.forget()
                self._forget_at = now + FORGET_EVERY_S
        except Unavailable as error:
            if not self._away:
                log.warning("mail_waits", reason=str(error))
            self._away = True
            return False
        if self._away:
            log.info("mail_goes_on")
        self._away = False
        return more

    async def _attempt(self, due: Due) -> None:
        outcome = await self._send(due)
        self._outcomes.append(outcome)
        word = "failed" if outcome.final else "postponed" if outcome.problem else "sent"
        MAILS.labels(word).inc()
        if outcome.problem is not None:
            told = {"mail": due.id, "tenant": due.tenant_id, "reason": outcome.problem}
            log.warning("mail_not_sent", outcome=word, **told)

    async def _send(self, due: Due) -> Outcome:
        mail: Mail | None = None
        try:
            mail = self._postbox.open(due.tenant_id, due.id, due.sealed)
            async with asyncio.timeout(self._timeout_s):
                await self._transport.send(compose(due.id, mail, self._sender))
        except Undeliverable as error:
            return Outcome(due, _about(error, mail), final=True)
        except (Unsent, SealBroken) as error:
            return Outcome(due, _about(error, mail))
        except TimeoutError:
            return Outcome(due, f"It took longer than {self._timeout_s:g} s.")
        except Exception as error:  # the others are not to wait for what nobody foresaw
            log.exception("mail_broke", mail=due.id, tenant=due.tenant_id)
            return Outcome(due, f"A fault of ours: {type(error).__name__}.")
        return Outcome(due)

    async def _record(self) -> None:
        """Write down what came of letters; what can't be written now stays for the next time."""
        while self._outcomes:
            outcomes = list(self._outcomes)
            async with self._database.maintenance() as conn:
                for outcome in outcomes:
                    await self._note(conn, outcome)
            del self._outcomes[: len(outcomes)]

    async def _note(self, conn: store.RawConnection, outcome: Outcome) -> None:
        mail, problem = outcome.mail, outcome.problem
        if problem is None:
            await store.mark_sent(conn, mail)
            return
        chance = random.random()  # noqa: S311 - it spreads load, and protects nothing
        due_at = rules.next_try(mail.attempts, mail.created_at, self._clock(), chance)
        if outcome.final or due_at is None:
            await store.mark_failed(conn, mail, reason=problem)
        else:
            await store.mark_waiting(conn, mail, due_at=due_at, reason=problem)

    async def _give_back(self, due: list[Due]) -> None:
        """Let another sender have at once what we were told to stop sending.

        One that was on its way may have arrived; it goes out again, as after a crash.
        """
        done = {outcome.mail.id for outcome in self._outcomes}
        with suppress(Unavailable):
            async with self._database.maintenance() as conn:
                await store.release(conn, [mail for mail in due if mail.id not in done])


def check(settings: Settings) -> None:
    """Check that letters could leave, before anything is started that would send them.

    Raises:
        ConfigurationError: the way out is wrongly set.
    """
    Sender(settings.mail.sender)
    transport_of(settings)


def transport_of(settings: Settings) -> Transport:
    """Return the way out that settings name.

    Raises:
        ConfigurationError: it is wrongly set.
    """
    if settings.mail.smtp_host is not None:
        return SmtpTransport(settings.mail)
    if settings.mail.folder is not None:
        return MailFolder(settings.mail.folder)
    return Nowhere()


def _about(error: Exception, mail: Mail | None) -> str:
    """Return the reason without the address in it: reasons are kept, and logged."""
    reason = str(error)
    return reason if mail is None else reason.replace(mail.to, "the recipient")
