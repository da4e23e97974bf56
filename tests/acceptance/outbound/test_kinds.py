"""Destinations that are no endpoint: NATS subjects, inboxes that fail as told, S3-like storage."""

import gzip
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from crossdock.bus import connect
from crossdock.samples.sender import new_serial
from crossdock.supervisor.folder import DataFolder
from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import delivered, other_kind, patch, refused, state_of
from tests.faults.rest import Rest
from tests.faults.waiting import until

BUCKET: Final = "crossdock-tests"


async def inbox(house: House, **settings: Any) -> Any:
    """Make a lane that ends in an inbox."""
    return await other_kind(house, kind="inbox", settings=settings, retry={"delays_s": [1]})


async def test_an_inbox_shows_what_came(house: House) -> None:
    feed = await inbox(house)
    sent = await feed.send("order.paid", amount=7)
    await delivered(feed, sent)
    items = await house.rest.all(f"/v1/destinations/{feed.destination['id']}/inbox")
    (message,) = items
    assert message["event_id"] == sent.id
    assert sent.serial in msgspec.json.encode(message).decode()
    assert "webhook-signature" in msgspec.json.encode(message).decode().lower()


@pytest.mark.parametrize(
    ("settings", "status"),
    [({"status": 503}, 503), ({"status": 404}, 404), ({"failure": "reset"}, None)],
)
async def test_an_inbox_fails_as_it_is_told(
    house: House, settings: dict[str, Any], status: int | None
) -> None:
    feed = await inbox(house, **settings)
    delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
    assert [attempt["status"] for attempt in delivery["attempts"]] == [status, status]


async def test_an_inbox_recovers_and_takes_its_time(house: House) -> None:
    feed = await inbox(house, fail_first=1, status=500, delay_s=0.5)
    delivery = await delivered(feed, await feed.send("a.b"))
    first, second = delivery["attempts"]
    assert first["status"] == 500
    assert second["status"] == 200
    assert second["duration_ms"] >= 450


async def test_an_inbox_hangs(house: House) -> None:
    feed = await other_kind(
        house, kind="inbox", settings={"failure": "hang"}, retry={"count": 0}, timeout_s=1
    )
    delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
    assert delivery["attempts"][0]["status"] is None
    assert delivery["attempts"][0]["duration_ms"] >= 900


async def test_a_subject_on_nats_gets_the_event(house: House) -> None:
    settings = DataFolder(house.stack.folder).settings()
    bus = await connect(settings.nats)
    got: list[Any] = []

    async def take(message: Any) -> None:
        got.append(message)

    await bus.client.subscribe(f"out.{house.id}.>", cb=take)
    await bus.client.flush()
    feed = await other_kind(house, kind="nats", settings={"subject": "orders.paid"})
    sent = await feed.send("order.paid")
    await delivered(feed, sent)
    await until(lambda: got, f"a message below out.{house.id}")
    message = got[0]
    assert message.subject == f"out.{house.id}.orders.paid"
    assert sent.serial.encode() in message.data
    assert sent.id in str(message.headers)
    await bus.close()


@pytest.mark.parametrize("subject", ["a..b", "a b", ">", "a.*", "", "$SYS.x", "a.>", "ä"])
async def test_a_subject_that_is_none_is_refused(house: House, subject: str) -> None:
    reply = await house.rest.call(
        "POST",
        "/v1/destinations",
        {"name": new_serial(), "kind": "nats", "settings": {"subject": subject}},
    )
    if reply.status == 201:
        # Below the tenant's own prefix a `$` is a letter like any other.
        assert subject == "$SYS.x"
        return
    assert reply.status in {400, 422}, reply


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """Something like S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


async def test_storage_keeps_each_event_as_an_object(house: House, storage: str) -> None:
    async with Rest(storage) as s3:
        made = await s3.call("PUT", f"/{BUCKET}")
        assert made.status == 200, made
        feed = await other_kind(
            house,
            kind="storage",
            settings={
                "bucket": BUCKET,
                "prefix": "hooks/",
                "endpoint": storage,
                "region": "us-east-1",
            },
            auth={"type": "s3", "access_key_id": "AKIA", "secret_access_key": "the-secret-key"},
        )
        assert "the-secret-key" not in str(feed.destination)
        sent = await feed.send("order.paid", amount=3)
        await delivered(feed, sent)
    store = S3Store(
        BUCKET,
        endpoint=storage,
        region="us-east-1",
        access_key_id="AKIA",
        secret_access_key="the-secret-key",
        client_options={"allow_http": True},
    )
    (found,) = [one async for batch in store.list("hooks/") for one in batch]
    assert sent.id in found["path"]
    content = bytes(await (await store.get_async(found["path"])).bytes_async())
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert sent.serial.encode() in plain


async def test_storage_that_is_away_is_tried_again(house: House) -> None:
    feed = await other_kind(
        house,
        kind="storage",
        settings={"bucket": BUCKET, "endpoint": "http://127.0.0.1:9"},
        auth={"type": "s3", "access_key_id": "AKIA", "secret_access_key": "the-secret-key"},
        retry={"delays_s": [1]},
    )
    delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
    assert len(delivery["attempts"]) == 2
    assert "the-secret-key" not in str(delivery)


async def test_storage_inside_our_network_is_refused(house: House) -> None:
    await refused(
        house,
        "/settings",
        kind="storage",
        url=None,
        settings={"bucket": BUCKET, "endpoint": "http://169.254.169.254"},
        auth={"type": "s3", "access_key_id": "A", "secret_access_key": "b"},
    )


async def test_a_kind_never_changes(house: House) -> None:
    feed = await inbox(house)
    path = f"/v1/destinations/{feed.destination['id']}"
    reply = await house.rest.call("PATCH", path, {"kind": "http"})
    assert reply.status in {400, 422}, reply
    await patch(feed, name="another name")
