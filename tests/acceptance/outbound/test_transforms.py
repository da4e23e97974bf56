"""What a script makes of an event before it is sent, and what becomes of a script that is bad."""

import asyncio

import pytest
from standardwebhooks import Webhook as Verifier

from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.outbound.lanes import beside, delivered, lane, refused, state_of

QUICK = {"delays_s": [1]}


async def scripted(house: House, body: str, **options: object) -> Feed:
    """Make a lane with a script of this body."""
    return await lane(
        house, transform=f"function transform(event) {{ {body} }}", retry=QUICK, **options
    )


async def test_payload_headers_and_type_are_what_it_says(house: House) -> None:
    feed = await scripted(
        house,
        "return {payload: {n: event.payload.data.n + 1, serial: event.payload.serial,"
        " type: event.type, from: event.source_id},"
        " headers: {'x-tier': 'gold'}, content_type: 'application/vnd.acme+json'};",
    )
    sent = await feed.send("order.paid", n=1)
    arrival = await feed.arrived(sent)
    assert arrival.headers["x-tier"] == "gold"
    assert arrival.headers["content-type"] == "application/vnd.acme+json"
    assert b'"n":2' in arrival.body.replace(b" ", b"")
    assert feed.id.encode() in arrival.body
    assert arrival.event_id == sent.id
    Verifier(feed.destination["secret"]).verify(arrival.body, dict(arrival.headers))


async def test_a_text_is_sent_as_it_is(house: House) -> None:
    feed = await scripted(house, "return {payload: '<a>' + event.payload.serial + '</a>'};")
    sent = await feed.send("order.paid")
    assert (await feed.arrived(sent)).body == f"<a>{sent.serial}</a>".encode()


@pytest.mark.parametrize("nothing", ["null", "undefined", "false"])
async def test_nothing_is_not_sent(house: House, nothing: str) -> None:
    feed = await scripted(house, f"return {nothing};")
    everything = await beside(feed)
    sent = await feed.send("order.paid")
    delivery = await state_of(feed, sent.id, "cancelled")
    assert delivery["reason"] == "transformed_away"
    await everything.arrived(sent)
    assert feed.came() == []


@pytest.mark.parametrize(
    "body",
    [
        "throw new Error('the reason of it');",
        "return event.payload.nobody.has.this;",
        "return 17;",
        "return [1];",
        "return {payload: 'x'.repeat(1100000)};",
        "return {headers: {'webhook-id': 'forged'}};",
        "return {headers: {'webhook-signature': 'forged'}};",
        "return {headers: {'x-a': 'b\\r\\nx-injected: 1'}};",
        "return {headers: {'transfer-encoding': 'chunked'}};",
        "return {headers: {'content-length': '1'}};",
        "return {headers: {'host': 'example.com'}};",
        "return {headers: {'bad name': '1'}};",
        "return {content_type: 'a/b\\r\\nx-injected: 1'};",
        "let a = {}; a.a = a; return {payload: a};",
        "return {payload: 10n};",
    ],
)
async def test_what_a_script_does_wrong_is_that_deliverys_failure(house: House, body: str) -> None:
    feed = await scripted(house, body)
    everything = await beside(feed)
    sent = await feed.send("order.paid")
    delivery = await state_of(feed, sent.id, "dead")
    assert delivery["reason"] == "transform_failed"
    assert delivery["last_error"]
    assert feed.came() == []
    await everything.arrived(sent)


@pytest.mark.parametrize(
    "body",
    [
        "while (true) {}",
        "let a = []; while (true) a.push('x'.repeat(1000) + a.length);",
        "const f = () => f() + 1; for (;;) { try { f() } catch (e) {} }",
        "/(a+)+$/.test('a'.repeat(64) + 'b'); return {payload: 'x'};",
        "new Array(4e9).fill('x'.repeat(100)); for (;;) {}",
        "'x'.padEnd(2 ** 29).replace(/x/g, 'y'); for (;;) {}",
        "async function a() { for (;;) {} } a(); return {};",
        "for (;;) { try { while (true) {} } finally { continue; } }",
    ],
    ids=["spin", "allocate", "recurse", "regex", "array", "strings", "async", "finally"],
)
async def test_a_script_that_spins_or_allocates_is_stopped(house: House, body: str) -> None:
    feed = await scripted(house, body)
    everything = await beside(feed)
    sent = [await feed.send("order.paid") for _ in range(3)]
    for one in sent:
        await everything.arrived(one)
    delivery = await state_of(feed, sent[0].id, "dead", within=40)
    assert delivery["last_error"]
    assert feed.came() == []
    # The sandbox is well for others.
    well = await scripted(house, "return {payload: event.payload.serial};")
    await delivered(well, await well.send("order.paid"))


@pytest.mark.parametrize(
    "expression",
    [
        "typeof require",
        "typeof process",
        "typeof fetch",
        "typeof std",
        "typeof os",
        "typeof XMLHttpRequest",
        "typeof WebAssembly",
        "typeof setTimeout",
        "typeof Deno",
        "typeof scriptArgs",
        "typeof Worker",
    ],
)
async def test_nothing_of_the_machine_is_there(house: House, expression: str) -> None:
    feed = await scripted(
        house, f"return {{payload: event.payload.serial + ' ' + ({expression})}};"
    )
    sent = await feed.send("order.paid")
    assert (await feed.arrived(sent)).body.decode().endswith(" undefined")


async def test_imports_lead_nowhere(house: House) -> None:
    feed = await scripted(
        house, "import('os').then(o => { globalThis.x = o; }); return {payload: 'sent'};"
    )
    sent = await feed.send("order.paid")
    delivery = await state_of(feed, sent.id, "dead", "delivered")
    assert delivery["state"] in {"dead", "delivered"}
    everything = await beside(feed)
    await everything.arrived(await feed.send("order.paid"))


async def test_nothing_is_remembered_between_events(house: House) -> None:
    feed = await lane(
        house,
        transform="""
        globalThis.seen = (globalThis.seen || 0);
        Array.prototype.leak = (Array.prototype.leak || 0) + 1;
        function transform(event) {
            globalThis.seen += 1; Object.prototype.polluted = (({}).polluted || 0) + 1;
            return {payload: event.payload.serial + ' '
                + globalThis.seen + [].leak + ({}).polluted};
        }
        """,
    )
    sent = [await feed.send("order.paid") for _ in range(10)]
    bodies = [(await feed.arrived(one)).body.decode() for one in sent]
    assert {body.split(" ")[1] for body in bodies} == {"111"}


@pytest.mark.parametrize(
    "script",
    [
        "function transform(event) {",
        "const transform = 1;",
        "function other(event) { return event; }",
        "import x from 'y'; function transform(e) {}",
        "\0",
    ],
)
async def test_a_script_that_is_none_is_told_so(house: House, script: str) -> None:
    await refused(house, "/transform", transform=script)


async def test_many_scripts_at_once(house: House) -> None:
    feeds = await asyncio.gather(
        *(
            scripted(house, f"return {{payload: event.payload.serial + ' {number}'}};")
            for number in range(6)
        )
    )
    sent = [(feed, await feed.send("order.paid")) for feed in feeds for _ in range(20)]
    for number, feed in enumerate(feeds):
        for mine, one in sent:
            if mine is feed:
                assert (await feed.arrived(one)).body == f"{one.serial} {number}".encode()
