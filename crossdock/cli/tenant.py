"""`crossdock tenant`: the operator's work on tenants."""

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from crossdock import ids
from crossdock.access.model import NewApiKey
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.cli.options import Data, Json, print_json
from crossdock.config import DatabaseRole, LogSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import Invalid
from crossdock.supervisor.folder import DEFAULT, find_settings, names_servers
from crossdock.telemetry import logs
from crossdock.tenancy.model import By, Listed, Tenant, Usage
from crossdock.tenancy.rules import GRACE_DAYS
from crossdock.tenancy.service import Tenants
from crossdock.tenancy.tiers import set_tier

T = TypeVar("T")

ROLES: Final[frozenset[DatabaseRole]] = frozenset({"app", "control", "operator", "directory"})

ID_WIDTH: Final = 30
"""Whatever else is cut short: an id is there to be copied."""

_COLUMNS: Final = ("id", "slug", "name", "state", "plan", "shard", "tier")

_plain: Final = Console(markup=False, emoji=False)
"""Names are what people chose: what looks like markup in them is not to be obeyed."""

app = typer.Typer(no_args_is_help=True, help="Make tenants, look at them, and rule their lives.")
key = typer.Typer(no_args_is_help=True, help="API keys of a tenant.")
app.add_typer(key, name="key")

Reference = Annotated[str, typer.Argument(metavar="TENANT", help="Its slug or its id, `ten_…`.")]
Reason = Annotated[str, typer.Option(help="Why; the tenant's people read it in their audit.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people to read.")],
    slug: Annotated[
        str | None, typer.Option(help="Unique short name; made from NAME unless given.")
    ] = None,
    plan: Annotated[str, typer.Option(help="What it may have.")] = "standard",
    shard: Annotated[
        int | None, typer.Option(help="Where it will live; the one with the fewest unless given.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a tenant and a key that may do everything for it. The key is shown this once."""

    async def work(tenants: Tenants, api_keys: ApiKeys) -> tuple[Tenant, NewApiKey]:
        tenant = await tenants.create(name, slug, plan=plan, shard=shard, by=_by())
        return tenant, await _new_key(api_keys, tenant, "first key", PERMISSIONS)

    tenant, made = _run(data, work)
    if as_json:
        print_json(_shown(tenant) | _shown_key(made))
        return
    print(f"Tenant   {ids.encode('ten', tenant.id)}  ({tenant.slug})")
    print(f"API key  {made.text}")
    print("\nThe key is kept nowhere and not shown again. Use it as `Authorization: Bearer …`.")


@app.command("list")
def list_tenants(data: Data = None, as_json: Json = False) -> None:
    """List all tenants, newest first; of a shard that is away, what is known without it."""

    async def work(tenants: Tenants, _: ApiKeys) -> list[Listed]:
        return list(await tenants.all())

    found = _run(data, work)
    if as_json:
        print_json({"items": [_listed(one) for one in found]})
        return
    table = Table(Column("id", no_wrap=True, min_width=ID_WIDTH), *_COLUMNS[1:], box=None)
    for one in found:
        shown = _listed(one)
        table.add_row(*("" if shown[name] is None else str(shown[name]) for name in _COLUMNS))
    _plain.print(table)


@app.command()
def show(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Show a tenant."""
    found = _run(data, lambda tenants, _: tenants.see(reference))
    _tell(_listed(found), as_json=as_json)


@app.command()
def suspend(
    reference: Reference,
    reason: Reason = "Suspended by an operator.",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Refuse a tenant's webhooks, writes and access tokens; its keys can still read."""
    changed = _run(data, lambda tenants, _: tenants.suspend(reference, reason=reason, by=_by()))
    _tell(_shown(changed), as_json=as_json)


@app.command()
def resume(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Take a tenant's webhooks and writes again; one that is terminating is kept."""
    changed = _run(data, lambda tenants, _: tenants.resume(reference, by=_by()))
    _tell(_shown(changed), as_json=as_json)


@app.command()
def terminate(
    reference: Reference,
    reason: Reason = "Terminated by an operator.",
    grace_days: Annotated[
        int,
        typer.Option(min=0, max=365, help="How long its data stays; [bold]resume[/bold] keeps it."),
    ] = GRACE_DAYS,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """End a tenant: it stops now, and all of its data is erased after the grace."""
    if not yes:
        typer.confirm(f"End {reference} now, and erase its data in {grace_days} days?", abort=True)
    changed = _run(
        data,
        lambda tenants, _: tenants.terminate(
            reference, reason=reason, grace_days=grace_days, by=_by()
        ),
    )
    _tell(_shown(changed), as_json=as_json)


@app.command()
def quota(
    reference: Reference,
    plan: Annotated[str | None, typer.Option(help="free, standard, business or unlimited.")] = None,
    exceptions: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="QUOTA=N", help="A limit of its own, as `sources=50`."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="QUOTA", help="Go back to the plan's limit.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give a tenant another plan, or limits of its own; without either, show what it has."""
    wanted = _limits(exceptions or ()) | dict.fromkeys(unset or ())
    if plan is None and not wanted:
        usage(reference, data, as_json)
        return
    changed = _run(
        data,
        lambda tenants, _: tenants.set_quota(reference, plan=plan, quotas=wanted, by=_by()),
    )
    _tell(_shown(changed), as_json=as_json)


@app.command()
def usage(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Show what a tenant uses of what it may."""
    found: Usage = _run(data, lambda tenants, _: tenants.usage(reference))
    if as_json:
        plain = msgspec.to_builtins(found)
        plain["usage"] = plain.pop("shares")
        print_json(plain)
        return
    table = Table("quota", "used", "limit", "%", title=f"{found.plan}, {found.day} (UTC)", box=None)
    for name, share in found.shares.items():
        shown = ("" if value is None else str(value) for value in msgspec.structs.astuple(share))
        table.add_row(name, *shown)
    _plain.print(table)
    if found.blocked_until is not None:
        print(f"Webhooks are refused until {found.blocked_until.isoformat(timespec='seconds')}.")


@app.command()
def tier(
    reference: Reference,
    wanted: Annotated[str, typer.Argument(metavar="TIER", help="shared or dedicated.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give a tenant a database role and connections of its own, or have it share them again.

    Needs an administrator of the database: CROSSDOCK_DATABASE__ADMIN_URL.
    """
    settings = find_settings(data)
    admin_url = settings.database.admin_url
    if admin_url is None and not (data is None and names_servers(os.environ)):
        admin_url = EmbeddedPostgres(data or DEFAULT).admin_url()

    async def work(database: Databases) -> Listed:
        return await set_tier(database, admin_url, reference, wanted, by=_by())

    _tell(_listed(asyncio.run(_with_database(settings, work))), as_json=as_json)


@key.command("create")
def create_key(
    reference: Reference,
    name: Annotated[str, typer.Option(help="For people to read.")] = "operator's key",
    permission: Annotated[
        list[str] | None,
        typer.Option(help="What it may do, as `resource:action`; everything unless given."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make another key for a tenant, for example when all others are lost."""

    async def work(tenants: Tenants, api_keys: ApiKeys) -> NewApiKey:
        tenant = await tenants.find(reference)
        return await _new_key(api_keys, tenant, name, frozenset(permission or PERMISSIONS))

    made = _run(data, work)
    if as_json:
        print_json(_shown_key(made))
    else:
        print(made.text)


async def _new_key(
    api_keys: ApiKeys, tenant: Tenant, name: str, permissions: frozenset[str]
) -> NewApiKey:
    """Make a key as the operator, who holds every permission."""
    return await api_keys.create(tenant.id, name=name, permissions=permissions, held=PERMISSIONS)


def _limits(exceptions: list[str] | tuple[()]) -> dict[str, int | None]:
    """Return limits written as `QUOTA=N`."""
    found: dict[str, int | None] = {}
    for text in exceptions:
        name, _, limit = text.partition("=")
        if not limit.isdecimal():
            raise Invalid(f"{text!r}: write a limit as QUOTA=N, for example sources=50.")
        found[name] = int(limit)
    return found


def _by() -> By:
    """Return who works here: whoever may run commands beside the servers."""
    try:
        return By(name=getpass.getuser())
    except (OSError, KeyError):  # a user without a name
        return By(name="command line")


def _run(data: Path | None, work: Callable[[Tenants, ApiKeys], Awaitable[T]]) -> T:
    settings = find_settings(data)

    async def with_services(database: Databases) -> T:
        tenants = Tenants(database, retention_days=settings.worker.retention_days)
        return await work(tenants, ApiKeys(database, environment=settings.environment))

    return asyncio.run(_with_database(settings, with_services))


async def _with_database(settings: Settings, work: Callable[[Databases], Awaitable[T]]) -> T:
    logs.configure(LogSettings(level="error", format="console"), "tenant")
    database = await Databases.open(settings.database, ROLES)
    try:
        return await work(database)
    finally:
        await database.close()


def _tell(shown: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        if value not in (None, {}):
            print(f"{name:<13} {value}")


def _shown(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": ids.encode("ten", tenant.id),
        "slug": tenant.slug,
        "name": tenant.name,
        "state": tenant.state,
        "shard": tenant.shard,
        "plan": tenant.plan,
        "quotas": tenant.quotas,
        "reason": tenant.reason,
        "terminate_at": _moment(tenant.terminate_at),
        "blocked_until": _moment(tenant.blocked_until),
        "created_at": _moment(tenant.created_at),
    }


def _listed(one: Listed) -> dict[str, Any]:
    place, tenant = one.placement, one.tenant
    known = {} if tenant is None else _shown(tenant)
    return {
        "id": ids.encode("ten", one.id),
        "slug": place.slug,
        "name": place.name,
        "state": one.state,
        "shard": place.shard,
        "tier": place.tier,
        "plan": None,
        **known,
    }


def _moment(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat(timespec="seconds"))


def _shown_key(made: NewApiKey) -> dict[str, Any]:
    return {"api_key_id": ids.encode("key", made.key.id), "api_key": made.text}
