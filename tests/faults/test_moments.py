"""Gateway and worker are killed at the moments on which a promise hangs, caught on the wire.

Rows of the table: a gateway killed mid-publish; a worker killed before and after COMMIT, before the
ack.
"""

from typing import Final, NamedTuple

import pytest

from tests.faults.oracle import Observed
from tests.faults.proxy import Trap
from tests.faults.rig import Rig
from tests.faults.traffic import ACCEPTED, NO_ANSWER, Book
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

INGEST_ROLE: Final = b"crossdock_ingest"
COMMIT: Final = b"COMMIT\0"
"""Both what is asked for, and the tag of its answer."""


async def sprung(trap: Trap, rig: Rig) -> None:
    """Wait until a trap holds what it waits for."""
    await until(trap.sprung.is_set, lambda: f"{trap.mark!r}: {rig.tail()}")


@pytest.mark.parametrize("fate", ["unsent", "unanswered"])
async def test_a_gateway_killed_while_it_publishes(rig: Rig, observed: Observed, fate: str) -> None:
    wire, stored = rig.gateway_wires.nats, fate == "unanswered"
    async with observed.traffic(connections=32, rate=300, retrying=True) as traffic:
        await traffic.more(50)
        trap = wire.trap("down", b'"stream":"INGEST"') if stored else wire.trap("up", b"HPUB ing")
        await sprung(trap, rig)
        await rig.gateway.kill()
        wire.forget_traps()
        await rig.gateway.start()
        await traffic.more(100)
    book = traffic.book
    assert book.statuses() <= {ACCEPTED, NO_ANSWER, 503}
    assert set(book.accepted.values()) == {answer.serial for answer in book.answers}
    await observed.check(book)
    again = {answer.serial for answer in book.answers if answer.status == NO_ANSWER}
    assert again, "Some had no answer, and were sent again."
    aliases = await _aliases(
        observed, [e for e, serial in book.accepted.items() if serial in again]
    )
    if stored:
        assert aliases, "What the broker had taken is known again by its dedupe key."


class Moment(NamedTuple):
    """When to kill a worker."""

    name: str
    server: str
    way: str
    mark: bytes
    of: bytes


MOMENTS: Final = (
    Moment("before COMMIT", "postgres", "up", COMMIT, INGEST_ROLE),
    Moment("after COMMIT", "postgres", "down", COMMIT, INGEST_ROLE),
    Moment("before the ack", "nats", "up", b"+ACK", b""),
)


async def test_a_worker_killed_before_and_after_commit_and_before_the_ack(
    rig: Rig, observed: Observed
) -> None:
    # One after the other, and one wait for what a dead worker held.
    books: list[Book] = []
    for moment in MOMENTS:
        async with observed.traffic(rate=100, connections=8) as traffic:
            await traffic.more(30)
            wire = getattr(rig.worker_wires, moment.server)
            trap = wire.trap(moment.way, moment.mark, of=moment.of)
            await sprung(trap, rig)
            await rig.worker.kill()
            wire.forget_traps()
            await rig.worker.start()
            await rig.impatient()
            await traffic.more(30)
        assert traffic.book.statuses() == {ACCEPTED}, f"{moment.name}: senders notice nothing."
        books.append(traffic.book)
    await observed.check(*books)
    async with rig.rest(observed.key) as rest:
        for book in books:
            for event_id in book.accepted:
                made = await rest.all(f"/v1/deliveries?event_id={event_id}")
                assert len(made) == 1, f"{event_id} has one delivery, however often it came: {made}"


async def _aliases(observed: Observed, event_ids: list[str]) -> list[str]:
    """Return which accepted ids stand for an event that was stored before under another."""
    async with observed.system.rest(observed.key) as rest:
        return [one for one in event_ids if (await rest.get(f"/v1/events/{one}"))["id"] != one]
