"""`crossdock listen`: a tenant's events, live, to a program on this machine."""

import asyncio
import time
from collections.abc import Iterable
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import msgspec
import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, CallFailed, Key, SourceOption, TypeOption, Url
from crossdock.cli.options import print_json
from crossdock.client import AsyncClient, ClientError
from crossdock.client.errors import NotFound
from crossdock.client.models.events import Event
from crossdock.errors import ConfigurationError

TIMEOUT_S: Final = 15.0
PATIENCE_S: Final = (0.1, 0.4, 1.0)

_OWN: Final = frozenset({"host", "content-length", "connection", "transfer-encoding", "te"})
"""Headers of the sender's that are the connection's, and so ours to make."""


class Forwarded(msgspec.Struct, frozen=True):
    """What became of one event."""

    id: str
    event_type: str
    status: int | None
    """Of the local program's answer; `None` where there was none."""
    milliseconds: int
    error: str | None = None


def listen(
    forward: Annotated[
        str, typer.Option(metavar="URL", help="Where to post: `http://127.0.0.1:3000/hook`.")
    ],
    source: SourceOption = None,
    event_type: TypeOption = None,
    after: Annotated[
        str | None, typer.Option(metavar="EVT", help="Begin behind this event, `evt_…`.")
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(metavar="EVT", help="Post this event and end; may be given several times."),
    ] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: api.Json = False,
) -> None:
    """Post a tenant's events to a program on this machine, as they come.

    The bodies are the sender's bytes. With them go the headers that are kept of the sender's
    (signatures are not) and `crossdock-event-id`, which tells a repetition. Ctrl-C ends it, and
    [bold]--after[/bold] goes on from an event.
    """
    api.check(key)
    _check(forward)
    try:
        asyncio.run(_listen(forward, source, event_type, after, replay or (), (url, key), as_json))
    except ClientError as error:
        raise CallFailed(str(error)) from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


async def _listen(
    forward: str,
    source: str | None,
    event_type: str | None,
    after: str | None,
    replay: Iterable[str],
    whose: tuple[str, str],
    as_json: bool,
) -> None:
    limits = httpx.Timeout(TIMEOUT_S)
    async with AsyncClient(*whose) as client, httpx.AsyncClient(timeout=limits) as local:
        if replay:
            for event_id in replay:
                _tell(await _forward(client, local, forward, event_id), as_json=as_json)
            return
        if not as_json:
            typer.echo(f"Listening; events go to {forward}. Ctrl-C ends.", err=True)
        async for found in client.live(source_id=source, event_type=event_type, after=after):
            _tell(await _forward(client, local, forward, found.id), as_json=as_json)


async def _forward(
    client: AsyncClient, local: httpx.AsyncClient, url: str, event_id: str
) -> Forwarded:
    """Post one event; a program that is not there, or breaks, is told of and not waited for."""
    event = await _got(client, event_id)
    body = await client.events.get_payload(event_id)
    began = time.perf_counter()
    status, error = None, None
    try:
        answer = await local.post(url, content=body, headers=headers(event))
        status = answer.status_code
    except httpx.HTTPError as failed:
        error = str(failed) or type(failed).__name__
    spent = round((time.perf_counter() - began) * 1000)
    return Forwarded(event.id, event.event_type, status, spent, error)


async def _got(client: AsyncClient, event_id: str) -> Event:
    """Return an event; one that was told live a moment before it could be read is asked for again.

    Raises:
        NotFound: this tenant has no such event.
    """
    for wait_s in PATIENCE_S:
        try:
            return await client.events.get(event_id)
        except NotFound:
            await asyncio.sleep(wait_s)
    return await client.events.get(event_id)


def headers(event: Event) -> list[tuple[str, str]]:
    """Return the headers to post an event with: the sender's, and which event it is."""
    kept = [
        (name, value)
        for name, value in event.headers
        if name.lower() not in _OWN and not name.lower().startswith("crossdock-")
    ]
    return [
        *kept,
        ("content-type", event.content_type or "application/octet-stream"),
        ("crossdock-event-id", event.id),
        ("crossdock-source-id", event.source_id),
        ("crossdock-event-type", event.event_type),
        ("traceparent", event.traceparent),
    ]


def _check(url: str) -> None:
    """Check that there is a place to post to.

    Raises:
        ConfigurationError: that is no address of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError("--forward takes an address such as http://127.0.0.1:3000/hook.")


def _tell(done: Forwarded, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    outcome = done.error if done.status is None else str(done.status)
    api.plain.print(f"{done.id}  {done.event_type or '-'}  {outcome}  {done.milliseconds} ms")
