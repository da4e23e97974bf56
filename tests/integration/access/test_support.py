"""An operator inside a tenant: for a reason, for a time, only looking, and seen."""

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import make_url

from crossdock import ids
from crossdock.access.permissions import SUPPORT, resolved
from crossdock.config import Settings
from crossdock.embedded import EmbeddedPostgres
from crossdock.tenancy.rules import PLATFORM
from gateway.auth import SAFE, access_of
from tests.beds.routes import ENDLESS, handlers

REASON = "They asked why their webhooks are late."


class Desk:
    """An operator, and the tenant that they look into."""

    def __init__(self, house: Any, operator: Any, door: httpx.AsyncClient) -> None:
        self.house = house
        self.operator = operator
        self.door = door
        self.path = f"/v1/admin/tenants/{ids.encode('ten', house.tenant_id)}/support"

    async def open(self, minutes: int = 30, reason: str = REASON) -> Any:
        answer = await self.door.post(self.path, json={"reason": reason, "minutes": minutes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def inside(self, opened: Any) -> httpx.AsyncClient:
        client: httpx.AsyncClient = self.house.connect(opened["access_token"])
        return client


@pytest.fixture
async def desk(house: Any, crowd: Any, connect: Any) -> Desk:
    operator = await crowd.operator("platform-support")
    return Desk(house, operator, connect(operator.token))


@pytest.fixture
async def second_admin(
    settings: Settings, postgres_server: EmbeddedPostgres
) -> AsyncIterator[asyncpg.Connection]:
    """Another superuser, for transactions that others wait for."""
    name = str(make_url(settings.database.url).database)
    connection = await asyncpg.connect(postgres_server.admin_url(name))
    yield connection
    await connection.close()


async def test_it_is_opened_with_a_letter_and_a_trace(desk: Desk, letters: Any) -> None:
    owners = [await desk.house.member("owner"), await desk.house.member("owner")]
    await desk.house.member("owner", state="disabled")
    await desk.house.member("admin")
    opened = await desk.open()
    sent = await letters(desk.house.tenant_id)
    assert [letter.to for letter in sent] == [owner.email for owner in owners]
    assert all(REASON in " ".join(letter.text.split()) for letter in sent)
    assert all(desk.operator.email in letter.text for letter in sent)
    assert all(opened["access_token"] not in letter.text for letter in sent)
    [opening] = await desk.house.audited("support.open")
    [token] = await desk.house.audited("support.token")
    for entry in (opening, token):
        assert (entry["actor_kind"], entry["actor_id"]) == ("operator", desk.operator.id)
        assert entry["target"] == opened["support_id"]
    [listed] = (await desk.house.key.get("/v1/support-accesses")).json()["items"]
    assert (listed["operator"], listed["reason"]) == (desk.operator.email, REASON)
    assert (listed["ended_at"], listed["ended_by"]) == (None, None)
    shown = (await desk.house.key.get(f"/v1/support-accesses/{opened['support_id']}")).json()
    assert shown == listed


async def test_it_looks_and_no_more(desk: Desk, app: Litestar, admin: Any) -> None:
    inside = desk.inside(await desk.open())
    me = (await inside.get("/v1/auth/me")).json()
    assert me["actor"]["kind"] == "operator"
    assert set(me["permissions"]) == resolved(SUPPORT)
    assert me["tenant"]["id"] == ids.encode("ten", desk.house.tenant_id)
    assert (await inside.get("/v1/sources")).status_code == 200
    looked = 0
    for method, path, handler in handlers(app):
        access = access_of(handler)
        assert access is not None
        if access.kind == "public" or path in ENDLESS:
            continue
        one = path.replace("{", "").replace("}", "")
        answer = await inside.request(method, one, json={} if method != "GET" else None)
        if method not in SAFE or access.kind != "permissions":
            assert answer.status_code == 403, (method, path, answer.text)
        looked += answer.status_code in {200, 404}
    assert looked >= 15
    entries = "SELECT count(*) FROM crossdock.audit WHERE tenant_id = $1 AND actor_kind = $2"
    assert await admin.fetchval(entries, desk.house.tenant_id, "operator") == 2


async def test_it_sees_neither_people_nor_keys_nor_the_audit(desk: Desk) -> None:
    inside = desk.inside(await desk.open())
    for path in ("users", "invitations", "roles", "api-keys", "audit", "support-accesses"):
        assert (await inside.get(f"/v1/{path}")).status_code == 403


async def test_it_sees_no_address_that_could_be_sent_to(desk: Desk) -> None:
    body = {"name": "s", "scheme": "stripe", "secrets": ["whsec_made_up"]}
    made = (await desk.house.key.post("/v1/sources", json=body)).json()
    inside = desk.inside(await desk.open())
    for path in ("/v1/sources", f"/v1/sources/{made['id']}"):
        answer = await inside.get(path)
        assert answer.status_code == 200
        assert made["ingest_url"].rpartition("/")[2] not in answer.text
        assert "whsec_made_up" not in answer.text


async def test_the_tenant_ends_it(desk: Desk) -> None:
    opened = await desk.open()
    inside = desk.inside(opened)
    assert (await inside.get("/v1/sources")).status_code == 200
    member = await desk.house.member("admin")
    path = f"/v1/support-accesses/{opened['support_id']}"
    viewer = desk.house.door(await desk.house.member("viewer"))
    assert (await viewer.delete(path)).status_code == 403
    assert (await desk.house.door(member).delete(path)).status_code == 204
    assert (await inside.get("/v1/sources")).status_code == 401
    shown = (await desk.house.key.get(path)).json()
    assert shown["ended_by"] == member.wire_id
    assert (await desk.house.key.delete(path)).status_code == 204
    assert (await desk.house.key.get(path)).json() == shown
    assert await desk.house.announced("session") == [str(ids.decode("sup", opened["support_id"]))]
    [entry] = await desk.house.audited("support.end")
    assert (entry["actor_kind"], entry["actor_id"]) == ("user", member.id)
    again = await desk.door.post(f"{desk.path}/{opened['support_id']}/token")
    assert again.status_code == 409


async def test_the_operator_ends_it(desk: Desk) -> None:
    opened = await desk.open()
    assert (await desk.door.delete(f"{desk.path}/{opened['support_id']}")).status_code == 204
    assert (await desk.inside(opened).get("/v1/sources")).status_code == 401
    [entry] = await desk.house.audited("support.end")
    assert (entry["actor_kind"], entry["actor_id"]) == ("operator", desk.operator.id)
    assert await desk.house.announced("session")


async def test_there_are_more_tokens_while_it_lasts(desk: Desk, admin: Any) -> None:
    opened = await desk.open(minutes=480)
    assert 0 < opened["expires_in"] <= 600
    path = f"{desk.path}/{opened['support_id']}/token"
    another = (await desk.door.post(path)).json()
    assert another["access_token"] != opened["access_token"]
    assert another["support_id"] == opened["support_id"]
    assert (await desk.inside(another).get("/v1/sources")).status_code == 200
    assert len(await desk.house.audited("support.token")) == 2
    support_id = ids.decode("sup", opened["support_id"])
    change = "UPDATE crossdock.support_accesses SET ends_at = now() + $2::interval WHERE id = $1"
    await admin.execute(change, support_id, timedelta(minutes=2))
    short = (await desk.door.post(path)).json()
    assert 100 < short["expires_in"] <= 120, "no token outlives the access"
    await admin.execute(change, support_id, timedelta(seconds=-1))
    assert (await desk.door.post(path)).status_code == 409
    for token in (opened, another, short):
        assert (await desk.inside(token).get("/v1/sources")).status_code == 401


async def test_it_is_one_persons(desk: Desk, crowd: Any, connect: Any) -> None:
    opened = await desk.open()
    other = connect((await crowd.operator()).token)
    path = f"{desk.path}/{opened['support_id']}"
    assert (await other.post(f"{path}/token")).status_code == 403
    assert (await other.delete(path)).status_code == 403
    missing = f"{desk.path}/{ids.encode('sup', ids.new())}"
    assert (await other.post(f"{missing}/token")).status_code == 404


async def test_it_ends_with_the_operator(desk: Desk, crowd: Any, connect: Any) -> None:
    inside = desk.inside(await desk.open())
    head = connect((await crowd.operator()).token)
    assert (await inside.get("/v1/sources")).status_code == 200
    answer = await head.patch(desk.operator.path, json={"state": "disabled"})
    assert answer.status_code == 200, answer.text
    assert (await inside.get("/v1/sources")).status_code == 401


LOSSES = {
    "state": "UPDATE crossdock.users SET state = 'disabled', not_before = clock_timestamp()",
    "role": "UPDATE crossdock.users SET roles = '{platform-none}'",
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_who_is_just_losing_it_gets_no_token(
    desk: Desk, admin: Any, second_admin: asyncpg.Connection, loss: str
) -> None:
    """It would be made after the moment from which on theirs are good for nothing."""
    opened = await desk.open()
    async with second_admin.transaction():
        await second_admin.execute(f"{LOSSES[loss]} WHERE id = $1", desk.operator.id)
        more = desk.door.post(f"{desk.path}/{opened['support_id']}/token")
        body = {"reason": REASON, "minutes": 30}
        asking = [asyncio.create_task(one) for one in (more, desk.door.post(desk.path, json=body))]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        async with asyncio.timeout(10):
            while await admin.fetchval(waiting) < 2 and not all(one.done() for one in asking):
                await asyncio.sleep(0.01)
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [403, 403]
    assert len(await desk.house.audited("support.token")) == 1


async def test_no_token_is_younger_than_the_look_at_its_operator(desk: Desk, admin: Any) -> None:
    """Shards' clocks differ; what ends an operator's tokens goes by the platform's shard."""
    opened = await desk.open()
    payload = opened["access_token"].split(".")[1]
    issued = msgspec.json.decode(urlsafe_b64decode(payload + "=="))["iat"]
    row = await admin.fetchrow(
        "SELECT created_at FROM crossdock.support_accesses WHERE id = $1",
        ids.decode("sup", opened["support_id"]),
    )
    assert issued < row["created_at"].timestamp()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reason": "", "minutes": 30}, "/reason"),
        ({"reason": "   ", "minutes": 30}, "/reason"),
        ({"reason": "x" * 501, "minutes": 30}, "/reason"),
        ({"reason": "a\nb", "minutes": 30}, "/reason"),
        ({"reason": REASON, "minutes": 4}, "/minutes"),
        ({"reason": REASON, "minutes": 481}, "/minutes"),
        ({"reason": REASON, "minutes": "30"}, "/minutes"),
        ({"reason": REASON}, "/minutes"),
        ({"minutes": 30}, "/reason"),
        ({"reason": REASON, "minutes": 30, "roles": ["owner"]}, "/roles"),
    ],
)
async def test_it_needs_a_reason_and_an_end(desk: Desk, body: Any, pointer: str) -> None:
    answer = await desk.door.post(desk.path, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await desk.house.key.get("/v1/support-accesses")).json()["items"] == []


async def test_the_platform_itself_is_not_looked_into(desk: Desk) -> None:
    for tenant_id, status in ((PLATFORM, 409), (ids.new(), 404)):
        path = f"/v1/admin/tenants/{ids.encode('ten', tenant_id)}/support"
        answer = await desk.door.post(path, json={"reason": REASON, "minutes": 30})
        assert answer.status_code == status, answer.text


async def test_a_suspended_tenant_can_be_looked_into(desk: Desk, admin: Any) -> None:
    change = "UPDATE crossdock.tenants SET state = $2, not_before = now() WHERE id = $1"
    await admin.execute(change, desk.house.tenant_id, "suspended")
    assert (await desk.inside(await desk.open()).get("/v1/sources")).status_code == 200
    await admin.execute(change, desk.house.tenant_id, "terminated")
    answer = await desk.door.post(desk.path, json={"reason": REASON, "minutes": 30})
    assert answer.status_code == 409


async def test_its_end_is_told(desk: Desk) -> None:
    opened = await desk.open(minutes=5)
    left = datetime.fromisoformat(opened["ends_at"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)
    assert opened["expires_in"] <= 300
