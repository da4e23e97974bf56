"""`crossdock tenant` and `crossdock operator`, as an operator at the servers types them."""

import subprocess
import sys
from typing import Any

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.config import Settings
from crossdock.identity.hashing import PasswordHasher
from crossdock.supervisor.environment import environment
from crossdock.tenancy.rules import PLATFORM
from crossdock.tenancy.service import Tenants

PASSWORD = "correct horse battery staple"


def run(
    settings: Settings, *words: str, given: str | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", *words],
        env=environment(settings) | more,
        input=given or "",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def told(settings: Settings, *words: str, **more: Any) -> Any:
    done = run(settings, *words, "--json", **more)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


async def test_a_tenants_life_by_the_command_line(settings: Settings, tenants: Tenants) -> None:
    slug = f"t-{ids.new().hex}"
    made = told(settings, "tenant", "create", slug, "--plan", "free", "--shard", "0")
    assert (made["plan"], made["shard"]) == ("free", 0)
    changed = told(settings, "tenant", "quota", slug, "--plan", "business", "--set", "sources=7")
    assert (changed["plan"], changed["quotas"]) == ("business", {"sources": 7})
    assert told(settings, "tenant", "quota", slug, "--unset", "sources")["quotas"] == {}
    usage = told(settings, "tenant", "usage", slug)
    assert usage["usage"]["api_keys"]["used"] == 1
    assert told(settings, "tenant", "quota", slug) == usage
    held = told(settings, "tenant", "suspend", slug, "--reason", "unpaid since May")
    assert (held["state"], held["reason"]) == ("suspended", "unpaid since May")
    unsure = run(settings, "tenant", "terminate", slug, given="n\n")
    assert unsure.returncode == 1
    ended = told(settings, "tenant", "terminate", slug, "--yes", "--grace-days", "2")
    assert ended["state"] == "terminating"
    assert told(settings, "tenant", "resume", slug)["state"] == "active"
    assert (await tenants.find(slug)).state == "active"
    for table in (("list",), ("usage", slug), ("show", slug)):
        shown = run(settings, "tenant", *table)
        assert shown.returncode == 0, shown.stderr


async def test_a_name_is_shown_as_it_is(settings: Settings, tenants: Tenants) -> None:
    """Whoever signs up chooses it; what looks like markup neither breaks a list nor is obeyed."""
    name = "[/b]:x:[link=http://a.example]A[/link]"
    await tenants.create(name, f"t-{ids.new().hex}")
    shown = run(settings, "tenant", "list", COLUMNS="300")
    assert shown.returncode == 0, shown.stderr
    assert name in shown.stdout


async def test_who_did_it_is_in_the_audit(
    settings: Settings, admin: asyncpg.Connection, tenants: Tenants
) -> None:
    tenant = await tenants.create(f"t-{ids.new().hex}")
    told(settings, "tenant", "suspend", tenant.slug, "--reason", "unpaid")
    row = await admin.fetchrow(
        "SELECT * FROM crossdock.audit WHERE tenant_id = $1 AND action = 'tenant.suspend'",
        tenant.id,
    )
    detail = msgspec.json.decode(row["detail"])
    assert (row["actor_kind"], detail["reason"]) == ("system", "unpaid")
    assert detail["by"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tenant", "quota", "platform", "--plan", "free"), "platform"),
        (("tenant", "quota", "nobody", "--set", "sources=x"), "QUOTA=N"),
        (("tenant", "create", "x", "--plan", "enterprise"), "Plans are"),
        (("tenant", "create", "x", "--shard", "9"), "no shard 9"),
        (("tenant", "tier", "platform", "dedicated"), "platform"),
        (("tenant", "tier", "platform", "golden"), "Tiers are"),
        (("operator", "disable", "nobody@example.com"), "no operator's address"),
        (("operator", "create", "a@", "--role", "platform-admin"), "@"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    settings: Settings, words: tuple[str, ...], says: str
) -> None:
    done = run(settings, *words)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


async def test_an_operator_with_a_password_can_sign_in_and_then_can_not(
    settings: Settings, admin: asyncpg.Connection
) -> None:
    email = f"{ids.new().hex}@example.com"
    create = ("operator", "create", email, "--role", "platform-admin")
    made = told(settings, *create, CROSSDOCK_OPERATOR_PASSWORD=PASSWORD)
    query = "SELECT * FROM crossdock.users WHERE tenant_id = $1 AND email = $2"
    row = await admin.fetchrow(query, PLATFORM, email)
    assert (ids.encode("usr", row["id"]), row["roles"]) == (made["id"], ["platform-admin"])
    hasher = PasswordHasher()
    assert await hasher.verify(row["password_hash"], PASSWORD)
    await hasher.close()
    assert await admin.fetchval(
        "SELECT true FROM crossdock.logins WHERE tenant_id = $1 AND user_id = $2",
        PLATFORM,
        row["id"],
    )
    listed = told(settings, "operator", "list")["items"]
    assert made["id"] in {one["id"] for one in listed}
    again = run(settings, *create, "--password-stdin", given=f"{PASSWORD}\n")
    assert (again.returncode, "already" in again.stderr) == (1, True)
    short = run(
        settings,
        "operator",
        "create",
        "b@example.com",
        "--role",
        "platform-admin",
        "--password-stdin",
        given="short\n",
    )
    assert (short.returncode, "12 characters" in short.stderr) == (1, True)
    tenants = run(settings, "operator", "create", "b@example.com", "--role", "owner")
    assert (tenants.returncode, "platform-support" in tenants.stderr) == (2, True)
    assert told(settings, "operator", "disable", email)["state"] == "disabled"
    row = await admin.fetchrow(query, PLATFORM, email)
    assert row["state"] == "disabled"
    assert row["not_before"] is not None
    assert run(settings, "operator", "list").returncode == 0


def test_an_operator_without_one_is_invited(settings: Settings) -> None:
    email = f"{ids.new().hex}@example.com"
    made = told(settings, "operator", "create", email, "--role", "platform-support")
    assert (made["email"], made["roles"]) == (email, ["platform-support"])
    assert made["token"]
    assert made["invitation_id"].startswith("inv_")
