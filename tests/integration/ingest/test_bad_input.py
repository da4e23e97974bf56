"""Bodies and headers made to break something: each has a clear end, and what is kept harms none."""

import asyncio
import time
from typing import Final

import httpx
import msgspec
import pytest

from crossdock.bus import Bus
from proto import subjects
from proto.ingest import IngestedV1
from tests.integration.ingest.conftest import Source, Sources, events

SECRET = "whsec_" + "5ba1e0f2" * 8
LONG = "x" * 100 * 1024
ANY: Final[dict[str, object]] = {}
"""A schema that takes whatever is JSON."""


@pytest.fixture
def stripe(sources: Sources) -> Source:
    return sources.add("stripe", SECRET)


async def send(http: httpx.AsyncClient, source: Source, body: bytes, **more: str) -> httpx.Response:
    headers = source.signed(body, time.time()) | {"content-type": "application/json"}
    labels = {name.replace("_", "-"): value for name, value in more.items()}
    return await http.post(f"/in/{source.token}", content=body, headers=headers | labels)


async def only(bus: Bus) -> IngestedV1:
    """Return the one event that was stored."""
    (event,) = (await events(bus)).values()
    return event


def nested(depth: int) -> bytes:
    return b'{"id":"evt_1","type":"a","data":%b%b}' % (b"[" * depth, b"]" * depth)


@pytest.mark.parametrize("is_held", [False, True], ids=["free", "held to a schema"])
async def test_a_body_that_is_too_deep_is_malformed(
    http: httpx.AsyncClient, sources: Sources, stripe: Source, *, is_held: bool
) -> None:
    if is_held:
        sources.holds_to(stripe, "reject", ANY, "a")

    deep, bottomless = (
        await send(http, stripe, nested(129)),
        await send(http, stripe, nested(10**5)),
    )
    answer = await send(http, stripe, nested(100))

    assert (deep.status_code, bottomless.status_code) == (400, 400)
    assert deep.json()["type"] == "/problems/body-malformed"
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "wide",
    [
        b"[%b]" % b",".join([b"0"] * 200_000),
        b"{%b}" % b",".join(b'"%d":0' % number for number in range(50_000)),
    ],
    ids=["an array", "an object"],
)
async def test_a_wide_body_breaks_its_schema_in_five_places_at_most(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source, wide: bytes
) -> None:
    anything = {"items": {"type": "string"}, "additionalProperties": {"type": "string"}}
    sources.holds_to(stripe, "quarantine", {"properties": {"data": anything}}, "a")

    answer = await send(http, stripe, b'{"id":"evt_1","type":"a","data":%b}' % wide)

    assert answer.status_code == 202
    event = await only(bus)
    assert event.status == "quarantined"
    assert 1 <= len(msgspec.json.decode(event.violation)) <= 5
    assert len(event.violation) < 4096


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"evt_1","type":"a","n":123456789012345678901234567890}',
        b'{"id":"evt_1","type":"a","n":-9223372036854775809}',
        b'{"id":"evt_1","type":"a","n":1e-400}',
        b'{"id":"evt_1","type":"a","n":1e400}',
        b'{"id":"evt_1","type":"a","t":"\\ud83d\\ude00"}',
    ],
    ids=["beyond 64 bits", "below 64 bits", "too small", "too large", "a pair of surrogates"],
)
async def test_odd_values_are_kept_as_they_came(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source, body: bytes
) -> None:
    sources.holds_to(stripe, "reject", {"properties": {"n": {"type": "number"}}}, "a")

    answer = await send(http, stripe, body)

    assert answer.status_code == 202
    assert (await only(bus)).body == body


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"evt_1","type":"a","t":"\\ud800"}',
        b'{"id":"evt_1","type":"a","t":"\\udc00\\ud800"}',
    ],
    ids=["a lone surrogate", "surrogates the wrong way round"],
)
async def test_what_no_reader_could_agree_on_has_a_typed_end(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source, body: bytes
) -> None:
    free = await send(http, stripe, body)
    sources.holds_to(stripe, "reject", ANY, "a")

    held = await send(http, stripe, body)

    assert held.status_code in {400, 422}
    assert held.json()["type"] in {"/problems/body-malformed", "/problems/schema-violated"}
    assert len(await events(bus)) == (free.status_code == 202)


async def test_of_keys_that_are_there_twice_all_readers_here_take_the_same(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, stripe: Source
) -> None:
    """Else a payload could pass as one type and be held to another's schema."""
    schema = {"properties": {"type": {"const": "b"}, "n": {"type": "integer"}}}
    sources.holds_to(stripe, "quarantine", schema, "b")

    await send(http, stripe, b'{"id":"evt_1","type":"a","type":"b","n":"x","n":1}')

    event = await only(bus)
    assert (event.event_type, event.schema_version, event.status) == ("b", 7, "")


@pytest.mark.parametrize(
    "text",
    [
        "order.>",
        "*",
        ">",
        "a b",
        "a\\r\\nPUB ingest.0 1",
        "$SYS.REQ",
        "..",
        ".",
        "a\\u0000b",
        "\\u00e9",
        "\\ud83d\\ude00",
        "a" * 5000,
    ],
)
async def test_an_event_type_reaches_no_other_subject(
    http: httpx.AsyncClient, bus: Bus, stripe: Source, text: str
) -> None:
    answer = await send(http, stripe, b'{"id":"evt_1","type":"%b"}' % text.encode())

    assert answer.status_code == 202
    event = await only(bus)
    assert len(event.event_type) <= 128
    assert event.event_type.isascii()
    assert event.event_type.isprintable()
    assert " " not in event.event_type
    stored = await bus.jetstream().get_last_msg(subjects.INGEST_STREAM, subjects.ingest(0))
    assert stored.subject == subjects.ingest(0)
    assert len(stored.headers or {}) == 1
    subject = subjects.event("ten", "src", event.event_type)
    tokens = subject.split(".")
    assert tokens[:3] == ["events", "ten", "src"]
    assert all(tokens)
    assert not set(subject) & set("*> \r\n\t")


async def test_a_providers_id_of_100_kib_is_cut_and_still_one_event(
    http: httpx.AsyncClient, bus: Bus, stripe: Source
) -> None:
    bodies = [msgspec.json.encode({"id": f"{LONG}{last}", "type": "a"}) for last in ("1", "1", "2")]

    answers = [await send(http, stripe, body) for body in bodies]

    assert {answer.status_code for answer in answers} == {202}
    found = list((await events(bus)).values())
    assert all(len(event.provider_id or "") <= 255 for event in found)
    assert [event.body for event in found] == bodies
    one, again, other = (event.dedupe for event in found)
    assert one == again != other


async def test_labels_of_100_kib_are_not_kept(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    github = sources.add("github", "s3cret")

    answer = await send(http, github, b"{}", x_github_delivery=LONG, x_github_event=LONG)

    assert answer.status_code == 202
    event = await only(bus)
    assert len(event.provider_id or "") <= 255
    assert len(event.event_type) <= 128
    assert sum(len(name) + len(value) for name, value in event.headers) <= 4096


async def test_a_handshake_signed_for_one_source_is_nothing_to_another(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    slack = [sources.add("slack", f"secret-{number}") for number in range(2)]
    zoom = [sources.add("zoom", f"secret-{number}") for number in range(2)]
    meta = [
        sources.add(
            "hmac",
            "secret",
            recipe={
                "verify_token": f"agreed-{number}",
                "hmac": {"signature_header": "x-hub-signature-256", "prefix": "sha256="},
            },
        )
        for number in range(2)
    ]
    asked = b'{"type":"url_verification","challenge":"3eZbrw1a"}'
    validate = b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatF"}}'
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": "agreed-0"}

    for mine, body in ((slack, asked), (zoom, validate)):
        headers = mine[0].signed(body, time.time()) | {"content-type": "application/json"}
        own, other = await asyncio.gather(
            *(http.post(f"/in/{one.token}", content=body, headers=headers) for one in mine)
        )
        assert (own.status_code, other.status_code) == (200, 401)
    own, other = [await http.get(f"/in/{one.token}", params=query) for one in meta]
    assert (own.status_code, other.status_code) == (200, 405)
    assert not await events(bus)
