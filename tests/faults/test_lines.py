"""Order by key holds through deaths, cut wires and restarts."""

import asyncio

import pytest

from crossdock.samples.sender import new_serial
from tests.faults.lines import Lines
from tests.faults.oracle import judge, live
from tests.faults.receiver import Receiver
from tests.faults.rig import Rig
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = 25


async def test_order_is_kept_while_everything_dies(rig: Rig, receiver: Receiver) -> None:
    tenant = await rig.tenant(f"lines-{new_serial()}")
    path = f"/{new_serial()}"
    # Every eighth fails at first, so that heads are tried again while their lines wait.
    receiver.answer(
        path, lambda event, earlier: 503 if earlier < 1 and event[-1] in "bdfh" else 204
    )
    async with rig.rest(tenant.key) as rest:
        await rest.post(
            "/v1/destinations",
            {
                "name": "in order",
                "url": receiver.url + path,
                "order": {"by": "/key"},
                "retry": {"delays_s": [1] * 20},
                "breaker": "off",
            },
        )
        source = await rest.post("/v1/sources", {"name": "lines", "scheme": "standard"})
        await live(rest, source["ingest_url"])
        await rig.impatient()

        async def killed() -> None:
            await rig.worker.restart()
            await rig.impatient()

        async def cut() -> None:
            rig.worker_wires.postgres.reset()
            rig.worker_wires.nats.reset()

        async def stopped() -> None:
            await rig.worker.stop()
            await rig.worker.start()
            await rig.impatient()

        async with Lines(source["ingest_url"], source["secret"], KEYS, pause_s=0.02) as lines:
            await lines.more(100)
            for action in (killed, killed, cut, rig.gateway.restart, stopped):
                async with asyncio.TaskGroup() as both:
                    both.create_task(lines.more(60))
                    both.create_task(action())
        wanted = set(lines.accepted.values())
        await until(
            lambda: wanted <= receiver.taken().keys(),
            lambda: f"{len(wanted)} deliveries, not {len(wanted & receiver.taken().keys())}",
            within=120,
        )
        await asyncio.sleep(0.5)
        verdict = await judge(rest, lines.accepted, receiver, lines.lines, path=path)
    assert verdict.is_clean(), verdict
    assert verdict.delivered == verdict.accepted
