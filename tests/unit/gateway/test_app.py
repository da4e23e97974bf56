"""The application before it has opened anything."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from crossdock.config import KeySettings, NatsSettings, Settings
from crossdock.embedded.ports import free_port
from gateway import app
from gateway.app import Gateway

KEY = "A" * 43 + "="
KEYS = KeySettings(sources=KEY, destinations=KEY, identity=KEY, mail=KEY, answers=KEY, payloads=KEY)


@asynccontextmanager
async def lifespan(gateway: Gateway) -> AsyncIterator[str]:
    """Start it as the server does; gives what it said."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.ensure_future(gateway({"type": "lifespan"}, told.get, heard.put))
    await told.put({"type": "lifespan.startup"})
    said = (await heard.get())["type"]
    yield said
    if said == "lifespan.startup.complete":
        await told.put({"type": "lifespan.shutdown"})
        assert (await heard.get())["type"] == "lifespan.shutdown.complete"
    await life


def client(gateway: Gateway) -> httpx.AsyncClient:
    # httpx awaits what we return, and that is all it does with it.
    return httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://gateway")


async def test_while_the_broker_is_away_it_lives_and_says_that_it_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "START_PATIENCE_S", 0.05)
    nowhere = NatsSettings(url=f"nats://127.0.0.1:{free_port()}")
    gateway = Gateway(Settings(nats=nowhere, keys=KEYS))

    async with lifespan(gateway) as said, client(gateway) as http:
        assert said == "lifespan.startup.complete"
        assert (await http.get("/health/live")).status_code == 200
        for path in ("/health/ready", "/v1/sources"):
            assert (await http.get(path)).status_code == 503
        answer = await http.post("/in/token", content=b"{}")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"] == "application/problem+json"


async def test_wrong_settings_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: ended.append(number))

    async with lifespan(Gateway(Settings())) as said:
        assert said == "lifespan.startup.failed"

    assert ended == [signal.SIGTERM]


async def test_a_fault_of_ours_ends_the_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: ended.append(number))

    @asynccontextmanager
    async def running(_settings: Settings) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            yield

    async def fail() -> None:
        raise RuntimeError("the settings are not kept current any more")

    monkeypatch.setattr(app, "running", running)
    monkeypatch.setattr(Gateway, "_serve", lambda _self, _runtime: None)

    async with lifespan(Gateway(Settings())) as said:
        assert said == "lifespan.startup.complete"
        async with asyncio.timeout(5):
            while not ended:
                await asyncio.sleep(0)

    assert ended == [signal.SIGTERM]


async def test_a_websocket_is_refused() -> None:
    sent = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await Gateway(Settings())({"type": "websocket", "path": "/in/x"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1003}]
