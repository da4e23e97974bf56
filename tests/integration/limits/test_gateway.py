"""Limits as a served gateway holds them, over two processes on one port."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from crossdock import ids
from crossdock.db import Databases
from crossdock.tenancy.service import Tenants
from tests.beds.limits import ADDRESS_BURST, Door, check_refusal, left, policies, stranger
from tests.beds.served import connected
from tests.faults.waiting import until
from tests.integration.limits.conftest import bearer
from tests.integration.rest.conftest import Caller

Doors = Callable[..., Awaitable[Door]]

LIMIT = 10
ASKED = 60
SOURCES = "/v1/sources"


async def new_key(http: httpx.AsyncClient, tenant: Caller, **fields: Any) -> str:
    wish = {"name": "limited", "permissions": ["sources:read"]} | fields
    answer = await http.post("/v1/api-keys", json=wish, headers=bearer(tenant.key))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def check_admitted(answers: list[httpx.Response], good: int, began: float) -> None:
    """Check that as many were admitted as the limit allows, in the time that it took."""
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {good, 429}
    came_back = int((time.monotonic() - began) * LIMIT / 60)
    assert LIMIT <= statuses[good] <= LIMIT + came_back


async def is_known(http: httpx.AsyncClient, door: Door) -> bool:
    """Tell whether both processes know a source, as far as enough connections can tell."""
    asked = [door.junk(http, stranger()) for _ in range(20)]
    return all(answer.status_code == 401 for answer in await asyncio.gather(*asked))


async def test_two_processes_admit_exactly_the_limit_between_them(
    gateway: str, http: httpx.AsyncClient, tenant: Caller
) -> None:
    key = await new_key(http, tenant, requests_per_minute=LIMIT)
    began = time.monotonic()

    answers = await asyncio.gather(*(http.get(SOURCES, headers=bearer(key)) for _ in range(ASKED)))

    assert all(connected(gateway).values()), "each process has some of the connections"
    check_admitted(answers, 200, began)
    for answer in answers:
        assert policies(answer)["key"] == (LIMIT, 60)
        if answer.status_code == 429:
            check_refusal(answer, "key")


async def test_two_processes_take_exactly_as_many_webhooks_as_a_source_may(
    gateway: str, http: httpx.AsyncClient, door: Doors
) -> None:
    found = await door(webhooks_per_minute=LIMIT)
    await until(lambda: is_known(http, found), "a source that is known", within=20)
    began = time.monotonic()

    answers = await asyncio.gather(*(found.post(http, **stranger()) for _ in range(ASKED)))

    assert all(connected(gateway).values()), "each process has some of the connections"
    check_admitted(answers, 202, began)
    for answer in answers:
        assert policies(answer) == {"source": (LIMIT, 60), "webhooks": (60_000, 60)}
        if answer.status_code == 429:
            check_refusal(answer, "source")


async def test_a_limit_of_its_own_and_its_end_reach_a_tenant(
    http: httpx.AsyncClient, tenant: Caller, door: Doors, database: Databases
) -> None:
    tenants, name = Tenants(database), ids.encode("ten", tenant.tenant_id)
    found = await door()

    async def rest() -> tuple[int, int] | None:
        answer = await http.get(SOURCES, headers=bearer(tenant.key))
        return policies(answer).get("tenant")

    async def ingest() -> tuple[int, int] | None:
        return policies(await found.post(http, **stranger())).get("webhooks")

    async def becomes(quota: int | None, webhooks: int | None) -> None:
        async def is_so() -> bool:
            wanted = [None if one is None else (one, 60) for one in (quota, webhooks)]
            return [await rest(), await ingest()] == wanted

        await until(is_so, f"limits of {quota} and {webhooks}", within=20)

    await becomes(6_000, 60_000)
    own = {"requests_per_minute": 4_000, "webhooks_per_minute": 5_000}
    await tenants.set_quota(name, quotas=own)
    await becomes(4_000, 5_000)
    await tenants.set_quota(name, plan="business", quotas=dict.fromkeys(own))
    await becomes(60_000, 600_000)


async def test_an_unlimited_tenant_is_held_to_its_keys_limit_alone(
    http: httpx.AsyncClient, tenant: Caller, door: Doors, database: Databases
) -> None:
    found = await door()
    await Tenants(database).set_quota(ids.encode("ten", tenant.tenant_id), plan="unlimited")

    async def is_so() -> bool:
        answer = await http.get(SOURCES, headers=bearer(tenant.key))
        webhook = await found.post(http, **stranger())
        return set(policies(answer)) == {"key"} and "ratelimit" not in webhook.headers

    await until(is_so, "an unlimited tenant", within=20)


async def test_junk_is_charged_to_its_address_and_drains_no_tenant(
    http: httpx.AsyncClient, door: Doors
) -> None:
    found, sender = await door(webhooks_per_minute=LIMIT), stranger()
    await until(lambda: is_known(http, found), "a source that is known", within=20)

    answers = [await found.junk(http, sender) for _ in range(ADDRESS_BURST * 3)]
    genuine = await found.post(http, **sender)

    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {401, 429}
    assert statuses[401] >= ADDRESS_BURST
    assert all(set(policies(answer)) == {"address"} for answer in answers)
    check_refusal(answers[-1], "address")
    # It is genuine, so nobody asks where it came from; nor has the junk used up anything.
    assert genuine.status_code == 202
    assert left(genuine) == ("source", LIMIT - 1, 6)


async def test_an_unknown_address_of_ingest_is_charged_to_whoever_asks(
    http: httpx.AsyncClient,
) -> None:
    sender = stranger()

    answers = [
        await http.post(f"/in/none-{number}", content=b"{}", headers=sender)
        for number in range(ADDRESS_BURST * 2)
    ]
    other = await http.post("/in/none", content=b"{}", headers=stranger())

    assert {answer.status_code for answer in answers} == {404, 429}
    check_refusal(answers[-1], "address")
    assert other.status_code == 404


async def test_strangers_are_limited_by_address(http: httpx.AsyncClient) -> None:
    sender, wish = stranger(), {"email": "nobody", "password": "p"}

    answers = [
        await http.post("/v1/auth/login", json=wish, headers=sender)
        for _ in range(ADDRESS_BURST * 2)
    ]
    other = await http.post("/v1/auth/login", json=wish, headers=stranger())

    check_refusal(answers[-1], "address")
    assert other.status_code != 429


async def test_refused_credentials_are_limited_by_address(
    http: httpx.AsyncClient, tenant: Caller
) -> None:
    sender = stranger()
    wrong = sender | bearer(tenant.key[:-4] + "AAAA")

    answers = [await http.get(SOURCES, headers=wrong) for _ in range(ADDRESS_BURST * 2)]
    good = await http.get(SOURCES, headers=bearer(tenant.key) | stranger())

    assert {answer.status_code for answer in answers} == {401, 429}
    check_refusal(answers[-1], "address")
    assert good.status_code == 200


async def test_a_network_of_ipv6_is_one_address(http: httpx.AsyncClient) -> None:
    network = stranger()["x-forwarded-for"].removesuffix("::1")

    async def ask(host: str) -> httpx.Response:
        return await http.get("/v1/nothing", headers={"x-forwarded-for": network + host})

    answers = [await ask(f":0:{number:x}::1") for number in range(1, 3)]
    same = [await ask(f"::{number:x}") for number in range(1, ADDRESS_BURST * 2)]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.status_code for answer in same} == {404, 429}


async def test_what_stands_left_of_the_last_hop_is_anybodys_tale(http: httpx.AsyncClient) -> None:
    sender = stranger()["x-forwarded-for"]

    answers = [
        await http.get("/v1/nothing", headers={"x-forwarded-for": f"192.0.2.{number}, {sender}"})
        for number in range(ADDRESS_BURST * 2)
    ]

    check_refusal(answers[-1], "address")


async def test_probes_and_explanations_are_never_refused(http: httpx.AsyncClient) -> None:
    sender = stranger()

    for path in ("/health/live", "/health/ready", "/.well-known/jwks.json"):
        answers = [await http.get(path, headers=sender) for _ in range(ADDRESS_BURST * 2)]
        assert {answer.status_code for answer in answers} == {200}
        assert {left(answer) for answer in answers} == {("address", ADDRESS_BURST, 0)}


async def test_questions_of_browsers_are_charged_to_the_address(http: httpx.AsyncClient) -> None:
    asked = stranger() | {
        "origin": "https://console.example",
        "access-control-request-method": "POST",
    }

    answers = [await http.options(SOURCES, headers=asked) for _ in range(ADDRESS_BURST * 2)]

    assert answers[0].status_code != 429
    check_refusal(answers[-1], "address")
