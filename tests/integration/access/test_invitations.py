"""Coming to a tenant: by a letter, in roles that whoever invited holds."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossdock import ids
from crossdock.access.invitations.rules import LETTERS, RECEIVED, REPEATS, InvitationToken
from crossdock.identity import emails
from crossdock.mail.letters import token_of
from crossdock.tenancy.rules import PLATFORM

PASSWORD = "a long and quite unlikely one"


class Invited:
    """An invitation, and the token that came by letter."""

    def __init__(self, body: Any, email: str, token: str) -> None:
        self.body = body
        self.email = email
        self.token = token

    def acceptance(self, **changes: Any) -> dict[str, Any]:
        return {"token": self.token, "name": "Nora", "password": PASSWORD, **changes}


@pytest.fixture
def invite(house: Any, letters: Any) -> Any:
    async def make(door: Any = None, *roles: str, email: str | None = None) -> Invited:
        email = email or f"n-{ids.new().hex}@example.com"
        body = {"email": email, "roles": list(roles) or ["viewer"]}
        answer = await (door or house.key).post("/v1/invitations", json=body)
        assert answer.status_code == 201, answer.text
        letter = (await letters(house.tenant_id))[-1]
        assert letter.to == email.lower()
        token = token_of(letter.text)
        assert token is not None
        return Invited(answer.json(), email, token)

    return make


async def accept(anonymous: Any, invited: Invited, **changes: Any) -> Any:
    return await anonymous.post("/v1/invitations/accept", json=invited.acceptance(**changes))


async def test_who_is_invited_becomes_a_user(
    house: Any, invite: Any, anonymous: Any, crowd: Any, admin: Any
) -> None:
    inviter = await house.member("admin")
    invited = await invite(house.door(inviter), "developer", "viewer", email="New.One@Example.com")
    assert invited.body["invited_by"] == inviter.wire_id
    assert invited.token not in str(invited.body)
    answer = await accept(anonymous, invited)
    assert answer.status_code == 201, answer.text
    joined = answer.json()
    assert joined["tenant"]["id"] == ids.encode("ten", house.tenant_id)
    assert joined["user"]["email"] == "new.one@example.com"
    assert joined["user"]["roles"] == ["developer", "viewer"]
    user_id = ids.decode("usr", joined["user"]["id"])
    row = await admin.fetchrow("SELECT * FROM crossdock.users WHERE id = $1", user_id)
    assert row["tenant_id"] == house.tenant_id
    assert row["password_hash"].startswith("$argon2id$")
    login = await admin.fetchrow("SELECT * FROM crossdock.logins WHERE user_id = $1", user_id)
    assert login["email_hash"] == emails.hash_of("new.one@example.com")
    [entry] = await house.audited("invitation.accept")
    assert entry["actor_id"] == user_id
    [listed] = (await house.key.get("/v1/invitations")).json()["items"]
    assert listed["accepted_at"] is not None
    again = await accept(anonymous, invited)
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "/token")


async def test_a_token_that_opens_nothing_gets_one_answer(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    good, revoked, over = await invite(), await invite(), await invite()
    other = InvitationToken(house.tenant_id, ids.decode("inv", good.body["id"]), bytes(32))
    nowhere = InvitationToken(ids.new(), ids.decode("inv", good.body["id"]), bytes(32))
    missing = InvitationToken(house.tenant_id, ids.new(), bytes(32))
    await house.key.delete(f"/v1/invitations/{revoked.body['id']}")
    await admin.execute(
        "UPDATE crossdock.invitations SET expires_at = now() WHERE tenant_id = $1 AND email = $2",
        house.tenant_id,
        over.email,
    )
    await house.member("viewer", email=good.email)
    texts = [
        revoked.token,
        over.token,
        other.format("test"),
        other.format("prod"),
        nowhere.format("test"),
        missing.format("test"),
        good.token[:-1] + ("A" if good.token[-1] != "A" else "B"),
        good.token.replace("cdi_", "cdk_"),
        "x",
    ]
    answers = [await accept(anonymous, good, token=text) for text in texts]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.text for answer in answers}) == 1
    conflict = await accept(anonymous, good)
    assert conflict.status_code == 409, "only who has the token learns that the address is known"


async def test_a_token_is_good_once_however_many_come(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    invited = await invite()
    answers = await asyncio.gather(*(accept(anonymous, invited) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    users = "SELECT count(*) FROM crossdock.users WHERE tenant_id = $1 AND email = $2"
    assert await admin.fetchval(users, house.tenant_id, invited.email) == 1


async def test_accepting_begun_again_is_the_same_user(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    """The gateway died between the control database and the tenant's."""
    invited = await invite()
    invitation_id = ids.decode("inv", invited.body["id"])
    for user_id in (invitation_id, ids.new()):
        await admin.execute(
            "INSERT INTO crossdock.logins VALUES ($1, $2, $3)",
            house.tenant_id,
            user_id,
            emails.hash_of(invited.email),
        )
    joined = (await accept(anonymous, invited)).json()
    logins = await admin.fetch(
        "SELECT user_id FROM crossdock.logins WHERE tenant_id = $1 AND email_hash = $2",
        house.tenant_id,
        emails.hash_of(invited.email),
    )
    assert [row["user_id"] for row in logins] == [ids.decode("usr", joined["user"]["id"])]


async def test_who_comes_is_not_forgotten_by_who_removes_nobody(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    """A user's id is their invitation's: so somebody may be removed who is just coming."""
    for _ in range(3):
        invited = await invite()
        user_id = ids.decode("inv", invited.body["id"])
        removals = [house.key.delete(f"/v1/users/{ids.encode('usr', user_id)}") for _ in range(4)]
        [joined, *removed] = await asyncio.gather(accept(anonymous, invited), *removals)
        assert joined.status_code == 201
        has_login = await admin.fetchval(
            "SELECT EXISTS (SELECT FROM crossdock.logins WHERE user_id = $1)", user_id
        )
        is_gone = 204 in {answer.status_code for answer in removed}
        assert has_login is not is_gone


async def test_nobody_invites_to_what_they_lack(house: Any) -> None:
    await house.role("strong", "tenant:write")
    await house.role("strong-too", inherits=("strong",))
    admin = house.door(await house.member("admin"))
    for roles in (["owner"], ["viewer", "owner"], ["strong"], ["strong-too"]):
        body = {"email": "new@example.com", "roles": roles}
        answer = await admin.post("/v1/invitations", json=body)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
    assert len(await house.audited("invitation.create.refused")) == 4
    for role in ("platform-admin", "support", "nobody"):
        body = {"email": "new@example.com", "roles": [role]}
        answer = await admin.post("/v1/invitations", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/roles/0")


@pytest.mark.parametrize("loss", ["demoted", "disabled", "gone"])
async def test_who_lost_a_right_gives_it_to_nobody(
    house: Any, invite: Any, anonymous: Any, admin: Any, loss: str
) -> None:
    """The letter was sent before, and is accepted after."""
    inviter = await house.member("admin")
    invited = await invite(house.door(inviter), "admin")
    if loss == "demoted":
        await house.key.patch(inviter.path, json={"roles": ["viewer"]})
    elif loss == "disabled":
        await house.key.patch(inviter.path, json={"state": "disabled"})
    else:
        await admin.execute("DELETE FROM crossdock.users WHERE id = $1", inviter.id)
    assert (await accept(anonymous, invited)).status_code == 409


async def test_a_role_that_grew_is_not_given_by_who_lacks_it(
    house: Any, invite: Any, anonymous: Any
) -> None:
    path = await house.role("small", "events:read")
    inviter = await house.member("admin")
    invited = await invite(house.door(inviter), "small")
    await house.key.patch(path, json={"inherits": ["owner"]})
    assert (await accept(anonymous, invited)).status_code == 409


async def test_a_role_that_is_gone_is_not_given(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    await house.role("brief", "events:read")
    invited = await invite(None, "brief")
    await admin.execute("DELETE FROM crossdock.roles WHERE tenant_id = $1", house.tenant_id)
    assert (await accept(anonymous, invited)).status_code == 409


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"password": "short"}, "/password"),
        ({"password": "nora nora nora"}, "/password"),
        ({"name": ""}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"roles": ["owner"]}, "/roles"),
        ({"tenant_id": "x"}, "/tenant_id"),
        ({"email": "other@example.com"}, "/email"),
    ],
)
async def test_what_one_brings_along_must_do(
    invite: Any, anonymous: Any, fields: dict[str, Any], pointer: str
) -> None:
    invited = await invite()
    answer = await accept(anonymous, invited, **fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await accept(anonymous, invited)).status_code == 201


@pytest.mark.parametrize("email", ["", "x", "a@", "a b@example.com", "a@b@c", "A <a@example.com>"])
async def test_what_is_no_address_is_refused(house: Any, email: str) -> None:
    body = {"email": email, "roles": ["viewer"]}
    answer = await house.key.post("/v1/invitations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/email")


async def test_an_address_is_invited_once_and_no_user_is(house: Any, invite: Any) -> None:
    first = await invite(email="once@example.com")
    body = {"email": "ONCE@example.com", "roles": ["viewer"]}
    assert (await house.key.post("/v1/invitations", json=body)).status_code == 409
    path = f"/v1/invitations/{first.body['id']}"
    assert (await house.key.delete(path)).status_code == 204
    assert (await house.key.delete(path)).status_code == 204
    assert (await house.key.post("/v1/invitations", json=body)).status_code == 201
    member = await house.member("viewer")
    body = {"email": member.email.upper(), "roles": ["viewer"]}
    assert (await house.key.post("/v1/invitations", json=body)).status_code == 409


async def test_open_invitations_count_as_users(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    await admin.execute(
        "UPDATE crossdock.tenants SET quotas = '{\"users\": 2}' WHERE id = $1", house.tenant_id
    )
    invited = await invite()
    await house.member("viewer")
    body = {"email": "third@example.com", "roles": ["viewer"]}
    answer = await house.key.post("/v1/invitations", json=body)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/quota-reached")
    assert (await accept(anonymous, invited)).status_code == 201


async def test_a_lower_limit_holds_for_those_on_their_way(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    invited = [await invite() for _ in range(6)]
    await admin.execute(
        "UPDATE crossdock.tenants SET quotas = '{\"users\": 3}' WHERE id = $1", house.tenant_id
    )
    answers = await asyncio.gather(*(accept(anonymous, one) for one in invited))
    users = "SELECT count(*) FROM crossdock.users WHERE tenant_id = $1"
    assert await admin.fetchval(users, house.tenant_id) <= 3
    assert {answer.status_code for answer in answers} <= {201, 403}


async def test_a_suspended_tenant_takes_nobody_in(
    house: Any, invite: Any, anonymous: Any, admin: Any
) -> None:
    invited = await invite()
    await admin.execute(
        "UPDATE crossdock.tenants SET state = 'suspended' WHERE id = $1", house.tenant_id
    )
    answer = await accept(anonymous, invited)
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/tenant-suspended")


async def test_letters_are_limited(house: Any, admin: Any) -> None:
    """Whoever revokes and invites again and again is stopped before the quota is."""
    statuses = []
    for number in range(LETTERS.burst + 1):
        body = {"email": f"n{number}@example.com", "roles": ["viewer"]}
        statuses.append((await house.key.post("/v1/invitations", json=body)).status_code)
        await admin.execute(
            "UPDATE crossdock.invitations SET revoked_at = now() WHERE tenant_id = $1",
            house.tenant_id,
        )
    assert statuses == [201] * LETTERS.burst + [429]


async def test_nobody_is_buried_in_letters(new_tenant: Any, admin: Any) -> None:
    """One tenant sends an address a few; and all of them together no more than some."""
    body = {"email": f"n-{ids.new().hex}@example.com", "roles": ["viewer"]}
    again = "UPDATE crossdock.invitations SET revoked_at = now() WHERE email = $1"
    statuses: list[list[int]] = []
    tenants = [await new_tenant() for _ in range(RECEIVED.burst // REPEATS.burst + 1)]
    for tenant in tenants:
        statuses.append([])
        for _ in range(REPEATS.burst + 1):
            answer = await tenant.http.post("/v1/invitations", json=body)
            statuses[-1].append(answer.status_code)
            await admin.execute(again, body["email"])
    *first, last = statuses
    assert first == [[201] * REPEATS.burst + [429]] * len(first)
    assert set(last) == {429}
    other = {**body, "email": f"n-{ids.new().hex}@example.com"}
    assert (await tenants[-1].http.post("/v1/invitations", json=other)).status_code == 201


async def test_it_lasts_a_week(invite: Any) -> None:
    body = (await invite()).body
    lasts = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < lasts <= timedelta(days=7)


async def test_operators_are_invited_the_same_way(
    crowd: Any, connect: Any, anonymous: Any, letters: Any
) -> None:
    head = connect((await crowd.operator()).token)
    email = f"op-{ids.new().hex}@example.com"
    body = {"email": email, "roles": ["owner"]}
    assert (await head.post("/v1/invitations", json=body)).status_code == 422
    body["roles"] = ["platform-support"]
    assert (await head.post("/v1/invitations", json=body)).status_code == 201
    letter = next(one for one in reversed(await letters(PLATFORM)) if one.to == email)
    sent = {"token": token_of(letter.text), "name": "Op", "password": PASSWORD}
    joined = (await anonymous.post("/v1/invitations/accept", json=sent)).json()
    assert joined["tenant"]["slug"] == "platform"
    assert joined["user"]["roles"] == ["platform-support"]
