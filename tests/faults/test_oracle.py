"""The oracle itself: it must see a loss, a double and a false answer, or its word is worth nothing.

The gateways here are pretended, and each breaks one promise.
"""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.faults.oracle import Verdict, judge
from tests.faults.receiver import Receiver
from tests.faults.rest import Rest

SERIALS = {f"evt_{number}": f"01{number:030x}" for number in range(5)}
"""Accepted: event id -> serial."""


class Pretender:
    """What REST says, and what was delivered, as a test sets it."""

    def __init__(self) -> None:
        self.events = {event_id: event_id for event_id in SERIALS}
        self.deliveries: dict[str, list[str]] = {}
        self.url = ""

    async def event(self, request: web.Request) -> web.Response:
        """`GET /v1/events/{id}`."""
        resolved = self.events.get(request.match_info["id"])
        if resolved is None:
            return web.json_response({"type": "/problems/not-found"}, status=404)
        return web.json_response({"id": resolved})

    async def list_deliveries(self, request: web.Request) -> web.Response:
        """`GET /v1/deliveries`."""
        states = self.deliveries.get(request.query["event_id"], [])
        items: list[Any] = [{"state": state} for state in states]
        return web.json_response({"items": items, "next_cursor": None})


@pytest.fixture
async def pretender() -> AsyncIterator[Pretender]:
    pretended = Pretender()
    app = web.Application()
    app.router.add_get("/v1/events/{id}", pretended.event)
    app.router.add_get("/v1/deliveries", pretended.list_deliveries)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pretended.url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
    yield pretended
    await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        for event_id, serial in SERIALS.items():
            await deliver(listening, event_id, serial)
        yield listening


async def deliver(receiver: Receiver, event_id: str, serial: str) -> None:
    headers = {"webhook-id": event_id}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{receiver.url}/all", data=serial.encode(), headers=headers) as answer,
    ):
        assert answer.status == 204


def forget(receiver: Receiver, event_id: str) -> None:
    receiver.arrivals = [item for item in receiver.arrivals if item.event_id != event_id]


async def judged(pretender: Pretender, receiver: Receiver) -> Verdict:
    async with Rest(pretender.url) as rest:
        return await judge(rest, SERIALS, receiver)


async def test_all_is_well(pretender: Pretender, receiver: Receiver) -> None:
    verdict = await judged(pretender, receiver)

    assert verdict.is_clean()
    assert (verdict.accepted, verdict.delivered, verdict.repeats) == (5, 5, 0)


@pytest.mark.parametrize("states", [[], ["delivered"], ["cancelled"]])
async def test_a_loss_is_seen(pretender: Pretender, receiver: Receiver, states: list[str]) -> None:
    forget(receiver, "evt_3")
    pretender.deliveries["evt_3"] = states

    verdict = await judged(pretender, receiver)

    assert verdict.lost == ["evt_3"]
    assert not verdict.is_clean()


async def test_what_waits_and_what_is_dead_is_not_lost(
    pretender: Pretender, receiver: Receiver
) -> None:
    forget(receiver, "evt_3")
    forget(receiver, "evt_4")
    pretender.deliveries = {"evt_3": ["pending"], "evt_4": ["dead"]}

    verdict = await judged(pretender, receiver)

    assert verdict.is_clean()
    assert (verdict.delivered, verdict.waiting, verdict.dead) == (3, 1, 1)


async def test_an_accepted_id_that_does_not_resolve_is_seen(
    pretender: Pretender, receiver: Receiver
) -> None:
    del pretender.events["evt_2"]

    verdict = await judged(pretender, receiver)

    assert verdict.unresolved == ["evt_2"]
    assert not verdict.is_clean()


async def test_a_second_effect_under_another_id_is_seen(
    pretender: Pretender, receiver: Receiver
) -> None:
    await deliver(receiver, "evt_other", SERIALS["evt_1"])

    verdict = await judged(pretender, receiver)

    assert len(verdict.doubled) == 1
    assert not verdict.is_clean()


async def test_an_alias_that_leads_astray_is_seen(pretender: Pretender, receiver: Receiver) -> None:
    pretender.events["evt_2"] = "evt_1"

    verdict = await judged(pretender, receiver)

    assert len(verdict.strange) == 1
    assert not verdict.is_clean()


async def test_a_repeat_under_one_id_is_counted_and_allowed(
    pretender: Pretender, receiver: Receiver
) -> None:
    await deliver(receiver, "evt_1", SERIALS["evt_1"])

    verdict = await judged(pretender, receiver)

    assert verdict.is_clean()
    assert verdict.repeats == 1


async def test_a_line_out_of_order_is_seen(pretender: Pretender, receiver: Receiver) -> None:
    lines = [[SERIALS["evt_0"], SERIALS["evt_2"]], [SERIALS["evt_4"], SERIALS["evt_3"]]]

    async with Rest(pretender.url) as rest:
        verdict = await judge(rest, SERIALS, receiver, lines, path="/all")

    assert len(verdict.disordered) == 1
    assert SERIALS["evt_4"] in verdict.disordered[0], "It came after its successor."
    assert not verdict.is_clean()


async def test_a_repeat_of_a_lines_head_is_in_order(
    pretender: Pretender, receiver: Receiver
) -> None:
    await deliver(receiver, "evt_4", SERIALS["evt_4"])

    async with Rest(pretender.url) as rest:
        verdict = await judge(
            rest, SERIALS, receiver, [[SERIALS["evt_0"], SERIALS["evt_4"]]], path="/all"
        )

    assert verdict.disordered == []
    assert verdict.is_clean()
