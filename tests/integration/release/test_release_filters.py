"""What is released is matched by filters and put in order as it would have been when it came."""

import os
from collections.abc import Collection

import msgspec

from crossdock import ids
from crossdock.db import Database
from crossdock.inbound.persist import Arrival
from crossdock.inbound.release import Releaser
from crossdock.inbound.release.model import Ordered
from crossdock.secrets.payloads import BatchKeys, DataKey, seal_payload, wrap
from crossdock.secrets.seal import Sealer
from crossdock.telemetry.metrics import FILTER_ERRORS
from tests.beds.releasing import INLINE, Stock, Told
from tests.beds.world import Destination, fresh, tenant


async def test_filters_decide_and_events_say_how_many_want_them(
    stock: Stock, database: Database
) -> None:
    large = Destination(fresh(), filter="payload.total > 100")
    every, wrong = Destination(fresh()), Destination(fresh(), filter="payload.nothing == 1")
    one = tenant(large, every, wrong)
    await stock.world.add(one)
    before = FILTER_ERRORS._value.get()
    small = await stock.quarantine(one, 2, body=b'{"total": 1}')
    big = await stock.quarantine(one, 2, body=b'{"total": 101, "x": "' + b"x" * INLINE + b'"}')
    told = Told()
    await stock.release(*small, *big)
    await Releaser(database, told, inline_bytes=INLINE).work()
    assert await stock.deliveries(small) == sorted((each.event_id, every.id) for each in small)
    assert await stock.deliveries(big) == sorted(
        (each.event_id, where.id) for each in big for where in (every, large)
    )
    assert FILTER_ERRORS._value.get() - before == 4
    rows = await stock.world.admin.fetch(
        "SELECT matched, released_at IS NOT NULL FROM crossdock.events WHERE tenant_id = $1"
        " ORDER BY id",
        one.id,
    )
    assert [tuple(row) for row in rows] == [(1, True), (1, True), (2, True), (2, True)]
    assert sorted(event.event_id for event in told.events) == sorted(
        each.event_id for each in [*small, *big]
    )


async def test_ordered_ones_join_their_lines_and_somebody_is_told(
    stock: Stock, database: Database
) -> None:
    where = Destination(fresh(), order_by="/customer")
    one = tenant(where)
    await stock.world.add(one)
    held = await stock.hold(one, 2, body=b'{"customer": "a"}')
    free = await stock.hold(one, 1, body=b"{}")
    heard: list[Ordered] = []

    async def hear(lines: Collection[Ordered]) -> None:
        # They are committed by then.
        assert await stock.deliveries(held) == sorted((each.event_id, where.id) for each in held)
        heard.extend(lines)

    await stock.resume(one)
    await Releaser(database, Told(), inline_bytes=INLINE, on_ordered=hear, settled_s=0).work()
    rows = await stock.world.admin.fetch(
        "SELECT event_id, line, order_seq, due_at = 'infinity' AS waits"
        " FROM crossdock.deliveries WHERE tenant_id = $1 ORDER BY event_id",
        one.id,
    )
    first, second, third = rows
    assert first["line"] == second["line"] is not None
    assert [row["order_seq"] for row in rows] == [held[0].stream_seq, held[1].stream_seq, None]
    assert [row["waits"] for row in rows] == [True, True, False]
    assert third["event_id"] == free[0].event_id
    assert heard == [Ordered(one.id, where.id, first["line"])]


async def test_sealed_ones_are_opened_for_filters(stock: Stock, database: Database) -> None:
    looking = Destination(fresh(), filter="payload.total == 1")
    one = tenant(looking)
    await stock.world.add(one)
    installation, key = Sealer(os.urandom(32)), DataKey(ids.new(), Sealer(raw := os.urandom(32)))
    await stock.world.admin.execute(
        "INSERT INTO crossdock.payload_keys (tenant_id, id, wrapped) VALUES ($1, $2, $3)",
        one.id,
        key.id,
        wrap(installation, one.id, key.id, raw),
    )
    sealed = []
    for arrival in stock.held(one, 2, body=b'{"total": 1}'):
        body = seal_payload(key, one.id, arrival.event_id, arrival.message.body)
        message = msgspec.structs.replace(arrival.message, body=body, data_key=key.id.bytes)
        sealed.append(Arrival.of(message, arrival.stream_seq))
    await stock.source(one, "paused")
    await stock._persister.persist(sealed)
    await stock.resume(one)
    told = Told()
    keys = BatchKeys(database, "ingest", installation)
    await Releaser(database, told, inline_bytes=INLINE, keys=keys, settled_s=0).work()
    assert await stock.deliveries(sealed) == sorted((one.event_id, looking.id) for one in sealed)
    assert [event.body for event in told.events] == [None, None]
