"""Tokens and keys at a gateway that hears of every change: no database is asked."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import make_url

from crossdock import ids
from crossdock.access.authentication import Authenticator
from crossdock.config import DatabaseSettings, Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.errors import DatabaseUnavailable, TenantSuspended, Unauthenticated
from crossdock.identity.tokens import Verifier
from crossdock.identity.verification import TokenVerifier
from crossdock.outbox import store as outbox
from tests.beds.settings import SettingsBed
from tests.beds.signing_in import PASSWORD, Person, SigningInBed


@pytest.fixture(scope="module")
def own_nats() -> Iterator[EmbeddedNats]:
    """A NATS server for this module, as its database is."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedNats(Path(folder), sync_interval="2m") as server,
    ):
        yield server


@pytest.fixture
async def world(
    own_nats: EmbeddedNats, fresh_database: DatabaseSettings
) -> AsyncIterator[SettingsBed]:
    """A gateway's directory and a drainer, both running."""
    async with SettingsBed.open(own_nats.settings(), fresh_database) as found:
        yield await found.running()


@pytest.fixture
async def bed(
    world: SettingsBed,
    settings: Settings,
    fresh_database: DatabaseSettings,
    postgres_server: EmbeddedPostgres,
) -> AsyncIterator[SigningInBed]:
    """The API of a gateway with that directory."""
    own = msgspec.structs.replace(settings, database=fresh_database)
    admin_url = postgres_server.admin_url(str(make_url(fresh_database.url).database))
    async with SigningInBed.open(own, admin_url, world.directory) as found:
        yield found


@pytest.fixture
async def ann(bed: SigningInBed, world: SettingsBed) -> Person:
    """Somebody, whose tenant the gateway knows."""
    found = await bed.person()
    await changed(bed, found)
    await world.until(lambda: world.directory.tenant(found.tenant_id) is not None)
    return found


@pytest.fixture
async def nowhere(bed: SigningInBed) -> AsyncIterator[Databases]:
    """Databases that nobody answers for."""
    away = msgspec.structs.replace(bed.settings.database, url="postgresql://127.0.0.1:1/crossdock")
    found = await Databases.open(away, {"app", "control", "directory"})
    yield found
    await found.close()


@pytest.fixture
def gateway(bed: SigningInBed, world: SettingsBed, nowhere: Databases) -> TokenVerifier:
    """A verifier that has the directory and no database."""
    keys = bed.identity.signing_keys
    reader = Verifier(keys, public_url=bed.settings.gateway.public_url, environment="test")
    return TokenVerifier(nowhere, world.directory, reader, keys)


async def changed(bed: SigningInBed, ann: Person) -> None:
    """Say that the tenant has changed."""
    await bed.admin.execute(
        "UPDATE crossdock.tenants SET version = version + 1 WHERE id = $1", ann.tenant_id
    )
    await outbox.add_tenant(bed.admin, ann.tenant_id)


async def until(
    gateway: TokenVerifier, world: SettingsBed, text: str, error: type[Exception] | None
) -> None:
    """Wait until a token is refused so, or taken."""

    async def holds() -> bool:
        try:
            await gateway.verify(text)
        except Exception as found:
            if type(found) not in {Unauthenticated, TenantSuspended}:
                raise
            return type(found) is error
        return error is None

    await world.until_async(holds)


async def test_no_database_is_asked(gateway: TokenVerifier, ann: Person) -> None:
    found = await gateway.verify((await ann.login())["access_token"])
    assert found.tenant_state == "active"
    assert "sources:write" in found.permissions


Ending = Callable[[SigningInBed, Person, Any], Awaitable[Any]]


async def by_logout(bed: SigningInBed, ann: Person, pair: Any) -> None:
    assert (await ann.call(pair, "/v1/auth/logout")).status_code == 204


async def from_elsewhere(bed: SigningInBed, ann: Person, pair: Any) -> None:
    path = f"/v1/auth/sessions/{pair['session_id']}"
    answer = await ann.call(await ann.login(), path, method="DELETE")
    assert answer.status_code == 204


async def by_another_password(bed: SigningInBed, ann: Person, pair: Any) -> None:
    body = {"current_password": PASSWORD, "new_password": "another sentence, said just now"}
    assert (await ann.call(await ann.login(), "/v1/auth/password", body)).status_code == 200


async def by_reuse(bed: SigningInBed, ann: Person, pair: Any) -> None:
    second = (await bed.refresh(pair["refresh_token"])).json()
    await bed.refresh(second["refresh_token"])
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401


@pytest.mark.parametrize("ending", [by_logout, from_elsewhere, by_another_password, by_reuse])
async def test_what_ends_a_token_reaches_the_gateway(
    bed: SigningInBed, world: SettingsBed, gateway: TokenVerifier, ann: Person, ending: Ending
) -> None:
    bob = await bed.person(tenant=(ann.tenant_id, ann.slug))
    pair, bobs = await ann.login(), await bob.login()
    await gateway.verify(pair["access_token"])
    await ending(bed, ann, pair)
    await until(gateway, world, pair["access_token"], Unauthenticated)
    await gateway.verify(bobs["access_token"])


async def test_the_pair_of_a_new_password_counts_at_once(
    bed: SigningInBed, world: SettingsBed, gateway: TokenVerifier, ann: Person
) -> None:
    pair = await ann.login()
    body = {"current_password": PASSWORD, "new_password": "another sentence, said just now"}
    fresh = (await ann.call(pair, "/v1/auth/password", body)).json()
    await until(gateway, world, pair["access_token"], Unauthenticated)
    await gateway.verify(fresh["access_token"])


async def test_a_suspension_reaches_tokens_and_keys_and_so_does_its_end(
    bed: SigningInBed, world: SettingsBed, gateway: TokenVerifier, ann: Person
) -> None:
    pair = await ann.login()
    body = {"name": "a key", "permissions": ["sources:read"]}
    key = (await ann.call(pair, "/v1/api-keys", body)).json()["key"]
    # Its clock stands: what it knows of the key, it remembers for ever.
    keys = Authenticator(
        bed.database, environment="test", memory=world.directory, monotonic=lambda: 0.0
    )
    assert (await keys.verify(key)).tenant_state == "active"
    await ann.set_tenant(state="suspended")
    await changed(bed, ann)
    await until(gateway, world, pair["access_token"], TenantSuspended)
    assert (await keys.verify(key)).tenant_state == "suspended"
    await ann.set_tenant(state="active")
    await changed(bed, ann)
    await until(gateway, world, pair["access_token"], None)
    assert (await keys.verify(key)).tenant_state == "active"
    await ann.set_tenant(state="terminated")
    await changed(bed, ann)
    await until(gateway, world, pair["access_token"], Unauthenticated)
    with pytest.raises(Unauthenticated):
        await keys.verify(key)


async def test_a_change_of_custom_roles_reaches_tokens(
    bed: SigningInBed, world: SettingsBed, gateway: TokenVerifier, ann: Person
) -> None:
    await bed.admin.execute(
        "INSERT INTO crossdock.roles (tenant_id, id, name, permissions)"
        " VALUES ($1, $2, 'auditor', '{audit:read}')",
        ann.tenant_id,
        ids.new(),
    )
    await changed(bed, ann)
    await ann.set(roles=["auditor"])
    text = (await ann.login())["access_token"]

    async def may(permissions: set[str]) -> bool:
        return (await gateway.verify(text)).permissions == permissions

    await world.until_async(lambda: may({"audit:read"}))
    await bed.admin.execute(
        "UPDATE crossdock.roles SET permissions = '{alerts:read}' WHERE tenant_id = $1",
        ann.tenant_id,
    )
    await changed(bed, ann)
    await world.until_async(lambda: may({"alerts:read"}))


async def test_a_gateway_that_hears_nothing_asks_and_without_an_answer_trusts_nobody(
    bed: SigningInBed, world: SettingsBed, gateway: TokenVerifier, ann: Person
) -> None:
    pair, other = await ann.login(), await ann.login()
    await gateway.verify(pair["access_token"])
    await world.stop("gateway")
    await world.until(lambda: not world.directory.is_current(0))
    with pytest.raises(DatabaseUnavailable):
        await gateway.verify(pair["access_token"])
    # One that has a database asks it each time, and is never late.
    await bed.identity.tokens.verify(pair["access_token"])
    await bed.admin.execute(
        "UPDATE crossdock.sessions SET revoked_at = now() WHERE id = $1",
        ids.decode("ses", pair["session_id"]),
    )
    with pytest.raises(Unauthenticated):
        await bed.identity.tokens.verify(pair["access_token"])
    await bed.identity.tokens.verify(other["access_token"])
