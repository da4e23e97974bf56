"""What was done is on record: who, what, to whom and from where, in the tenant whose it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.acceptance.identity.people import Person, Town, email, key, password
from tests.acceptance.identity.problems import ok, refused, told
from tests.faults.waiting import until

AUDIT = "/v1/audit"


async def fresh(owner: Person, act: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Return what an act added to the record, newest first."""
    before = {entry["id"] for entry in await owner.rest.all(AUDIT)}
    await act()

    async def added() -> list[Any]:
        return [entry for entry in await owner.rest.all(AUDIT) if entry["id"] not in before]

    entries: list[Any] = await until(added, "an entry", within=5)
    return entries


async def test_each_change_names_who_and_whom(town: Town, owner: Person) -> None:
    rest = owner.rest
    colleague = await town.colleague(owner, "viewer")
    role = ok(await rest.post("/v1/roles", {"name": "noted", "permissions": []}), 201)
    made = await key(rest, "sources:read")
    user = f"/v1/users/{colleague.id}"
    acts: list[tuple[str, str, Any, str]] = [
        ("PATCH", user, {"roles": ["developer"]}, colleague.id),
        ("DELETE", f"{user}/sessions", None, colleague.id),
        ("PATCH", user, {"state": "disabled"}, colleague.id),
        ("PATCH", f"/v1/roles/{role['id']}", {"permissions": ["events:read"]}, role["id"]),
        ("POST", f"/v1/api-keys/{made['id']}/rotate", {}, made["id"]),
        ("DELETE", f"/v1/api-keys/{made['id']}", None, made["id"]),
        ("DELETE", f"/v1/roles/{role['id']}", None, role["id"]),
        ("DELETE", user, None, colleague.id),
    ]

    for method, path, body, target in acts:

        async def act(method: str = method, path: str = path, body: Any = body) -> None:
            ok(await rest.call(method, path, body))

        entries = await fresh(owner, act)
        mine = [entry for entry in entries if target in str(entry)]
        assert mine, (method, path, entries)
        assert owner.id in str(mine[0]), mine[0]
        assert mine[0]["id"].startswith("aud_")


async def test_a_wrong_password_is_on_record_with_its_address(town: Town) -> None:
    founder = await town.founder()
    stranger = town.anyone()

    async def act() -> None:
        body = {"email": founder.email, "password": "a stranger's guess"}
        refused(await stranger.post("/v1/auth/login", body), 401)

    entries = await fresh(founder, act)

    assert "login" in entries[0]["action"]
    assert stranger.headers["x-forwarded-for"] in str(entries[0])
    assert "guess" not in str(entries)


async def test_what_is_done_with_a_password_is_on_record(town: Town) -> None:
    founder = await town.founder()
    new = password()
    body = {"current_password": founder.password, "new_password": new}

    async def act() -> None:
        pair = ok(await founder.rest.post("/v1/auth/password", body), 200)
        founder.session.rest = town.bearer(pair["access_token"])

    entries = await fresh(founder, act)

    assert any("password" in entry["action"] for entry in entries)
    for secret in (new, founder.password):
        assert secret not in str(entries)


async def test_a_denied_grant_is_on_record(town: Town, owner: Person) -> None:
    boss = await town.colleague(owner, "admin")
    invited = email("x")

    async def act() -> None:
        body = {"email": invited, "roles": ["owner"]}
        refused(await boss.rest.post("/v1/invitations", body), 403)

    entries = await fresh(owner, act)

    assert boss.id in str(entries[0])


async def test_the_record_is_a_tenants_own(town: Town, owner: Person) -> None:
    other = await town.founder()

    theirs = await other.rest.all(AUDIT)
    mine = {entry["id"] for entry in await owner.rest.all(AUDIT)}

    assert theirs
    assert not mine & {entry["id"] for entry in theirs}
    assert owner.id not in str(theirs)
    assert owner.email not in str(theirs)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nobody_writes_the_record(owner: Person, method: str) -> None:
    entry = (await owner.rest.all(AUDIT))[0]

    for path in (AUDIT, f"{AUDIT}/{entry['id']}"):
        reply = await owner.rest.call(method, path, {})
        assert reply.status_code in {404, 405}, told(reply)


async def test_it_comes_in_pages_newest_first(owner: Person, town: Town) -> None:
    await asyncio.gather(*(owner.try_login() for _ in range(3)))

    page = ok(await owner.rest.get(f"{AUDIT}?limit=2"))
    everything = await owner.rest.all(AUDIT)
    rest = ok(await owner.rest.get(f"{AUDIT}?limit=200&cursor={page['next_cursor']}"))

    assert [entry["id"] for entry in page["items"] + rest["items"]][: len(everything)] == [
        entry["id"] for entry in everything
    ]
    other = await town.founder()
    stolen = await other.rest.get(f"{AUDIT}?cursor={page['next_cursor']}")
    refused(stolen, {400, 422})
