"""Commands as a tenant's developer runs them, and what they said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from typer.testing import CliRunner

from crossdock.cli.app import FAILED, WRONG_SETTINGS, app
from crossdock.errors import ConfigurationError, CrossdockError
from tests.acceptance.house import House
from tests.faults.stack import PROGRAM, Finished


def environ(house: House) -> dict[str, str]:
    return {"CROSSDOCK_URL": house.stack.url, "CROSSDOCK_API_KEY": house.key}


async def run(house: House, *words: str, code: int | None = 0) -> Finished:
    """Run a command in this process, which takes a tenth of the time, and say how it ended."""
    done = await asyncio.to_thread(_invoked, words, environ(house))
    assert code in {None, done.code}, done
    return done


def _invoked(words: tuple[str, ...], variables: dict[str, str]) -> Finished:
    done = CliRunner().invoke(app, words, env=variables)
    error = done.exception
    if isinstance(error, CrossdockError):  # as `crossdock.cli.app.main` does
        code = WRONG_SETTINGS if isinstance(error, ConfigurationError) else FAILED
        return Finished(code, done.stdout, f"crossdock: {error}")
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Finished(done.exit_code, done.stdout, done.stderr)


async def told(house: House, *words: str, code: int = 0) -> Any:
    return (await run(house, *words, "--json", code=code)).last_json()


def written(folder: Path, name: str, what: Any) -> str:
    """Write a file of JSON, and return its path."""
    path = folder / name
    path.write_text(msgspec.json.encode(what).decode())
    return str(path)


@asynccontextmanager
async def running(house: House, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have a command that runs until it is stopped; it is interrupted at the end."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=house.stack.environ | environ(house),
    )
    try:
        yield process
    finally:
        process.send_signal(2)
        async with asyncio.timeout(10):
            _, said = await process.communicate()
        assert b"Traceback" not in said, said


async def published(house: House, serial: str, **payload: Any) -> str:
    done = await house.rest.call(
        "POST", "/v1/events", {"id": serial, "event_type": "order.made", "payload": payload}
    )
    event_id: str = done.ok()["id"]
    return event_id
