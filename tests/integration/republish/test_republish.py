"""`crossdock events republish`: the same CloudEvents again, and only those that were announced."""

import asyncio
import shlex
from datetime import timedelta
from typing import Any
from uuid import UUID

from crossdock import ids
from crossdock.embedded import EmbeddedNats
from tests.integration.republish.conftest import BEGIN, INLINE, Press


def names(messages: Any) -> list[str]:
    return [one.headers["ce-id"] for one in messages]


def ten(tenant_id: UUID) -> str:
    return ids.encode("ten", tenant_id)


async def run(press: Press, *arguments: str) -> Any:
    return await asyncio.to_thread(press.json, *arguments)


async def test_an_event_comes_again_as_it_was(press: Press) -> None:
    tenant = await press.town.add(0)
    source = ids.new()
    name = await press.add(tenant, minute=3, source_id=source, body=b'{"a": 1}')
    answer = await run(press, "--tenant", ten(tenant))
    assert (answer["found"], answer["republished"], answer["after"]) == (1, 1, name)
    (message,) = await press.stream()
    assert message.subject == f"events.{ten(tenant)}.{ids.encode('src', source)}.invoice.paid"
    assert message.data == b'{"a": 1}'
    moment = ids.time_of(ids.decode("evt", name)).isoformat().replace("+00:00", "Z")
    assert {key: value for key, value in message.headers.items() if key != "Nats-Msg-Id"} == {
        "ce-specversion": "1.0",
        "ce-id": name,
        "ce-source": f"/tenants/{ten(tenant)}/sources/{ids.encode('src', source)}",
        "ce-type": "invoice.paid",
        "ce-time": moment,
        "ce-sequence": "1003",
        "ce-datacontenttype": "application/json",
        "content-type": "application/json",
        "traceparent": "00-1",
        "crossdock-republished": "true",
    }
    assert message.headers["Nats-Msg-Id"].startswith(f"{name}.")


async def test_each_time_it_is_published_anew(press: Press) -> None:
    """The broker must not take it for a duplicate of the announcement, or of the time before."""
    tenant = await press.town.add(0)
    name = await press.add(tenant)
    await press.bus.jetstream().publish(
        f"events.{ten(tenant)}.x.y", b"", headers={"Nats-Msg-Id": name, "ce-id": name}
    )
    for _ in range(2):
        await run(press, "--tenant", ten(tenant))
    assert names(await press.stream()) == [name] * 3


async def test_only_what_was_announced_comes_again(press: Press) -> None:
    tenant = await press.town.add(0)
    statuses = (
        "accepted",
        "warned",
        "held",
        "quarantined",
        "releasing",
        "released",
        "dropped",
    )
    stored = {
        status: await press.add(tenant, minute=at, status=status)
        for at, status in enumerate(statuses)
    }
    answer = await run(press, "--tenant", ten(tenant))
    assert answer["found"] == 3
    wanted = [stored[status] for status in ("accepted", "warned", "released")]
    assert names(await press.stream()) == wanted


async def test_what_is_large_or_sealed_stays_where_it_is(press: Press) -> None:
    tenant = await press.town.add(0)
    small = await press.add(tenant, minute=1, body=b"x" * INLINE)
    large = await press.add(tenant, minute=2, body=b"x" * (INLINE + 1))
    sealed = await press.add(tenant, minute=3, body=b"secret", data_key=ids.new())
    answer = await run(press, "--tenant", ten(tenant), "--dry-run")
    assert (answer["found"], answer["bytes"], answer["republished"]) == (3, INLINE, 0)
    assert await press.stream() == []
    await run(press, "--tenant", ten(tenant))
    found = {one.headers["ce-id"]: one for one in await press.stream()}
    assert found[small].data == b"x" * INLINE
    assert "ce-dataref" not in found[small].headers
    for name in (large, sealed):
        assert found[name].data == b""
        assert found[name].headers["ce-dataref"] == f"/v1/events/{name}/payload"
        assert "content-type" not in found[name].headers


async def test_a_part_is_chosen_by_time_source_and_type(press: Press) -> None:
    tenant, other = await press.town.add(0), await press.town.add(0)
    source = ids.new()
    await press.add(other, minute=2)
    stored = [
        await press.add(tenant, minute=1, event_type="a.b"),
        await press.add(tenant, minute=2, event_type="a.b.c", source_id=source),
        await press.add(tenant, minute=3, event_type="a_b", source_id=source),
        await press.add(tenant, minute=4, event_type="axb"),
    ]
    chosen = {
        ("--since", (BEGIN + timedelta(minutes=2)).isoformat()): stored[1:],
        ("--until", (BEGIN + timedelta(minutes=2)).isoformat()): stored[:1],
        ("--after", stored[1]): stored[2:],
        ("--source", ids.encode("src", source)): stored[1:3],
        ("--type", "a.*"): stored[:2],
        ("--type", "a_b"): [stored[2]],
        ("--type", "a_*"): [stored[2]],
        ("--type", "a*c", "--type", "axb"): [stored[1], stored[3]],
    }
    for options, wanted in chosen.items():
        await press.bus.jetstream().purge_stream("EVENTS")
        answer = await run(press, "--tenant", ten(tenant), *options)
        assert names(await press.stream()) == wanted, options
        assert answer["found"] == answer["republished"] == len(wanted)


async def test_all_tenants_of_all_shards_one_after_the_other(press: Press) -> None:
    tenants = {await press.town.add(shard): shard for shard in (0, 1, 0, 1)}
    stored = {
        tenant: [await press.add(tenant, shard=shard, minute=at) for at in (1, 2)]
        for tenant, shard in tenants.items()
    }
    await run(press, "--all-tenants")
    first, second, *others = sorted(tenants)
    assert names(await press.stream()) == [
        name for tenant in sorted(tenants) for name in stored[tenant]
    ]
    await press.bus.jetstream().purge_stream("EVENTS")
    await run(press, "--all-tenants", "--from-tenant", ten(second), "--after", stored[second][0])
    assert names(await press.stream()) == [
        stored[second][1],
        *(name for tenant in others for name in stored[tenant]),
    ]
    assert first not in others


async def test_interrupted_it_says_how_to_go_on_and_then_nothing_is_missing(press: Press) -> None:
    tenant = await press.town.add(1)
    stored = [await press.add(tenant, shard=1, minute=at) for at in range(60)]
    process = press.start("--tenant", ten(tenant), "--rate", "10", "--type", "invoice.*")
    jetstream = press.bus.jetstream()
    async with asyncio.timeout(30):
        while (await jetstream.stream_info("EVENTS")).state.messages < 20:
            await asyncio.sleep(0.05)
    code, out, err = await asyncio.to_thread(press.interrupt, process)
    assert code == 130
    assert "of 60 events announced again" in out
    (line,) = [line for line in err.splitlines() if line.startswith("To go on: ")]
    words = shlex.split(line.removeprefix("To go on: "))
    assert words[:3] == ["crossdock", "events", "republish"]
    done = len(await press.stream())
    assert 20 <= done < 60
    words[words.index("--rate") + 1] = "1000"
    answer = await run(press, *words[3:])
    assert answer["found"] < 60
    found = names(await press.stream())
    assert sorted(set(found)) == sorted(stored)
    # What was on its way when it was interrupted may come twice, and not more than that.
    assert len(found) <= 60 + 10


async def test_a_broker_that_goes_away_meanwhile_gets_it_all(
    press: Press, private_nats: EmbeddedNats
) -> None:
    tenant = await press.town.add(0)
    stored = [await press.add(tenant, minute=at) for at in range(60)]
    process = press.start("--tenant", ten(tenant), "--rate", "15")
    jetstream = press.bus.jetstream()
    async with asyncio.timeout(30):
        while (await jetstream.stream_info("EVENTS")).state.messages < 15:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(private_nats.kill)
    await asyncio.to_thread(private_nats.start)
    with process:
        out, err = await asyncio.to_thread(process.communicate, None, 60)
    assert process.returncode == 0, err
    assert "60 of 60 events announced again" in out
    async with asyncio.timeout(10):
        while not press.bus.is_connected:
            await asyncio.sleep(0.05)
    assert sorted(names(await press.stream())) == sorted(stored)


async def test_a_tenant_that_is_not_there_is_said_in_a_line(press: Press) -> None:
    code, _, err = await asyncio.to_thread(press.run, "--tenant", ten(ids.new()))
    assert code == 1
    assert err.splitlines()[-1].startswith("crossdock: ")
