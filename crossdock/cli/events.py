"""`crossdock events`: what came in, listed, followed live, published, judged, announced again."""

from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, SourceOption, TypeOption, Url
from crossdock.cli.options import print_json
from crossdock.cli.republish import republish
from crossdock.client import LiveEvent
from crossdock.client.models.events import EventPublish, TimelineEntry
from crossdock.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="List, follow and publish events; judge those kept.")
_COLUMNS: Final = ("id", "received_at", "event_type", "status", "size", "source_id", "provider_id")
_PAGE: Final = 100

Event = Annotated[str, typer.Argument(metavar="EVT", help="`evt_…`.")]
Events = Annotated[list[str], typer.Argument(metavar="EVT…", help="One or more, `evt_…`.")]


@app.command("list")
def list_events(
    source: SourceOption = None,
    event_type: TypeOption = None,
    status: Annotated[
        str | None,
        typer.Option(help="accepted, warned, held, quarantined, releasing, released or dropped."),
    ] = None,
    payload: Annotated[
        list[str] | None,
        typer.Option(metavar="POINTER=VALUE", help="With this value: `/data/customer=cus_1`."),
    ] = None,
    unmatched: Annotated[
        bool, typer.Option("--unmatched", help="Only those that no destination wanted.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="`15m`, `2h`, `3d`, or 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Received before this.")] = None,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    given: dict[str, Any] = {"status": status}
    with api.calling(url, key) as client:
        found = client.events.list(
            limit=min(limit, _PAGE),
            source_id=source,
            event_type=event_type,
            payload=payload,
            received_after=api.moment(since),
            received_before=api.moment(until),
            matched="none" if unmatched else None,
            **given,
        )
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def show(event: Event, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show an event with its headers and its payload."""
    with api.calling(url, key) as client:
        api.tell(client.events.get(event), as_json=as_json)


@app.command()
def payload(event: Event, url: Url = HERE, key: Key = "") -> None:
    """Write an event's payload to standard output, byte for byte."""
    with api.calling(url, key) as client:
        body = client.events.get_payload(event)
    typer.get_binary_stream("stdout").write(body)


@app.command()
def timeline(event: Event, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show what became of an event: where it went, each attempt, and what comes next."""
    with api.calling(url, key) as client:
        found = client.events.get_timeline(event)
    if as_json:
        print_json(found)
        return
    for entry in found.entries:
        at = "" if entry.at is None else entry.at.isoformat(timespec="milliseconds")
        api.plain.print(f"{at:30}{entry.type:14}{_said(entry)}")
    for one in found.unmatched:
        api.plain.print(f"{'':30}not to {one.destination_id} {one.name}: {one.why} {one.detail}")
    if found.is_capped:
        typer.echo("There is more than is shown.", err=True)


@app.command()
def tail(
    source: SourceOption = None,
    event_type: TypeOption = None,
    after: Annotated[
        str | None, typer.Option(metavar="EVT", help="Begin behind this event, `evt_…`.")
    ] = None,
    payloads: Annotated[bool, typer.Option("--payload", help="Show payloads as well.")] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Follow events as they come. Ctrl-C ends it."""
    with api.calling(url, key) as client, suppress(KeyboardInterrupt):
        for found in client.live(
            source_id=source, event_type=event_type, after=after, payload=payloads
        ):
            _tell(found, as_json=as_json)


@app.command()
def publish(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Your own; it counts once.")],
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="As `invoice.paid`.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Its payload, JSON; `-` to read.")
    ] = "-",
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Publish an event of your own: it is stored before the answer, and delivered as any."""
    given = api.read_json(file, "The payload")
    with api.calling(url, key) as client:
        done = client.events.publish(id_=event_id, event_type=event_type, payload=given)
    api.tell(done, as_json=as_json)


@app.command()
def publish_all(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help='Lines of {"id": …, "event_type": …, "payload": …}; `-` to read.'
        ),
    ] = "-",
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Publish many events. Those that were published before count once, so it can be run again.

    Exits with 1 where some were refused; these are told of, by their line.
    """
    wishes = _wishes(api.read(file, "The file"))
    failed: list[dict[str, Any]] = []
    bar = Progress(console=Console(stderr=True), transient=True, disable=as_json)
    with api.calling(url, key) as client, bar:
        task = bar.add_task("publishing", total=len(wishes))
        for start in range(0, len(wishes), _PAGE):
            some = wishes[start : start + _PAGE]
            done = client.events.publish_events(events=some).items
            failed += [
                {"line": start + one.index + 1, "status": one.status, "problem": one.problem}
                for one in done
                if one.id is None
            ]
            bar.advance(task, len(some))
    if as_json:
        print_json({"published": len(wishes) - len(failed), "refused": failed})
    else:
        api.plain.print(f"{len(wishes) - len(failed)} published, {len(failed)} refused")
        for one in failed:
            problem = one["problem"]
            said = "" if problem is None else problem.detail or problem.title
            api.plain.print(f"line {one['line']}: {one['status']} {said}")
    if failed:
        raise typer.Exit(1)


def _wishes(text: bytes) -> list[EventPublish]:
    """Return the events of a file of JSON lines.

    Raises:
        ConfigurationError: it is none; the message names the fault.
    """
    try:
        return msgspec.json.Decoder(EventPublish).decode_lines(text)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"The file is not one event a line: {error}") from error


@app.command()
def release(events: Events, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Deliver quarantined events after all."""
    with api.calling(url, key) as client:
        judged = [client.events.release(one) for one in events]
    api.tell_all(judged, _COLUMNS, limit=len(judged), as_json=as_json, empty="")


@app.command()
def drop(events: Events, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Refuse quarantined events for good: they are kept, and never delivered."""
    with api.calling(url, key) as client:
        judged = [client.events.drop(one) for one in events]
    api.tell_all(judged, _COLUMNS, limit=len(judged), as_json=as_json, empty="")


@app.command()
def replay(event: Event, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Deliver an event again, to every destination that wants it now."""
    with api.calling(url, key) as client:
        made = client.events.replay(event).items
    words = ("id", "destination_id", "state", "due_at")
    api.tell_all(made, words, limit=len(made), as_json=as_json, empty="")


app.command()(republish)


def _said(entry: TimelineEntry) -> str:
    """Return a line about one thing that happened."""
    words = [entry.destination_id, entry.detail]
    if (attempt := entry.attempt) is not None:
        outcome = attempt.error if attempt.status is None else str(attempt.status)
        words += [f"#{attempt.number}", outcome, f"{attempt.duration_ms} ms"]
    return " ".join(word for word in words if word)


def _tell(found: LiveEvent, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    moment = found.received_at.astimezone().strftime("%H:%M:%S")
    words = f"{moment}  {found.id}  {found.event_type or '-'}  {found.status}  {found.size} B"
    api.plain.print(words)
    if found.payload is not None or found.payload_base64 is not None:
        api.plain.print(found.payload if found.payload is not None else found.payload_base64)
