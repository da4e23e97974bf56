"""Where one is signed in: seen, and ended."""

from typing import Any

from crossdock import ids
from tests.beds.signing_in import Person, SigningInBed

LIST = "/v1/auth/sessions"


async def end(ann: Person, pair: Any, session: str) -> int:
    """End a session by its id; return the status."""
    return (await ann.call(pair, f"{LIST}/{session}", method="DELETE")).status_code


async def test_one_sees_ones_own_live_sessions_newest_first(bed: SigningInBed, ann: Person) -> None:
    colleague = await bed.person(tenant=(ann.tenant_id, ann.slug))
    await colleague.login()
    first, second, third = [await ann.login() for _ in range(3)]
    await ann.call(second, "/v1/auth/logout")
    listed = (await ann.get(first, LIST)).json()["items"]
    assert [(one["id"], one["current"]) for one in listed] == [
        (third["session_id"], False),
        (first["session_id"], True),
    ]
    assert listed[0]["user_agent"] == "tests"
    assert listed[0]["address"] == ann.address


async def test_the_list_comes_in_pages(bed: SigningInBed, ann: Person) -> None:
    pairs = [await ann.login() for _ in range(3)]
    page = (await ann.get(pairs[0], f"{LIST}?limit=2")).json()
    rest = (await ann.get(pairs[0], f"{LIST}?limit=2&cursor={page['next_cursor']}")).json()
    found = [one["id"] for one in page["items"] + rest["items"]]
    assert found == [pair["session_id"] for pair in reversed(pairs)]
    assert rest["next_cursor"] is None
    bob = await bed.person(tenant=(ann.tenant_id, ann.slug))
    stolen = f"{LIST}?limit=2&cursor={page['next_cursor']}"
    assert (await bob.get(await bob.login(), stolen)).status_code == 422


async def test_logout_ends_the_session_that_asks_and_no_other(
    bed: SigningInBed, ann: Person
) -> None:
    pair, other = await ann.login(), await ann.login()
    assert (await ann.call(pair, "/v1/auth/logout")).status_code == 204
    assert (await ann.get(pair)).status_code == 401
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert (await ann.get(other)).status_code == 200
    assert (await ann.actions())[-2][0] == "user.logout"
    assert await bed.outbox_of(ann) == [
        ("session", str(ids.decode("ses", pair["session_id"]))),
    ]


async def test_one_ends_ones_own_session_elsewhere(bed: SigningInBed, ann: Person) -> None:
    here, elsewhere = await ann.login(), await ann.login()
    assert await end(ann, here, elsewhere["session_id"]) == 204
    assert (await ann.get(elsewhere)).status_code == 401
    assert await end(ann, here, elsewhere["session_id"]) == 204
    actions = [action for action, _ in await ann.actions()]
    assert actions.count("session.end") == 1


async def test_nobody_ends_or_sees_anybody_elses(bed: SigningInBed, ann: Person) -> None:
    colleague = await bed.person(tenant=(ann.tenant_id, ann.slug))
    stranger = await bed.person()
    mine = await ann.login()
    for other in (colleague, stranger):
        theirs = await other.login()
        assert await end(ann, mine, theirs["session_id"]) == 404
        assert (await other.get(theirs)).status_code == 200
    for odd in ("ses_x", "usr_00000000000000000000000000", ids.encode("ses", ids.new())):
        assert await end(ann, mine, odd) == 404


async def test_a_key_has_no_sessions(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    body = {"name": "a key", "permissions": ["sources:read"]}
    key = (await ann.call(pair, "/v1/api-keys", body)).json()["key"]
    me = await ann.get({"access_token": key})
    assert me.status_code == 200, me.text
    assert me.json()["actor"]["kind"] == "key"
    assert "email" not in me.json()["actor"]
    for method, path in (("GET", LIST), ("POST", "/v1/auth/logout")):
        answer = await ann.call({"access_token": key}, path, method=method)
        assert answer.status_code == 403
