"""One breaker for all processes: over a real broker, which may go away and forget everything."""

import asyncio
import sys
from asyncio.subprocess import PIPE

import msgspec
import pytest

from crossdock.breakers.model import Change, Policy, Record
from crossdock.breakers.reader import Reader
from crossdock.bus import connect
from crossdock.embedded import EmbeddedNats
from tests.beds.breakers import QUICK, Crowd, Member, somebody
from tests.beds.delivery import until
from tests.beds.prober import PERMIT_S, Told, encode


async def test_what_opens_in_one_process_is_open_in_all(crowd: Crowd) -> None:
    first, second = await crowd.members(2, Policy())
    whom, heard = somebody(), list[Change]()
    second.breakers.on_change.append(heard.append)
    first.fail(whom)
    await second.is_(whom, "open")
    assert second.breakers.enter(whom) is None
    assert 4 < second.breakers.rest(whom) <= 6
    assert [(one.state, one.is_ours, one.failed) for one in heard] == [("open", False, 5)]
    late = await crowd.member(Policy())
    await late.is_(whom, "open")


@pytest.mark.parametrize("probes", [1, 3])
async def test_all_processes_together_probe_as_often_as_allowed(crowd: Crowd, probes: int) -> None:
    policy = msgspec.structs.replace(QUICK, probes=probes)
    members = await crowd.members(6, policy)
    whom = somebody()
    members[0].fail(whom)
    await asyncio.gather(*(one.is_(whom, "half-open") for one in members))
    asked = [one.probe(whom) for one in members for _ in range(10)]
    tickets = await asyncio.gather(*asked)
    assert sum(one is not None for one in tickets) == probes


async def test_a_probe_that_does_well_closes_it_for_all(crowd: Crowd) -> None:
    members = await crowd.members(3)
    whom = somebody()
    members[0].fail(whom)
    await asyncio.gather(*(one.is_(whom, "half-open") for one in members))
    ticket = await members[1].probe(whom)
    assert ticket is not None
    members[1].breakers.report(ticket, "good")
    await asyncio.gather(*(one.is_(whom, "closed") for one in members))
    assert all(one.breakers.enter(whom) for one in members)


async def test_probes_of_several_processes_close_it_together(crowd: Crowd) -> None:
    policy = msgspec.structs.replace(QUICK, probes=2, closes_after=2)
    one, other = await crowd.members(2, policy)
    whom = somebody()
    one.fail(whom)
    await asyncio.gather(one.is_(whom, "half-open"), other.is_(whom, "half-open"))
    for member in (one, other):
        ticket = await member.probe(whom)
        assert ticket is not None
        assert one.state(whom) == other.state(whom) == "half-open"
        member.breakers.report(ticket, "good")
    await asyncio.gather(one.is_(whom, "closed"), other.is_(whom, "closed"))


async def test_a_permit_that_was_not_needed_is_another_s(crowd: Crowd) -> None:
    one, other = await crowd.members(2)
    whom = somebody()
    one.fail(whom)
    await asyncio.gather(one.is_(whom, "half-open"), other.is_(whom, "half-open"))
    ticket = await one.probe(whom, 3600)
    assert ticket is not None
    assert await other.probe(whom) is None
    one.breakers.abandon(ticket)

    async def probing() -> bool:
        return await other.probe(whom) is not None

    await until(probing)


async def test_a_prober_that_is_killed_frees_its_permit(crowd: Crowd) -> None:
    member, whom = await crowd.member(), somebody()
    told = Told(crowd.nats, crowd.bucket, whom.tenant_id, whom.subject_id, whom.host)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.beds.prober", stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(encode(told))
    process.stdin.close()
    member.fail(whom)
    while (line := await process.stdout.readline()) != b"probing\n":
        assert line, "it ended"
        assert line != b"refused\n"
    began = asyncio.get_running_loop().time()
    process.kill()
    await process.wait()
    assert await member.probe(whom) is None, "nobody knows yet that it is gone"

    async def probing() -> bool:
        return await member.probe(whom) is not None

    await until(probing)
    assert asyncio.get_running_loop().time() - began > PERMIT_S / 2


async def test_a_failed_probe_makes_results_of_other_probes_old(crowd: Crowd) -> None:
    policy = msgspec.structs.replace(QUICK, probes=2, first_rest_s=0.5)
    one, other = await crowd.members(2, policy)
    whom = somebody()
    one.fail(whom)
    await asyncio.gather(one.is_(whom, "half-open"), other.is_(whom, "half-open"))
    late, failing = await one.probe(whom), await other.probe(whom)
    assert late is not None
    assert failing is not None
    other.breakers.report(failing, "bad")
    await one.is_(whom, "open")
    one.breakers.report(late, "good")
    assert one.state(whom) == other.state(whom) == "open"
    assert one.breakers.rest(whom) > 0.3


async def test_clocks_that_are_wrong_move_no_rest_beyond_its_length(crowd: Crowd) -> None:
    policy = msgspec.structs.replace(QUICK, first_rest_s=3.0)
    members = await crowd.members(3, policy)
    members[1].skew_s, members[2].skew_s = 1e8, -1e8
    whom = somebody()
    members[0].fail(whom)
    await members[2].is_(whom, "open")
    assert 0 < members[2].breakers.rest(whom) <= 3.0, "one that is late waits no longer"
    await members[1].is_(whom, "half-open")
    tickets = await asyncio.gather(*(one.probe(whom) for one in members))
    assert sum(one is not None for one in tickets) <= 1


async def test_a_pause_that_one_was_asked_for_is_kept_by_all(crowd: Crowd) -> None:
    one, other = await crowd.members(2)
    whom = somebody()
    one.breakers.pause(whom, 60)
    await until(lambda: other.breakers.rest(whom) > 50)
    assert other.breakers.view(whom).paused_until is not None
    assert other.state(whom) == "closed"


async def test_without_the_broker_each_judges_alone_and_all_agree_once_it_is_back(
    private_crowd: Crowd, private_nats: EmbeddedNats
) -> None:
    one, other = await private_crowd.members(2, msgspec.structs.replace(QUICK, longest_rest_s=30))
    before, during, long_ago = somebody(), somebody(), somebody()
    one.fail(long_ago)
    one.fail(before)
    await other.is_(before, "half-open")
    private_nats.kill()
    await until(lambda: not (one.sharing.is_heard or other.sharing.is_heard))
    one.fail(during)
    assert one.state(during) == "open"
    assert other.breakers.enter(during) is not None
    for member in (one, other):
        ticket = await member.probe(before)
        assert ticket is not None, "by its own count"
        assert await member.probe(before) is None
        member.breakers.report(ticket, "bad")
    assert other.breakers.enter(during) is not None
    private_nats.start()
    await until(lambda: other.state(during) != "closed")
    assert one.state(before) != "closed"
    assert other.state(before) != "closed"
    await until(lambda: not (one.sharing.untold or other.sharing.untold))
    late = await private_crowd.member()
    await until(lambda: late.state(long_ago) != "closed")  # the broker had lost all of it


async def test_a_forgotten_breaker_that_opens_again_is_news(crowd: Crowd) -> None:
    """Whoever forgot counts epochs from the beginning; the bucket remembers a higher one."""
    one, whom = await crowd.member(), somebody()
    for _ in range(3):
        one.fail(whom)
        await one.is_(whom, "half-open")
        ticket = await one.probe(whom)
        assert ticket is not None
        one.breakers.report(ticket, "good")
    await until(lambda: not one.sharing.untold)
    fresh = await crowd.member(msgspec.structs.replace(QUICK, first_rest_s=60))
    fresh.fail(whom)
    await one.is_(whom, "open")
    assert await _stored(fresh, whom.key) == ("open", 7)


async def _stored(member: Member, key: str) -> tuple[str, int]:
    async def found() -> Record | None:
        entry = await member.sharing.bucket.get(f"s.{key}")
        record = None if entry is None else msgspec.json.decode(entry.value, type=Record)
        return record if record is not None and record.state == "open" else None

    record = await until(found)
    return record.state, record.epoch


async def test_what_is_no_record_harms_nobody(crowd: Crowd) -> None:
    one, other = await crowd.members(2)
    whom = somebody()
    for key in (f"s.{whom.key}", f"w.{whom.key}", "s.odd", "w.a.b.c.d", "x.y", "s"):
        await one.sharing.bucket.put(key, b'{"state": "ajar"}')
    one.fail(whom)
    await other.is_(whom, "half-open")


async def test_a_reader_sees_it_once_it_looks_and_rests_when_nobody_asks(crowd: Crowd) -> None:
    member, whom = await crowd.member(Policy()), somebody()
    member.fail(whom)
    member.breakers.pause(whom, 60)
    bus = await connect(crowd.nats, name="reader")
    reader = Reader(bus, crowd.bucket, idle_s=0.2, capacity=4)
    try:
        assert not reader.is_following
        view = await until(lambda: _known(reader, whom))
        assert (view.state, view.calls, view.failed) == ("open", 5, 5)
        assert view.until is not None
        assert view.paused_until is not None
        for _ in range(20):
            member.fail(somebody())
        await until(lambda: not member.sharing.untold)
        await until(lambda: not reader.is_following)
        assert len(reader) <= 4
    finally:
        await reader.close()
        await bus.close()


async def _known(reader: Reader, whom: object) -> object:
    view = await reader.view(whom)  # type: ignore[arg-type]
    return view if view is not None and view.state == "open" else None
