"""What goes to NATS and comes back, against slow readers and writers of our own."""

import re
import time
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids, native
from crossdock.native import Message, Replies
from proto.ingest import IngestedV1, decoder

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RECIPE = msgspec.json.encode({"scheme": "stripe", "secrets": [SECRET]})
TENANT, SOURCE = b"t" * 16, b"s" * 16
BODY = b'{"id":"evt_1","type":"charge.succeeded"}'

FRAME = re.compile(rb"HPUB (\S+)(?: (\S+))? (\d+) (\d+)\r\n")


def parse(frames: bytes) -> list[tuple[bytes, bytes, dict[str, str], bytes]]:
    """Read frames as the server does: subject, reply, headers, payload."""
    found = []
    while frames:
        match = FRAME.match(frames)
        assert match, frames[:80]
        head, total = int(match[3]), int(match[4])
        block = frames[match.end() : match.end() + total]
        assert frames[match.end() + total :][:2] == b"\r\n"
        lines = block[:head].decode().split("\r\n")
        assert lines[0] == "NATS/1.0"
        assert lines[-2:] == ["", ""]
        headers = dict(line.split(": ", 1) for line in lines[1:-2])
        found.append((match[1], match[2] or b"", headers, block[head:]))
        frames = frames[match.end() + total + 2 :]
    return found


def taken(
    headers: list[tuple[bytes, bytes]] | None = None, body: bytes = BODY, now: float | None = None
) -> Message | native.Verdict | native.Rejected:
    now = time.time() if now is None else now
    signed = native.Signer(RECIPE).sign("POST", "/in/x", body, now)
    signature = [(name.encode(), value.encode()) for name, value in signed]
    return native.take_webhook(
        native.Source(RECIPE),
        "ingest.0",
        (TENANT, SOURCE),
        "/in/x",
        [*(headers or []), *signature],
        body,
        now,
    )


def event(message: object) -> IngestedV1:
    assert isinstance(message, Message), message
    [(_, _, headers, payload)] = parse(native.plain_frames([message], b"_INBOX.a.", 1))
    found = decoder.decode(payload)
    wire_id = ids.encode("evt", UUID(bytes=found.event_id))
    assert headers == {"Nats-Msg-Id": wire_id}
    assert msgspec.json.decode(message.answer) == {"id": wire_id}
    return found


# Publishing.


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(0, 2**63))
def test_plain_frames_read_back(payloads: list[bytes], first: int) -> None:
    messages = [Message("events.a", body, [("N", str(i))]) for i, body in enumerate(payloads)]

    frames = native.plain_frames(messages, b"_INBOX.a.", first)

    assert len(frames) <= sum(message.size for message in messages)
    assert parse(frames) == [
        (b"events.a", b"_INBOX.a.%d" % (first + i), {"N": str(i)}, body)
        for i, body in enumerate(payloads)
    ]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_batch_frames_read_back(payloads: list[bytes]) -> None:
    messages = [Message("events.a", body) for body in payloads]

    frames = native.batch_frames(messages, b"_INBOX.a.", 7, "b1")

    found = parse(frames)
    assert len(frames) <= sum(message.size for message in messages)
    assert [payload for *_, payload in found] == payloads
    assert [reply for _, reply, *_ in found] == [b""] * (len(found) - 1) + [b"_INBOX.a.7"]
    for place, (_, _, headers, _) in enumerate(found, 1):
        commit = {"Nats-Batch-Commit": "1"} if place == len(found) else {}
        assert headers == {"Nats-Batch-Id": "b1", "Nats-Batch-Sequence": str(place)} | commit


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0", "a.*", "a.>", "a\x00"])
def test_a_subject_stays_in_its_place(subject: str) -> None:
    with pytest.raises(ValueError, match="subject"):
        Message(subject, b"")


@pytest.mark.parametrize(
    ("name", "value"), [("a", "b\r\nc: d"), ("a\nb", ""), ("", ""), ("a:", "")]
)
def test_a_header_stays_in_its_place(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Message("a", b"", [(name, value)])


# Envelopes.


def test_an_envelope_is_what_workers_read() -> None:
    now = time.time()  # no later: ids of one process never go back to an earlier moment
    found = event(taken([(b"content-type", b"application/json"), (b"x-label", b"1")], now=now))

    assert found.tenant_id == TENANT
    assert found.source_id == SOURCE
    assert found.event_type == "charge.succeeded"
    assert found.provider_id == "evt_1"
    assert found.dedupe is not None
    assert len(found.dedupe) == 16
    assert found.content_type == "application/json"
    assert found.headers == [("x-label", "1")]
    assert found.body == BODY
    assert now - 0.001 <= ids.time_of(UUID(bytes=found.event_id)).timestamp() <= time.time()


@pytest.mark.parametrize("size", [0, 31, 255, 256, 16_384, 16_385, 65_536, 500_000])
def test_bodies_of_all_sizes(size: int) -> None:
    body = b'{"pad":"' + b"x" * size + b'"}'

    assert event(taken(body=body)).body == body


def test_the_verdict_comes_back_where_there_is_no_event() -> None:
    verdict = native.take_webhook(
        native.Source(RECIPE), "ingest.0", (TENANT, SOURCE), "/in/x", [], BODY, time.time()
    )

    assert isinstance(verdict, native.Verdict)
    assert verdict.refusal == "signature-missing"


def test_a_signature_that_is_there_twice_is_refused() -> None:
    signed = native.Signer(RECIPE).sign("POST", "/in/x", BODY, 1.0)
    headers = [(name.encode(), value.encode()) for name, value in signed] * 2

    verdict = native.take_webhook(
        native.Source(RECIPE), "ingest.0", (TENANT, SOURCE), "/in/x", headers, BODY, 1.0
    )

    assert isinstance(verdict, native.Verdict)
    assert verdict.refusal == "signature-invalid"


def test_credentials_never_travel() -> None:
    names = [
        b"authorization",
        b"cookie",
        b"x-api-key",
        b"x-hub-signature-256",
        b"x-gitlab-token",
        b"proxy-authorization",
    ]

    assert event(taken([(name, b"secret") for name in names])).headers == []


def test_the_header_that_proves_the_sender_never_travels_whatever_its_name() -> None:
    recipe = msgspec.json.encode(
        {"scheme": "hmac", "secrets": ["s3cret"], "hmac": {"signature_header": "x-acme-proof"}}
    )
    [(name, value)] = native.Signer(recipe).sign("POST", "/", BODY, 1.0)

    found = native.take_webhook(
        native.Source(recipe),
        "ingest.0",
        (TENANT, SOURCE),
        "/",
        [(name.encode(), value.encode()), (b"x-acme-label", b"1")],
        BODY,
        1.0,
    )

    assert event(found).headers == [("x-acme-label", "1")]


@given(
    st.lists(
        st.tuples(st.from_regex(r"x-[a-z]{1,20}", fullmatch=True), st.binary(max_size=600)),
        max_size=100,
    )
)
def test_kept_headers_are_bounded_and_text(pairs: list[tuple[str, bytes]]) -> None:
    found = event(taken([(name.encode(), value) for name, value in pairs]))

    assert len(found.headers) <= 32
    assert sum(len(name) + len(value) for name, value in found.headers) <= 4096
    sent = [(name, value.decode("latin-1")) for name, value in pairs]
    assert all(kept in sent for kept in found.headers)


def test_a_trace_goes_on_or_begins() -> None:
    parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    joined = event(taken([(b"traceparent", parent)]))
    begun = event(taken([(b"traceparent", b"nonsense")]))

    assert joined.traceparent.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert joined.traceparent.endswith("-01")
    assert "00f067aa0ba902b7" not in joined.traceparent
    assert begun.traceparent[3:35] == begun.event_id.hex()
    assert begun.traceparent.endswith("-00")


# Lengths.


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([], -1),
        ([(b"content-length", b"0")], 0),
        ([(b"host", b"x"), (b"content-length", b"1024")], 1024),
        ([(b"content-length", b"1099511627776")], 1024**4),
        ([(b"content-length", b"-1")], -1),
        ([(b"content-length", b"two")], -1),
        ([(b"content-length", b"\xff")], -1),
    ],
)
def test_content_length(headers: list[tuple[bytes, bytes]], length: int) -> None:
    assert native.content_length(headers) == length


# Replies.


def acknowledgement(token: int, extra: str = "") -> bytes:
    payload = b'{"stream":"INGEST","seq":%d%b}' % (token + 1, extra.encode())
    return b"MSG _INBOX.abc.%d 1 %d\r\n%b\r\n" % (token, len(payload), payload)


def answer(token: int, payload: bytes) -> bytes:
    return b"MSG _INBOX.abc.%d 1 %d\r\n%b\r\n" % (token, len(payload), payload)


SAID: dict[bytes, tuple[str, int, int, bytes]] = {
    b"PING\r\n": ("PING", 0, 0, b""),
    b"PONG\r\n": ("PONG", 0, 0, b""),
    b"-ERR 'Stale Connection'\r\n": ("-ERR", 0, 0, b"'Stale Connection'"),
    b'INFO {"max_payload":1}\r\n': ("INFO", 0, 0, b'{"max_payload":1}'),
    answer(5, b'{"error":{"code":503}}'): ("MSG", 5, 0, b'{"error":{"code":503}}'),
    answer(6, b'{"stream":"S","seq":0}'): ("MSG", 6, 0, b'{"stream":"S","seq":0}'),
    answer(7, b""): ("MSG", 7, 0, b""),
    b"HMSG _INBOX.abc.8 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n": ("MSG", 8, 503, b""),
}

part = st.one_of(
    st.integers(0, 2**62).map(acknowledgement),
    st.integers(0, 9).map(lambda token: acknowledgement(token, ', "duplicate": true')),
    st.sampled_from([*SAID, b"+OK\r\n"]),
)


@given(st.lists(part, max_size=30), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_replies_read_the_same_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    text = b"".join(parts)
    replies, tokens, said = Replies(), list[int](), list[Any]()
    place = turn = 0
    while place < len(text):
        size = cuts[turn % len(cuts)]
        acknowledged, others = replies.feed(text[place : place + size])
        tokens += acknowledged
        said += others
        place, turn = place + size, turn + 1

    assert said == [SAID[part] for part in parts if part in SAID]
    found = [re.match(rb"MSG _INBOX\.abc\.(\d+) ", part) for part in parts if part not in SAID]
    assert tokens == [int(match[1]) for match in found if match]


@given(st.binary(max_size=400))
def test_no_bytes_break_it(noise: bytes) -> None:
    replies = Replies()

    acknowledged, _ = replies.feed(noise)
    replies.feed(b"\r\n")

    assert not acknowledged or noise.startswith(b"MSG ")
