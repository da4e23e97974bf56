"""Users of locust, in a process of their own: gevent changes what all modules stand on."""

import random
import sys
import time
from contextlib import suppress
from typing import Final

import msgspec
from locust import constant, task
from locust.env import Environment

from bench.api import flows, people
from bench.api.caller import Caller, Unexpected
from bench.api.model import Driven, Outcome, Plan

PATIENCE_S: Final = 120.0

_FLOWS = flows.FLOWS | people.FLOWS
_first = list(_FLOWS)
"""Each once, before chance decides: so that every operation is driven, however short the run."""


class User(Caller):
    """Somebody who does one thing after another, and thinks for a tenth of a second between."""

    wait_time = constant(0.1)

    @task
    def act(self) -> None:
        """Do something."""
        chosen = _first.pop() if _first else random.choices(*_choice())[0]  # noqa: S311
        with suppress(Unexpected):
            chosen(self)


def _choice() -> tuple[list[flows.Flow], list[int]]:
    return list(_FLOWS), list(_FLOWS.values())


def drive(plan: Plan) -> Outcome:
    """Let users loose for some seconds, and for as long as some operation was not driven yet."""
    User.plan = plan
    environment = Environment(user_classes=[User], host=plan.url)
    runner = environment.create_local_runner()
    began = time.monotonic()
    runner.start(plan.users, spawn_rate=plan.users)
    time.sleep(plan.seconds)  # noqa: TID251 - gevent's
    while _missing(plan, environment) and time.monotonic() - began < plan.seconds + PATIENCE_S:
        time.sleep(0.5)  # noqa: TID251
    seconds = time.monotonic() - began
    runner.quit()
    runner.greenlet.join()
    driven = [
        Driven(
            operation=entry.name,
            requests=entry.num_requests,
            errors=entry.num_failures,
            rate=entry.num_requests / seconds,
            p50_ms=entry.get_response_time_percentile(0.5),
            p95_ms=entry.get_response_time_percentile(0.95),
            p99_ms=entry.get_response_time_percentile(0.99),
        )
        for entry in environment.stats.entries.values()
    ]
    failures = [
        f"{one.occurrences} of {one.name}: {one.error}" for one in environment.stats.errors.values()
    ]
    return Outcome(driven, failures)


def _missing(plan: Plan, environment: Environment) -> set[str]:
    """Return what was not driven yet; locust makes a new table when it starts."""
    return plan.operations.keys() - {name for name, _ in environment.stats.entries}


if __name__ == "__main__":
    found = drive(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
