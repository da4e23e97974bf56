"""Access tokens after what ends them, at a gateway that has to ask PostgreSQL each time."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.access.permissions import TENANT_ROLES, resolved
from crossdock.db import Databases
from crossdock.db.control import PLATFORM
from crossdock.errors import DatabaseUnavailable, TenantSuspended, Unauthenticated
from crossdock.identity import verification
from crossdock.identity.tokens import Claims, Issuer, Verifier
from crossdock.identity.verification import TokenVerifier
from tests.beds.signing_in import Person, SigningInBed, Unknowing


def verifier_of(bed: SigningInBed, database: Databases | None = None) -> TokenVerifier:
    """Return a verifier of another process."""
    keys = bed.identity.signing_keys
    public_url = bed.settings.gateway.public_url
    reader = Verifier(keys, public_url=public_url, environment="test")
    return TokenVerifier(database or bed.database, Unknowing(), reader, keys)


async def refused(bed: SigningInBed, text: str) -> bool:
    """Tell whether a token is refused, by one who knows it and by one who does not."""
    outcomes = []
    for one in (bed.identity.tokens, verifier_of(bed)):
        try:
            await one.verify(text)
        except Unauthenticated:
            outcomes.append(True)
        else:
            outcomes.append(False)
    assert len(set(outcomes)) == 1
    return outcomes[0]


async def claims_of(bed: SigningInBed, ann: Person, pair: Any, **other: Any) -> Claims:
    """Return what a token of a session says, with something else in it."""
    now = (await bed.now()).timestamp()
    known = {
        "tenant_id": ann.tenant_id,
        "user_id": ann.id,
        "session_id": ids.decode("ses", pair["session_id"]),
        "roles": ("owner",),
        "issued_at": now,
        "expires_at": now + 600,
    }
    return Claims(**{**known, **other})


async def test_a_token_stands_for_its_user(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    found = await bed.identity.tokens.verify(pair["access_token"])
    assert found == Principal(
        tenant_id=ann.tenant_id,
        tenant_state="active",
        actor=found.actor,
        permissions=resolved("owner"),
        session_id=ids.decode("ses", pair["session_id"]),
        roles=("owner",),
    )
    assert (found.actor.kind, found.actor.id) == ("user", ann.id)


@pytest.mark.parametrize(
    "change",
    [
        lambda _bed, ann: ann.set(state="disabled"),
        lambda bed, ann: bed.now_as("users", ann.id, "not_before"),
        lambda bed, ann: bed.now_as("tenants", ann.tenant_id, "not_before"),
        lambda _bed, ann: ann.set_tenant(state="terminated"),
        lambda _bed, ann: ann.set_tenant(state="provisioning"),
        lambda bed, ann: bed.admin.execute("DELETE FROM crossdock.users WHERE id = $1", ann.id),
        lambda bed, ann: bed.admin.execute(
            "UPDATE crossdock.sessions SET revoked_at = now() WHERE user_id = $1", ann.id
        ),
        lambda bed, ann: bed.admin.execute(
            "DELETE FROM crossdock.sessions WHERE user_id = $1", ann.id
        ),
    ],
)
async def test_what_ends_a_token_ends_it_at_once(
    bed: SigningInBed, ann: Person, change: Callable[[SigningInBed, Person], Any]
) -> None:
    text = (await ann.login())["access_token"]
    assert not await refused(bed, text)
    await change(bed, ann)
    assert await refused(bed, text)
    answer = await ann.get({"access_token": text})
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"


async def test_a_suspended_tenants_tokens_are_told_why_and_come_back(
    bed: SigningInBed, ann: Person
) -> None:
    pair = await ann.login()
    await ann.set_tenant(state="suspended")
    for path in ("/v1/auth/me", "/v1/sources", "/v1/auth/sessions"):
        answer = await ann.get(pair, path)
        assert answer.status_code == 403
        assert answer.json()["type"] == "/problems/tenant-suspended"
    assert (await ann.call(pair, "/v1/auth/logout")).status_code == 403
    with pytest.raises(TenantSuspended):
        await verifier_of(bed).verify(pair["access_token"])
    await ann.set_tenant(state="active")
    assert (await ann.get(pair)).status_code == 200


async def test_a_token_of_before_a_moment_is_worth_nothing_and_one_of_after_is(
    bed: SigningInBed, ann: Person
) -> None:
    pair = await ann.login()
    await bed.now_as("users", ann.id, "not_before")
    assert await refused(bed, pair["access_token"])
    again = (await bed.refresh(pair["refresh_token"])).json()
    assert not await refused(bed, again["access_token"])


async def test_a_token_must_agree_with_itself(bed: SigningInBed, ann: Person) -> None:
    """Such tokens are never issued; were one, it would open nothing."""
    bob = await bed.person()
    carol = await bed.person(tenant=(ann.tenant_id, ann.slug))
    pair, bobs, carols = [await one.login() for one in (ann, bob, carol)]
    issue = bed.identity.issuer.issue
    assert not await refused(bed, issue(await claims_of(bed, ann, pair)))
    wrong: list[dict[str, Any]] = [
        {"session_id": ids.decode("ses", bobs["session_id"])},
        {"session_id": ids.decode("ses", carols["session_id"])},
        {"session_id": ids.new()},
        {"user_id": bob.id},
        {"user_id": carol.id},
        {"tenant_id": bob.tenant_id},
        {"tenant_id": ids.new()},
        {"tenant_id": PLATFORM},
    ]
    for other in wrong:
        assert await refused(bed, issue(await claims_of(bed, ann, pair, **other))), other


async def test_tokens_of_another_installation_open_nothing(bed: SigningInBed, ann: Person) -> None:
    pair, keys = await ann.login(), bed.identity.signing_keys
    public_url = bed.settings.gateway.public_url
    claims = await claims_of(bed, ann, pair)
    for url, environment in (("https://other.example", "test"), (public_url, "prod")):
        other = Issuer(keys, public_url=url, environment=environment)
        assert await refused(bed, other.issue(claims))


async def test_custom_roles_permit_what_they_do_now(bed: SigningInBed, ann: Person) -> None:
    await bed.admin.execute(
        "INSERT INTO crossdock.roles (tenant_id, id, name, permissions, inherits)"
        " VALUES ($1, $2, 'auditor', '{audit:read}', '{viewer}')",
        ann.tenant_id,
        ids.new(),
    )
    await ann.set(roles=["auditor"])
    text = (await ann.login())["access_token"]
    found = await bed.identity.tokens.verify(text)
    assert found.permissions == {"audit:read"} | TENANT_ROLES["viewer"].permissions
    await bed.admin.execute(
        "UPDATE crossdock.roles SET inherits = '{}' WHERE tenant_id = $1", ann.tenant_id
    )
    assert (await bed.identity.tokens.verify(text)).permissions == {"audit:read"}


async def test_without_postgresql_nobody_is_trusted(bed: SigningInBed, ann: Person) -> None:
    text = (await ann.login())["access_token"]
    nowhere = msgspec.structs.replace(
        bed.settings.database, url="postgresql://127.0.0.1:1/crossdock"
    )
    away = await Databases.open(nowhere, {"app", "control", "directory"})
    verifier = verifier_of(bed, away)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await verifier.verify(text)
    with pytest.raises(Unauthenticated):
        await verifier.verify(text[:-4] + "AAAA")
    await away.close()


async def test_a_signature_is_checked_once(
    bed: SigningInBed, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = verifier_of(bed)
    text = (await ann.login())["access_token"]
    checked: list[str] = []
    read = verifier._verifier.verify

    def counted(text: str) -> Claims:
        checked.append(text)
        return read(text)

    monkeypatch.setattr(verifier._verifier, "verify", counted)
    for _ in range(3):
        await verifier.verify(text)
    assert checked == [text]


async def test_what_is_remembered_ends_with_the_token(
    bed: SigningInBed, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = verifier_of(bed)
    text = (await ann.login())["access_token"]
    await verifier.verify(text)
    later = (await bed.now() + timedelta(seconds=606)).timestamp()
    monkeypatch.setattr(verifier._verifier, "_clock", lambda: later)
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)
    assert not verifier._known


async def test_what_is_remembered_ends_with_its_key(
    bed: SigningInBed, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = verifier_of(bed)
    text = (await ann.login())["access_token"]
    await verifier.verify(text)
    monkeypatch.setattr(bed.identity.signing_keys, "_keys", {})
    monkeypatch.setattr(bed.identity.signing_keys, "_sought_at", float("inf"))
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)


async def test_no_more_is_remembered_than_so_much(
    bed: SigningInBed, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "CACHE_TOKENS", 3)
    verifier, pair = verifier_of(bed), await ann.login()
    for _ in range(5):
        claims = await claims_of(bed, ann, pair)
        await verifier.verify(bed.identity.issuer.issue(claims))
        with pytest.raises(Unauthenticated):
            await verifier.verify("junk")
    assert len(verifier._known) == 3


class Support:
    """An operator's access to a tenant."""

    def __init__(self, bed: SigningInBed, ann: Person, operator: Person) -> None:
        self.bed = bed
        self.ann = ann
        self.operator = operator
        self.id = ids.new()

    async def open(self) -> None:
        """Open it for an hour."""
        await self.bed.admin.execute(
            "INSERT INTO crossdock.support_accesses (tenant_id, id, operator_id, operator, reason,"
            " ends_at) VALUES ($1, $2, $3, 'op@example.com', 'a ticket', now() + interval '1 h')",
            self.ann.tenant_id,
            self.id,
            self.operator.id,
        )

    async def token(self, **other: Any) -> str:
        """Return a token of it."""
        now = (await self.bed.now()).timestamp()
        known: dict[str, Any] = {
            "tenant_id": self.ann.tenant_id,
            "user_id": self.operator.id,
            "session_id": self.id,
            "roles": ("support",),
            "issued_at": now,
            "expires_at": now + 600,
            "actor": self.operator.id,
        }
        return self.bed.identity.issuer.issue(Claims(**{**known, **other}))


@pytest.fixture
async def support(bed: SigningInBed, ann: Person) -> AsyncIterator[Support]:
    """An access that is open."""
    operator = await bed.person("platform-support", tenant=(PLATFORM, "platform"))
    found = Support(bed, ann, operator)
    await found.open()
    yield found
    await bed.admin.execute("DELETE FROM crossdock.users WHERE id = $1", operator.id)


async def test_a_support_token_is_an_operators_and_for_looking(
    bed: SigningInBed, ann: Person, support: Support
) -> None:
    text = await support.token()
    found = await bed.identity.tokens.verify(text)
    assert (found.actor.kind, found.actor.id) == ("operator", support.operator.id)
    assert found.permissions == resolved("support")
    token = {"access_token": text}
    assert (await ann.get(token, "/v1/sources")).status_code == 200
    answer = await ann.call(token, "/v1/sources", {"name": "x", "scheme": "none"})
    assert answer.status_code == 403
    assert (await ann.call(token, "/v1/auth/logout")).status_code == 403
    await ann.set_tenant(state="suspended")
    assert (await ann.get(token, "/v1/sources")).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda bed, one: bed.now_as("support_accesses", one.id, "ended_at"),
        lambda bed, one: bed.now_as("support_accesses", one.id, "ends_at"),
        lambda _bed, one: one.operator.set(state="disabled"),
        lambda bed, one: bed.now_as("users", one.operator.id, "not_before"),
        lambda bed, one: bed.now_as("tenants", one.ann.tenant_id, "not_before"),
        lambda bed, one: bed.admin.execute(
            "DELETE FROM crossdock.users WHERE id = $1", one.operator.id
        ),
    ],
)
async def test_what_ends_a_support_access_ends_its_tokens(
    bed: SigningInBed, support: Support, change: Callable[[SigningInBed, Support], Any]
) -> None:
    text = await support.token()
    assert not await refused(bed, text)
    await change(bed, support)
    assert await refused(bed, text)


async def test_a_support_token_must_agree_with_its_access(
    bed: SigningInBed, ann: Person, support: Support
) -> None:
    stranger = await bed.person()
    wrong: list[dict[str, Any]] = [
        {"session_id": ids.new()},
        {"tenant_id": stranger.tenant_id},
        {"user_id": ann.id, "actor": ann.id},
        {"actor": None},
    ]
    for other in wrong:
        assert await refused(bed, await support.token(**other)), other


@pytest.mark.parametrize("user", [UUID(int=0), PLATFORM])
async def test_nobody_is_a_user_by_an_empty_id(bed: SigningInBed, ann: Person, user: UUID) -> None:
    pair = await ann.login()
    claims = await claims_of(bed, ann, pair, user_id=user)
    assert await refused(bed, bed.identity.issuer.issue(claims))
