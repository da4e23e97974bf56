"""Sources whose payloads are sealed before they leave the process."""

import secrets
import time
from uuid import UUID

import httpx
import msgspec
import pytest

from crossdock import native
from crossdock.bus import Bus
from crossdock.config import GatewaySettings
from crossdock.inbound.bodies import Bodies
from crossdock.secrets.payloads import DataKey, open_payload
from crossdock.secrets.seal import Sealer
from proto.ingest import IngestedV1
from proto.settings import WrappedKey
from tests.integration.ingest.conftest import SETTINGS, Source, Sources, events, raw

SECRET = "whsec_" + "5ba1e0f2" * 8
KEY = bytes(range(32))
MARK = "4242 4242 4242 4242"
BODY = msgspec.json.encode({"id": "evt_1", "type": "charge.succeeded", "card": MARK})
INLINE = 64 * 1024


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return msgspec.structs.replace(SETTINGS, inline_body_bytes=INLINE)


@pytest.fixture
def sealed(sources: Sources) -> Source:
    return sources.add("stripe", SECRET, data_key=KEY)


async def send(
    http: httpx.AsyncClient, source: Source, body: bytes, of: str = "application/json"
) -> httpx.Response:
    headers = source.signed(body, time.time()) | {"content-type": of}
    return await http.post(f"/in/{source.token}", content=body, headers=headers)


def opened(event: IngestedV1, sealed: bytes) -> bytes:
    assert event.data_key is not None
    key = DataKey(UUID(bytes=event.data_key), Sealer(KEY))
    return open_payload(key, UUID(bytes=event.tenant_id), UUID(bytes=event.event_id), sealed)


async def test_the_broker_never_sees_a_sealed_payload(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, sealed: Source
) -> None:
    plain = sources.add("stripe", SECRET)

    answer = await send(http, sealed, BODY)

    assert answer.status_code == 202
    assert MARK.encode() not in await raw(bus)
    (event,) = (await events(bus)).values()
    assert opened(event, event.body) == BODY
    assert event.event_type == "charge.succeeded"
    await send(http, plain, BODY)
    assert MARK.encode() in await raw(bus), "else this looks in the wrong place"


async def test_what_is_computed_is_computed_on_the_plain_bytes(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, sealed: Source
) -> None:
    plain = sources.add("stripe", SECRET)
    schema = {"properties": {"id": {"type": "integer"}}}
    for source in (sealed, plain):
        sources.holds_to(source, "warn", schema, "charge.succeeded")
        await send(http, source, BODY)

    one, other = (await events(bus)).values()
    assert (one.dedupe, one.event_type, one.provider_id, one.status, one.schema_version) == (
        other.dedupe,
        other.event_type,
        other.provider_id,
        other.status,
        other.schema_version,
    )
    assert one.status == "warned"


async def test_each_copy_is_sealed_anew(http: httpx.AsyncClient, bus: Bus, sealed: Source) -> None:
    for _ in range(2):
        await send(http, sealed, BODY)

    one, other = (await events(bus)).values()
    assert one.body != other.body
    assert one.dedupe == other.dedupe


@pytest.mark.parametrize("size", [INLINE - 28, INLINE * 3], ids=["by its seal", "by itself"])
async def test_a_large_one_is_sealed_in_the_bucket(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, size: int
) -> None:
    source = sources.add("github", "s3cret", data_key=KEY)
    body = (MARK.encode() * (size // len(MARK) + 1))[:size]

    answer = await send(http, source, body, "text/plain")

    assert answer.status_code == 202
    (event,) = (await events(bus)).values()
    assert event.claim == answer.json()["id"]
    assert opened(event, await Bodies(bus).fetch(event.claim)) == body
    assert MARK.encode() not in await raw(bus)


async def test_any_bytes_come_back_exactly(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    sealing = sources.add("github", "s3cret", data_key=KEY)
    plain = sources.add("github", "s3cret")
    bodies = [b"\x00" * 64, secrets.token_bytes(4096), b"\xff\xfe\r\n\r\n\x00{", b" " * 3]

    for body in bodies:
        for source in (sealing, plain):
            answer = await send(http, source, body, "application/octet-stream")
            assert answer.status_code == 202

    found = list((await events(bus)).values())
    assert [opened(one, one.body) for one in found if one.data_key] == bodies
    assert [one.body for one in found if not one.data_key] == bodies


@pytest.mark.parametrize(
    "key", [WrappedKey(b"", b""), WrappedKey(bytes(16), b"nothing")], ids=["none yet", "broken"]
)
async def test_without_its_key_nothing_is_taken(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, key: WrappedKey
) -> None:
    source = sources.add("stripe", SECRET, data_key=key)

    answer = await send(http, source, BODY)

    assert answer.status_code == 503
    assert not await events(bus)


async def test_indexed_values_travel_as_hashes(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    source = sources.add("stripe", SECRET, indexed=("/card", "/nothing", "/type"))

    await send(http, source, BODY)

    (event,) = (await events(bus)).values()
    assert event.fields == [
        native.field_key("/card", MARK),
        native.field_key("/type", "charge.succeeded"),
    ]
    assert event.body == BODY
