"""The documents of what goes over NATS: as committed, whole, and true of what is sent."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest

from crossdock import ids
from crossdock.inbound.cloud_events import Announced, cloud_event
from proto import asyncapi, export, history, schemas, subjects
from proto import cloud_event as headers_of_events

DOCUMENT = msgspec.json.decode(export.files()["asyncapi.json"])


def test_what_is_committed_is_what_is_exported() -> None:
    wanted = export.files()
    for name, text in wanted.items():
        assert (export.DOCS / name).read_bytes() == text, f"{name} is stale: run `make docs`"
    committed = {f"schemas/{path.name}" for path in (export.DOCS / "schemas").iterdir()}
    assert committed == {name for name in wanted if name.startswith("schemas/")}


def test_an_export_is_the_same_each_time_and_clears_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "gone.json").write_text("{}")
    export.write(tmp_path)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    export.write(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == first
    assert {str(path.relative_to(tmp_path)) for path in first} == set(export.files())


def references(value: Any) -> set[str]:
    """Return all references in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_leads_somewhere_and_everything_is_referred_to() -> None:
    found = references(DOCUMENT)
    for reference in found:
        assert resolve(reference)
    for kind in ("messages", "schemas"):
        for name in DOCUMENT["components"][kind]:
            assert any(one.startswith(f"#/components/{kind}/{name}") for one in found), name


def test_every_stream_and_every_tag_has_a_channel() -> None:
    addresses = {one["address"] for one in DOCUMENT["channels"].values()}
    places = [
        subjects.event("ten_a", "src_a", "a.b"),
        subjects.out("ten_a", "orders.eu"),
        subjects.ingest(3),
        subjects.POISONED_INGEST,
        subjects.limits("ab"),
        f"$KV.{subjects.settings_bucket(0)}.beat",
        f"$KV.{subjects.ANSWERS_BUCKET}.x",
        f"$O.{subjects.BODIES_BUCKET}.C.x",
    ]
    patterns = [re.sub(r"\\{\w+\\}", ".+", re.escape(address)) for address in addresses]
    for place in places:
        assert [one for one in patterns if re.fullmatch(one, place)], place
    assert len(patterns) == len(places)
    names = {one["name"] for one in DOCUMENT["components"]["messages"].values()}
    assert set(schemas.schemas()) <= names


@pytest.mark.parametrize("channel", DOCUMENT["channels"])
def test_a_channel_says_what_each_of_its_parameters_is(channel: str) -> None:
    one = DOCUMENT["channels"][channel]
    assert one["description"]
    assert set(re.findall(r"\{(\w+)\}", one["address"])) == set(one.get("parameters", ()))
    assert all(parameter["description"] for parameter in one.get("parameters", {}).values())


def test_every_field_and_struct_is_described_by_a_valid_schema() -> None:
    for tag, schema in schemas.schemas().items():
        jsonschema_rs.Draft202012Validator(schema)
        assert schema["description"], tag


def test_messages_in_their_json_form_fit_their_schemas() -> None:
    """Of array and map alike, and of messages from before the tail, too."""
    by_tag = schemas.schemas()
    frozen, old = history.read("0.1.0")
    now = history.shapes_now()
    count = 0
    for shape, samples in ((frozen, old), (now, history.samples_now())):
        for sample in samples:
            tag = shape[sample.struct].tag
            if tag is None:
                continue
            fields = [one.name for one in shape[sample.struct].fields]
            whole: Any = {"type": tag, **sample.meaning}
            if shape[sample.struct].array_like:
                whole = [tag, *(sample.meaning[name] for name in fields)]
            assert jsonschema_rs.is_valid(by_tag[tag], whole), sample
            count += 1
            broken = whole[:-9] if isinstance(whole, list) else {**whole, "version": "x", "at": ""}
            assert not jsonschema_rs.is_valid(by_tag[tag], broken)
    assert count > 30


EVENT = Announced(
    tenant_id=UUID(int=(7 << 76) | 1),
    source_id=UUID(int=(7 << 76) | 2),
    event_id=UUID(int=(1_700_000_000_000 << 80) | (7 << 76) | 3),
    stream_seq=12,
    event_type="invoice.paid",
    content_type="application/json",
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    body=b"{}",
)


def sent(event: Announced, run: str | None = None) -> dict[str, str]:
    """Return the headers of an event's message, read from its frame."""
    from crossdock.native import plain_frames  # noqa: PLC0415 - for this alone

    frame = plain_frames([cloud_event(event, run=run)], b"_INBOX.x.", 1)
    head, _, _ = frame.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[2:]
    return dict(line.split(": " if ": " in line else ":", 1) for line in lines)


@pytest.mark.parametrize("kind", ["plain", "untyped", "apart", "structured", "again"])
def test_the_headers_that_are_sent_are_those_described(kind: str) -> None:
    event, run = EVENT, None
    if kind == "untyped":
        event = msgspec.structs.replace(EVENT, event_type="", content_type="")
    elif kind == "apart":
        event = msgspec.structs.replace(EVENT, body=None)
    elif kind == "structured":
        event = msgspec.structs.replace(EVENT, content_type="application/cloudevents+json")
    elif kind == "again":
        run = "ab12"
    found = sent(event, run)
    assert jsonschema_rs.is_valid(headers_of_events.schema(), found)
    assert set(found) <= set(headers_of_events.HEADERS)
    assert ("ce-dataref" in found) == (kind == "apart")
    assert ("content-type" in found) == (kind not in {"apart", "structured"})
    assert ("crossdock-republished" in found) == (kind == "again")
    assert found["ce-id"] == ids.encode("evt", EVENT.event_id)
    assert (found["Nats-Msg-Id"] == found["ce-id"]) == (kind != "again")


def test_the_document_names_its_release() -> None:
    assert asyncapi.document("1.2.3")["info"]["version"] == "1.2.3"
