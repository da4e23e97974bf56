"""A whole stack, as `crossdock up` starts it, with a PostgreSQL that counts its statements."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import msgspec
from aiohttp import web

from crossdock.client import AsyncClient
from crossdock.embedded import EmbeddedPostgres, ports
from crossdock.supervisor.folder import DataFolder

UP_S: Final = 90.0
OPERATOR: Final = "operator@example.com"
PASSWORD: Final = "a password for the bench"
ENVIRONMENT: Final = {
    "CROSSDOCK_LOG__LEVEL": "error",
    "CROSSDOCK_GATEWAY__TRUSTED_PROXIES": "127.0.0.1/32",
    # The load is one program's; who is limited is another bench's.
    "CROSSDOCK_LIMITS__ADDRESS_PER_MINUTE": "10000000",
    "CROSSDOCK_LIMITS__ADDRESS_BURST": "1000000",
    "CROSSDOCK_LIMITS__KEY_PER_MINUTE": "10000000",
}


class World(msgspec.Struct):
    """All that runs."""

    url: str
    folder: Path
    key: str
    operator: str
    sink: str
    document: dict[str, Any]
    admin: asyncpg.Connection


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    """Start everything, and end it."""
    async with AsyncExitStack() as stack:
        with EmbeddedPostgres(folder) as postgres:  # it keeps this for when it starts again
            postgres.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        sink = await stack.enter_async_context(_sink())
        port = ports.free_port()
        url = f"http://127.0.0.1:{port}"
        up = _start(folder, port)
        stack.push_async_callback(asyncio.to_thread, _stop, up)
        await asyncio.to_thread(_wait, up, url, folder)
        key = command(folder, "tenant", "create", "Bench", "--plan", "unlimited")["api_key"]
        command(folder, "operator", "create", OPERATOR, "--role", "platform-admin")
        async with AsyncClient(url) as client:
            pair = await client.auth.login(email=OPERATOR, password=PASSWORD)
        async with httpx.AsyncClient() as http:
            document = (await http.get(f"{url}/schema")).json()
        admin = await asyncpg.connect(EmbeddedPostgres(folder, port=_port(folder)).admin_url())
        stack.push_async_callback(admin.close)
        await admin.execute("CREATE EXTENSION pg_stat_statements")
        yield World(url, folder, key, pair.access_token, sink, document, admin)


def _port(folder: Path) -> int:
    address = DataFolder(folder).settings().database.url
    return int(address.rpartition(":")[2].partition("/")[0])


def _start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [*_crossdock(), "up", "--data", str(folder), "--port", str(port)]
    command += ["--processes", "1", "--allow-loopback-destinations"]
    with (folder / "up.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_env()
        )


def _wait(up: "subprocess.Popen[bytes]", url: str, folder: Path) -> None:
    deadline = time.monotonic() + UP_S
    while time.monotonic() < deadline and up.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)  # noqa: TID251 - a thread's own
    raise AssertionError((folder / "up.log").read_text())


def _stop(up: "subprocess.Popen[bytes]") -> None:
    up.terminate()
    up.wait(60)


def command(folder: Path, *words: str) -> Any:
    """Run one of our commands against the stack of a folder; return what it prints as JSON."""
    line = [*_crossdock(), *words, "--json", "--data", str(folder)]
    done = subprocess.run(line, capture_output=True, check=False, env=_env())
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout.strip().splitlines()[-1])


def _crossdock() -> list[str]:
    return [sys.executable, "-m", "crossdock.cli.app"]


def _env() -> dict[str, str]:
    return os.environ | ENVIRONMENT | {"CROSSDOCK_OPERATOR_PASSWORD": PASSWORD}


@asynccontextmanager
async def _sink() -> AsyncIterator[str]:
    """Take deliveries; refuse what is sent to `/fail`."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=400 if request.path == "/fail" else 204)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = ports.free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
