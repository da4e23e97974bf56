"""`crossdock nats user`, on a real server: what it gives works, and reloading hurts nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import nats.errors
import pytest

from crossdock import ids
from crossdock.bus import Bus
from crossdock.bus.publisher import Publisher
from crossdock.consumers import rules
from crossdock.embedded import EmbeddedNats
from crossdock.embedded.nats import ACCOUNTS
from crossdock.native import Message
from proto import subjects
from tests.integration.consumers.conftest import (
    OURS,
    THEIRS,
    Command,
    id_of,
    is_refused,
    signed_in,
    taken,
)


async def test_it_reads_its_tenants_events_and_no_others(
    command: Command, private_nats: EmbeddedNats, announce: Callable[..., Any]
) -> None:
    early = await announce()
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    assert made["subjects"] == [f"events.{OURS}.>"]
    await announce(THEIRS)
    late = await announce(event_type="order")
    async with signed_in(private_nats, "billing", made["password"]) as client:
        jetstream = client.jetstream(prefix=made["api_prefix"])
        pulled = await jetstream.pull_subscribe_bind(made["consumer"], stream=made["stream"])
        found = await taken(pulled, 2)
        assert [id_of(one) for one in found] == [early, late]
        info = await jetstream.consumer_info("EVENTS", "billing")
        assert (info.num_pending, info.num_ack_pending) == (0, 0)
        with pytest.raises(nats.errors.TimeoutError):
            await pulled.fetch(1, timeout=0.3)


async def test_types_narrow_it_and_it_may_begin_now(
    command: Command, private_nats: EmbeddedNats, announce: Callable[..., Any]
) -> None:
    await announce()
    made = await asyncio.to_thread(
        command.json,
        *("add", "billing", "--tenant", OURS, "--from-now"),
        *("--type", "invoice.*", "--type", "invoice.paid", "--type", "order"),
    )
    assert made["subjects"] == [f"events.{OURS}.*.invoice.>", f"events.{OURS}.*.order"]
    wanted = [await announce(), await announce(event_type="order")]
    await announce(event_type="order.paid")
    await announce(event_type="invoice")
    async with signed_in(private_nats, "billing", made["password"]) as client:
        jetstream = client.jetstream(prefix=made["api_prefix"])
        pulled = await jetstream.pull_subscribe_bind("billing", stream="EVENTS")
        assert [id_of(one) for one in await taken(pulled, 2)] == wanted
        assert (await jetstream.consumer_info("EVENTS", "billing")).num_pending == 0


async def test_it_listens_live_unless_it_may_not(
    command: Command, private_nats: EmbeddedNats, announce: Callable[..., Any]
) -> None:
    made = await asyncio.to_thread(command.json, "add", "live", "--tenant", OURS)
    mute = await asyncio.to_thread(command.json, "add", "mute", "--tenant", OURS, "--stream-only")
    async with (
        signed_in(private_nats, "live", made["password"]) as client,
        signed_in(private_nats, "mute", mute["password"]) as other,
    ):
        heard = await client.subscribe(f"events.{OURS}.>")
        unheard = await other.subscribe(f"events.{OURS}.>")
        await client.flush()
        await other.flush()
        await announce(THEIRS)
        name = await announce()
        assert id_of(await heard.next_msg(5)) == name
        with pytest.raises(nats.errors.TimeoutError):
            await unheard.next_msg(0.3)
        assert "permissions violation" in other.complaints[0]  # type: ignore[attr-defined]


async def test_the_oldest_event_still_kept_is_shown_again_and_again(
    command: Command, private_nats: EmbeddedNats, bus: Bus, announce: Callable[..., Any]
) -> None:
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    first, second = await announce(), await announce()
    async with signed_in(private_nats, "billing", made["password"]) as client:
        jetstream = client.jetstream(prefix=made["api_prefix"])
        oldest = await jetstream.pull_subscribe_bind("billing-oldest", stream="EVENTS")
        seen = [(await oldest.fetch(1, timeout=5))[0] for _ in range(2)]
        assert [id_of(one) for one in seen] == [first, first]
        assert all(one.data == b"" for one in seen)
        await bus.jetstream().purge_stream("EVENTS", seq=2)
        (now,) = await oldest.fetch(1, timeout=5)
        assert id_of(now) == second


async def test_a_list_tells_how_far_each_is(command: Command, announce: Callable[..., Any]) -> None:
    await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    await asyncio.to_thread(command.json, "add", "all", "--all-tenants")
    await announce()
    await announce(THEIRS)
    found = (await asyncio.to_thread(command.json, "list"))["items"]
    assert [(one["name"], one["waiting"]) for one in found] == [("all", 2), ("billing", 1)]
    table = (await asyncio.to_thread(command.run, "list")).stdout
    assert f"events.{OURS}.>" in table


async def test_removed_it_is_thrown_out_and_forgotten(
    command: Command, private_nats: EmbeddedNats, bus: Bus
) -> None:
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    kept = await asyncio.to_thread(command.json, "add", "kept", "--tenant", OURS)
    async with (
        signed_in(private_nats, "billing", made["password"]) as client,
        signed_in(private_nats, "kept", kept["password"]) as other,
    ):
        await asyncio.to_thread(command.json, "remove", "billing")
        async with asyncio.timeout(5):
            while client.is_connected:
                await asyncio.sleep(0.05)
        assert other.is_connected
    assert await is_refused(private_nats, user="billing", **{"pass": made["password"]})
    assert not await is_refused(private_nats, user="kept", **{"pass": kept["password"]})
    names = {one.name for one in await bus.jetstream().consumers_info("EVENTS")}
    assert names == {"kept", "kept-oldest"}
    assert "no internal consumer billing" in command.refusal("remove", "billing")


async def test_what_was_added_is_there_after_a_restart_and_no_password_is_kept(
    command: Command, private_nats: EmbeddedNats
) -> None:
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    for path in private_nats.data.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".conf", ".log"}:
            assert made["password"] not in path.read_text(errors="replace"), path
    await asyncio.to_thread(private_nats.restart)
    async with signed_in(private_nats, "billing", made["password"]) as client:
        info = await client.jetstream(prefix=rules.API).consumer_info("EVENTS", "billing")
        assert info.name == "billing"


async def test_publishers_notice_nothing_of_users_that_come_and_go(
    command: Command, private_nats: EmbeddedNats, bus: Bus
) -> None:
    publisher = Publisher(private_nats.settings())
    stop = asyncio.Event()
    acknowledged = 0

    async def publish() -> None:
        nonlocal acknowledged
        while not stop.is_set():
            message_id = ids.new().hex
            await publisher.publish(
                Message(subjects.ingest(0), b"x", [("Nats-Msg-Id", message_id)])
            )
            acknowledged += 1

    try:
        await publisher.wait_connected()
        connection = publisher._connection
        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(publish())
            for name in ("one", "two", "three"):
                await asyncio.to_thread(command.json, "add", name, "--tenant", OURS)
            before = acknowledged
            await asyncio.to_thread(command.json, "remove", "two")
            async with asyncio.timeout(10):
                while acknowledged < before + 100:
                    await asyncio.sleep(0.01)
            stop.set()
        assert publisher._connection is connection
        assert (await bus.jetstream().stream_info("INGEST")).state.messages == acknowledged
    finally:
        await publisher.close()


async def test_a_name_is_given_once_and_nothing_is_left_of_a_failure(
    command: Command, private_nats: EmbeddedNats, bus: Bus
) -> None:
    await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    said = await asyncio.to_thread(command.refusal, "add", "billing", "--tenant", THEIRS)
    assert "There is an internal consumer billing already" in said
    # A file that the server won't read: the one it serves by stays as it was.
    serving = (private_nats.folder / ACCOUNTS).read_text()
    users = private_nats.users.all()
    broken = msgspec.structs.replace(users[0], name="broken", subjects=('"',))
    private_nats.users.save([*users, broken])
    try:
        said = await asyncio.to_thread(command.refusal, "add", "other", "--tenant", OURS)
    finally:
        private_nats.users.save(users)
    assert "NATS refuses its users" in said
    assert (private_nats.folder / ACCOUNTS).read_text() == serving
    names = {one.name for one in await bus.jetstream().consumers_info("EVENTS")}
    assert names == {"billing", "billing-oldest"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "x"], "Say whose events"),
        (["add", "x", "--tenant", OURS, "--all-tenants"], "Say whose events"),
        (["add", "X", "--tenant", OURS], "A name has 1 to 32"),
        (["add", "a-oldest", "--tenant", OURS], "nor with -oldest"),
        (["add", 'a"}', "--tenant", OURS], "A name has 1 to 32"),
        (["add", "x", "--tenant", "ten_>"], "is not the id of a tenant"),
        (["add", "x", "--tenant", OURS, "--type", "a*"], "at the end, after a dot"),
        (["add", "x", "--tenant", OURS, "--type", "*.a"], "at the end, after a dot"),
        (["add", "x", "--tenant", OURS, "--type", ""], "at the end, after a dot"),
        (["add", "x", "--tenant", OURS, "--nkey", "UABC"], "not the public nkey"),
        (["remove", "nobody"], "no internal consumer nobody"),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(
    command: Command, arguments: list[str], words: str
) -> None:
    assert words in await asyncio.to_thread(command.refusal, *arguments)
