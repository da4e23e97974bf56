"""Two copies of one event share a hash, and nothing unsigned can change it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest

from crossdock.native import Signer, Source

NOW: Final = 1_700_000_000.0


def recipe(scheme: str, **fields: object) -> bytes:
    """A recipe whose secret suits every scheme that signs."""
    return msgspec.json.encode({"scheme": scheme, "secrets": ["whsec_AAAAAAAA"], **fields})


def hashed(
    prepared: bytes,
    content: bytes,
    *,
    at: float = NOW,
    message_id: str = "msg_1",
    extra: Mapping[str, str] | None = None,
) -> bytes | None:
    """The dedupe hash of an event that is sent at a time, with more headers."""
    headers = dict(Signer(prepared).sign("POST", "/", content, at, message_id))
    headers |= extra or {}
    asgi = [(name.encode(), value.encode()) for name, value in headers.items()]
    verdict = Source(prepared).verify("POST", "/", asgi, content, at)
    assert verdict.refusal is None
    return verdict.dedupe


@pytest.mark.parametrize(
    ("scheme", "first", "again"),
    [
        ("stripe", {"id": "evt_1", "pending_webhooks": 1}, {"id": "evt_1", "pending_webhooks": 0}),
        ("slack", {"event_id": "Ev1", "retry": 0}, {"event_id": "Ev1", "retry": 1}),
        ("square", {"event_id": "e1", "retry": 0}, {"event_id": "e1", "retry": 1}),
        ("paddle", {"event_id": "e1", "retry": 0}, {"event_id": "e1", "retry": 1}),
        ("zendesk", {"id": "1", "type": "zen:event-type:a", "retry": 0},
         {"id": "1", "type": "zen:event-type:a", "retry": 1}),
    ],
)  # fmt: skip
def test_a_signed_id_in_the_body_is_the_identity(
    scheme: str, first: dict[str, Any], again: dict[str, Any]
) -> None:
    one = hashed(recipe(scheme), msgspec.json.encode(first))
    assert hashed(recipe(scheme), msgspec.json.encode(again), at=NOW + 60) == one
    other = {**first, next(iter(first)): "another"}
    assert hashed(recipe(scheme), msgspec.json.encode(other)) != one


def test_a_signed_id_in_a_header_is_the_identity() -> None:
    one = hashed(recipe("standard"), b"{}")
    assert hashed(recipe("standard"), b'{"retry":1}', at=NOW + 60) == one
    assert hashed(recipe("standard"), b"{}", message_id="msg_2") != one


@pytest.mark.parametrize("scheme", ["github", "shopify", "slack", "zoom", "linear"])
def test_unsigned_headers_do_not_make_a_new_event(scheme: str) -> None:
    content = msgspec.json.encode({"webhookTimestamp": int(NOW * 1000), "a": 1})
    one = hashed(recipe(scheme), content)
    labels = dict.fromkeys(
        ("x-github-delivery", "x-github-event", "x-shopify-webhook-id", "x-shopify-topic",
         "linear-delivery", "x-slack-retry-num"),
        "forged",
    )  # fmt: skip
    assert hashed(recipe(scheme), content, message_id="msg_2", extra=labels) == one
    assert hashed(recipe(scheme), content.replace(b'"a":1', b'"a":2')) != one


def test_an_unsigned_content_type_does_not_make_a_new_event() -> None:
    content = b'{"id":"evt_1"}'
    one = hashed(recipe("stripe"), content)
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        assert hashed(recipe("stripe"), content, extra={"content-type": kind}) == one


def test_a_retry_by_linear_differs_in_its_time_alone() -> None:
    def sent(at: float, title: str) -> bytes | None:
        fields = {"action": "update", "webhookTimestamp": int(at * 1000), "title": title}
        return hashed(recipe("linear"), msgspec.json.encode(fields), at=at)

    assert sent(NOW, "a") == sent(NOW + 3600, "a")
    assert sent(NOW, "a") != sent(NOW, "b")


def test_zendesk_triggers_have_ids_of_anything_and_are_known_by_their_body() -> None:
    one = hashed(recipe("zendesk"), b'{"id":"1","status":"open"}')
    assert hashed(recipe("zendesk"), b'{"id":"1","status":"solved"}') != one
    assert hashed(recipe("zendesk"), b'{"id":"1","status":"open"}', at=NOW + 60) == one


def test_reordered_or_repeated_form_parameters_are_the_same_event() -> None:
    one = hashed(recipe("twilio"), b"MessageSid=SM1&Body=hi")
    assert hashed(recipe("twilio"), b"Body=hi&MessageSid=SM1") == one
    assert hashed(recipe("twilio"), b"Body=hi&MessageSid=SM1&Body=hi") == one
    assert hashed(recipe("twilio"), b"Body=%68i&MessageSid=SM1") == one
    assert hashed(recipe("twilio"), b"Body=ho&MessageSid=SM1") != one


def test_an_id_beside_the_body_cannot_be_shifted_into_it() -> None:
    settings = {"signature_header": "x-s", "id_header": "x-id", "template": "{id}{body}"}
    prepared = recipe("hmac", hmac=settings)
    # The same signed text, and so the same signature, cut in two places.
    assert hashed(prepared, b"2{}", message_id="1") == hashed(prepared, b"{}", message_id="12")
    settings["template"] = "{id}.{body}"
    prepared = recipe("hmac", hmac=settings)
    assert hashed(prepared, b"x", message_id="1") == hashed(prepared, b"y", message_id="1")
    settings["template"] = "{body}"
    prepared = recipe("hmac", hmac=settings)
    assert hashed(prepared, b"x", message_id="1") == hashed(prepared, b"x", message_id="2")


def test_a_source_may_choose_its_own_identity() -> None:
    prepared = recipe("github", dedupe=["/a", "/b/0"])
    one = hashed(prepared, b'{"a":"x","b":[1],"c":1}')
    assert hashed(prepared, b'{"c":2,"b":[1,2],"a":"\\u0078"}') == one
    for other in (b'{"a":"x","b":["1"]}', b'{"a":"x"}', b'{"b":[1]}', b'{"a":1,"b":["x"]}'):
        assert hashed(prepared, other) != one


def test_events_without_any_chosen_value_are_not_all_one() -> None:
    prepared = recipe("github", dedupe=["/a"])
    assert hashed(prepared, b'{"b":1}') != hashed(prepared, b'{"b":2}')
    assert hashed(prepared, b'{"b":1}') == hashed(prepared, b'{"b":1}')


def test_kinds_of_identity_cannot_pass_for_one_another() -> None:
    by_id = hashed(recipe("standard"), b"{}", message_id="evt_1")
    by_body_id = hashed(recipe("stripe"), b'{"id":"evt_1"}')
    by_body = hashed(recipe("github"), b"evt_1")
    assert len({by_id, by_body_id, by_body}) == 3


def test_a_source_may_choose_no_dedupe() -> None:
    assert hashed(recipe("stripe", dedupe="none"), b'{"id":"evt_1"}') is None
