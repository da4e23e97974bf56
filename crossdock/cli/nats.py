"""`crossdock nats user`: who besides Crossdock may read EVENTS."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import bcrypt
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from crossdock.bus import Bus, connect
from crossdock.bus.readers import drop_reader, ensure_reader, readers
from crossdock.cli.options import Data, Json, print_json
from crossdock.config import LogSettings, NatsSettings
from crossdock.consumers import rules
from crossdock.consumers.model import ConsumerUser
from crossdock.embedded import EmbeddedNats
from crossdock.errors import ConfigurationError, Conflict, CrossdockError, Invalid, NotFound
from crossdock.supervisor.folder import find_settings, served_folder
from crossdock.telemetry import logs
from proto import subjects

T = TypeVar("T")

WAIT_S = 10.0
BCRYPT_ROUNDS = 10
"""The password is 192 random bits: nobody guesses it, however quick guessing is."""

_plain = Console(markup=False, emoji=False, soft_wrap=True)

app = typer.Typer(no_args_is_help=True, help="What concerns NATS.")
user = typer.Typer(no_args_is_help=True, help="Internal consumers: add, list and remove them.")
app.add_typer(user, name="user")

Name = Annotated[str, typer.Argument(help="Its name: a-z, 0-9 and hyphens.")]


@user.command()
def add(
    name: Name,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Whose events it reads, `ten_…`; may be repeated.")
    ] = None,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="It reads the events of all tenants.")
    ] = False,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="Only these types: a name, or a beginning such as `invoice.*`."
        ),
    ] = None,
    stream_only: Annotated[
        bool,
        typer.Option("--stream-only", help="It reads its durable consumer, and can't listen live."),
    ] = False,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Begin with the next event, not the oldest kept.")
    ] = False,
    nkey: Annotated[
        str | None,
        typer.Option(help="It signs in by this public nkey, `U…`, and not by a password."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Let an internal consumer read EVENTS, and nothing else. Its password is shown this once.

    Its durable consumer is made with it. Beside `crossdock up` it may sign in at once; of another
    NATS server this prints what belongs into its configuration.
    """
    rules.check_name(name)
    if bool(tenant) == all_tenants:
        raise Invalid("Say whose events it reads: by --tenant, or --all-tenants.")
    if nkey is not None:
        rules.check_nkey(nkey)
    settings, server = _broker(data)
    password = None if nkey is not None else secrets.token_urlsafe(24)
    made = ConsumerUser(
        name=name,
        subjects=rules.readable(tenant or [], type_ or []),
        live=not stream_only,
        password_hash="" if password is None else _hash(password),
        nkey=nkey or "",
        created_at=datetime.now(UTC),
    )
    if server is None:
        _run(settings, lambda bus: _enrol(bus, made, from_now=from_now))
    else:
        with server.users.locked():
            _add_to(server, settings, made, from_now=from_now)
    _tell_added(made, settings, password, is_embedded=server is not None, as_json=as_json)


@user.command("list")
def list_all(data: Data = None, as_json: Json = False) -> None:
    """List internal consumers: what they read, and how far they are behind."""
    settings, _ = _broker(data)
    found = _run(settings, readers)
    if as_json:
        print_json({"items": [msgspec.to_builtins(one) for one in found]})
        return
    table = Table("name", "reads", "waiting", "unacknowledged", box=None)
    for one in found:
        table.add_row(one.name, " ".join(one.subjects), str(one.waiting), str(one.unacknowledged))
    _plain.print(table)


@user.command()
def remove(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Remove an internal consumer: its user, its connections and its place in the stream."""
    rules.check_name(name)
    settings, server = _broker(data)
    known = False
    if server is not None:
        with server.users.locked():
            known = _remove_from(server, name)
    if not _run(settings, lambda bus: drop_reader(bus, name)) and not known:
        raise NotFound(f"There is no internal consumer {name}.")
    if as_json:
        print_json({"name": name, "removed": True})
    elif server is not None:
        print(f"{name} is gone.")
    else:
        print(
            f"The consumer {name} is gone. Its user is not: take the account CONSUMER_{name} and"
            " the exports to it out of the NATS server's configuration, and reload it."
        )


def _broker(data: Path | None) -> tuple[NatsSettings, EmbeddedNats | None]:
    """Return how to reach NATS, and the server itself where it is embedded."""
    logs.configure(LogSettings(level="warning", format="console"), "nats")
    folder = served_folder(data)
    if folder is None:
        return find_settings(data).nats, None
    server = EmbeddedNats(folder)
    if server.process is None:
        raise ConfigurationError(f"No NATS server runs in {folder}: start `crossdock up` first.")
    return server.settings(), server


def _add_to(
    server: EmbeddedNats, settings: NatsSettings, made: ConsumerUser, *, from_now: bool
) -> None:
    """Add a user to an embedded server: wholly, or not at all."""
    before = server.users.all()
    if any(one.name == made.name for one in before):
        raise Conflict(f"There is an internal consumer {made.name} already.")
    _run(settings, lambda bus: _enrol(bus, made, from_now=from_now))
    server.users.save([*before, made])
    try:
        server.reload()
    except CrossdockError:
        server.users.save(before)
        _run(settings, lambda bus: drop_reader(bus, made.name))
        raise


def _remove_from(server: EmbeddedNats, name: str) -> bool:
    before = server.users.all()
    left = [one for one in before if one.name != name]
    if len(left) == len(before):
        return False
    server.users.save(left)
    server.reload()
    return True


async def _enrol(bus: Bus, made: ConsumerUser, *, from_now: bool) -> None:
    """Make the durable consumer of a new user.

    Raises:
        Conflict: there is one of its name.
    """
    if any(one.name == made.name for one in await readers(bus)):
        raise Conflict(f"There is an internal consumer {made.name} already.")
    await ensure_reader(bus, made.name, made.subjects, from_now=from_now)


def _run(settings: NatsSettings, work: Callable[[Bus], Awaitable[T]]) -> T:
    return asyncio.run(_connected(settings, work))


async def _connected(settings: NatsSettings, work: Callable[[Bus], Awaitable[T]]) -> T:
    bus = await connect(settings, name="crossdock-nats", wait_s=WAIT_S)
    try:
        return await work(bus)
    finally:
        await bus.close()


def _hash(password: str) -> str:
    # The server knows a hash by its beginning, and of these letters `2a` is the oldest.
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_ROUNDS, prefix=b"2a")).decode()


def _tell_added(
    made: ConsumerUser,
    settings: NatsSettings,
    password: str | None,
    *,
    is_embedded: bool,
    as_json: bool,
) -> None:
    shown: dict[str, Any] = {
        "name": made.name,
        "url": settings.url,
        "password": password,
        "nkey": made.nkey or None,
        "stream": subjects.EVENTS_STREAM,
        "consumer": made.name,
        "api_prefix": rules.API,
        "subjects": list(made.subjects),
    }
    if as_json:
        print_json(
            shown
            if is_embedded
            else shown | {"exports": rules.exports([made]), "account": rules.account(made)}
        )
        return
    for label, value in shown.items():
        if value is not None:
            said = " ".join(value) if isinstance(value, list) else value
            print(f"{label:<11} {said}")
    if password is not None:
        print("\nThe password is shown this once.")
    if not is_embedded:
        print(
            f"""
Into the NATS server's configuration, under `exports: [ … ]` of the account that Crossdock uses
(where that is not called {rules.OURS}, put its name in place of it below):

{rules.exports([made])}

and beside that account, under `accounts {{ … }}`:

{rules.account(made)}

Then reload it, twice: `nats-server --signal reload`. It is the second time that lets a new
account's imports find the streams."""
        )
