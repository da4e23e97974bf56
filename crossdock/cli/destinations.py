"""`crossdock destinations`: where a tenant's events go, through the API."""

from typing import Annotated, Final, Literal

import typer

from crossdock.cli import api
from crossdock.cli import destination_options as options
from crossdock.cli.api import HERE, Count, Json, Key, Url
from crossdock.cli.options import print_json

app = typer.Typer(no_args_is_help=True, help="Make destinations, switch them, see how they do.")

_COLUMNS: Final = ("id", "name", "kind", "url", "state", "disabled_reason", "failing_since")
_INBOX: Final = ("id", "received_at", "event_id", "outcome", "headers", "body")
_TRIED: Final = (
    "event_id",
    "event_type",
    "wanted",
    "why_not",
    "filter_error",
    "transformed",
    "transformed_away",
    "failure",
)
_HOURS: Final = ("hour", "delivered", "failed", "dead", "p50_ms", "p95_ms", "p99_ms")

Destination = Annotated[str, typer.Argument(metavar="DST", help="`dst_…`.")]


@app.command("list")
def list_destinations(
    url: Url = HERE, key: Key = "", limit: Count = 100, as_json: Json = False
) -> None:
    """List destinations, newest first."""
    with api.calling(url, key) as client:
        found = client.destinations.list(limit=min(limit, 100))
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def show(destination: Destination, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show a destination; its secrets are never shown."""
    with api.calling(url, key) as client:
        api.tell(client.destinations.get(destination), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people to read.")],
    to: options.Address = None,
    kind: Annotated[
        Literal["http", "nats", "inbox", "storage"], typer.Option(help="How events get there.")
    ] = "http",
    settings: options.Settings = None,
    source: options.Sources = None,
    event_type: options.Types = None,
    condition: options.Filter = None,
    transform: options.Transform = None,
    header: options.Headers = None,
    auth: options.Auth = None,
    signing: Annotated[
        Literal["hmac", "ed25519"], typer.Option(help="A shared secret, or a pair of keys.")
    ] = "hmac",
    rate: options.Rate = None,
    concurrency: options.Concurrency = None,
    order_by: options.OrderBy = None,
    hold: options.Hold = None,
    timeout: options.Timeout = None,
    retry: options.Retry = None,
    breaker: options.Breaker = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make a destination. Its signing secret is shown this once."""
    body = options.body(
        url=to,
        settings=settings,
        source_ids=source,
        event_types=event_type,
        filter=condition,
        transform=transform,
        headers=header,
        auth=auth,
        rate=rate,
        concurrency=concurrency,
        order_by=order_by,
        hold=hold,
        timeout_s=timeout,
        retry=retry,
        breaker=breaker,
    )
    with api.calling(url, key) as client:
        made = client.destinations.create(name=name, kind=kind, signing=signing, **body)
        api.tell(made, as_json=as_json)


@app.command()
def change(
    destination: Destination,
    name: Annotated[str | None, typer.Option(help="For people to read.")] = None,
    to: options.Address = None,
    settings: options.Settings = None,
    source: options.Sources = None,
    event_type: options.Types = None,
    condition: options.Filter = None,
    transform: options.Transform = None,
    header: options.Headers = None,
    auth: options.Auth = None,
    rate: options.Rate = None,
    concurrency: options.Concurrency = None,
    order_by: options.OrderBy = None,
    hold: options.Hold = None,
    timeout: options.Timeout = None,
    retry: options.Retry = None,
    breaker: options.Breaker = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Change a destination; what is not named stays. An empty value (`--filter ''`) takes away.

    A list replaces the one before; a header is set, or with `NAME=` removed.
    """
    body = options.body(
        name=name,
        url=to,
        settings=settings,
        source_ids=source,
        event_types=event_type,
        filter=condition,
        transform=transform,
        headers=header,
        auth=auth,
        rate=rate,
        concurrency=concurrency,
        order_by=order_by,
        hold=hold,
        timeout_s=timeout,
        retry=retry,
        breaker=breaker,
    )
    with api.calling(url, key) as client:
        api.tell(client.destinations.patch(destination, **body), as_json=as_json)


@app.command()
def rotate(
    destination: Destination,
    overlap: Annotated[
        int, typer.Option(min=0, max=604_800, help="Seconds for which the old ones sign too.")
    ] = 86_400,
    signing: Annotated[
        Literal["hmac", "ed25519"] | None,
        typer.Option(help="Sign this way from now on; needs `--overlap 0`."),
    ] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make a new signing secret the current one."""
    given = api.given(signing=signing)
    with api.calling(url, key) as client:
        made = client.destinations.rotate_secret(destination, overlap_s=overlap, **given)
        api.tell(made, as_json=as_json)


@app.command()
def disable(
    destination: Destination, url: Url = HERE, key: Key = "", as_json: Json = False
) -> None:
    """Stop delivering there; what comes meanwhile can be replayed."""
    with api.calling(url, key) as client:
        api.tell(client.destinations.disable(destination), as_json=as_json)


@app.command()
def enable(
    destination: Destination,
    replay_missed: Annotated[
        bool, typer.Option("--replay-missed", help="And deliver what came while it was disabled.")
    ] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Deliver there again.

    With `--replay-missed` JSON has two members, `destination` and `replay`; that is null if it was
    never disabled.
    """
    with api.calling(url, key) as client:
        enabled, replay = client.destinations.enable(destination), None
        if replay_missed and enabled.disabled_at is not None:
            replay = client.replays.create(destination_id=destination, state="missed")
    if replay_missed and as_json:
        print_json({"destination": enabled, "replay": replay})
        return
    api.tell(enabled, as_json=as_json)
    if replay is not None:
        typer.echo(f"{replay.id} replays what it missed; see `crossdock replays watch`.")
    elif replay_missed:
        typer.echo("It was never disabled, and missed nothing.")


@app.command()
def delete(
    destination: Destination,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = HERE,
    key: Key = "",
) -> None:
    """Delete a destination; what is on its way there is cancelled."""
    if not yes:
        typer.confirm(f"Delete {destination}?", abort=True)
    with api.calling(url, key) as client:
        client.destinations.delete(destination)


@app.command()
def health(destination: Destination, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show whether its breaker lets calls through, and what waits."""
    with api.calling(url, key) as client:
        api.tell(client.destinations.get_health(destination), as_json=as_json)


@app.command()
def stats(
    destination: Destination,
    hours: Annotated[int, typer.Option(min=1, max=168, help="Of the last hours.")] = 24,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Show what came of attempts, and how long they took, by hour."""
    with api.calling(url, key) as client:
        found = client.destinations.get_stats(destination, hours=hours)
    if as_json:
        print_json(found)
        return
    total, backlog = found.total, found.backlog
    api.tell(total, as_json=False)
    api.tell(backlog, as_json=False)
    busy = [hour for hour in found.hours if hour.delivered or hour.failed or hour.dead]
    api.tell_all(busy, _HOURS, limit=len(busy), as_json=False, empty="No attempt was made.")


@app.command("try")
def dry_run(
    destination: Annotated[
        str | None, typer.Argument(metavar="DST", help="Whose filter and script, unless given.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(metavar="EVT", help="Stored events to try it on.")
    ] = None,
    newest: Annotated[int, typer.Option(min=1, max=100, help="Or so many of the newest.")] = 10,
    event_type: Annotated[
        str | None, typer.Option("--type", help="Of the newest, only those of this type.")
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help='Or this: {"event_type": "a.b", "payload": {…}}; `-` to read.'
        ),
    ] = None,
    condition: options.Filter = None,
    transform: options.Transform = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Try a filter and a transformation on events; nothing is sent.

    Exits with 1 where a filter could not be judged, or a script failed.
    """
    body = options.body(filter=condition, transform=transform)
    body |= api.given(destination_id=destination)
    if sample is not None:
        body["sample"] = api.read_json(sample, "The sample")
    elif event:
        body["event_ids"] = event
    else:
        body["newest"] = api.given(limit=newest, event_type=event_type)
    with api.calling(url, key) as client:
        found = client.routing.dry_run(**body)
    if as_json:
        print_json(found)
    else:
        items = found.items
        api.tell_all(items, _TRIED, limit=len(items), as_json=False, empty="There is no event.")
    if any(one.filter_error or one.failure for one in found.items):
        raise typer.Exit(1)


@app.command()
def inbox(
    destination: Destination,
    empty: Annotated[bool, typer.Option("--empty", help="Forget what came.")] = False,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List what came to an inbox, newest first."""
    with api.calling(url, key) as client:
        if empty:
            client.destinations.empty_inbox(destination)
            return
        found = client.destinations.list_inbox(destination, limit=min(limit, 100))
        api.tell_all(found, _INBOX, limit=limit, as_json=as_json, empty="Nothing came.")


@app.command()
def cancel_pending(
    destination: Destination,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Cancel all that waits for a destination."""
    if not yes:
        typer.confirm(f"Cancel all that waits for {destination}?", abort=True)
    cancelled, has_more = 0, True
    with api.calling(url, key) as client:
        while has_more:
            answer = client.destinations.cancel_pending(destination)
            cancelled, has_more = cancelled + answer.cancelled, answer.has_more
    if as_json:
        print_json({"cancelled": cancelled})
    else:
        typer.echo(f"{cancelled} cancelled")
