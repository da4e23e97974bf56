"""`crossdock tenant`: the operator's work on tenants."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from crossdock import ids
from crossdock.access.model import NewApiKey
from crossdock.access.rules import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.config import Settings
from crossdock.db import Database
from crossdock.supervisor.folder import find_settings
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.service import Tenants

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Make, list, suspend and resume tenants.")
key = typer.Typer(no_args_is_help=True, help="API keys of a tenant.")
app.add_typer(key, name="key")

Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the `crossdock up` to work on; else settings come from the environment."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
Reference = Annotated[str, typer.Argument(metavar="TENANT", help="Its slug or its id, `ten_…`.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people to read.")],
    slug: Annotated[
        str | None, typer.Option(help="Unique short name; made from NAME unless given.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a tenant and a key that may do everything for it. The key is shown this once."""

    async def work(tenants: Tenants, api_keys: ApiKeys) -> tuple[Tenant, NewApiKey]:
        tenant = await tenants.create(name, slug)
        return tenant, await _new_key(api_keys, tenant, "first key", PERMISSIONS)

    tenant, made = _run(data, work)
    if as_json:
        _print_json(_shown(tenant) | _shown_key(made))
        return
    print(f"Tenant   {ids.encode('ten', tenant.id)}  ({tenant.slug})")
    print(f"API key  {made.text}")
    print("\nThe key is kept nowhere and not shown again. Use it as `Authorization: Bearer …`.")


@app.command("list")
def list_tenants(data: Data = None, as_json: Json = False) -> None:
    """List all tenants, newest first."""

    async def work(tenants: Tenants, _: ApiKeys) -> list[Tenant]:
        return list(await tenants.all())

    found = _run(data, work)
    if as_json:
        _print_json({"items": [_shown(tenant) for tenant in found]})
        return
    for tenant in found:
        print(f"{ids.encode('ten', tenant.id)}  {tenant.state:<11}  {tenant.slug}  {tenant.name}")


@app.command()
def show(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Show a tenant."""
    _tell(_run(data, lambda tenants, _: tenants.find(reference)), as_json=as_json)


@app.command()
def suspend(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Refuse a tenant's webhooks and writes; it can still read."""
    _tell(_run(data, lambda tenants, _: tenants.switch(reference, "suspended")), as_json=as_json)


@app.command()
def resume(reference: Reference, data: Data = None, as_json: Json = False) -> None:
    """Take a suspended tenant's webhooks and writes again."""
    _tell(_run(data, lambda tenants, _: tenants.switch(reference, "active")), as_json=as_json)


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
        _print_json(_shown_key(made))
    else:
        print(made.text)


async def _new_key(
    api_keys: ApiKeys, tenant: Tenant, name: str, permissions: frozenset[str]
) -> NewApiKey:
    """Make a key as the operator, who holds every permission."""
    return await api_keys.create(tenant.id, name=name, permissions=permissions, held=PERMISSIONS)


def _run(data: Path | None, work: Callable[[Tenants, ApiKeys], Awaitable[T]]) -> T:
    return asyncio.run(_with_services(find_settings(data), work))


async def _with_services(settings: Settings, work: Callable[[Tenants, ApiKeys], Awaitable[T]]) -> T:
    database = await Database.open(settings.database, {"app", "maintenance"})
    try:
        tenants = Tenants(database, shard=settings.shard)
        return await work(tenants, ApiKeys(database, environment=settings.environment))
    finally:
        await database.close()


def _tell(tenant: Tenant, *, as_json: bool) -> None:
    shown = _shown(tenant)
    if as_json:
        _print_json(shown)
    else:
        for name, value in shown.items():
            print(f"{name:<11} {value}")


def _shown(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": ids.encode("ten", tenant.id),
        "slug": tenant.slug,
        "name": tenant.name,
        "state": tenant.state,
        "created_at": tenant.created_at.isoformat(timespec="seconds"),
    }


def _shown_key(made: NewApiKey) -> dict[str, Any]:
    return {"api_key_id": ids.encode("key", made.key.id), "api_key": made.text}


def _print_json(value: dict[str, Any]) -> None:
    print(msgspec.json.encode(value).decode())
