"""What is said of bodies that break a schema, in words of theirs and without."""

import json  # noqa: TID251 # schemas and bodies are written by hand here
import time
from typing import Any, Final

import pytest
from hypothesis import given, settings

from crossdock import native
from crossdock.native import Message, Schema, Schemas
from proto.ingest import IngestedV1, decoder
from tests.unit.native.test_schema_oracle import schemas, values

WORD: Final = "planted"
SOURCE: Final = native.Source(
    b'{"scheme": "none", "secrets": [], "event_type": {"fixed": "order.paid"}}'
)
BROKEN: Final[list[tuple[dict[str, Any], Any]]] = [
    ({"type": "object"}, WORD),
    ({"type": ["object", "null"]}, WORD),
    ({"const": 1}, WORD),
    ({"enum": ["a"]}, WORD),
    ({"pattern": "^a"}, WORD),
    ({"minLength": 99}, WORD),
    ({"maxLength": 1}, WORD),
    ({"minimum": 5000}, 4111),
    ({"maximum": 5}, 4111),
    ({"exclusiveMinimum": 5000}, 4111),
    ({"exclusiveMaximum": 5}, 4111),
    ({"multipleOf": 5}, 4111),
    ({"anyOf": [{"type": "null"}]}, WORD),
    ({"oneOf": [{"type": "null"}]}, WORD),
    ({"oneOf": [True, True]}, WORD),
    ({"not": {}}, WORD),
    ({"items": False}, [WORD]),
    ({"items": {"type": "object"}}, [WORD]),
    ({"properties": {}, "additionalProperties": False}, {WORD: 1, "a": 2}),
    ({"additionalProperties": False}, {WORD: 1}),
    ({"unevaluatedProperties": False}, {WORD: 1}),
    ({"propertyNames": {"maxLength": 1}}, {WORD: 1, f"{WORD}2": 1}),
    ({"propertyNames": False}, {WORD: 1}),
    ({"dependentRequired": {WORD: ["other"]}}, {WORD: 1}),
]


def compiled(keywords: Any) -> Schema:
    return Schema(json.dumps(keywords).encode())


@pytest.mark.parametrize(("keywords", "body"), BROKEN, ids=lambda value: json.dumps(value)[:40])
def test_without_quotes_no_word_of_the_body_is_told(keywords: dict[str, Any], body: Any) -> None:
    schema, raw = compiled(keywords), json.dumps(body).encode()

    told = schema.validate(raw, quotes=False)

    assert [place for place, _ in schema.validate(raw)][:1] == [place for place, _ in told][:1]
    for _, detail in told:
        assert detail
        assert WORD not in detail
        assert "4111" not in detail


def test_without_quotes_what_the_schema_asks_is_told() -> None:
    schema = compiled({"properties": {"a": {"type": "integer"}}, "required": ["b"]})

    told = schema.validate(b'{"a":"planted"}', quotes=False)

    assert sorted(told) == [
        ("", 'the property "b" is missing'),
        ("/a", "the value is not of type integer"),
    ]


def test_what_sounds_the_same_without_quotes_is_told_once() -> None:
    schema = compiled({"propertyNames": {"maxLength": 1}})

    assert len(schema.validate(b'{"ab":1,"cd":2}')) == 2
    assert len(schema.validate(b'{"ab":1,"cd":2}', quotes=False)) == 1


@settings(max_examples=200, deadline=None)
@given(schemas, values)
def test_without_quotes_a_body_is_judged_alike(schema: Any, body: Any) -> None:
    ours, raw = compiled(schema), json.dumps(body).encode()

    quoted, unquoted = ours.validate(raw), ours.validate(raw, quotes=False)

    assert (quoted == []) is (unquoted == [])
    assert {place for place, _ in quoted} == {place for place, _ in unquoted}


def taken(schema: Schema, body: bytes) -> Message:
    held = Schemas([("order.paid", "quarantine", 1, schema)])
    message = native.take_webhook(
        SOURCE,
        "ingest.0",
        (b"t" * 16, b"s" * 16),
        "/",
        [],
        body,
        time.time(),
        held,
        apart=True,
    )
    assert isinstance(message, Message)
    return message


def event(message: Message) -> IngestedV1:
    frame = native.plain_frames([message], b"_INBOX.", 1)
    return decoder.decode(frame[frame.index(b"\r\n\r\n") + 4 : -2])


@pytest.mark.parametrize(("keywords", "body"), BROKEN, ids=lambda value: json.dumps(value)[:40])
def test_what_is_sealed_has_none_of_its_words_beside_it(
    keywords: dict[str, Any], body: Any
) -> None:
    schema, raw = compiled(keywords), json.dumps(body).encode()
    message = taken(schema, raw)

    message.attach(b"sealed", data_key=b"k" * 16)

    said = json.loads(event(message).violation)
    assert [(one["pointer"], one["detail"]) for one in said] == schema.validate(raw, quotes=False)


def test_what_is_not_sealed_is_quoted() -> None:
    message = taken(compiled({"type": "object"}), b'"planted"')

    message.attach(b'"planted"')

    [said] = json.loads(event(message).violation)
    assert said == {"pointer": "", "detail": '"planted" is not of type object'}


def test_what_is_sealed_and_keeps_to_its_schema_has_nothing_said_of_it() -> None:
    message = taken(compiled({"type": "string"}), b'"planted"')

    message.attach(b"sealed", data_key=b"k" * 16)

    assert event(message).violation == ""
