"""What is taken away while something is being handed out: the taking wins, in whatever order.

Each race is run a few times; what was gained in it must be worth nothing once it is over.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpx

from tests.acceptance.identity.people import (
    Person,
    Session,
    Town,
    key,
    password,
    settled,
    source,
    unauthenticated,
)
from tests.acceptance.identity.problems import ok, refused, told

ME = "/v1/auth/me"
ROUNDS = 4
WISH = {"name": "gained in a race", "scheme": "none", "secrets": []}


def gained(town: Town, replies: Iterable[httpx.Response]) -> list[Session]:
    """Return the sessions that were handed out, and check that the rest was refused properly."""
    found = []
    for reply in replies:
        if reply.status_code == 200:
            found.append(Session(town, ok(reply)))
        else:
            refused(reply, {401, 403, 429, 503})
    return found


async def are_over(town: Town, sessions: Iterable[Session]) -> None:
    """Check that neither token of any of them opens anything."""
    for session in sessions:
        await settled(partial(session.rest.get, ME), 401)
        body = {"refresh_token": session.refresh}
        unauthenticated(await town.anyone().post("/v1/auth/refresh", body))


def refreshes(town: Town, session: Session, times: int) -> list[Any]:
    body = {"refresh_token": session.refresh}
    return [town.anyone().post("/v1/auth/refresh", body) for _ in range(times)]


async def test_a_sign_in_with_the_old_password_does_not_outlive_its_change(town: Town) -> None:
    founder = await town.founder()
    for _ in range(ROUNDS):
        new, session = password(), await founder.login()
        change = {"current_password": founder.password, "new_password": new}

        changed, *replies = await asyncio.gather(
            session.rest.post("/v1/auth/password", change),
            *(founder.try_login() for _ in range(3)),
            *refreshes(town, session, 2),
        )

        kept = Session(town, ok(changed, 200))
        lost = [each for each in gained(town, replies) if each.id != kept.id]
        await are_over(town, lost)
        ok(await kept.rest.get(ME))
        founder.password = new


async def test_a_sign_in_with_the_old_password_does_not_outlive_a_reset(town: Town) -> None:
    for founder in await town.founders(2):
        ok(await town.anyone().post("/v1/auth/password/reset", {"email": founder.email}), 202)
        token, new = await town.post.token(founder.email), password()
        body = {"token": token, "new_password": new}

        reset, *replies = await asyncio.gather(
            town.anyone().post("/v1/auth/password/reset/confirm", body),
            *(founder.try_login() for _ in range(3)),
            *refreshes(town, founder.session, 2),
        )

        assert reset.status_code == 204, told(reset)
        await are_over(town, [founder.session, *gained(town, replies)])
        ok(await founder.try_login(password=new), 200)


async def test_a_lost_role_is_not_kept_by_whoever_renews_meanwhile(
    town: Town, owner: Person
) -> None:
    colleague = await town.colleague(owner, "developer")
    user = f"/v1/users/{colleague.id}"
    for _ in range(ROUNDS):
        session = await colleague.login()

        changed, *replies = await asyncio.gather(
            owner.rest.patch(user, {"roles": ["viewer"]}),
            colleague.try_login(),
            *refreshes(town, session, 3),
        )

        ok(changed)
        for each in (session, *gained(town, replies)):
            await settled(partial(each.rest.post, "/v1/sources", WISH), 401, 403)
        ok(await owner.rest.patch(user, {"roles": ["developer"]}))
    assert ok(await owner.rest.get(user))["roles"] == ["developer"]


async def test_a_disabled_user_keeps_nothing_gained_meanwhile(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")
    user = f"/v1/users/{colleague.id}"
    for _ in range(ROUNDS):
        session = await colleague.login()

        changed, *replies = await asyncio.gather(
            owner.rest.patch(user, {"state": "disabled"}),
            *(colleague.try_login() for _ in range(2)),
            *refreshes(town, session, 2),
        )

        ok(changed)
        await are_over(town, [session, *gained(town, replies)])
        ok(await owner.rest.patch(user, {"state": "active"}))


async def test_a_removed_user_keeps_nothing_gained_meanwhile(town: Town, owner: Person) -> None:
    for _ in range(2):
        colleague = await town.colleague(owner, "developer")
        maker = colleague.rest

        removed, made, *replies = await asyncio.gather(
            owner.rest.delete(f"/v1/users/{colleague.id}"),
            maker.post("/v1/api-keys", {"name": "kept", "permissions": ["sources:read"]}),
            colleague.try_login(),
            *refreshes(town, colleague.session, 2),
        )

        assert removed.status_code == 204, told(removed)
        await are_over(town, [colleague.session, *gained(town, replies)])
        if made.status_code == 201:
            robot = town.bearer(made.json()["key"])
            await settled(partial(robot.get, "/v1/sources"), 401)
        else:
            refused(made, {401, 403, 404, 409})


async def test_a_suspension_outlives_whoever_signs_in_meanwhile(town: Town, admin: Person) -> None:
    for founder in await town.founders(2):
        path = f"/v1/admin/tenants/{founder.tenant_id}"

        suspended, *replies = await asyncio.gather(
            admin.rest.post(f"{path}/suspend", {"reason": "x"}),
            *(founder.try_login() for _ in range(2)),
            *refreshes(town, founder.session, 2),
        )

        ok(suspended)
        old = [founder.session, *gained(town, replies)]
        for session in old:
            await settled(partial(session.rest.post, "/v1/sources", WISH), 401, 403)
        ok(await admin.rest.post(f"{path}/resume", {}))
        await settled(partial(founder.session.rest.get, ME), 401)
        await source((await founder.login()).rest)


async def test_ending_all_sessions_ends_those_that_renew_meanwhile(
    town: Town, owner: Person
) -> None:
    colleague = await town.colleague(owner, "viewer")
    for _ in range(ROUNDS):
        session = await colleague.login()

        ended, *replies = await asyncio.gather(
            owner.rest.delete(f"/v1/users/{colleague.id}/sessions"),
            *refreshes(town, session, 4),
        )

        assert ended.status_code == 204, told(ended)
        await are_over(town, [session, *gained(town, replies)])


async def test_a_key_is_deleted_while_it_is_replaced(town: Town, owner: Person) -> None:
    for _ in range(ROUNDS):
        made = await key(owner.rest, "sources:read")
        path = f"/v1/api-keys/{made['id']}"

        deleted, rotated = await asyncio.gather(
            owner.rest.delete(path), owner.rest.post(f"{path}/rotate", {"overlap_s": 600})
        )

        assert deleted.status_code in {204, 409}, told(deleted)
        if deleted.status_code == 204:
            await settled(partial(town.bearer(made["key"]).get, "/v1/sources"), 401)
        if rotated.status_code == 201:
            ok(await town.bearer(rotated.json()["key"]).get("/v1/sources"))
        else:
            refused(rotated, {404, 409, 422})


async def test_one_invitation_and_one_user_for_many_who_invite(town: Town, owner: Person) -> None:
    address = f"wanted.{password()[3:15].lower().replace('_', 'x')}@example.com"
    body = {"email": address, "roles": ["viewer"]}

    replies = await asyncio.gather(*(owner.rest.post("/v1/invitations", body) for _ in range(8)))

    for reply in replies:
        if reply.status_code != 201:
            refused(reply, {409, 429})
    open_ones = [
        item
        for item in await owner.rest.all("/v1/invitations")
        if item["email"] == address and item.get("revoked_at") is None
    ]
    assert len(open_ones) == 1
