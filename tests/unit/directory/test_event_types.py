"""Event types in a gateway's memory: raw until used, compiled once, of the right shard."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.directory import Memory
from crossdock.directory.event_types import EventTypes, number_of
from crossdock.outbox.store import FEED_S
from crossdock.secrets.seal import Sealer
from proto.settings import FOREVER, EventTypeSettings, TenantSettings

TENANT, OTHER = ids.new(), ids.new()
OLDER, NEWER = sorted((ids.new(), ids.new()))
STRINGS, NUMBERS = b'{"type": "string"}', b'{"type": "number"}'


class Clock:
    """Stands still until it is put on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def memory() -> Memory:
    return Memory(Sealer(bytes(32)))


def settings(version: int = 1, name: str = "a", **fields: object) -> EventTypeSettings:
    values: dict[str, object] = {"mode": "warn", "number": 1, "schema": STRINGS} | fields
    return EventTypeSettings(version, TENANT.bytes, name, **values)  # type: ignore[arg-type]


def take(memory: Memory, found: EventTypeSettings, type_id: UUID = OLDER, shard: int = 0) -> None:
    memory.take(shard, f"type.{TENANT.hex}{type_id.hex}", found)


def take_tenant(memory: Memory, version: int, shard: int) -> None:
    found = TenantSettings(version, TENANT.bytes, shard=shard)
    memory.take(shard, f"tenant.{TENANT.hex}", found)


def held_to(memory: Memory, name: str = "a") -> tuple[str, int, bool] | None:
    """Return the mode and number of a type, and whether it takes strings."""
    schemas = memory.types.schemas(TENANT.bytes)
    found = None if schemas is None else schemas.get(name)
    return None if found is None else (found[0], found[1], not found[2].validate(b'"text"'))


def test_a_tenant_without_types_is_held_to_nothing(memory: Memory) -> None:
    assert memory.types.schemas(TENANT.bytes) is None
    take(memory, settings())
    assert memory.types.schemas(OTHER.bytes) is None
    assert held_to(memory) == ("warn", 1, True)


def test_the_highest_version_stays(memory: Memory) -> None:
    take(memory, settings(2, number=2, schema=NUMBERS))
    take(memory, settings(1))
    take(memory, settings(2))
    assert held_to(memory) == ("warn", 2, False)
    take(memory, settings(3, mode="reject", number=3))
    assert held_to(memory) == ("reject", 3, True)


def test_what_is_off_or_has_no_schema_is_no_part_of_it(memory: Memory) -> None:
    take(memory, settings(mode="off"))
    take(memory, settings(name="b", schema=b""), NEWER)
    assert memory.types.schemas(TENANT.bytes) is None


def test_the_set_is_made_once_and_again_after_a_change_only(memory: Memory) -> None:
    take(memory, settings())
    first = memory.types.schemas(TENANT.bytes)
    assert memory.types.schemas(TENANT.bytes) is first
    take(memory, settings())
    assert memory.types.schemas(TENANT.bytes) is first, "nothing new"
    (prepared,) = memory.types._tenants[TENANT.bytes].by_shard[0].values()
    compiled = prepared.schema
    take(memory, settings(name="b"), NEWER)
    second = memory.types.schemas(TENANT.bytes)
    assert first is not None
    assert second is not None
    assert (len(first), len(second)) == (1, 2)
    assert prepared.schema is compiled, "what has not changed is not compiled again"


def test_nothing_is_compiled_before_it_is_used(memory: Memory) -> None:
    take(memory, settings())
    (of_shard,) = memory.types._tenants[TENANT.bytes].by_shard.values()
    assert of_shard[OLDER.int].is_raw
    memory.types.schemas(TENANT.bytes)
    assert not of_shard[OLDER.int].is_raw


async def test_what_is_large_is_compiled_beside_the_loop(memory: Memory) -> None:
    parts = {f"p{number}": {"pattern": f"^[a-z]{{1,30}}x{number}$"} for number in range(100)}
    large = msgspec.json.encode({"properties": parts})
    for number in range(20):
        take(memory, settings(name=f"n{number}", schema=large), ids.new())
    first, second = (memory.types.preparing(TENANT.bytes) for _ in range(2))
    assert first is not None
    assert second is not None
    turns = 0
    waiting = asyncio.gather(first, second)
    while not waiting.done():
        turns += 1
        await asyncio.sleep(0)
    await waiting
    assert turns >= 20, "the loop went on in between"
    assert memory.types.preparing(TENANT.bytes) is None
    found = memory.types.schemas(TENANT.bytes)
    assert found is not None
    assert len(found) == 20
    take(memory, settings(2, name="n0", schema=STRINGS), ids.new())
    again = memory.types.preparing(TENANT.bytes)
    assert again is not None
    await again
    assert held_to(memory, "n0") == ("warn", 1, True)


async def test_nobody_waits_where_there_is_nothing_to_compile(memory: Memory) -> None:
    assert memory.types.preparing(TENANT.bytes) is None
    take(memory, settings(mode="off"))
    assert memory.types.preparing(TENANT.bytes) is None


def test_a_schema_that_does_not_compile_is_said_once_and_harms_no_other(
    memory: Memory, capfd: pytest.CaptureFixture[str]
) -> None:
    take(memory, settings(schema=b'{"type": "frob"}'))
    for name in ("b", "c"):
        take(memory, settings(name=name), ids.new())
        assert held_to(memory) is None
        assert held_to(memory, name) == ("warn", 1, True)
    assert capfd.readouterr().out.count("event_type_settings_broken") == 1


def test_what_is_gone_stays_gone_though_older_word_of_it_comes(memory: Memory) -> None:
    take(memory, settings(2))
    take(memory, EventTypeSettings(FOREVER, TENANT.bytes))
    assert memory.types.schemas(TENANT.bytes) is None
    take(memory, settings(9))
    assert memory.types.schemas(TENANT.bytes) is None
    assert memory.types.of(0) == set()


def test_what_is_gone_is_forgotten_in_the_end() -> None:
    clock = Clock()
    types = EventTypes(lambda _: None, clock)
    number = number_of(TENANT, OLDER)
    types.take(0, number, settings())
    types.take(0, number, EventTypeSettings(FOREVER, TENANT.bytes))
    clock.now = FEED_S - 1
    types.forget()
    assert types._tenants
    clock.now = FEED_S + 1
    types.forget()
    assert not types._tenants
    assert not types._gone


def test_a_name_that_was_given_anew_means_the_newer_type(memory: Memory) -> None:
    take(memory, settings(1, number=7), NEWER)
    take(memory, settings(5, number=5), OLDER)
    assert held_to(memory) == ("warn", 7, True)


def test_types_are_those_of_the_shard_on_which_the_tenant_lives(memory: Memory) -> None:
    take_tenant(memory, 1, shard=0)
    take(memory, settings(5), shard=0)
    assert held_to(memory) == ("warn", 1, True)
    take(memory, settings(5, number=2), shard=1)
    assert held_to(memory) == ("warn", 1, True), "it has not moved yet"
    take_tenant(memory, 2, shard=1)
    assert held_to(memory) == ("warn", 2, True)
    take(memory, EventTypeSettings(FOREVER, TENANT.bytes), shard=0)
    assert held_to(memory) == ("warn", 2, True), "what it left behind ends without it"


def test_before_the_tenant_is_known_its_types_are(memory: Memory) -> None:
    take(memory, settings(), shard=3)
    assert held_to(memory) == ("warn", 1, True)
    take_tenant(memory, 1, shard=3)
    assert held_to(memory) == ("warn", 1, True)


def test_what_a_shard_has_no_row_of_ends(memory: Memory) -> None:
    take(memory, settings())
    take(memory, settings(name="b"), NEWER)
    assert memory.types.of(0) == {number_of(TENANT, OLDER), number_of(TENANT, NEWER)}
    assert memory.types.of(1) == set()
    memory.end(0, (), (), {number_of(TENANT, OLDER)})
    assert held_to(memory) is None
    assert held_to(memory, "b") == ("warn", 1, True)
    memory.end(0, (), (), {number_of(TENANT, NEWER), number_of(OTHER, NEWER)})
    assert memory.types.schemas(TENANT.bytes) is None
    assert not memory.types._tenants


@pytest.mark.parametrize("key", ["type.", "type.x", f"type.{'0a' * 16}", "0a" * 32, "types.ab"])
def test_a_key_that_is_none_is_refused(memory: Memory, key: str) -> None:
    with pytest.raises(ValueError, match=r"kind|badly formed"):
        memory.take(0, key, settings())
