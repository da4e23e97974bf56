"""Measure the whole API.

    python -m bench.api [--seconds S] [--users N]

- every operation of the OpenAPI document, driven by users of locust in a realistic mix against a
  stack that `crossdock up` started: its rate, p50, p95, p99 and the answers that were not expected;
- the database's statements by pg_stat_statements: those that took most time in all, and those that
  took longest each;
- `problems`: answers that are problems against the cheapest success, in this process; their mean;
- `validation`: reading and checking a body of 10 KiB, ours against `jsonschema`.

It fails where an operation was not driven. What an idempotency key costs is `bench.idempotency`'s.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from bench.api import ratios
from bench.api.model import Driven, Outcome, Plan
from bench.api.world import World, running
from crossdock.supervisor.folder import DataFolder

TOP: Final = 10
WIDTH: Final = 96
COLUMNS: Final = f"{'operation':28} requests  a second  p50 ms    p95    p99  errors"
METHODS: Final = ("get", "post", "put", "patch", "delete")
DRIVEN: Final = ("/v1/", "/health/", "/.well-known/", "/in/")

BUDGETS: Final = {"problem_ratio": ("at most", 1.0), "validation_ratio": ("at least", 30.0)}

STATEMENTS: Final = """
SELECT calls, total_exec_time AS total, mean_exec_time AS mean, max_exec_time AS longest,
       regexp_replace(query, '\\s+', ' ', 'g') AS query
FROM pg_stat_statements
WHERE userid <> current_user::regrole AND calls >= $1
ORDER BY {} DESC LIMIT $2
"""


async def _drive(world: World, seconds: float, users: int) -> tuple[Outcome, set[str]]:
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in world.document["paths"].items()
        for method, operation in item.items()
        if method in METHODS and path.startswith(DRIVEN)
    }
    plan = Plan(
        url=world.url,
        mail=str(world.folder / "mail"),
        key=world.key,
        operator=world.operator,
        operations={name: (method, path) for name, (method, path, _) in operations.items()},
        takes_key=[
            name
            for name, (_, _, found) in operations.items()
            if "Idempotency-Key" in {one.get("name") for one in found.get("parameters", ())}
        ],
        patches=[name for name, (method, _, _) in operations.items() if method == "PATCH"],
        sink=world.sink,
        users=users,
        seconds=seconds,
    )
    await world.admin.execute("SELECT pg_stat_statements_reset()")
    command = (sys.executable, "-m", "bench.api.sender")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    out, _ = await process.communicate(msgspec.json.encode(plan))
    assert process.returncode == 0, "the sender failed"
    outcome = msgspec.json.decode(out.splitlines()[-1], type=Outcome)
    return outcome, operations.keys() - {one.operation for one in outcome.driven}


def _show(outcome: Outcome) -> None:
    print(f"\n{COLUMNS}")
    for one in sorted(outcome.driven, key=lambda one: -one.requests):
        print(
            f"  {one.operation:26}{one.requests:9,}{one.rate:10.1f}"
            f"{one.p50_ms:8.0f}{one.p95_ms:7.0f}{one.p99_ms:7.0f}{one.errors:8}"
        )
    total = _total(outcome.driven)
    print(f"  {'all':26}{total[0]:9,}{total[1]:10.1f}{total[2]:30,}")
    for failure in outcome.failures:
        print(f"  {failure[:WIDTH]}")


def _total(driven: list[Driven]) -> tuple[int, float, int]:
    return (
        sum(one.requests for one in driven),
        sum(one.rate for one in driven),
        sum(one.errors for one in driven),
    )


async def _statements(world: World) -> None:
    for title, order, calls in (
        ("most time in all", "total_exec_time", 1),
        ("longest each", "mean_exec_time", 5),
    ):
        rows = await world.admin.fetch(STATEMENTS.format(order), calls, TOP)
        print(f"\nStatements, {title:20} calls  total ms   mean ms    max ms")
        for row in rows:
            print(
                f"{row['calls']:35,}{row['total']:10,.0f}{row['mean']:10.2f}{row['longest']:10.1f}"
                f"\n    {row['query'][:WIDTH]}"
            )


async def _run(seconds: float, users: int) -> None:
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        async with running(Path(folder)) as world:
            outcome, missing = await _drive(world, seconds, users)
            _show(outcome)
            await _statements(world)
            answers = await ratios.problems(DataFolder(world.folder).settings())
            checked = ratios.validation(world.document)
    print("\nOne answer, without its network    µs   to a success")
    for name in ("success", *ratios.PROBLEMS):
        print(f"  {name:30}{answers[name]:7.0f}{answers.get(f'{name} ratio', 1.0):11.2f}")
    print(
        f"\nA body of {checked['bytes']:,.0f} bytes: {checked['ours']:.1f} µs to read and check,"
        f" {checked['jsonschema']:,.0f} µs by\njsonschema's prepared validator,"
        f" {checked['usual']:,.0f} µs by its validate()\n"
    )
    requests, rate, errors = _total(outcome.driven)
    result: dict[str, Any] = {
        "requests": requests,
        "requests_per_second": rate,
        "errors": errors,
        "problem_ratio": statistics.mean(answers[f"{name} ratio"] for name in ratios.PROBLEMS),
        "validation_ratio": checked["ratio"],
    }
    for name, (side, budget) in BUDGETS.items():
        print(f"  {name:18} {result[name]:7.2f}   budget {side} {budget}")
    print()
    print(msgspec.json.encode({name: round(value, 3) for name, value in result.items()}).decode())
    assert not missing, f"not driven: {', '.join(sorted(missing))}"


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="bench.api", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--users", type=int, default=8)
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, locust,")
    print(f"one gateway process, {given.users} users, {given.seconds:.0f} s")
    uvloop.run(_run(given.seconds, given.users))


if __name__ == "__main__":
    main()
