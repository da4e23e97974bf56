"""Three machines that count against the same limits, over a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from crossdock.bus.connection import Bus, connect
from crossdock.config import LimitSettings, NatsSettings
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from crossdock.limits.exchange import Exchange
from crossdock.limits.table import OpenTable, boot_id, open_table
from crossdock.native import Limit, LimitTable
from proto import subjects
from tests.faults.waiting import until

SETTINGS: Final = LimitSettings(exchange_s=0.05)
HOUR: Final = Limit("tenant", b"somebody", 300, 3600.0)
"""Twelve seconds a unit: what a slow test gives back is little."""
ASKED: Final = (HOUR,)


class Node:
    """One process of one machine."""

    def __init__(self, opened: OpenTable, bus: Bus, settings: LimitSettings = SETTINGS) -> None:
        self.table: LimitTable = opened.table
        self.bus = bus
        self.exchange = Exchange(bus, opened, settings)
        self._task = asyncio.create_task(self.exchange.run())

    async def end(self) -> None:
        """Stop telling and hearing."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def leave(self) -> None:
        """Stop, and hang up."""
        await self.end()
        with suppress(BrokerUnavailable):
            await self.bus.close()

    def cut(self) -> None:
        """Cut its connection as a network would."""
        self.bus.client._transport._io_writer.transport.abort()  # type: ignore[union-attr]

    @property
    def left(self) -> int:
        """What is left of the limit, as this machine knows."""
        return self.table.peek(ASKED).remaining

    def take(self, count: int) -> int:
        """Take so often; return how often it was admitted."""
        return sum(self.table.take(ASKED).admitted for _ in range(count))

    def knows(self, others: int) -> bool:
        """Tell whether it counts so many machines, itself included, and hears itself."""
        now = self.exchange._clock()
        nodes = self.exchange.nodes
        return nodes.count() == others and not nodes.is_away(now)


def table_in(folder: Path) -> OpenTable:
    folder.mkdir(exist_ok=True)
    return open_table(LimitSettings(table=folder / "table"))


@pytest.fixture
async def nodes(private_nats: EmbeddedNats, tmp_path: Path) -> AsyncIterator[list[Node]]:
    """Three machines that have heard of each other."""
    found = [
        Node(table_in(tmp_path / str(number)), await connect(private_nats.settings(), wait_s=10))
        for number in range(3)
    ]
    await until(lambda: all_of(found, lambda node: node.knows(3)), "three nodes", within=20)
    yield found
    for node in found:
        await node.leave()


def all_of(nodes: list[Node], holds: Callable[[Node], bool]) -> bool:
    return all(holds(node) for node in nodes)


async def test_what_one_admits_is_missing_everywhere(nodes: list[Node]) -> None:
    first, second, third = nodes

    assert first.take(100) == 100
    assert second.take(50) == 50

    def is_known() -> bool:
        # Three of them may have come back meanwhile.
        return all(150 <= node.left <= 153 for node in nodes)

    await until(is_known, lambda: f"what is left: {[node.left for node in nodes]}", within=20)
    assert third.take(1_000) <= 160


async def test_over_admission_is_what_the_others_were_asked_for_before_they_were_told(
    nodes: list[Node],
) -> None:
    admitted, demand, began = 0, 7, time.monotonic()

    def is_known() -> bool:
        came_back = int((time.monotonic() - began) / 12) + 1
        return all(node.left <= max(0, 300 - admitted) + came_back for node in nodes)

    while any(node.left > 1 for node in nodes):
        admitted += sum(node.take(demand) for node in nodes)
        await until(is_known, lambda: f"what is left: {[node.left for node in nodes]}", within=20)
    admitted += sum(node.take(demand) for node in nodes)

    came_back = int((time.monotonic() - began) / 12) + 1
    assert 300 <= admitted <= 300 + (len(nodes) - 1) * demand + came_back


async def test_without_the_broker_each_keeps_to_its_share_and_has_all_of_it_after(
    nodes: list[Node], private_nats: EmbeddedNats
) -> None:
    assert {node.table.share for node in nodes} == {1}

    private_nats.kill()
    await until(
        lambda: all_of(nodes, lambda node: node.table.share == 3), "shares of a third", within=30
    )
    assert all(node.left == 100 for node in nodes)
    assert [node.take(300) for node in nodes] == [100, 100, 100]

    private_nats.restart()
    await until(
        lambda: all_of(nodes, lambda node: node.table.share == 1), "all of it again", within=30
    )


async def test_what_was_admitted_while_the_broker_was_away_is_not_told_later(
    nodes: list[Node],
) -> None:
    alone, other = nodes[0], nodes[1]
    alone.cut()
    await until(lambda: not alone.bus.is_connected, "a connection that is cut")

    # It comes back after a quarter of a second: several words that nobody can hear.
    alone.take(100)
    await until(lambda: alone.bus.is_connected, "a connection that is back")
    alone.take(1)
    await until(lambda: other.left < 300, "news")

    assert other.left == 299


async def test_a_machine_that_goes_is_not_counted(nodes: list[Node]) -> None:
    await nodes[2].end()

    await until(lambda: all_of(nodes[:2], lambda node: node.knows(2)), "two nodes", within=20)


async def test_two_processes_of_a_machine_are_one_node_and_the_other_takes_over(
    private_nats: EmbeddedNats, tmp_path: Path
) -> None:
    settings = private_nats.settings()
    here = [Node(table_in(tmp_path / "here"), await connect(settings, wait_s=10)) for _ in range(2)]
    there = Node(table_in(tmp_path / "there"), await connect(settings, wait_s=10))
    await until(lambda: all_of([there], lambda node: node.knows(2)), "two nodes", within=20)

    here[0].take(10)
    await until(lambda: all_of([there], lambda node: node.left <= 291), "news", within=20)
    speaker = next(node for node in here if node.exchange._node)
    listener = next(node for node in here if node is not speaker)
    assert not listener.exchange._node

    await speaker.end()
    await until(lambda: all_of([listener], lambda node: node.knows(2)), "a speaker", within=20)
    listener.take(10)
    await until(lambda: all_of([there], lambda node: node.left <= 282), "news", within=20)

    assert listener.exchange._node == speaker.exchange._node
    assert there.knows(2)
    for node in (*here, there):
        await node.leave()


async def test_words_that_nobody_can_read_do_no_harm(
    nodes: list[Node], private_nats: EmbeddedNats
) -> None:
    bus = await connect(private_nats.settings(), wait_s=10)
    for data in (b"", b"\x01", b"\xff" * 9, b"\x01" + bytes(8) + b"\xff" * 100, bytes(5_000)):
        await bus.publish(subjects.limits("0" * 16), data)
    await bus.round_trip()
    nodes[0].take(100)

    await until(lambda: all_of(nodes, lambda node: node.left <= 201), "news", within=20)
    assert all(node.left >= 199 for node in nodes)
    await bus.close()


async def test_nodes_that_are_told_not_to_tell_do_not(
    nats_settings: NatsSettings, tmp_path: Path
) -> None:
    quiet = LimitSettings(exchange=False, exchange_s=0.05)
    node = Node(table_in(tmp_path), await connect(nats_settings, wait_s=10), quiet)
    heard: list[str] = []

    async def hear(subject: str, _data: bytes) -> None:
        heard.append(subject)

    hearing = await node.bus.subscribe(subjects.LIMITS_SUBJECTS, hear)
    await until(lambda: all_of([node], lambda one: bool(one.exchange._node)), "a speaker")
    node.take(5)
    await node.bus.round_trip()

    assert subjects.limits(node.exchange._node) not in heard
    assert node.table.share == 1
    await hearing.end()
    await node.leave()


def test_this_boot_has_a_name() -> None:
    assert boot_id() == boot_id()
    assert 16 <= len(boot_id()) <= 255
