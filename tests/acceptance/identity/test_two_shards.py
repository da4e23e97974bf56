"""Two databases side by side: tenants on each work, and one's outage is not the other's."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from crossdock.embedded.postgres import SUPERUSER
from crossdock.samples.sender import new_serial
from crossdock.supervisor.folder import DataFolder
from tests.acceptance.identity.conftest import ENVIRON
from tests.acceptance.identity.people import Caller, Person, Town, email, settled, slug, source
from tests.acceptance.identity.problems import ok, refused
from tests.faults.stack import Finished, Stack
from tests.faults.waiting import until

SECOND = "second"


class Resident(NamedTuple):
    """A tenant on one of the shards, with a source."""

    id: str
    rest: Caller
    door: Any

    async def send(self) -> httpx.Response:
        """Send it a webhook that it has not had before."""
        content = f'{{"serial": "{new_serial()}"}}'
        return await self.rest.town.http.post(self.door["ingest_url"], content=content)

    async def events(self) -> set[str]:
        """Return the ids of all of its events."""
        return {event["id"] for event in await self.rest.all("/v1/events")}


async def run(stack: Stack, *words: str) -> Finished:
    """Run a command that works."""
    finished = await stack.command(*words, "--json", "--data", str(stack.folder))
    assert finished.code == 0, finished
    return finished


@pytest.fixture(scope="module")
async def pair() -> AsyncIterator[Stack]:
    """A stack with two shards, both in its own PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="crossdock-shards-") as folder:
        async with Stack(Path(folder) / "data", environ=ENVIRON) as running:
            await run(running, "shard", "add", SECOND)
            yield running


@pytest.fixture(scope="module")
async def city(pair: Stack) -> AsyncIterator[Town]:
    async with Town(pair) as opened:
        yield opened


async def settle(city: Town, shard: int) -> Resident:
    """Return a new tenant there."""
    made = await run(city.stack, "tenant", "create", slug(), "--shard", str(shard))
    rest = city.bearer(made.last_json()["api_key"])
    await settled(partial(rest.get, "/v1/tenant"), 200)
    door = await source(rest)
    await until(partial(_takes, city, door), "a source that takes webhooks", within=5)
    return Resident(made.last_json()["id"], rest, door)


async def _takes(city: Town, door: Any) -> bool:
    return (await city.http.post(door["ingest_url"], content=b"{}")).status_code == 202


@pytest.fixture(scope="module")
async def residents(city: Town) -> tuple[Resident, Resident]:
    """One on each shard."""
    return await settle(city, 0), await settle(city, 1)


async def name_of(city: Town, shard: int) -> str:
    """Return the name of a shard's database."""
    shards = (await run(city.stack, "shard", "list")).last_json()["items"]
    found = next(item for item in shards if item["shard"] == shard)
    return str(urlsplit(found["url"]).path[1:])


async def database(stack: Stack) -> asyncpg.Connection:
    """Return a connection of the administrator of the embedded server."""
    folder = DataFolder(stack.folder)
    address = urlsplit(folder.settings().database.url)
    return await asyncpg.connect(
        host=address.hostname,
        port=address.port,
        database=address.path[1:],
        user=SUPERUSER,
        password=folder.secrets.password("postgres"),
    )


async def test_both_are_listed(city: Town) -> None:
    shards = (await run(city.stack, "shard", "list")).last_json()["items"]
    operator = await city.operator("platform-admin")

    listed = ok(await operator.rest.get("/v1/admin/shards"))["items"]

    assert len(shards) == len(listed) == 2
    for text in (str(shards), str(listed)):
        assert "password" not in text.lower()
        assert "@" not in text, "An address of a database has no credentials in it."


async def test_tenants_lie_where_they_were_put(
    city: Town, residents: tuple[Resident, Resident]
) -> None:
    for number, resident in enumerate(residents):
        shown = (await run(city.stack, "tenant", "show", resident.id)).last_json()
        assert shown["shard"] == number


async def test_webhooks_flow_on_both(residents: tuple[Resident, Resident]) -> None:
    replies = await asyncio.gather(*(resident.send() for resident in residents for _ in range(50)))

    assert {reply.status_code for reply in replies} == {202}

    sent = [{reply.json()["id"] for reply in half} for half in (replies[:50], replies[50:])]

    async def all_there() -> bool:
        stored = [await resident.events() for resident in residents]
        return all(ours <= theirs for ours, theirs in zip(sent, stored, strict=True))

    await until(all_there, "all events on both shards", within=20)
    for index, resident in enumerate(residents):
        event_id = replies[index * 50].json()["id"]
        ok(await resident.rest.get(f"/v1/events/{event_id}"))
        other = residents[1 - index].rest
        refused(await other.get(f"/v1/events/{event_id}"), 404, "not-found")


async def test_one_does_not_reach_the_other(residents: tuple[Resident, Resident]) -> None:
    for one, other in (residents, residents[::-1]):
        path = f"/v1/sources/{other.door['id']}"
        refused(await one.rest.get(path), 404, "not-found")
        refused(await one.rest.patch(path, {"name": "mine"}), 404, "not-found")
        refused(await one.rest.delete(path), 404, "not-found")
        listed = {item["id"] for item in await one.rest.all("/v1/sources")}
        assert listed == {one.door["id"]}


async def test_people_sign_up_and_in_wherever_they_lie(city: Town) -> None:
    founders = await city.founders(3)

    for founder in founders:
        colleague = await city.colleague(founder, "viewer")
        assert (await colleague.me())["tenant"]["id"] == founder.tenant_id
        await founder.session.renew()
    shards = [
        (await run(city.stack, "tenant", "show", founder.tenant_id)).last_json()["shard"]
        for founder in founders
    ]
    assert set(shards) <= {0, 1}


async def test_one_address_has_accounts_on_both(city: Town, residents: Any) -> None:
    address = email("both")
    people: list[Person] = []
    for resident in residents:
        body = {"email": address, "roles": ["viewer"]}
        ok(await resident.rest.post("/v1/invitations", body), 201)
        people.append(await city.accept(address))

    assert [person.tenant_id for person in people] == [resident.id for resident in residents]
    for person in people:
        assert ok(await (await person.login()).rest.get("/v1/auth/me"))["actor"]["id"] == person.id
    unnamed = {"email": address, "password": people[0].password}
    refused(await city.anyone().post("/v1/auth/login", unnamed), 401, "unauthenticated")


async def test_operators_act_on_both(city: Town) -> None:
    operator = await city.operator("platform-admin")
    for shard in (0, 1):
        resident = await settle(city, shard)
        path = f"/v1/admin/tenants/{resident.id}"
        ok(await operator.rest.post(f"{path}/suspend", {"reason": "x"}))
        await settled(resident.send, 403)
        ok(await operator.rest.post(f"{path}/resume", {}))
        await settled(resident.send, 202)
        access = ok(
            await operator.rest.post(f"{path}/support", {"reason": "Ticket", "minutes": 5}), 201
        )
        listed = await city.bearer(access["access_token"]).all("/v1/sources")
        assert [item["id"] for item in listed] == [resident.door["id"]]


@pytest.mark.slow
async def test_ones_outage_is_not_the_others(
    city: Town, residents: tuple[Resident, Resident]
) -> None:
    here, there = residents
    connection, second = await database(city.stack), await name_of(city, 1)
    try:
        await connection.execute(f'ALTER DATABASE "{second}" ALLOW_CONNECTIONS false')
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", second
        )

        async def is_away() -> bool:
            return (await there.rest.get("/v1/events")).status_code == 503

        await until(is_away, "an outage", within=10)
        away = await there.rest.get("/v1/events")
        refused(away, 503)
        assert int(away.headers["retry-after"]) >= 1
        flowing = set()
        for _ in range(10):
            ok(await here.rest.get("/v1/sources"))
            flowing.add(ok(await here.send(), 202)["id"])
        await source(here.rest)

        async def flows() -> bool:
            return flowing <= await here.events()

        await until(flows, "events on the shard that is there", within=15)
        taken = {ok(await there.send(), 202)["id"] for _ in range(5)}
        ready = await city.http.get(f"{city.url}/health/ready")
        assert ready.status_code == 200, "The others are served; no balancer takes us out."
    finally:
        await connection.execute(f'ALTER DATABASE "{second}" ALLOW_CONNECTIONS true')
        await connection.close()

    async def is_whole() -> bool:
        reply = await there.rest.get("/v1/events")
        return reply.status_code == 200 and taken <= await there.events()

    await until(is_whole, "what was taken during the outage", within=40)
    await source(there.rest)
