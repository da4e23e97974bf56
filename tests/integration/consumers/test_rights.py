"""An internal consumer against the broker: whatever it tries, it reads its events and no more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client

from crossdock.bus import Bus
from crossdock.consumers import rules
from crossdock.embedded import EmbeddedNats
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

PAUSE: Final = b'{"pause_until":"2099-01-01T00:00:00Z"}'
NEXT: Final = b'{"batch":10,"no_wait":true}'


def create(name: str, *filters: str, **more: Any) -> bytes:
    """Return the body of a request to create a consumer."""
    wanted = {"filter_subject": filters[0]} if len(filters) == 1 else {"filter_subjects": filters}
    config = {"durable_name": name, "name": name, "ack_policy": "explicit", **wanted, **more}
    return msgspec.json.encode({"stream_name": "EVENTS", "config": config, "action": ""})


FORBIDDEN: Final = {
    "another tenant's events": (f"EVENTS.other.events.{THEIRS}.>", "create"),
    "all events": ("EVENTS.billing.events.>", "create"),
    "its own consumer, narrowed": (f"EVENTS.billing.events.{OURS}.x.>", "create"),
    "several filters by the body": ("EVENTS.billing", "create"),
    "as clients of old do": ("EVENTS.billing", "durable"),
    "an ephemeral one": ("EVENTS", "create"),
    "a consumer of INGEST": ("INGEST.billing.ingest.0", "create"),
}
"""Which consumers it may not create, by subject and kind of the request."""

REQUESTS: Final = {
    "stream info": ("STREAM.INFO.EVENTS", b'{"subjects_filter":">"}'),
    "stream info of INGEST": ("STREAM.INFO.INGEST", b""),
    "names of streams": ("STREAM.NAMES", b""),
    "list of streams": ("STREAM.LIST", b""),
    "purge of EVENTS": ("STREAM.PURGE.EVENTS", b""),
    "purge of INGEST": ("STREAM.PURGE.INGEST", b""),
    "deletion of EVENTS": ("STREAM.DELETE.EVENTS", b""),
    "deletion of a message": ("STREAM.MSG.DELETE.EVENTS", b'{"seq":1}'),
    "update of EVENTS": ("STREAM.UPDATE.EVENTS", b'{"name":"EVENTS","subjects":["x"]}'),
    "a stream of its own": ("STREAM.CREATE.MINE", b'{"name":"MINE","subjects":["ingest.*"]}'),
    "a message by its number": ("STREAM.MSG.GET.EVENTS", b'{"seq":1}'),
    "direct get by number": ("DIRECT.GET.EVENTS", b'{"seq":1}'),
    "direct get by subject": (f"DIRECT.GET.EVENTS.events.{THEIRS}.>", b""),
    "direct get of settings": ("DIRECT.GET.KV_SETTINGS_0.$KV.SETTINGS_0.beat", b""),
    "settings' stream info": ("STREAM.INFO.KV_SETTINGS_0", b""),
    "other consumers": ("CONSUMER.LIST.EVENTS", b""),
    "names of consumers": ("CONSUMER.NAMES.EVENTS", b""),
    "info of another consumer": ("CONSUMER.INFO.EVENTS.other", b""),
    "messages of another consumer": ("CONSUMER.MSG.NEXT.EVENTS.other", NEXT),
    "messages of the workers": ("CONSUMER.MSG.NEXT.INGEST.persist-0", NEXT),
    "deletion of its own consumer": ("CONSUMER.DELETE.EVENTS.billing", b""),
    "deletion of another's": ("CONSUMER.DELETE.EVENTS.other", b""),
    "a pause of another's": ("CONSUMER.PAUSE.EVENTS.other", PAUSE),
    "account info": ("INFO", b""),
    "a leader's step down": ("STREAM.LEADER.STEPDOWN.EVENTS", b""),
    "a backup": ("STREAM.SNAPSHOT.EVENTS", b'{"deliver_subject":"_INBOX.x"}'),
}  # fmt: skip
"""Requests to JetStream that nobody must answer it."""

PUBLISHED: Final = (
    f"events.{OURS}.x.forged",
    f"events.{THEIRS}.x.forged",
    "ingest.0",
    "poison.ingest",
    "$KV.SETTINGS_0.beat",
    "$O.BODIES.C.x",
    "crossdock.limits.ab",
    "$JS.ACK.INGEST.persist-0.1.1.1.1.1",
    "$JS.ACK.EVENTS.other.1.1.1.1.1",
    "$JS.FC.EVENTS.other.x",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.somebody",
    "_R_.somebody",
)
"""Subjects that it must not be heard on."""

HEARD: Final = (
    ">",
    "*",
    "events.>",
    "events.*.>",
    f"events.{THEIRS}.>",
    "ingest.>",
    "$JS.>",
    "$KV.>",
    "$SYS.>",
    "_INBOX.>",
    "_R_.>",
    "crossdock.>",
)
"""Subjects on which it must hear nothing of others."""


class Intruder:
    """An internal consumer with its connection, and one of another tenant's beside it."""

    def __init__(self, client: Client, bus: Bus) -> None:
        self.client = client
        self.bus = bus

    async def state(self) -> dict[str, Any]:
        """Return all that it could have changed."""
        jetstream = self.bus.jetstream()
        found: dict[str, Any] = {}
        for name in sorted(one.config.name or "" for one in await jetstream.streams_info()):
            info = await jetstream.stream_info(name)
            found[name] = (info.config, info.state.messages, info.state.last_seq)
            found |= {
                f"{name} {one.name}": (one.config, one.num_pending, one.num_ack_pending)
                for one in await jetstream.consumers_info(name)
            }
        return found

    async def asks(self, subject: str, body: bytes) -> bytes | None:
        """Send a request, and return what is answered; `None` for nothing."""
        try:
            return (await self.client.request(subject, body, timeout=0.15)).data
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            return None


@pytest.fixture
async def intruder(
    command: Command, private_nats: EmbeddedNats, bus: Bus, announce: Callable[..., Any]
) -> AsyncIterator[Intruder]:
    made = await asyncio.to_thread(command.json, "add", "billing", "--tenant", OURS)
    await asyncio.to_thread(command.json, "add", "other", "--tenant", THEIRS)
    await announce(THEIRS)
    await bus.jetstream().publish("ingest.0", b"accepted")
    async with signed_in(private_nats, "billing", made["password"]) as client:
        yield Intruder(client, bus)


@pytest.mark.parametrize("prefix", ["$JS.API", rules.API, "$JS.CROSSDOCK.API"])
async def test_no_request_but_its_own_is_answered(intruder: Intruder, prefix: str) -> None:
    before = await intruder.state()
    for what, (subject, body) in REQUESTS.items():
        assert await intruder.asks(f"{prefix}.{subject}", body) is None, what
    assert await intruder.state() == before


@pytest.mark.parametrize("prefix", ["$JS.API", rules.API])
async def test_it_creates_no_consumer_whatever_it_is_called(
    intruder: Intruder, prefix: str
) -> None:
    before = await intruder.state()
    bodies = (
        create("billing", f"events.{OURS}.>"),
        create("billing", "events.>"),
        create("billing", f"events.{OURS}.>", f"events.{THEIRS}.>"),
        create("billing", f"events.{OURS}.>", deliver_subject="ingest.0"),
    )
    for what, (subject, kind) in FORBIDDEN.items():
        verb = "CREATE" if kind == "create" else "DURABLE.CREATE"
        for body in bodies:
            assert await intruder.asks(f"{prefix}.CONSUMER.{verb}.{subject}", body) is None, what
    assert await intruder.state() == before


async def test_it_is_heard_by_nobody(intruder: Intruder) -> None:
    heard: list[str] = []

    async def hear(subject: str, _: bytes) -> None:
        heard.append(subject)

    for wildcard in (">", "$JS.FC.>", "$JS.ACK.>"):
        await intruder.bus.subscribe(wildcard, hear)
    await intruder.bus.round_trip()
    before = await intruder.state()
    heard.clear()
    for subject in PUBLISHED:
        await intruder.client.publish(subject, b"forged")
    await intruder.client.flush()
    await intruder.bus.round_trip()
    assert not set(heard) & set(PUBLISHED)
    assert await intruder.state() == before


async def test_it_hears_nothing_of_others(intruder: Intruder, announce: Callable[..., Any]) -> None:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(message.subject)

    for wildcard in HEARD:
        await intruder.client.subscribe(wildcard, cb=hear)
    await intruder.client.flush()
    await announce(THEIRS)
    await intruder.bus.jetstream().publish("ingest.0", b"x")
    await intruder.bus.jetstream().consumer_info("INGEST", subjects.persist_consumer(0))
    await announce(OURS)
    marker = await intruder.client.subscribe(f"events.{OURS}.>")
    await intruder.client.flush()  # what is announced goes by another connection
    await announce(OURS)
    await marker.next_msg(5)
    assert not [one for one in heard if not one.startswith(f"events.{OURS}.")]


async def test_an_answer_led_elsewhere_reaches_nobody(
    intruder: Intruder, announce: Callable[..., Any]
) -> None:
    """The server checks no one's right to a reply's subject: that is why it has its own account."""
    await announce(OURS, body=b"an event of its own, wrapped up to look like another's")
    before = await intruder.state()
    replies = ("ingest.0", f"events.{THEIRS}.x.forged", "$JS.API.STREAM.PURGE.INGEST")
    for reply in replies:
        await intruder.client.publish(
            f"{rules.API}.CONSUMER.MSG.NEXT.EVENTS.billing", NEXT, reply=reply
        )
        await intruder.client.publish(f"{rules.API}.CONSUMER.INFO.EVENTS.billing", b"", reply=reply)
        await intruder.client.publish("$JS.ACK.EVENTS.billing.1.2.1.1.0", b"+NXT", reply=reply)
    await intruder.client.flush()
    # Its own consumer has moved, which is its own affair.
    async with asyncio.timeout(5):
        while (after := await intruder.state()) == before:
            await asyncio.sleep(0.05)
    own = {key for key in before if key.startswith("EVENTS billing")}
    assert {key for key in before if after.get(key) != before[key]} <= own


async def test_a_trace_led_elsewhere_reaches_nobody(intruder: Intruder) -> None:
    before = await intruder.state()
    for subject in (f"{rules.API}.CONSUMER.INFO.EVENTS.billing", f"events.{OURS}.x.y"):
        await intruder.client.publish(
            subject, b"", headers={"Nats-Trace-Dest": "ingest.0"}, reply="_INBOX.x"
        )
    await intruder.client.flush()
    await intruder.bus.round_trip()
    assert await intruder.state() == before


async def test_the_system_account_is_not_its(
    intruder: Intruder, private_nats: EmbeddedNats
) -> None:
    for subject in ("$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.USER.INFO"):
        assert await intruder.asks(subject, b"") is None
    assert await is_refused(private_nats)


async def test_it_is_not_harmed_by_a_neighbour_that_is_added(
    intruder: Intruder, command: Command, announce: Callable[..., Any]
) -> None:
    pulled = await intruder.client.jetstream(prefix=rules.API).pull_subscribe_bind(
        "billing", stream="EVENTS"
    )
    first = await announce()
    assert id_of((await taken(pulled, 1))[0]) == first
    waiting = asyncio.create_task(pulled.fetch(1, timeout=20))
    await asyncio.to_thread(command.json, "add", "third", "--tenant", THEIRS)
    second = await announce()
    (message,) = await waiting
    assert id_of(message) == second
    await message.ack_sync()
