"""pgrls finds nothing in the schema but what `migrations/pgrls.toml` gives a reason for."""

import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import pytest

from crossdock.embedded import EmbeddedPostgres
from migrations.fifth import rights as fifth
from migrations.first import rights as first
from migrations.fourth import rights as fourth
from migrations.second import rights as second
from migrations.third import rights as third
from tests.beds.world import World

CROSSING: Final = ("SEC005", "SEC008", "SEC028", "SEC038")
"""Rules that all find a policy whose predicate is `true`."""


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """Return TOML of tables whose values are strings and lists of strings."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {value!r}" for key, value in table.items())]
    return "\n".join(lines)


def crossing() -> list[str]:
    """Return the policies of duties that cross tenants, as the revisions declare them."""
    return [
        f"crossdock.{table}.{role}_{command.lower()}"
        for rights in (
            first.ALL_RIGHTS,
            second.ALL_RIGHTS,
            third.ALL_RIGHTS,
            fourth.ALL_RIGHTS,
            fifth.ALL_RIGHTS,
        )
        for role, tables in rights.items()
        for table, privileges in tables.items()
        for command in first.COMMANDS
        if command in privileges
    ]


async def config(world: World, folder: Path) -> Path:
    """Return our configuration with today's partitions in it."""
    ours = tomllib.loads(files("migrations").joinpath("pgrls.toml").read_text(encoding="utf-8"))
    rules = ours["lint"]["rules"]
    for rule in CROSSING:
        rules[rule] = {"allowlist": crossing()}
    partitions = await world.admin.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class WHERE relispartition AND relkind = 'r'"
    )
    # Nobody may touch a partition itself (tests/integration/db/test_rules.py): no policy is right.
    rules["SEC009"] = {"allowlist": [row["name"] for row in partitions]}
    path = folder / "pgrls.toml"
    tables = {"database": ours["database"], "lint": {"fail_on": ours["lint"]["fail_on"]}}
    path.write_text(toml(tables | {f"lint.rules.{rule}": rules[rule] for rule in rules}))
    return path


def lint(url: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run it, as a shell would."""
    options = ["--database-url", url, "--config", str(path), "--min-severity", "warning"]
    return subprocess.run(
        [str(Path(sys.executable).with_name("pgrls")), "lint", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
async def test_pgrls_finds_nothing(
    world: World, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    url = postgres_server.admin_url(world.settings.url.rpartition("/")[2])
    path = await config(world, tmp_path)
    done = lint(url, path)
    assert done.returncode == 0, done.stdout + done.stderr
    await world.admin.execute("ALTER TABLE crossdock.destinations NO FORCE ROW LEVEL SECURITY")
    done = lint(url, path)
    assert done.returncode != 0
    assert "crossdock.destinations" in done.stdout
