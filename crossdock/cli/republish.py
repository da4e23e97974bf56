"""`crossdock events republish`: what is stored, announced to internal consumers again."""

import asyncio
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crossdock import ids
from crossdock.bus.publisher import Publisher
from crossdock.cli.api import moment
from crossdock.cli.options import Data, Json
from crossdock.config import LogSettings, Settings
from crossdock.db import Databases
from crossdock.delivery.rules import check_types
from crossdock.errors import (
    BrokerUnavailable,
    ConfigurationError,
    CrossdockError,
    NotAnId,
    NotFound,
)
from crossdock.republish.model import Amount, Position, Wanted
from crossdock.republish.service import Republisher, all_tenants
from crossdock.supervisor.folder import find_settings
from crossdock.telemetry import logs

CONNECT_S: Final = 10.0
MIB: Final = 1024**2
FULL: Final = 0.5
"""Of what EVENTS may hold: more than that drives out what consumers have not read yet."""


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says."""

    tenant_id: UUID | None
    first_tenant: UUID | None
    wanted: Wanted
    after: UUID | None
    rate: int
    data: Path | None


class _Outcome(msgspec.Struct):
    """How it went, be it to the end or not."""

    found: Amount = Amount()
    done: Amount = Amount()
    left_out: int = 0
    position: Position | None = None


def republish(
    tenant: Annotated[str | None, typer.Option(help="Whose, `ten_…`.")] = None,
    all_of_them: Annotated[
        bool, typer.Option("--all-tenants", help="Those of all tenants, one after the other.")
    ] = False,
    source: Annotated[str | None, typer.Option(help="Only of this source, `src_…`.")] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only of this type; `*` stands for any text. Repeatable."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Received since: `15m`, `2h`, `3d`, or 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Received before this moment; now unless given.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Go on behind this event, `evt_…`, of the first tenant.")
    ] = None,
    from_tenant: Annotated[
        str | None, typer.Option(help="With --all-tenants, go on with this one, `ten_…`.")
    ] = None,
    rate: Annotated[int, typer.Option(min=1, max=20_000, help="Events a second, at most.")] = 500,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Announce stored events on EVENTS again, for internal consumers that fell behind.

    They are the same CloudEvents, with the same `ce-id`, and say `crossdock-republished: true`.
    Every consumer of their subjects gets them and must know what it has done already. What is
    quarantined, held or dropped stays so.
    """
    if (tenant is not None) == all_of_them:
        raise ConfigurationError("Say whose events: by --tenant, or --all-tenants.")
    if from_tenant is not None and not all_of_them:
        raise ConfigurationError("--from-tenant goes with --all-tenants.")
    if wrong := check_types(type_ or []):
        raise ConfigurationError(wrong[0].detail)
    asked = _Asked(
        tenant_id=_id("--tenant", "ten", tenant),
        first_tenant=_id("--from-tenant", "ten", from_tenant),
        wanted=Wanted(
            source_id=_id("--source", "src", source),
            event_types=tuple(type_ or ()),
            since=moment(since),
            until=moment(until) or datetime.now(UTC),
        ),
        after=_id("--after", "evt", after),
        rate=rate,
        data=data,
    )
    settings = find_settings(data)
    logs.configure(LogSettings(level="error", format="console"), "events")
    outcome = _Outcome()
    try:
        asyncio.run(_work(settings, asked, outcome, dry_run=dry_run, quiet=as_json))
    except (CrossdockError, KeyboardInterrupt):
        if not outcome.found.events:
            raise
        _tell(outcome, asked, as_json=as_json)
        print(f"\nTo go on: {_going_on(asked, outcome.position)}", file=sys.stderr)
        raise
    _tell(outcome, asked, as_json=as_json, dry_run=dry_run)


async def _work(
    settings: Settings, asked: _Asked, outcome: _Outcome, *, dry_run: bool, quiet: bool
) -> None:
    databases = await Databases.open(settings.database, {"app", "control"})
    publisher = Publisher(settings.nats)
    bar = _bar(quiet=quiet or dry_run)
    task = bar.add_task("events", total=None)
    work = Republisher(
        databases,
        publisher,
        most=settings.gateway.inline_body_bytes,
        per_second=asked.rate,
        told=lambda events: bar.advance(task, events),
    )
    try:
        tenants = (
            [asked.tenant_id]
            if asked.tenant_id is not None
            else await all_tenants(databases, asked.first_tenant)
        )
        try:
            outcome.found = await work.count(tenants, asked.wanted, asked.after)
        except NotFound as error:
            raise NotFound("There is no such tenant.") from error
        if dry_run:
            return
        if outcome.found.bytes > settings.nats.events_max_bytes * FULL:
            print(
                "EVENTS may not hold so much beside what is new: its oldest goes, read or not."
                " Take a part at a time, by --until.",
                file=sys.stderr,
            )
        bar.update(task, total=outcome.found.events)
        await _connected(publisher)
        with bar:
            await work.republish(tenants, asked.wanted, asked.after)
    finally:
        outcome.done, outcome.left_out, outcome.position = work.done, work.left_out, work.position
        await publisher.close()
        await databases.close()


async def _connected(publisher: Publisher) -> None:
    try:
        async with asyncio.timeout(CONNECT_S):
            await publisher.wait_connected()
    except TimeoutError as error:
        raise BrokerUnavailable("NATS is away.") from error


def _bar(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
    )


def _tell(outcome: _Outcome, asked: _Asked, *, as_json: bool, dry_run: bool = False) -> None:
    last = outcome.position
    if as_json:
        said: dict[str, Any] = {
            "found": outcome.found.events,
            "bytes": outcome.found.bytes,
            "republished": outcome.done.events,
            "left_out": outcome.left_out,
            "tenant": None if last is None else ids.encode("ten", last.tenant_id),
            "after": None if last is None else ids.encode("evt", last.event_id),
            "until": asked.wanted.until.isoformat(),
        }
        print(msgspec.json.encode(said).decode())
    elif dry_run:
        print(
            f"{outcome.found.events} events, {outcome.found.bytes / MIB:.1f} MiB in messages,"
            f" {outcome.found.events / asked.rate:.0f} s at {asked.rate} a second."
        )
    else:
        left = f" {outcome.left_out} fit into no message." if outcome.left_out else ""
        print(f"{outcome.done.events} of {outcome.found.events} events announced again.{left}")


def _going_on(asked: _Asked, position: Position | None) -> str:
    """Return the command that goes on where this one ended."""
    words = ["crossdock", "events", "republish"]
    if asked.tenant_id is None:
        first = asked.first_tenant if position is None else position.tenant_id
        words.append("--all-tenants")
        words += [] if first is None else ["--from-tenant", ids.encode("ten", first)]
    else:
        words += ["--tenant", ids.encode("ten", asked.tenant_id)]
    wanted = asked.wanted
    if wanted.source_id is not None:
        words += ["--source", ids.encode("src", wanted.source_id)]
    for one in wanted.event_types:
        words += ["--type", one]
    if wanted.since is not None:
        words += ["--since", wanted.since.isoformat()]
    words += ["--until", wanted.until.isoformat(), "--rate", str(asked.rate)]
    after = asked.after if position is None else position.event_id
    words += [] if after is None else ["--after", ids.encode("evt", after)]
    words += [] if asked.data is None else ["--data", str(asked.data)]
    return shlex.join(words)


def _id(option: str, kind: ids.Kind, text: str | None) -> UUID | None:
    try:
        return None if text is None else ids.decode(kind, text)
    except NotAnId as error:
        raise ConfigurationError(f"{option} is an id such as {kind}_…, not {text!r}.") from error
