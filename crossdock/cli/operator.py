"""`crossdock operator`: the people who run the installation, from the first one on."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from crossdock import ids
from crossdock.access.invitations.service import Invitations
from crossdock.access.operators import Operators
from crossdock.access.users.model import User
from crossdock.cli.options import Data, Json, print_json
from crossdock.cli.tenant import ID_WIDTH
from crossdock.config import DatabaseRole, LogSettings, Settings
from crossdock.db import Databases
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.passwords import PasswordPolicy
from crossdock.identity.throttle import Throttle
from crossdock.mail.letters import Letters
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer
from crossdock.supervisor.folder import find_settings
from crossdock.telemetry import logs
from crossdock.tenancy.rules import PLATFORM

T = TypeVar("T")
OperatorRole = Literal["platform-admin", "platform-support"]

ROLES: Final[frozenset[DatabaseRole]] = frozenset({"app", "control", "operator"})
PASSWORD: Final = "CROSSDOCK_OPERATOR_PASSWORD"  # noqa: S105 - the name of a variable

_plain: Final = Console(markup=False, emoji=False)
"""Names are what people chose: what looks like markup in them is not to be obeyed."""

app = typer.Typer(no_args_is_help=True, help="Make, list and disable operators.")

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address to sign in with.")]


@app.command()
def create(
    email: Email,
    role: Annotated[
        OperatorRole, typer.Option(help="An admin does everything; support looks, and helps.")
    ],
    name: Annotated[str | None, typer.Option(help="For people to read.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read a password, and invite nobody.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Invite an operator: a letter is sent, and its token is shown here this once.

    With a password, from standard input or CROSSDOCK_OPERATOR_PASSWORD, they can sign in at once.
    """
    settings = find_settings(data)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else os.environ.get(PASSWORD)
    if password is None:
        _invite(settings, email, role, as_json=as_json)
        return

    async def work(database: Databases) -> User:
        hasher = PasswordHasher.from_settings(settings.identity)
        try:
            return await Operators(database).create(
                email,
                role,
                password,
                name=name or email.partition("@")[0],
                hasher=hasher,
                policy=PasswordPolicy(settings.identity.breached_passwords),
                by=_me(),
            )
        finally:
            await hasher.close()

    _tell(_shown(_run(settings, work)), as_json=as_json)


@app.command("list")
def list_operators(data: Data = None, as_json: Json = False) -> None:
    """List all operators, newest first."""
    found = _run(find_settings(data), lambda database: Operators(database).all())
    if as_json:
        print_json({"items": [_shown(user) for user in found]})
        return
    first = Column("id", no_wrap=True, min_width=ID_WIDTH)
    table = Table(first, "email", "name", "roles", "state", "last login", box=None)
    for user in found:
        shown = _shown(user)
        table.add_row(
            shown["id"],
            user.email,
            user.name,
            ", ".join(user.roles),
            user.state,
            shown["last_login_at"] or "",
        )
    _plain.print(table)


@app.command()
def disable(email: Email, data: Data = None, as_json: Json = False) -> None:
    """Let an operator do nothing any more: sessions, tokens and keys stop within a second."""
    found = _run(find_settings(data), lambda database: Operators(database).disable(email, by=_me()))
    _tell(_shown(found), as_json=as_json)


def _invite(settings: Settings, email: str, role: str, *, as_json: bool) -> None:
    sealer = Sealer.from_text(settings.keys.mail, setting="CROSSDOCK_KEYS__MAIL")

    async def work(database: Databases) -> dict[str, Any]:
        invitations = Invitations(
            database,
            Postbox(sealer),
            Letters(settings.gateway.public_url),
            Throttle(database),
            environment=settings.environment,
            ttl_s=settings.identity.invitation_ttl_s,
        )
        made, token = await invitations.invite_by_hand(PLATFORM, email, [role])
        return {
            "invitation_id": ids.encode("inv", made.id),
            "email": made.email,
            "roles": list(made.roles),
            "token": token,
            "expires_at": made.expires_at.isoformat(timespec="seconds"),
        }

    shown = _run(settings, work)
    _tell(shown, as_json=as_json)
    if not as_json:
        print("\nThe token is good once: POST it to /v1/invitations/accept with a name and a")
        print("password. A letter says the same.")


def _run(settings: Settings, work: Callable[[Databases], Awaitable[T]]) -> T:
    logs.configure(LogSettings(level="error", format="console"), "operator")
    return asyncio.run(_with_database(settings, work))


async def _with_database(settings: Settings, work: Callable[[Databases], Awaitable[T]]) -> T:
    database = await Databases.open(settings.database, ROLES)
    try:
        return await work(database)
    finally:
        await database.close()


def _me() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return None


def _shown(user: User) -> dict[str, Any]:
    last = user.last_login_at
    return {
        "id": ids.encode("usr", user.id),
        "email": user.email,
        "name": user.name,
        "roles": list(user.roles),
        "state": user.state,
        "created_at": user.created_at.isoformat(timespec="seconds"),
        "last_login_at": None if last is None else last.isoformat(timespec="seconds"),
    }


def _tell(shown: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        if value not in (None, []):
            print(f"{name:<13} {', '.join(value) if isinstance(value, list) else value}")
