"""Clocks that are wrong: the rule about timestamps is affected, and nothing else.

Ids, dedupe keys, leases and due times don't mind what a process takes the time for.
"""

import sys
from collections.abc import AsyncIterator
from time import time
from typing import Final

import pytest

from tests.beds.clocks import COMPILER, skewed
from tests.faults.oracle import Observed, open_source
from tests.faults.rig import Rig
from tests.faults.traffic import ACCEPTED, Book, Traffic
from tests.faults.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="the clock is bent by the Linux loader"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler to build the wrong clock with"),
]

HOUR: Final = 3600
DAY: Final = 24 * HOUR
SENT: Final = 60


@pytest.fixture
async def straight(rig: Rig) -> AsyncIterator[Rig]:
    """Set the clocks right at the end."""
    yield rig
    for program in (rig.gateway, rig.worker):
        if program.environ:
            program.environ = {}
            await program.restart()


@pytest.mark.parametrize("skew_s", [-HOUR, HOUR], ids=["behind", "ahead"])
async def test_a_gateway_refuses_what_is_stamped_and_takes_all_else(
    straight: Rig, observed: Observed, skew_s: int
) -> None:
    rig = straight
    async with rig.rest(observed.key) as rest:
        _, timeless = await open_source(rest, "github", "timeless")
    rig.gateway.environ = skewed(skew_s, rig.folder)
    await rig.gateway.restart()
    async with observed.traffic() as stamped:
        await stamped_refused(stamped)
    async with Traffic(Book(), timeless) as plain:
        await plain.more(SENT)
    assert {answer.status for answer in stamped.book.answers} == {401}
    assert {answer.error for answer in stamped.book.answers} == {"timestamp-outside-tolerance"}
    assert plain.book.statuses() == {ACCEPTED}
    await observed.check(plain.book)
    # Sent again to a gateway whose clock is right, it is the same webhook still.
    rig.gateway.environ = {}
    await rig.gateway.restart()
    event_id, serial = next(iter(plain.book.accepted.items()))
    again = timeless.compose(serial)
    async with rig.rest(observed.key) as rest:
        reply = await rest.call("POST", again.url, raw=again.body, headers=again.headers)
        assert reply.status == ACCEPTED
        await observed.check(plain.book)
        found = {
            (await rest.get(f"/v1/events/{one}"))["id"] for one in (event_id, reply.json()["id"])
        }
    assert found == {event_id}


async def stamped_refused(traffic: Traffic) -> None:
    """Wait until enough was answered."""
    await until(lambda: len(traffic.book.answers) >= SENT, f"{SENT} answers")


async def test_a_worker_tries_again_when_it_is_due_and_not_when_it_thinks_so(
    straight: Rig, observed: Observed
) -> None:
    rig = straight
    rig.worker.environ = skewed(DAY, rig.folder)
    await rig.worker.restart()
    path = "/moody"
    observed.receiver.answer(path, lambda _event, earlier: 503 if earlier < 1 else 204)
    async with rig.rest(observed.key) as rest:
        await rest.post(
            "/v1/destinations",
            {
                "name": "moody",
                "url": observed.receiver.url + path,
                "retry": {"delays_s": [1] * 5},
                "breaker": "off",  # it would space out what is looked at here
            },
        )
    async with observed.traffic() as traffic:
        await traffic.more(SENT)
    await observed.check(traffic.book)
    serials = set(traffic.book.accepted.values())

    def tried() -> bool:
        taken = [one for one in observed.receiver.at(path) if one.status < 300]
        return {one.serial for one in taken} >= serials

    await until(tried, "second attempts")
    for serial in serials:
        first, second = (one for one in observed.receiver.of(serial) if one.path == path)
        assert second.at - first.at >= 0.8, "Not before it was due."
        stamp = int(first.headers["webhook-timestamp"])
        assert abs(stamp - DAY - time()) < HOUR, "Its clock was wrong."
