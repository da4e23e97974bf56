"""Messages of releases gone by, and today's: each side reads the other's."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from proto import history, ingest, settings, shapes
from proto.history import Field, Shape, Type

VERSIONS = history.versions()


def is_said_by(new: Any, old: Any) -> bool:
    """Tell whether all that was read is what was said; more may have been said."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and is_said_by(new[key], value) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(is_said_by, new, old))
    return bool(old == new)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_the_last_release_is_frozen() -> None:
    assert "0.1.0" in VERSIONS
    frozen, samples = history.read("0.1.0")
    assert {one.struct for one in samples} == set(frozen)
    assert len(frozen["IngestedV1"].fields) == 10, "as it was before it had a tail"


def test_nothing_is_gone_and_what_is_new_can_be_left_out(version: str) -> None:
    frozen, _ = history.read(version)
    assert history.breaks(frozen, history.shapes_now()) == []


def test_todays_decoders_read_every_frozen_message_with_the_same_meaning(version: str) -> None:
    frozen, samples = history.read(version)
    for sample in samples:
        struct = shapes.structs()[sample.struct]
        found = history.meaning(msgspec.msgpack.decode(sample.data, type=struct))
        assert {name: found.pop(name) for name in sample.meaning} == sample.meaning
        empty = {
            one.name: one.default
            if one.default_factory is msgspec.NODEFAULT
            else one.default_factory()
            for one in msgspec.structs.fields(struct)
        }
        assert found == msgspec.json.decode(
            msgspec.json.encode({name: empty[name] for name in found})
        )
        assert len(sample.meaning) == len(frozen[sample.struct].fields)


def test_the_decoders_in_use_read_them_by_their_tags(version: str) -> None:
    frozen, samples = history.read(version)
    for sample in samples:
        tag = frozen[sample.struct].tag
        if tag is None:
            continue
        decoder: Any = settings.decoder
        if tag.startswith("ingested."):
            decoder = ingest.decoder
        elif tag.startswith("beat."):
            decoder = settings.beat_decoder
        assert type(decoder.decode(sample.data)).__name__ == sample.struct


def test_yesterdays_code_reads_todays_messages(version: str) -> None:
    frozen, _ = history.read(version)
    then = history.rebuild(frozen)
    seen = set()
    for sample in history.samples_now():
        if sample.struct not in then:
            continue  # nothing that it would be sent
        seen.add(sample.struct)
        found = history.meaning(msgspec.msgpack.decode(sample.data, type=then[sample.struct]))
        assert is_said_by(sample.meaning, found)
        needed = {one.name for one in frozen[sample.struct].fields if not one.optional}
        assert needed <= set(found)
    assert seen == set(frozen)


def test_samples_say_something_of_every_field_and_come_out_the_same_each_time() -> None:
    samples = history.samples_now()
    assert [one.data for one in samples] == [one.data for one in history.samples_now()]
    for name, struct in shapes.structs().items():
        said: dict[str, set[str]] = {one: set() for one in struct.__struct_fields__}
        for sample in samples:
            if sample.struct == name:
                for field, value in sample.meaning.items():
                    said[field].add(msgspec.json.encode(value).decode())
        fields = {one.name: one for one in msgspec.structs.fields(struct)}
        assert all(len(said[one]) > 1 for one in fields if not fields[one].required), name


PLAIN = Type("str")
OLD = Shape("x.v1", True, (Field("a", PLAIN), Field("b", Type("int"), optional=True)))  # noqa: FBT003
NAMED = Shape("x.v1", False, OLD.fields)  # noqa: FBT003
BREAKS = {
    "gone": {},
    "another tag": {"X": msgspec.structs.replace(OLD, tag="x.v2")},
    "another layout": {"X": NAMED},
    "a field is gone": {"X": msgspec.structs.replace(OLD, fields=OLD.fields[:1])},
    "another order": {"X": msgspec.structs.replace(OLD, fields=OLD.fields[::-1])},
    "in between": {
        "X": msgspec.structs.replace(
            OLD, fields=(OLD.fields[0], Field("c", PLAIN, optional=True), OLD.fields[1])
        )
    },
    "another type": {
        "X": msgspec.structs.replace(OLD, fields=(Field("a", Type("bytes")), OLD.fields[1]))
    },
    "a default is gone": {
        "X": msgspec.structs.replace(OLD, fields=(OLD.fields[0], Field("b", Type("int"))))
    },
    "a new one without a default": {
        "X": msgspec.structs.replace(OLD, fields=(*OLD.fields, Field("c", PLAIN)))
    },
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_breaks_is_found(what: str) -> None:
    assert history.breaks({"X": OLD}, BREAKS[what])


def test_a_struct_by_names_may_have_its_fields_in_any_order() -> None:
    turned = msgspec.structs.replace(
        NAMED, fields=(Field("c", PLAIN, optional=True), *NAMED.fields[::-1])
    )
    assert history.breaks({"X": NAMED}, {"X": turned}) == []
    assert history.breaks({"X": NAMED}, {"X": msgspec.structs.replace(NAMED, fields=())})


def test_a_release_is_frozen_once(tmp_path: Path) -> None:
    folder = history.freeze("9.9.9", tmp_path)
    assert {path.name for path in folder.iterdir()} == {"shapes.json", "messages.json"}
    frozen = msgspec.json.decode((folder / "shapes.json").read_bytes(), type=history.Shapes)
    assert history.breaks(frozen, history.shapes_now()) == []
    with pytest.raises(FileExistsError):
        history.freeze("9.9.9", tmp_path)
