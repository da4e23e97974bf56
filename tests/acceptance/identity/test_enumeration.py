"""Who has an account is nobody's business: the same answer, and the same time, for all.

Medians of times are compared with a factor that is generous to a busy machine and still far below
what a skipped password hash would save; a comparison that fails is made again before it counts.
"""

from collections.abc import Awaitable, Callable
from itertools import cycle
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import msgspec
import pytest

from tests.acceptance.identity.people import Person, Town, email, password, slug
from tests.acceptance.identity.problems import ok, told

Ask = Callable[[], Awaitable[httpx.Response]]

PASSING = {"date", "x-request-id", "traceparent", "content-length", "retry-after"}
"""Headers that differ from answer to answer anyway; `content-length` goes by the body, compared."""
ROUNDS = 7
FACTOR = 1.6
TRIES = 4


def shape(reply: httpx.Response) -> Any:
    """Return what a stranger sees of an answer, without what differs anyway."""
    headers = {k.lower(): v for k, v in reply.headers.items() if k.lower() not in PASSING}
    body = msgspec.json.decode(reply.content) if reply.content else None
    if isinstance(body, dict):
        body.pop("instance", None)
        if "expires_at" in body:
            body["expires_at"] = body["expires_at"][:13]
    return reply.status_code, headers, body


async def timed(ask: Ask) -> float:
    began = perf_counter()
    reply = await ask()
    took = perf_counter() - began
    assert reply.status_code in {202, 401}, f"Throttled answers are no measure: {told(reply)}"
    return took


async def take_alike(known: Ask, unknown: Ask) -> None:
    """Check that two questions take about the same time."""
    seen: list[tuple[float, float]] = []
    for _ in range(TRIES):
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for ask, kept in zip((known, unknown), times, strict=True):
                kept.append(await timed(ask))
        seen.append((median(times[0]), median(times[1])))
        if max(seen[-1]) < FACTOR * min(seen[-1]):
            return
    raise AssertionError(f"Medians for known and unknown, in seconds: {seen}")


@pytest.fixture(scope="module")
async def people(town: Town) -> list[str]:
    """Addresses of so many accounts that none meets its own limit."""
    return [founder.email for founder in await town.founders(12)]


@pytest.fixture(scope="module")
async def accounts(town: Town, owner: Person) -> dict[str, Person]:
    """One of each kind of account that an answer could give away."""
    protected = await town.founder()
    colleague = await town.colleague(owner, "viewer")
    disabled = await town.colleague(owner, "viewer")
    ok(await owner.rest.patch(f"/v1/users/{disabled.id}", {"state": "disabled"}))
    return {"owner": owner, "protected": protected, "viewer": colleague, "disabled": disabled}


def logging_in(town: Town, address: str, **more: Any) -> Ask:
    async def ask() -> httpx.Response:
        body = {"email": address, "password": "not the right one"} | more
        return await town.anyone().post("/v1/auth/login", body)

    return ask


def resetting(town: Town, address: str, **more: Any) -> Ask:
    async def ask() -> httpx.Response:
        return await town.anyone().post("/v1/auth/password/reset", {"email": address} | more)

    return ask


def signing_up(town: Town, address: str) -> Ask:
    async def ask() -> httpx.Response:
        body = {
            "email": address,
            "password": password(),
            "name": "N",
            "tenant_name": "T",
            "slug": slug(),
        }
        return await town.anyone().post("/v1/signup", body)

    return ask


async def test_signing_in_answers_all_alike(town: Town, accounts: dict[str, Person]) -> None:
    unknown = shape(await logging_in(town, email("nobody"))())

    for name, person in accounts.items():
        for more in ({}, {"tenant": person.slug}, {"tenant": "no-such-one"}, {"code": "123456"}):
            assert shape(await logging_in(town, person.email, **more)()) == unknown, name
    pending = await town.signup()
    assert shape(await logging_in(town, pending["email"])()) == unknown
    assert shape(await logging_in(town, pending["email"], password=pending["password"])()) == (
        unknown
    )
    disabled = accounts["disabled"]
    assert shape(await disabled.try_login()) == unknown


async def test_resetting_answers_all_alike(town: Town, accounts: dict[str, Person]) -> None:
    unknown = shape(await resetting(town, email("nobody"))())

    assert unknown[0] == 202
    for name, person in accounts.items():
        for more in ({}, {"tenant": person.slug}, {"tenant": "no-such-one"}):
            assert shape(await resetting(town, person.email, **more)()) == unknown, name


async def test_signing_up_answers_all_alike(town: Town, accounts: dict[str, Person]) -> None:
    unknown = shape(await signing_up(town, email("nobody"))())

    assert unknown[0] == 202
    for name, person in accounts.items():
        assert shape(await signing_up(town, person.email)()) == unknown, name


async def test_signing_in_takes_all_the_same_time(town: Town, people: list[str]) -> None:
    turn = cycle(people)

    async def known() -> httpx.Response:
        return await logging_in(town, next(turn))()

    async def unknown() -> httpx.Response:
        return await logging_in(town, email("nobody"))()

    await take_alike(known, unknown)


async def test_resetting_takes_all_the_same_time(town: Town, people: list[str]) -> None:
    turn = cycle(people)

    async def known() -> httpx.Response:
        return await resetting(town, next(turn))()

    async def unknown() -> httpx.Response:
        return await resetting(town, email("nobody"))()

    await take_alike(known, unknown)


async def test_signing_up_takes_all_the_same_time(town: Town, people: list[str]) -> None:
    turn = cycle(people)

    async def known() -> httpx.Response:
        return await signing_up(town, next(turn))()

    async def unknown() -> httpx.Response:
        return await signing_up(town, email("nobody"))()

    await take_alike(known, unknown)


async def test_being_throttled_tells_nothing_either(town: Town) -> None:
    founder = await town.founder()

    async def until_throttled(address: str) -> tuple[int, Any]:
        for attempt in range(1, 60):
            reply = await logging_in(town, address)()
            if reply.status_code != 401:
                return attempt, shape(reply)
        raise AssertionError("Nobody is throttled.")

    known = await until_throttled(founder.email)
    unknown = await until_throttled(email("nobody"))

    assert known[1] == unknown[1]
    assert abs(known[0] - unknown[0]) <= 1
