"""A client that costs little beside what it measures: bytes over kept connections."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Answered(msgspec.Struct, frozen=True):
    """What became of some requests."""

    seconds: list[float]
    """Of each, from the first byte sent to the last received."""
    took_s: float
    """Of all of them together."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.took_s


def request(path: str, key: str, body: bytes, *headers: str) -> bytes:
    """Return the bytes of a POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: bench",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + _END + body


async def send(port: int, requests: Sequence[bytes], connections: int, status: int) -> Answered:
    """Send each request once, over so many connections at a time."""
    waiting = iter(requests)
    seconds: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for sent in waiting:
            began = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(_END)
            await reader.readexactly(_length(head))
            seconds.append(time.perf_counter() - began)
            assert head.startswith(b"HTTP/1.1 %d" % status), head.decode()
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Answered(seconds, time.perf_counter() - began)


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH))
