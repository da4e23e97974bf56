"""What is taken back stops everywhere: within a second, in every gateway process, for good.

Every process is asked, over connections of its own, until all refuse; `settled` says how the bound
of these tests comes from the promised second.
"""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from tests.acceptance.identity.people import (
    Person,
    Town,
    key,
    password,
    settled,
    source,
    unauthenticated,
)
from tests.acceptance.identity.problems import ok, refused, told

ME = "/v1/auth/me"
HOOK = {"content-type": "application/json"}


def webhook(town: Town, url: str) -> Any:
    """Return a way to send a webhook to a source's address."""
    return partial(town.http.post, url, content=b'{"n": 1}', headers=HOOK)


async def state(operator: Person, tenant_id: str, verb: str, **body: Any) -> None:
    ok(await operator.rest.post(f"/v1/admin/tenants/{tenant_id}/{verb}", body))


async def test_a_logout_stops_its_session_and_no_other(town: Town, owner: Person) -> None:
    first, second = await owner.login(), await owner.login()

    reply = await first.rest.post("/v1/auth/logout")

    assert reply.status_code == 204, told(reply)
    await settled(partial(first.rest.get, ME), 401)
    ok(await second.rest.get(ME))
    unauthenticated(await first.rest.post("/v1/auth/logout"))


async def test_a_session_started_at_once_after_a_password_change_works(town: Town) -> None:
    founder = await town.founder()
    for _ in range(3):
        old, new = founder.password, password()
        body = {"current_password": old, "new_password": new}
        pair = ok(await founder.rest.post("/v1/auth/password", body), 200)
        founder.password = new
        # Issued after the change, even if in the same millisecond: no second of its life is lost.
        fresh = await founder.login()
        ok(await fresh.rest.get(ME))
        ok(await town.bearer(pair["access_token"]).get(ME))
        await settled(partial(founder.rest.get, ME), 401)
        founder.session = fresh


async def test_a_role_that_is_taken_away_stops(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "developer")
    ok(await colleague.rest.get("/v1/sources"))
    await source(colleague.rest)
    old = colleague.rest

    ok(await owner.rest.patch(f"/v1/users/{colleague.id}", {"roles": ["viewer"]}))

    body = {"name": "too late", "scheme": "none", "secrets": []}
    await settled(partial(old.post, "/v1/sources", body), 401, 403)
    fresh = await colleague.login()
    ok(await fresh.rest.get("/v1/sources"))
    refused(await fresh.rest.post("/v1/sources", body), 403, "forbidden")
    names = [item["name"] for item in await owner.rest.all("/v1/sources")]
    # Whatever slipped in before the bound is no more than what it took to ask.
    assert len(names) < 20


async def test_a_role_that_is_given_works_after_the_next_sign_in(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")

    ok(await owner.rest.patch(f"/v1/users/{colleague.id}", {"roles": ["developer"]}))

    fresh = await colleague.login()
    await source(fresh.rest)


async def test_a_disabled_user_stops(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")

    ok(await owner.rest.patch(f"/v1/users/{colleague.id}", {"state": "disabled"}))

    await settled(partial(colleague.rest.get, ME), 401)
    unauthenticated(await colleague.try_login())
    ok(await owner.rest.patch(f"/v1/users/{colleague.id}", {"state": "active"}))
    unauthenticated(await colleague.rest.get(ME))
    ok(await (await colleague.login()).rest.get(ME))


async def test_a_removed_user_stops(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")

    reply = await owner.rest.delete(f"/v1/users/{colleague.id}")

    assert reply.status_code == 204, told(reply)
    await settled(partial(colleague.rest.get, ME), 401)
    unauthenticated(await colleague.try_login())
    body = {"refresh_token": colleague.session.refresh}
    unauthenticated(await town.anyone().post("/v1/auth/refresh", body))


async def test_sessions_ended_by_an_admin_stop(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")
    second = await colleague.login()

    reply = await owner.rest.delete(f"/v1/users/{colleague.id}/sessions")

    assert reply.status_code == 204, told(reply)
    for session in (colleague.session, second):
        await settled(partial(session.rest.get, ME), 401)
        body = {"refresh_token": session.refresh}
        unauthenticated(await town.anyone().post("/v1/auth/refresh", body))
    ok(await (await colleague.login()).rest.get(ME))


async def test_a_deleted_key_stops(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")
    robot = town.bearer(made["key"])
    ok(await robot.get("/v1/sources"))

    assert (await owner.rest.delete(f"/v1/api-keys/{made['id']}")).status_code == 204

    await settled(partial(robot.get, "/v1/sources"), 401)


async def test_a_revocation_is_quick_under_many_at_once(town: Town, owner: Person) -> None:
    sessions = [await owner.login() for _ in range(5)]

    replies = await asyncio.gather(*(s.rest.post("/v1/auth/logout") for s in sessions))

    assert [reply.status_code for reply in replies] == [204] * len(sessions)
    for session in sessions:
        await settled(partial(session.rest.get, ME), 401)


async def test_a_suspended_tenant_stops_and_works_again(town: Town, admin: Person) -> None:
    founder, neighbour = await town.founders(2)
    door, next_door = await source(founder.rest), await source(neighbour.rest)
    robot = town.bearer(
        (await key(founder.rest, "sources:read", "sources:write", "tenant:read"))["key"]
    )
    send, send_next_door = (webhook(town, each["ingest_url"]) for each in (door, next_door))
    await settled(send, 202)
    old = founder.session
    wish = {"name": "while suspended", "scheme": "none", "secrets": []}

    await state(admin, founder.tenant_id, "suspend", reason="unpaid")

    # The three clocks run at once: what is asked last has had no longer than what is asked first.
    await asyncio.gather(
        settled(partial(old.rest.post, "/v1/sources", wish), 401, 403),
        settled(partial(robot.post, "/v1/sources", wish), 403),
        settled(send, 403),
    )
    refused(await robot.post("/v1/sources", wish), 403, "tenant-suspended")
    refused(await old.rest.get(ME), {401, 403})
    reply = await send()
    refused(reply, 403, "tenant-suspended")
    names = {item["name"] for item in await robot.all("/v1/sources")}
    assert door["name"] in names, "Reads are allowed."
    assert (await send_next_door()).status_code == 202
    ok(await neighbour.rest.get(ME))

    await state(admin, founder.tenant_id, "resume")

    await asyncio.gather(
        settled(partial(robot.get, "/v1/tenant"), 200),
        settled(send, 202),
    )
    await source(robot)
    await source((await founder.login()).rest)
    shown = ok(await robot.get("/v1/tenant"))
    assert shown["state"] == "active"


async def test_a_suspension_ends_what_was_issued_before_it(town: Town, admin: Person) -> None:
    founder = await town.founder()
    old = founder.session

    await state(admin, founder.tenant_id, "suspend", reason="under review")
    await settled(partial(old.rest.get, ME), 401, 403)
    await state(admin, founder.tenant_id, "resume")

    await settled(partial((await founder.login()).rest.get, ME), 200)
    # `iat` lies before the tenant's `not_before`, which a resumption does not take back.
    unauthenticated(await old.rest.get(ME))


@pytest.mark.parametrize("round_", range(3))
async def test_suspended_and_resumed_in_a_hurry(town: Town, admin: Person, round_: int) -> None:
    founder = await town.founder()
    send = webhook(town, (await source(founder.rest))["ingest_url"])
    await settled(send, 202)

    for verb in ("suspend", "resume") * 3:
        await state(
            admin, founder.tenant_id, verb, **({"reason": "x"} if verb == "suspend" else {})
        )
    await settled(send, 202)
    await state(admin, founder.tenant_id, "suspend", reason="x")

    await settled(send, 403)


async def test_requests_under_way_when_a_session_ends_are_answered(owner: Person) -> None:
    session = await owner.login()

    replies: list[httpx.Response] = await asyncio.gather(
        *(session.rest.get(ME) for _ in range(20)),
        session.rest.post("/v1/auth/logout"),
        *(session.rest.get(ME) for _ in range(20)),
    )

    assert {reply.status_code for reply in replies} <= {200, 204, 401}
    await settled(partial(session.rest.get, ME), 401)
