"""Tenants: made, found, suspended and resumed, by the service and by the command line."""

import asyncio
import subprocess
import sys
from typing import Any

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.access.authentication import Authenticator
from crossdock.access.permissions import PERMISSIONS
from crossdock.db import Databases
from crossdock.errors import Conflict, Invalid, NotFound
from crossdock.supervisor.environment import environment
from crossdock.tenancy.own import OwnTenant
from crossdock.tenancy.service import Tenants


def fresh() -> str:
    return f"t-{ids.new().hex}"


async def test_a_tenant_is_found_by_slug_and_by_id(tenants: Tenants, database: Databases) -> None:
    name = fresh()
    made = await tenants.create(name)
    assert (made.slug, made.state, made.version) == (name, "active", 1)
    assert await tenants.find(name) == made
    assert await tenants.find(ids.encode("ten", made.id)) == made
    assert await OwnTenant(database).get(made.id) == made
    assert made in [one.tenant for one in await tenants.all()]
    for reference in ("nobody", ids.encode("ten", ids.new()), "", "ten_"):
        with pytest.raises(NotFound):
            await tenants.find(reference)


async def test_a_slug_is_taken_once(tenants: Tenants) -> None:
    slug = fresh()
    outcomes = await asyncio.gather(
        *(tenants.create("Same", slug) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4


@pytest.mark.parametrize(("name", "slug"), [("", None), ("東京", None), ("x", "A B"), ("a\0", "a")])
async def test_a_bad_name_is_refused(tenants: Tenants, name: str, slug: str | None) -> None:
    with pytest.raises(Invalid):
        await tenants.create(name, slug)


async def test_a_state_reaches_the_gateways_with_its_version(
    tenants: Tenants, admin: asyncpg.Connection
) -> None:
    made = await tenants.create(fresh())

    async def told() -> int:
        query = "SELECT count(*) FROM crossdock.outbox WHERE topic = 'tenant' AND key = $1"
        found: int = await admin.fetchval(query, str(made.id))
        return found

    suspended = await tenants.switch(made.slug, "suspended")
    assert (suspended.state, suspended.version, await told()) == ("suspended", 2, 2)
    again = await tenants.switch(made.slug, "suspended")
    assert (again.version, await told()) == (2, 2)
    assert suspended.not_before is not None, "Tokens of before then are worth nothing."
    assert again.not_before == suspended.not_before
    resumed = await tenants.switch(made.slug, "active")
    assert resumed.not_before == suspended.not_before
    assert (resumed.state, resumed.version, await told()) == ("active", 3, 3)
    with pytest.raises(NotFound):
        await tenants.switch("nobody", "suspended")


def crossdock(settings: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", "tenant", *words],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def test_the_command_line_makes_a_tenant_and_its_key(
    settings: Any, database: Databases
) -> None:
    name = fresh()
    done = crossdock(settings, "create", name, "--json")
    assert done.returncode == 0, done.stderr
    made = msgspec.json.decode(done.stdout)
    assert (made["name"], made["slug"], made["state"]) == (name, name, "active")
    authenticator = Authenticator(database, environment=settings.environment)
    principal = await authenticator.verify(made["api_key"])
    assert ids.encode("ten", principal.tenant_id) == made["id"]
    assert principal.permissions == PERMISSIONS
    shown = crossdock(settings, "show", name, "--json")
    assert made["api_key"] not in shown.stdout
    assert msgspec.json.decode(shown.stdout)["id"] == made["id"]
    listed = msgspec.json.decode(crossdock(settings, "list", "--json").stdout)["items"]
    assert made["id"] in {item["id"] for item in listed}


async def test_the_command_line_suspends_resumes_and_makes_keys(
    settings: Any, database: Databases
) -> None:
    name = fresh()
    assert crossdock(settings, "create", name, "--slug", name).returncode == 0
    for word, state in (("suspend", "suspended"), ("resume", "active")):
        done = crossdock(settings, word, name, "--json")
        assert msgspec.json.decode(done.stdout)["state"] == state
    done = crossdock(settings, "key", "create", name, "--permission", "events:read", "--json")
    made = msgspec.json.decode(done.stdout)
    authenticator = Authenticator(database, environment=settings.environment)
    assert (await authenticator.verify(made["api_key"])).permissions == {"events:read"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "nobody"), "There is no tenant nobody."),
        (("create", "x", "--slug", "A B"), "slug"),
        (("key", "create", "nobody"), "There is no tenant nobody."),
    ],
)
def test_the_command_line_says_what_is_wrong_in_one_line(
    settings: Any, words: tuple[str, ...], says: str
) -> None:
    done = crossdock(settings, *words)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_lost_database_is_said_in_one_line(settings: Any) -> None:
    nowhere = msgspec.structs.replace(settings.database, url="postgresql://127.0.0.1:1/crossdock")
    lost = msgspec.structs.replace(settings, database=nowhere)
    done = crossdock(lost, "list")
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
