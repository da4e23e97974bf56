"""What a gateway holds in memory: the highest version wins, and each shard ends only its own."""

from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.directory import Memory
from crossdock.directory.event_types import number_of
from crossdock.outbox.snapshots import GONE
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.rules import PLATFORM
from proto.settings import (
    FOREVER,
    EventTypeSettings,
    Revoked,
    SourceSettings,
    TenantSettings,
    UserSettings,
)

TENANT, USER, SESSION = ids.new(), ids.new(), ids.new()
DIGEST = b"\xab" * 32
KEY = DIGEST.hex()


@pytest.fixture
def memory() -> Memory:
    return Memory(Sealer(bytes(32)))


def source(version: int, shard: int = 0) -> SourceSettings:
    return SourceSettings(version, TENANT.bytes, SESSION.bytes, shard=shard)


def tenant(version: int, shard: int = 0, **fields: float) -> TenantSettings:
    return TenantSettings(version, TENANT.bytes, shard=shard, **fields)  # type: ignore[arg-type]


def version_of(memory: Memory) -> int | None:
    found = memory.sources.get(DIGEST)
    return None if found is None else found.settings.version


def test_the_highest_version_of_a_source_stays(memory: Memory) -> None:
    for version in (2, 3, 1, 3):
        memory.take(0, KEY, source(version))
    assert version_of(memory) == 3


def test_a_source_that_is_gone_stays_gone(memory: Memory) -> None:
    memory.take(0, KEY, source(2))
    memory.take(0, KEY, GONE)
    memory.take(0, KEY, source(9))
    assert version_of(memory) is None
    assert memory.ended == {DIGEST: 0}


def test_a_source_that_moved_is_not_ended_by_the_shard_it_left(memory: Memory) -> None:
    memory.take(0, KEY, source(2))
    memory.take(1, KEY, source(3, shard=1))
    memory.take(0, KEY, GONE)
    assert version_of(memory) == 3
    assert not memory.ended


def test_a_source_that_ended_here_first_is_found_where_it_moved_to(memory: Memory) -> None:
    memory.take(0, KEY, source(2))
    memory.take(0, KEY, GONE)
    memory.take(1, KEY, source(2, shard=1))
    assert version_of(memory) == 2
    assert not memory.ended


def test_what_a_shard_says_of_anothers_counts_for_nothing(memory: Memory) -> None:
    memory.take(0, KEY, source(2, shard=1))
    memory.take(0, f"tenant.{TENANT.hex}", tenant(2, shard=1))
    assert version_of(memory) is None
    assert memory.tenant(TENANT) is None


def test_a_tenant_that_is_gone_is_terminated_and_nowhere(memory: Memory) -> None:
    key = f"tenant.{TENANT.hex}"
    memory.take(1, key, tenant(4, shard=1))
    assert memory.placed(TENANT) == 1
    memory.take(1, key, TenantSettings(FOREVER, TENANT.bytes, state="terminated"))
    memory.take(1, key, tenant(5, shard=1))
    found = memory.tenant(TENANT)
    assert found is not None
    assert found.state == "terminated"
    assert memory.placed(TENANT) is None
    memory.take(0, key, tenant(5))
    assert memory.placed(TENANT) == 0


def test_a_tenant_that_moved_is_not_ended_by_the_shard_it_left(memory: Memory) -> None:
    key = f"tenant.{TENANT.hex}"
    memory.take(0, key, tenant(4))
    memory.take(1, key, tenant(5, shard=1))
    memory.take(0, key, TenantSettings(FOREVER, TENANT.bytes, state="terminated"))
    assert memory.placed(TENANT) == 1


def test_each_of_three_ends_a_token(memory: Memory) -> None:
    def is_revoked(at: float = 100.0) -> bool:
        return memory.is_revoked(TENANT, USER, SESSION, at)

    assert not is_revoked()
    memory.take(0, f"session.{TENANT.hex}{SESSION.hex}", Revoked(1, until=500.0))
    assert is_revoked()
    memory.forget(501.0)
    assert not is_revoked()
    memory.take(0, f"user.{TENANT.hex}{USER.hex}", UserSettings(1, not_before=100.5, until=500.0))
    assert is_revoked()
    assert not is_revoked(100.5)
    memory.forget(501.0)
    assert not is_revoked()
    memory.take(0, f"tenant.{TENANT.hex}", tenant(1, not_before=101.0))
    assert is_revoked()
    assert not is_revoked(101.0)


def test_of_anothers_tokens_a_tenant_says_nothing(memory: Memory) -> None:
    other = UUID(int=TENANT.int + 1)
    memory.take(0, f"session.{other.hex}{SESSION.hex}", Revoked(1, until=500.0))
    memory.take(0, f"user.{other.hex}{USER.hex}", UserSettings(1, not_before=400.0, until=500.0))
    assert not memory.is_revoked(TENANT, USER, SESSION, 100.0)
    assert memory.is_revoked(other, USER, UUID(int=1), 100.0)
    memory.take(0, f"user.{PLATFORM.hex}{USER.hex}", UserSettings(1, not_before=200.0, until=500.0))
    assert memory.is_revoked(TENANT, USER, SESSION, 100.0), "an operator inside"


def test_a_revocation_that_was_renewed_is_kept_for_as_long(memory: Memory) -> None:
    memory.take(0, f"user.{TENANT.hex}{USER.hex}", UserSettings(1, not_before=100.0, until=500.0))
    memory.take(0, f"user.{TENANT.hex}{USER.hex}", UserSettings(2, not_before=200.0, until=600.0))
    memory.take(0, f"user.{TENANT.hex}{USER.hex}", UserSettings(1, not_before=100.0, until=500.0))
    memory.forget(550.0)
    assert memory.is_revoked(TENANT, USER, SESSION, 150.0)
    assert memory.revocations == 1
    memory.forget(650.0)
    assert memory.revocations == 0


@pytest.mark.parametrize(
    "key", ["session.", "session.x", "user.00", f"session.{'0a' * 16}", "0a" * 16, "tenant.ab"]
)
def test_a_key_that_is_none_is_refused(memory: Memory, key: str) -> None:
    with pytest.raises(ValueError, match=r"kind|badly formed"):
        memory.take(0, key, Revoked(1, until=5.0))


def test_what_is_a_shards_own(memory: Memory) -> None:
    other, digest = UUID(int=TENANT.int + 1), b"\xcd" * 32
    memory.take(0, KEY, source(1))
    memory.take(1, digest.hex(), source(1, shard=1))
    memory.take(0, f"tenant.{TENANT.hex}", tenant(1))
    memory.take(
        1, f"tenant.{other.hex}", msgspec.structs.replace(tenant(1, 1), tenant_id=other.bytes)
    )
    for shard, one in ((0, TENANT), (1, other)):
        settings = EventTypeSettings(1, one.bytes, "a", "warn", 1, b"{}")
        memory.take(shard, f"type.{one.hex}{USER.hex}", settings)
    theirs = ({digest}, {other.int}, {number_of(other, USER)})
    assert memory.of(0) == ({DIGEST}, {TENANT.int}, {number_of(TENANT, USER)})
    assert memory.of(1) == theirs
    memory.end(0, *memory.of(0))
    assert memory.of(0) == (set(), set(), set())
    assert memory.of(1) == theirs
