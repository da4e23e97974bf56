"""Messages that can never be stored are set aside, and the rest flow.

What breaks the code instead of being refused by it is set aside after some tries; see
`tests/integration/workers/test_webhooks.py`.
"""

from typing import Final

import msgspec
import pytest

from crossdock.bus import connect
from proto import subjects
from tests.faults.oracle import Observed
from tests.faults.rig import Rig
from tests.faults.traffic import ACCEPTED
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

POISON: Final = (
    b"",
    b"\xc1 nobody's MessagePack",
    b"{}",
    msgspec.msgpack.encode(["ingested.v9", b"of a later release"]),
    msgspec.msgpack.encode(["ingested.v1", b"too short"]),
)


async def test_poison_is_set_aside_while_the_rest_flows(rig: Rig, observed: Observed) -> None:
    bus = await connect(rig.settings.nats)
    jetstream = bus.jetstream()
    before = (await jetstream.stream_info(subjects.POISON_STREAM)).state.last_seq
    async with observed.traffic() as traffic:
        for poison in POISON:
            await traffic.more(20)
            await jetstream.publish(subjects.ingest(0), poison)
        await traffic.more(20)
    assert traffic.book.statuses() == {ACCEPTED}
    await observed.check(traffic.book)

    async def buried() -> bool:
        state = (await jetstream.stream_info(subjects.POISON_STREAM)).state
        return bool(state.last_seq >= before + len(POISON))

    await until(buried, f"{len(POISON)} graves")
    graves = [
        await jetstream.get_msg(subjects.POISON_STREAM, before + 1 + n) for n in range(len(POISON))
    ]
    assert sorted(grave.data or b"" for grave in graves) == sorted(POISON)
    assert all((grave.headers or {}).get("crossdock-reason") for grave in graves)
    await bus.close()
