"""Tells other machines what this one counted, and counts what they tell.

On core NATS, a few times a second, by one process a machine. Between two words of a node the others
don't know what it admits: that is the bound of over-admission, (nodes - 1) times what one of them
can admit in that time. Where the broker is away, each node keeps to its share of every limit.
"""

import asyncio
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

import structlog

from crossdock.bus.connection import Bus
from crossdock.config import LimitSettings
from crossdock.errors import BrokerUnavailable
from crossdock.limits.leader import leading
from crossdock.limits.nodes import Nodes
from crossdock.limits.table import OpenTable
from crossdock.telemetry.metrics import LIMITS_EXCHANGE_AGE_SECONDS, LIMITS_NODES, LIMITS_OPEN
from proto import subjects

VERSION: Final = 1
AGAIN_S: Final = 1.0
TELL_S: Final = 1.0

_HEAD: Final = struct.Struct("<Bd")
"""A version, and when this was sent by the sender's own clock; what was counted follows."""

log = structlog.get_logger(__name__)


class Exchange:
    """One process's part in it: most wait, and one speaks for the machine."""

    def __init__(
        self,
        bus: Bus,
        opened: OpenTable,
        settings: LimitSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._path = opened.path
        self._table = opened.table
        self._is_told = settings.exchange
        self._every_s = settings.exchange_s
        self._clock = clock
        self._node = ""
        self._nodes = Nodes(clock())
        self._crowded = 0
        self._was_away = False
        self._said_odd = False

    @property
    def nodes(self) -> Nodes:
        """What is known of all nodes, while this process speaks."""
        return self._nodes

    async def run(self) -> NoReturn:
        """Wait to be the one that speaks, then do so until cancelled."""
        while True:
            try:
                async with leading(self._path) as node:
                    await self._lead(node)
            except BrokerUnavailable as error:
                log.warning("limit_exchange_away", reason=str(error))
            except Exception:
                log.exception("limit_exchange_broke")
            await asyncio.sleep(AGAIN_S)

    async def _lead(self, node: str) -> NoReturn:
        self._node = node
        self._nodes.take_over(self._table.share, self._clock())
        self._crowded = self._table.stats()["crowded"]
        self._table.drain()  # what nobody told for a while would come too late
        if not self._is_told:
            self._table.set_share(1)
            while True:
                await asyncio.sleep(self._every_s)
                self._count_open()
        subscription = await self._bus.subscribe(subjects.LIMITS_SUBJECTS, self._hear)
        try:
            while True:
                # A broker that stands still must not keep this from noticing that it does.
                with suppress(TimeoutError, BrokerUnavailable):
                    async with asyncio.timeout(TELL_S):
                        await self._tell()
                self._note(self._clock())
                await asyncio.sleep(self._every_s)
        finally:
            await subscription.end()

    async def _tell(self) -> None:
        """Say what was counted; what can't be said now is worth nothing later, so it is dropped."""
        usage = self._table.drain()
        if self._bus.is_connected:
            head = _HEAD.pack(VERSION, self._clock())
            await self._bus.publish(subjects.limits(self._node), head + usage)

    async def _hear(self, subject: str, data: bytes) -> None:
        """Count what another node tells; what comes late, because the broker was away, is old."""
        now, node = self._clock(), subjects.node_of_limits(subject)
        if len(data) < _HEAD.size:
            self._say_odd(node, "too short")
            return
        version, sent_at = _HEAD.unpack_from(data)
        if node == self._node:
            self._nodes.come_back(sent_at, now)
            return
        self._nodes.hear(node, now)
        if version != VERSION or self._nodes.is_away(now):
            return
        try:
            self._table.apply(data[_HEAD.size :])
        except ValueError as error:
            self._say_odd(node, str(error))

    def _note(self, now: float) -> None:
        """Act on what is known of the others, and show it."""
        share = self._nodes.share(now)
        if share != self._table.share:
            self._table.set_share(share)
        is_away = self._nodes.is_away(now)
        if is_away != self._was_away:
            self._was_away = is_away
            tell = log.warning if is_away else log.info
            tell("limit_exchange_away" if is_away else "limit_exchange_back", share=share)
        LIMITS_NODES.set(self._nodes.count())
        LIMITS_EXCHANGE_AGE_SECONDS.set(self._nodes.age_s(now))
        self._count_open()

    def _count_open(self) -> None:
        crowded = self._table.stats()["crowded"]
        if crowded > self._crowded:
            LIMITS_OPEN.labels("crowded").inc(crowded - self._crowded)
        self._crowded = crowded

    def _say_odd(self, node: str, reason: str) -> None:
        if not self._said_odd:
            self._said_odd = True
            log.error("limit_exchange_unreadable", node=node, reason=reason)
