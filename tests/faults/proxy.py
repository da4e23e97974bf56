"""A TCP proxy between our processes and a server: its links stall, lag and break as a test says.

It is also how a process is caught at one moment of its work: a trap holds the very bytes that a
promise hangs on, so that who sent them, or waits for them, can be killed before they go on.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Final, Literal, Self

Way = Literal["up", "down"]
"""To the server, or from it."""

CHUNK: Final = 64 * 1024
HELLO: Final = 4096
"""Of what a client says first, kept to tell links apart: PostgreSQL's tells the role."""
NO_LINGER: Final = struct.pack("ii", 1, 0)
"""Closing resets."""


class Trap:
    """Waits for words on a link, and holds them back."""

    def __init__(self, way: Way, mark: bytes, of: bytes) -> None:
        self.way = way
        self.mark = mark
        self.of = of
        self.sprung = asyncio.Event()
        """The words are held."""
        self._let_go = asyncio.Event()

    def release(self) -> None:
        """Let the words pass, if both ends are still there."""
        self._let_go.set()

    async def meets(self, way: Way, seen: bytes, link: "Link") -> None:
        """Hold what has come so far, if it is what was waited for."""
        if self.sprung.is_set() or way != self.way:
            return
        if self.mark in seen and self.of in link.hello:
            self.sprung.set()
            await self._let_go.wait()


class Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.hello = b""
        self._ends = (near, far)

    def reset(self) -> None:
        """Break it as a crashed machine in between would: both sides get an RST."""
        for end in self._ends:
            sock = end.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            end.transport.abort()

    def close(self) -> None:
        """Hang up on both sides."""
        for end in self._ends:
            end.close()


class Proxy:
    """Listens on loopback and passes on, both ways, what the rules of the moment let through."""

    def __init__(self, port: int) -> None:
        """Say before which port of this machine; nothing listens before the block begins."""
        self.port = 0
        self.latency_s = 0.0
        """Each way, for every piece."""
        self.bytes_per_s = 0.0
        """Of one link and one way; 0 is as fast as it goes."""
        self.refuses = False
        """Whether new links are reset at once."""
        self.passed = 0
        """Bytes, both ways."""
        self._behind = port
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        self._links: set[Link] = set()
        self._traps: list[Trap] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.heal()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=CHUNK)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def links(self) -> int:
        """How many connections there are."""
        return len(self._links)

    def stall(self, *ways: Way) -> None:
        """Let nothing through, one way or both; connections stay open, and new ones are taken."""
        for way in ways or ("up", "down"):
            self._open[way].clear()

    def heal(self) -> None:
        """Let everything through again, at full speed."""
        self.latency_s = self.bytes_per_s = 0.0
        self.refuses = False
        for gate in self._open.values():
            gate.set()

    def reset(self) -> int:
        """Break every link there is; return how many."""
        links = list(self._links)
        for link in links:
            link.reset()
        return len(links)

    def trap(self, way: Way, mark: bytes, *, of: bytes = b"") -> Trap:
        """Lie in wait for words.

        Args:
            way: in which direction.
            mark: the words, at most 64 bytes.
            of: words that the client's first bytes must have, such as its role's name.
        """
        trap = Trap(way, mark, of)
        self._traps.append(trap)
        return trap

    def forget_traps(self) -> None:
        """Release and forget every trap."""
        for trap in self._traps:
            trap.release()
        self._traps.clear()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if not self.refuses:
                await self._join(reader, writer)
        except asyncio.CancelledError:
            pass  # the block ends
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _join(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, on = await asyncio.open_connection("127.0.0.1", self._behind, limit=CHUNK)
        except OSError:
            return
        link = Link(back, on)
        self._links.add(link)
        try:
            ways = [self._pass(link, "up", near, on), self._pass(link, "down", far, back)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._links.discard(link)
            link.close()

    async def _pass(
        self, link: Link, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one direction to its end."""
        tail = b""
        with suppress(OSError):
            while piece := await reader.read(CHUNK):
                if way == "up" and len(link.hello) < HELLO:
                    link.hello += piece[:HELLO]
                for trap in tuple(self._traps):
                    await trap.meets(way, tail + piece, link)
                tail = piece[-64:]
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                if self.bytes_per_s:
                    await asyncio.sleep(len(piece) / self.bytes_per_s)
                await self._open[way].wait()
                writer.write(piece)
                await writer.drain()
                self.passed += len(piece)
