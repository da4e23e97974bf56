"""Endpoints that are slow, hang, or fail by the thousand: memory is bounded, and no one else waits.

Rows of the table: a slow or hanging destination; 10,000 failures, then recovery.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final, get_args

import pytest

from crossdock.samples.sender import new_serial
from tests.faults.flood import flood
from tests.faults.oracle import Observed, judge, observe
from tests.faults.rig import Rig
from tests.faults.sink import Manner, Sink
from tests.faults.traffic import ACCEPTED
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CAP: Final = 32
"""Attempts in flight to one destination, in one worker (`worker.destination_concurrency`)."""
GROWTH: Final = 96 * 1024**2
"""Bytes a worker may grow by, however much waits for endpoints that don't answer."""
BODY: Final = 32 * 1024
FAILED: Final = 10_000


@pytest.fixture
async def sinks() -> AsyncIterator[list[Sink]]:
    """One of each kind."""
    manners: tuple[Manner, ...] = get_args(Manner)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Sink(manner)) for manner in manners]


async def test_endpoints_that_do_not_answer_hold_themselves_up_only(
    rig: Rig, observed: Observed, sinks: list[Sink]
) -> None:
    sufferer = await rig.tenant(f"sufferer-{new_serial()}")
    slow = await observe(rig, observed.receiver, sufferer.key)
    async with rig.rest(sufferer.key) as rest:
        for sink in sinks:
            await rest.post("/v1/destinations", {"name": sink.manner, "url": sink.url})
    await rig.worker.restart()
    before = rig.worker.memory()
    accepted = await flood(rig, slow, 1_000, BODY)
    async with observed.traffic(rate=50) as traffic:
        await traffic.more(200)
        await until(lambda: all(sink.taken for sink in sinks), "a call to each of them")
    assert traffic.book.statuses() == {ACCEPTED}
    verdict = await observed.check(traffic.book, within=20)
    assert verdict.repeats == 0
    await until(
        lambda: set(accepted.values()) <= slow.receiver.taken().keys(),
        "what the same tenant's other endpoint gets",
        within=30,
    )
    assert rig.worker.memory() - before < GROWTH
    for sink in sinks:
        # The others can't tell at once who has hung up.
        assert sink.most <= CAP or sink.manner in {"deaf", "endless"}, (sink.manner, sink.most)


async def test_ten_thousand_failures_and_then_recovery(rig: Rig, observed: Observed) -> None:
    path = f"/{new_serial()}"
    broken = True
    observed.receiver.answer(path, lambda _event, _earlier: 503 if broken else 204)
    async with rig.rest(observed.key) as rest:
        (everything,) = await rest.all("/v1/destinations")
        await rest.call(
            "PATCH",
            f"/v1/destinations/{everything['id']}",
            {
                "url": observed.receiver.url + path,
                "retry": {"delays_s": [2] * 50},
            },
        )
        accepted = await flood(rig, observed, FAILED, 100)
        last = list(accepted)[-1]

        async def persisted() -> bool:
            return (await rest.call("GET", f"/v1/events/{last}")).status == 200

        async def is_open() -> bool:
            health = await rest.get(f"/v1/destinations/{everything['id']}/health")
            return bool(health["breaker"] == "open")

        await until(persisted, "all of them", within=60)
        await until(is_open, "an open breaker")
        observed.receiver.slow(path, 0.005)
        observed.receiver.most.clear()
        tried = len(observed.receiver.at(path))
        broken = False
        await until(
            lambda: set(accepted.values()) <= observed.receiver.taken().keys(),
            lambda: f"{len(accepted)} deliveries, not {len(observed.receiver.taken())}",
            within=75,
        )
        verdict = await judge(rest, dict(list(accepted.items())[::20]), observed.receiver)
    assert verdict.is_clean(), verdict
    assert tried < FAILED / 10, "What is down is spared."
    assert observed.receiver.most[path] <= CAP, "No herd: no more at once than ever."
    print(f"{tried} attempts while it failed, {len(accepted)} deliveries after")  # noqa: T201
