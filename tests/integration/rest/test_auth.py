"""Who gets in, and who does not."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from litestar import get

from crossdock import ids
from crossdock.access import rules, tokentext
from crossdock.access.authentication import CACHE_KEYS, Authenticator
from crossdock.access.permissions import PERMISSIONS
from crossdock.access.service import ApiKeys
from crossdock.errors import Unauthenticated
from crossdock.tenancy.service import Tenants
from gateway.rest import create_rest
from tests.beds.open_runtime import OpenRuntime


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.seconds = 0.0

    def moment(self) -> datetime:
        return self.now + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(database: Any, clock: Clock) -> Authenticator:
    return Authenticator(
        database, environment="test", clock=clock.moment, monotonic=clock.monotonic
    )


async def refused(authenticator: Authenticator, text: str) -> str:
    with pytest.raises(Unauthenticated) as error:
        await authenticator.verify(text)
    return str(error.value)


def with_checksum(text: str) -> str:
    head = text[:-6]
    return head + tokentext.checksum(head)


def forged(key: str, **parts: Any) -> str:
    """Return a key with another part, and a checksum that is right."""
    found = rules.KeyText.parse(key, "test")
    fields = {"tenant_id": found.tenant_id, "id": found.id, "secret": found.secret}
    return rules.KeyText(**{**fields, **parts}).format("test")


HEADERS = [
    [],
    [("authorization", "")],
    [("authorization", "Bearer")],
    [("authorization", "Bearer ")],
    [("authorization", "Bearer junk")],
    [("authorization", "Basic Y3Jvc3M6ZG9jaw==")],
    [("authorization", "Bearer " + "cdk_test_" + "A" * 43 + "_" + "A" * 49)],
    [("authorization", "Bearer " + "A" * 10_000)],
    [("authorization", b"Bearer \xff\xfe")],
    [("x-api-key", "KEY")],
    [("cookie", "authorization=Bearer KEY")],
    [("authorization", "Bearer KEY"), ("authorization", "Bearer KEY")],
    [("authorization", "Bearer KEY"), ("authorization", "Bearer junk")],
    [("authorization", "Token KEY")],
    [("authorization", "Bearer KEY extra")],
    [("authorization", "BearerKEY")],
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_every_way_of_not_being_known_gets_one_answer(
    alice: Any, anonymous: Any, headers: list[tuple[str, Any]]
) -> None:
    sent = [
        (name, value.replace("KEY", alice.key) if isinstance(value, str) else value)
        for name, value in headers
    ]
    answer = await anonymous.get("/v1/sources", headers=sent)
    assert answer.status_code == 401
    values = [value for name, value in sent if name == "authorization"]
    presented = len(values) == 1 and values[0][:7] in {"Bearer ", b"Bearer "} and values[0][7:]
    challenge = 'Bearer realm="crossdock"' + (', error="invalid_token"' if presented else "")
    assert answer.headers["www-authenticate"] == challenge
    assert answer.json() == {
        "type": "/problems/unauthenticated",
        "title": "No valid credentials",
        "status": 401,
        "detail": "The credentials are missing, unknown, expired or revoked.",
        "instance": "/v1/sources",
    }


async def test_the_schemes_name_is_not_case_sensitive(alice: Any, anonymous: Any) -> None:
    for name in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{name} {alice.key}"}
        assert (await anonymous.get("/v1/tenant", headers=headers)).status_code == 200


async def test_a_key_in_the_query_is_no_key(alice: Any, anonymous: Any) -> None:
    for name in ("access_token", "api_key", "key"):
        assert (await anonymous.get("/v1/tenant", params={name: alice.key})).status_code == 401


async def test_all_forgeries_are_refused_in_the_same_words(
    alice: Any, bob: Any, authenticator: Authenticator
) -> None:
    assert (await authenticator.verify(alice.key)).tenant_id == alice.tenant_id
    other = rules.KeyText.parse(bob.key, "test")
    forgeries = [
        forged(alice.key, secret=bytes(32)),
        forged(alice.key, id=ids.new()),
        forged(alice.key, tenant_id=ids.new()),
        forged(alice.key, tenant_id=other.tenant_id),
        forged(alice.key, id=other.id),
        forged(alice.key, tenant_id=other.tenant_id, id=other.id),
        forged(alice.key, secret=other.secret),
        with_checksum(alice.key.replace("cdk_test_", "cdk_prod_")),
        alice.key[:-1] + ("A" if alice.key[-1] != "A" else "B"),
    ]
    assert len({await refused(authenticator, text) for text in forgeries}) == 1


async def test_a_forgery_is_not_let_in_by_what_is_remembered(
    alice: Any, authenticator: Authenticator
) -> None:
    await authenticator.verify(alice.key)
    await refused(authenticator, forged(alice.key, secret=bytes(32)))
    await authenticator.verify(alice.key)


async def test_a_revocation_is_noticed_within_a_second(
    alice: Any, database: Any, authenticator: Authenticator, clock: Clock
) -> None:
    api_keys = ApiKeys(database, environment="test")
    made = await api_keys.create(
        alice.tenant_id,
        name="r",
        permissions=frozenset({"events:read"}),
        held=PERMISSIONS,
    )
    await authenticator.verify(made.text)
    await api_keys.revoke(alice.tenant_id, made.key.id)
    clock.seconds = 0.74
    await authenticator.verify(made.text)
    clock.seconds = 0.75
    await refused(authenticator, made.text)


async def test_an_expiry_is_exact_even_for_what_is_remembered(
    alice: Any, database: Any, authenticator: Authenticator, clock: Clock
) -> None:
    api_keys = ApiKeys(database, environment="test", clock=clock.moment)
    made = await api_keys.create(
        alice.tenant_id,
        name="e",
        permissions=frozenset({"events:read"}),
        held=PERMISSIONS,
        expires_at=clock.moment() + timedelta(seconds=10),
    )
    clock.seconds = 9.5
    await authenticator.verify(made.text)
    clock.seconds = 9.9
    await authenticator.verify(made.text)
    clock.seconds = 10.0
    await refused(authenticator, made.text)


async def test_what_is_remembered_is_bounded(
    alice: Any, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CACHE_KEYS <= 10_000
    monkeypatch.setattr("crossdock.access.authentication.CACHE_KEYS", 2)
    await authenticator.verify(alice.key)
    for number in range(5):
        authenticator._remember(bytes([number]), next(iter(authenticator._remembered.values())))
    assert len(authenticator._remembered) == 2


async def test_use_is_recorded_coarsely(
    alice: Any, database: Any, authenticator: Authenticator, clock: Clock
) -> None:
    key_id = rules.KeyText.parse(alice.key, "test").id
    api_keys = ApiKeys(database, environment="test")

    async def last_used() -> Any:
        return (await api_keys.get(alice.tenant_id, key_id)).last_used_at

    clock.now += timedelta(hours=1)
    await authenticator.verify(alice.key)
    first = await last_used()
    assert first == clock.moment()
    clock.seconds = 299
    await authenticator.verify(alice.key)
    assert await last_used() == first
    clock.seconds = 301
    await authenticator.verify(alice.key)
    assert await last_used() == clock.moment()


async def test_permissions_are_asked_for_on_every_request(new_tenant: Any) -> None:
    reader = await new_tenant("sources:read")
    assert (await reader.http.get("/v1/sources")).status_code == 200
    for method, path in (
        ("POST", "/v1/sources"),
        ("GET", "/v1/events"),
        ("GET", "/v1/api-keys"),
        ("DELETE", "/v1/sources/src_01h455vb4pex5vsknk084sn02q"),
    ):
        answer = await reader.http.request(method, path)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")
        assert "www-authenticate" not in answer.headers


async def test_a_suspended_tenant_reads_and_changes_nothing(
    new_tenant: Any, database: Any, settings: Any, connect: Any, authenticator: Authenticator
) -> None:
    caller = await new_tenant()
    tenants = Tenants(database, shard=settings.shard)
    reference = ids.encode("ten", caller.tenant_id)
    await tenants.switch(reference, "suspended")
    assert (await caller.http.get("/v1/sources")).status_code == 200
    assert (await caller.http.get("/v1/tenant")).json()["state"] == "suspended"
    answer = await caller.http.post("/v1/sources", json={"name": "x", "scheme": "none"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/tenant-suspended")
    await tenants.switch(reference, "active")
    principal = await authenticator.verify(caller.key)
    assert principal.tenant_state == "active"


async def test_a_terminated_tenants_keys_open_nothing(
    new_tenant: Any, admin: Any, authenticator: Authenticator
) -> None:
    caller = await new_tenant()
    await admin.execute(
        "UPDATE crossdock.tenants SET state = 'terminated' WHERE id = $1", caller.tenant_id
    )
    await refused(authenticator, caller.key)


async def test_a_tenant_of_another_shard_is_unknown_here(
    new_tenant: Any, admin: Any, authenticator: Authenticator
) -> None:
    caller = await new_tenant()
    await admin.execute("UPDATE crossdock.tenants SET shard = 7 WHERE id = $1", caller.tenant_id)
    await refused(authenticator, caller.key)


async def test_a_route_that_says_nothing_or_two_things_is_closed_to_all(
    settings: Any, database: Any, identity: Any, alice: Any, crowd: Any
) -> None:
    app = create_rest(settings, OpenRuntime(database, identity))

    async def forgotten() -> dict[str, str]:
        """Show what nobody should see."""
        return {"secret": "x"}

    closed: list[dict[str, Any]] = [
        {},
        {"public": False},
        {"public": True, "permissions": frozenset()},
        {"user": True, "operator": frozenset()},
        {"user": False},
        {"public": 1},
        {"permissions": frozenset(), "operator": frozenset()},
    ]
    for number, options in enumerate(closed):
        app.register(get(f"/v1/forgotten/{number}", **options)(forgotten))
    owner = await crowd.user(alice.tenant_id, "owner")
    operator = await crowd.operator()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(cast("Any", app)), base_url="http://api"
    ) as client:
        for number in range(len(closed)):
            path = f"/v1/forgotten/{number}"
            assert (await client.get(path)).status_code == 401
            for token in (alice.key, owner.token, operator.token):
                headers = {"authorization": f"Bearer {token}"}
                assert (await client.get(path, headers=headers)).status_code == 403
