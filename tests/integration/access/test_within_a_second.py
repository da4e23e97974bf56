"""Gateways that are asked nothing of the database: what is changed reaches their memory."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url

from crossdock import ids
from crossdock.access.service import ApiKeys
from crossdock.config import DatabaseSettings, Settings
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.health import Health
from crossdock.tenancy.service import Tenants
from gateway.identity import opened
from gateway.rest import create_rest
from tests.beds.crowd import Crowd
from tests.beds.open_runtime import OpenRuntime
from tests.beds.settings import SettingsBed
from tests.integration.access.conftest import House
from tests.integration.rest.conftest import Caller


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A broker of this module's own, as its database is."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
async def bed(
    own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> AsyncIterator[SettingsBed]:
    """A drainer and a gateway's directory, both running."""
    async with SettingsBed.open(own_nats.settings(), fresh_database) as found:
        yield await found.running()


@pytest.fixture
async def own_house(
    bed: SettingsBed, settings: Settings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[House]:
    """A tenant, and a REST API whose memory follows the broker."""
    name = str(make_url(bed.database_settings.url).database)
    admin = await asyncpg.connect(postgres_server.admin_url(name))
    database = bed.databases
    async with opened(settings, database, bed.directory) as identity:
        await identity.signing_keys.load()
        health = Health(dict, required=frozenset())
        app = create_rest(settings, OpenRuntime(database, identity, health))
        transport = httpx.ASGITransport(cast("Any", app))

        def connect(token: str) -> httpx.AsyncClient:
            headers = {"authorization": f"Bearer {token}"}
            return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)

        tenant = await Tenants(database).create(f"t-{ids.new().hex}")
        everything = frozenset({"roles:write", "roles:read", "users:write", "support:write"})
        held = everything | {"events:read", "sources:read"}
        keys = ApiKeys(database, environment=settings.environment)
        key = await keys.create(tenant.id, name="k", permissions=held, held=held)
        await bed.until(lambda: bed.directory.tenant(tenant.id) is not None)
        caller = Caller(tenant.id, key.text, connect(key.text))
        yield House(caller, Crowd(admin, identity.issuer), connect, admin)
    await admin.close()


async def test_a_changed_role_a_demotion_and_an_end_reach_every_gateway(
    bed: SettingsBed, own_house: House
) -> None:
    house = own_house
    path = await house.role("ops", "events:read")
    member = await house.member("ops")
    door = house.door(member)

    async def answers(status: int, where: str) -> bool:
        assert bed.directory.is_current(0)
        return bool((await door.get(where)).status_code == status)

    await bed.until_async(lambda: answers(200, "/v1/events"))
    assert await answers(403, "/v1/sources")
    await house.key.patch(path, json={"permissions": ["sources:read"]})
    await bed.until_async(lambda: answers(200, "/v1/sources"))
    assert await answers(403, "/v1/events")
    changed = await house.key.patch(member.path, json={"state": "disabled"})
    assert changed.status_code == 200, changed.text
    await bed.until_async(lambda: answers(401, "/v1/sources"))


async def test_support_ends_in_every_gateway(bed: SettingsBed, own_house: House) -> None:
    house = own_house
    operator = house.door(await house.crowd.operator())
    tenant = ids.encode("ten", house.tenant_id)
    answer = await operator.post(
        f"/v1/admin/tenants/{tenant}/support", json={"reason": "a look", "minutes": 5}
    )
    assert answer.status_code == 201, answer.text
    opened_access = answer.json()
    inside = house.connect(opened_access["access_token"])
    assert (await inside.get("/v1/sources")).status_code == 200
    path = f"/v1/support-accesses/{opened_access['support_id']}"
    assert (await house.key.delete(path)).status_code == 204

    async def is_out() -> bool:
        return bool((await inside.get("/v1/sources")).status_code == 401)

    await bed.until_async(is_out)
    assert bed.directory.is_current(0)
