"""A sender for machines without wrk: one process, raw protocols, no parsing beyond the status."""

import asyncio
import sys
import time
from itertools import cycle
from typing import Final, cast

import msgspec
import uvloop

from bench.load.model import Request, Sent, Task

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "


class _Load:
    """What all connections share."""

    def __init__(self, requests: list[bytes], until: float) -> None:
        self.requests = cycle(requests)
        self.until = until
        self.took: list[float] = []
        self.refused = 0
        self.broken = 0


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._began = 0.0
        self._transport: asyncio.Transport | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._began = time.perf_counter()
        self._transport.write(next(self._load.requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return
        start = self._buffer.find(LENGTH, 0, end) + len(LENGTH)
        length = int(self._buffer[start : self._buffer.find(b"\r", start)])
        if len(self._buffer) < end + len(HEAD_END) + length:
            return
        now = time.perf_counter()
        self._load.took.append(now - self._began)
        self._load.refused += not self._buffer.startswith(b"HTTP/1.1 2")
        self._buffer = b""
        if now < self._load.until:
            self._send()
        elif self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.broken += exc is not None or time.perf_counter() < self._load.until
        self.ended.set_result(None)


def _bytes(request: Request) -> bytes:
    body = request.body.encode()
    lines = [f"{request.method} {request.path} HTTP/1.1", "Host: 127.0.0.1"]
    lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join(lines).encode() + HEAD_END + body


async def _main() -> None:
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    began = time.perf_counter()
    load = _Load([_bytes(one) for one in task.requests], began + task.seconds)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", task.port)
        for _ in range(task.connections)
    ]
    await asyncio.gather(*(connection.ended for _, connection in made))
    took = sorted(load.took)
    sent = Sent(
        requests=len(took),
        refused=load.refused,
        broken=load.broken,
        seconds=time.perf_counter() - began,
        p50_ms=took[len(took) // 2] * 1000,
        p99_ms=took[len(took) * 99 // 100] * 1000,
    )
    print(msgspec.json.encode(sent).decode())


if __name__ == "__main__":
    uvloop.run(_main())
