"""What follows the body in a message: status, violations, indexed values, keys and claims."""

import re
import time
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import native
from crossdock.native import Fields, Message, Rejected, Schema, Schemas
from proto.ingest import IngestedV1, decoder

SOURCE: Final = native.Source(
    msgspec.json.encode({"scheme": "none", "secrets": [], "event_type": {"fixed": "order.paid"}})
)
ORDER: Final = Schema(b'{"type": "object", "required": ["total"]}')
GOOD: Final = b'{"total":1}'
BAD: Final = b'{"sum":1}'


def take(body: bytes = GOOD, mode: str = "", **options: Any) -> Any:
    schemas = Schemas([("order.paid", mode, 7, ORDER)]) if mode else None
    return native.take_webhook(
        SOURCE, "ingest.0", (b"t" * 16, b"s" * 16), "/", [], body, time.time(), schemas, **options
    )


def payload(message: Message) -> bytes:
    frames = native.plain_frames([message], b"_INBOX.", 1)
    assert len(frames) <= message.size
    match = re.match(rb"HPUB \S+ \S+ (\d+) (\d+)\r\n", frames)
    assert match
    head, total = int(match[1]), int(match[2])
    assert len(frames) == match.end() + total + 2
    return frames[match.end() + head : -2]


def event(message: Any) -> IngestedV1:
    assert isinstance(message, Message)
    found = decoder.decode(payload(message))
    assert found.event_id == message.event_id
    assert found.status == message.status
    return found


def test_a_message_that_needs_no_tail_has_none() -> None:
    plain = payload(take())

    assert plain[0] == 0x9B  # an array of eleven: the tag and ten fields
    assert plain.endswith(GOOD)
    assert payload(take(fields=Fields(["/none"])))[0] == 0x9B
    assert payload(take(mode="off"))[0] == 0x9B


@pytest.mark.parametrize(
    ("mode", "holds", "body", "status", "version"),
    [
        ("", False, BAD, "", 0),
        ("", True, BAD, "held", 0),
        ("off", False, BAD, "", 0),
        ("warn", False, GOOD, "", 7),
        ("warn", False, BAD, "warned", 7),
        ("warn", True, GOOD, "held", 7),
        ("warn", True, BAD, "held", 7),
        ("quarantine", False, GOOD, "", 7),
        ("quarantine", False, BAD, "quarantined", 7),
        ("quarantine", True, BAD, "quarantined", 7),
        ("reject", False, GOOD, "", 7),
        ("reject", True, GOOD, "held", 7),
    ],
)
def test_what_becomes_of_an_event(
    mode: str,
    *,
    holds: bool,
    body: bytes,
    status: str,
    version: int,
) -> None:
    found = event(take(body, mode, holds=holds))

    assert found.status == status
    assert found.schema_version == version
    assert found.body == body
    broken = mode not in {"", "off"} and body == BAD
    assert (found.violation != "") is broken
    if broken:
        [violation] = msgspec.json.decode(found.violation)
        assert violation == {"pointer": "", "detail": 'the property "total" is missing'}


@pytest.mark.parametrize("holds", [False, True])
def test_what_breaks_a_strict_schema_is_no_message(*, holds: bool) -> None:
    rejected = take(BAD, "reject", holds=holds)

    assert isinstance(rejected, Rejected)
    assert rejected.event_type == "order.paid"
    assert rejected.schema_version == 7
    assert rejected.violations == [("", 'the property "total" is missing')]


def test_what_is_no_json_breaks_a_schema_whatever_its_content_type() -> None:
    rejected = take(b"a=1&b=2", "reject")

    assert isinstance(rejected, Rejected)
    assert rejected.violations == [("", "the body is not JSON")]


def test_a_type_without_a_schema_is_not_looked_at() -> None:
    other = Schemas([("order.failed", "reject", 1, ORDER)])

    found = native.take_webhook(
        SOURCE, "ingest.0", (b"t" * 16, b"s" * 16), "/", [], b"no json", time.time(), other
    )

    assert event(found).schema_version == 0


def test_indexed_values_travel() -> None:
    fields = Fields(["/total", "/none"])

    assert event(take(fields=fields)).fields == [native.field_key("/total", "1")]


# Bodies that come later.


def test_a_sealed_body_is_attached() -> None:
    message = take(BAD, "warn", apart=True, fields=Fields(["/sum"]))
    assert message.status == "warned"

    message.attach(b"sealed" * 20_000, data_key=b"k" * 16)

    found = event(message)
    assert found.body == b"sealed" * 20_000
    assert found.data_key == b"k" * 16
    assert found.fields == [native.field_key("/sum", "1")]
    assert found.schema_version == 7
    assert found.claim == ""


def test_a_claim_is_attached() -> None:
    message = take(apart=True)

    message.attach(b"", claim="evt_1", data_key=b"k" * 16)

    found = event(message)
    assert (found.body, found.claim, found.data_key) == (b"", "evt_1", b"k" * 16)
    assert msgspec.json.decode(message.answer)["id"].startswith("evt_")


def test_a_plain_body_that_is_attached_makes_the_same_message() -> None:
    message = take(apart=True)
    message.attach(GOOD)

    now, later = payload(take()), payload(message)

    assert now[0] == later[0] == 0x9B
    assert len(now) == len(later)
    assert event(message).body == GOOD


@given(
    body=st.binary(max_size=70_000),
    claim=st.sampled_from(["", "evt_1", "x" * 300]),
    key=st.sampled_from([b"", b"k" * 16]),
    holds=st.booleans(),
    version=st.integers(0, 2**32 - 1),
)
def test_tails_of_all_kinds_are_read_back(
    body: bytes, claim: str, key: bytes, *, holds: bool, version: int
) -> None:
    schemas = Schemas([("order.paid", "warn", version, ORDER)])
    message = native.take_webhook(
        SOURCE,
        "ingest.0",
        (b"t" * 16, b"s" * 16),
        "/",
        [],
        BAD,
        time.time(),
        schemas,
        holds=holds,
        apart=True,
    )
    assert isinstance(message, Message)

    message.attach(b"" if claim else body, claim=claim, data_key=key)

    found = event(message)
    assert (found.claim, found.data_key or b"") == (claim, key)
    assert found.body == (b"" if claim else body)
    assert found.schema_version == version


def test_what_is_apart_is_published_once_it_is_whole() -> None:
    message = take(apart=True)

    with pytest.raises(ValueError, match="attached"):
        native.plain_frames([message], b"_INBOX.", 1)
    with pytest.raises(ValueError, match="attached"):
        native.batch_frames([take(), message], b"_INBOX.", 1, "b")
    with pytest.raises(ValueError, match="attached"):
        _ = message.size
    with pytest.raises(ValueError, match="claim"):
        message.attach(b"x", claim="evt_1")
    with pytest.raises(ValueError, match="16 bytes"):
        message.attach(b"x", data_key=b"short")
    message.attach(b"x")
    with pytest.raises(ValueError, match="has its body"):
        message.attach(b"x")
    with pytest.raises(ValueError, match="has its body"):
        take().attach(b"x")


def test_a_message_of_ones_own_has_no_event() -> None:
    message = Message("events.x", b"payload")

    assert message.event_id == bytes(16)
    assert message.status == ""
