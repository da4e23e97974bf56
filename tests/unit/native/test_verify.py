"""What a source takes and refuses, and what it reads off what it takes."""

import hmac
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pytest

from crossdock.native import SCHEMES, RecipeError, Signer, Source, Verdict, generate_key_pair

NOW: Final = 1_700_000_000.0
SECRET: Final = "s3cret-s3cret"
JSON: Final = {"content-type": "application/json"}
UNSIGNED: Final = ("basic", "bearer", "none")
TIMED: Final = ("standard", "stripe", "slack", "zoom", "zendesk", "paddle")


def secret(scheme: str) -> str:
    """A secret of the scheme's form."""
    return {"standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "basic": f"u:{SECRET}"}.get(
        scheme, SECRET
    )


def recipe(scheme: str, **fields: object) -> bytes:
    """A recipe with one secret, where the scheme takes one."""
    whole: dict[str, object] = {"scheme": scheme, "secrets": [secret(scheme)], **fields}
    if scheme == "none":
        whole["secrets"] = []
    if scheme == "hmac":
        whole.setdefault("hmac", {"signature_header": "X-Signature"})
    return msgspec.json.encode(whole)


def body(**fields: object) -> bytes:
    """A JSON body with the time in it, for Linear."""
    return msgspec.json.encode({"webhookTimestamp": int(NOW * 1000), **fields})


def ask(
    source: Source, headers: Mapping[str, str], content: bytes, *, url: str = "/", now: float = NOW
) -> Verdict:
    """Verify with headers as text."""
    asgi = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return source.verify("POST", url, asgi, content, now)


def signed(scheme: str, content: bytes, *, at: float = NOW, **fields: object) -> dict[str, str]:
    """The headers a sender of that scheme sends."""
    return dict(Signer(recipe(scheme, **fields)).sign("POST", "/", content, at, "msg_1"))


def taken(scheme: str, content: bytes, **headers: str) -> Verdict:
    """The verdict on an event that is signed as it should be."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    verdict = ask(Source(recipe(scheme)), signed(scheme, content) | named, content)
    assert verdict.refusal is None, verdict
    assert verdict.detail is None
    return verdict


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_source_takes_what_its_signer_signs(scheme: str) -> None:
    verdict = taken(scheme, body(id="evt_1"))
    assert verdict.dedupe is not None
    assert len(verdict.dedupe) == 16
    assert Source(recipe(scheme)).scheme == scheme


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "none"])
def test_another_secret_is_refused_and_any_live_one_is_taken(scheme: str) -> None:
    content = body()
    headers = signed(scheme, content)
    other = {"standard": "whsec_AAAAAAAA", "basic": "u:other"}.get(scheme, "other-secret")
    assert ask(Source(recipe(scheme, secrets=[other])), headers, content).refusal == (
        "signature-invalid"
    )
    rotated = Source(recipe(scheme, secrets=[other, secret(scheme)]))
    assert ask(rotated, headers, content).refusal is None


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in UNSIGNED])
def test_a_changed_body_is_refused(scheme: str) -> None:
    content = body()
    assert ask(Source(recipe(scheme)), signed(scheme, content), content + b" ").refusal == (
        "signature-invalid"
    )


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "none"])
def test_a_missing_or_empty_header_is_called_missing(scheme: str) -> None:
    content = body()
    headers = signed(scheme, content)
    labels = {"x-github-delivery", "x-shopify-webhook-id", "linear-delivery"}
    for name in headers.keys() - labels:
        without = {key: value for key, value in headers.items() if key != name}
        for changed in (without, headers | {name: ""}):
            verdict = ask(Source(recipe(scheme)), changed, content)
            assert verdict.refusal == "signature-missing"
            assert verdict.detail is not None
            assert name in verdict.detail


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "none"])
def test_a_header_of_the_check_that_repeats_is_refused(scheme: str) -> None:
    content = body()
    headers = signed(scheme, content)
    labels = {"x-github-delivery", "x-shopify-webhook-id", "linear-delivery"}
    for name in headers.keys() - labels:
        lines = [*headers.items(), (name, headers[name])]
        asgi = [(key.encode(), value.encode()) for key, value in lines]
        verdict = Source(recipe(scheme)).verify("POST", "/", asgi, content, NOW)
        assert verdict.refusal == "signature-invalid"


@pytest.mark.parametrize("scheme", TIMED)
def test_the_clock_may_differ_by_the_tolerance_either_way_and_no_more(scheme: str) -> None:
    content = body()
    headers = signed(scheme, content)
    for tolerance in (None, 10):
        source = Source(recipe(scheme, tolerance=tolerance))
        limit = tolerance or 300
        for away in (-limit, 0, limit):
            assert ask(source, headers, content, now=NOW + away).refusal is None
        for away in (-limit - 1, limit + 1):
            verdict = ask(source, headers, content, now=NOW + away)
            assert verdict.refusal == "timestamp-outside-tolerance"
    assert ask(Source(recipe(scheme)), headers, content, now=float("nan")).refusal is not None


@pytest.mark.parametrize("scheme", TIMED)
def test_the_clock_is_looked_at_only_once_the_signature_matches(scheme: str) -> None:
    headers = signed(scheme, body())
    verdict = ask(Source(recipe(scheme)), headers, b"forged", now=NOW + 9999)
    assert verdict.refusal == "signature-invalid"


def test_linears_clock_is_in_its_signed_body() -> None:
    content = body()
    source = Source(recipe("linear"))
    headers = signed("linear", content)
    assert ask(source, headers, content, now=NOW + 60).refusal is None
    assert ask(source, headers, content, now=NOW + 61).refusal == "timestamp-outside-tolerance"
    for value in (None, "1700000000000", 1.7e12, -1, True):
        stale = msgspec.json.encode({"webhookTimestamp": value})
        verdict = ask(source, signed("linear", stale), stale)
        assert verdict.refusal == "timestamp-outside-tolerance"
    assert ask(source, signed("linear", b"[]"), b"[]").refusal == "timestamp-outside-tolerance"
    assert ask(source, signed("linear", b"-"), b"-").refusal == "body-malformed"


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "linear"])
@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/cloudevents+json"]
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b'"\n"',
        b'"\xff"',
        b"[" * 129 + b"]" * 129,
        b"\xef\xbb\xbf{}",
    ],
)
def test_json_that_is_none_is_refused_after_the_signature(
    scheme: str, kind: str, content: bytes
) -> None:
    headers = signed(scheme, content) | {"content-type": kind}
    source = Source(recipe(scheme))
    assert ask(source, headers, content).refusal == "body-malformed"
    if scheme not in UNSIGNED:
        assert ask(source, headers, content + b"x").refusal == "signature-invalid"


def test_json_of_128_levels_is_taken() -> None:
    content = b"[" * 128 + b"]" * 128
    assert ask(Source(recipe("github")), signed("github", content) | JSON, content).refusal is None


def test_a_rule_of_the_sources_own_needs_json_whatever_the_content_type() -> None:
    for fields in ({"dedupe": ["/a"]}, {"event_type": {"pointer": "/a"}}):
        source = Source(recipe("github", **fields))
        verdict = ask(source, signed("github", b"a=1"), b"a=1")
        assert verdict.refusal == "body-malformed"


def test_any_body_is_taken_where_nobody_says_json() -> None:
    for scheme in ("github", "slack", "standard", "stripe", "none"):
        assert taken(scheme, b"\xff\x00{").event_type == ""


@pytest.mark.parametrize(
    ("scheme", "content", "headers", "event_type", "provider_id"),
    [
        ("standard", {"type": "user.created"}, {}, "user.created", "msg_1"),
        ("stripe", {"id": "evt_1", "type": "charge.paid"}, {}, "charge.paid", "evt_1"),
        ("github", {}, {"x_github_event": "push"}, "push", "msg_1"),
        ("shopify", {}, {"x_shopify_topic": "orders/paid"}, "orders/paid", "msg_1"),
        ("slack", {"event_id": "Ev1", "type": "event_callback", "event": {"type": "message"}}, {},
         "message", "Ev1"),
        ("slack", {"type": "app_rate_limited"}, {}, "app_rate_limited", None),
        ("zoom", {"event": "meeting.started"}, {}, "meeting.started", None),
        ("zendesk", {"id": "01F", "type": "zen:event-type:user.created"}, {},
         "zen:event-type:user.created", "01F"),
        ("zendesk", {"id": "7", "type": "ticket"}, {}, "ticket", None),
        ("square", {"event_id": "e-1", "type": "payment.created"}, {}, "payment.created", "e-1"),
        ("paddle", {"event_id": "evt_1", "event_type": "sub.paid"}, {}, "sub.paid", "evt_1"),
        ("linear", {"type": "Issue", "action": "create"}, {}, "Issue.create", "msg_1"),
        ("linear", {"type": "Issue"}, {}, "Issue", "msg_1"),
        ("hmac", {"type": "x"}, {}, "", None),
    ],
)  # fmt: skip
def test_each_provider_names_its_events_in_its_own_way(
    scheme: str,
    content: dict[str, Any],
    headers: dict[str, str],
    event_type: str,
    provider_id: str | None,
) -> None:
    verdict = taken(scheme, body(**content), **headers)
    assert (verdict.event_type, verdict.provider_id) == (event_type, provider_id)


def test_twilio_is_known_by_its_message_or_call() -> None:
    assert taken("twilio", b"From=%2B1&MessageSid=SM1").provider_id == "SM1"
    assert taken("twilio", b"CallSid=CA1").provider_id == "CA1"
    assert taken("twilio", b"From=%2B1").provider_id is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"fixed": "my type"}, "my%20type"),
        ({"header": "X-Kind"}, "a/b"),
        ({"pointer": "/kind/0"}, "first"),
        ({"pointer": "/number"}, "7"),
        ({"pointer": "/none"}, ""),
        ({"pointer": "/kind"}, ""),
    ],
)
def test_a_source_may_name_its_events_itself(rule: dict[str, str], expected: str) -> None:
    source = Source(recipe("none", event_type=rule))
    verdict = ask(source, {"x-kind": "a/b"}, b'{"kind":["first"],"number":7}')
    assert verdict.event_type == expected


def test_labels_are_bounded_and_printable() -> None:
    headers = {"x_github_event": "é\tx" + "y" * 500, "x_github_delivery": "z" * 500}
    verdict = taken("github", b"{}", **headers)
    assert verdict.event_type.startswith("%C3%A9%09xyyy")
    assert len(verdict.event_type) == 128
    assert verdict.provider_id == "z" * 255


def test_v1a_is_verified_with_the_public_key_alone() -> None:
    private, public = generate_key_pair()
    headers = signed("standard", b"{}", secrets=[private])
    assert headers["webhook-signature"].startswith("v1a,")
    assert ask(Source(recipe("standard", secrets=[public])), headers, b"{}").refusal is None
    assert ask(Source(recipe("standard", secrets=[public])), headers, b"{ }").refusal == (
        "signature-invalid"
    )
    other = generate_key_pair()[1]
    source = Source(recipe("standard", secrets=[other, secret("standard")]))
    assert ask(source, headers, b"{}").refusal == "signature-invalid"
    with pytest.raises(RecipeError, match="public"):
        Signer(recipe("standard", secrets=[public]))


def test_a_sender_in_rotation_signs_with_every_secret() -> None:
    private, public = generate_key_pair()
    shared = ["whsec_AAAAAAAA", secret("standard")]
    headers = signed("standard", b"{}", secrets=[*shared, private])
    versions = [item.split(",")[0] for item in headers["webhook-signature"].split(" ")]
    assert versions == ["v1", "v1", "v1a"]
    for key in (*shared, public):
        assert ask(Source(recipe("standard", secrets=[key])), headers, b"{}").refusal is None


def test_square_signs_the_public_url_and_no_other() -> None:
    here = recipe("square", public_url="https://hooks.example/in/x")
    headers = dict(Signer(here).sign("POST", "/in/x?a=1", b"{}", NOW))
    assert ask(Source(here), headers, b"{}", url="/in/x?a=1").refusal is None
    assert ask(Source(here), headers, b"{}", url="http://evil.example/?a=1").refusal is None
    assert ask(Source(here), headers, b"{}", url="/in/x?a=2").refusal is not None
    there = Source(recipe("square", public_url="https://hooks.example/in/y"))
    assert ask(there, headers, b"{}", url="/in/x?a=1").refusal == "signature-invalid"


@pytest.mark.parametrize("header", ["", "t", "t=", "=", ",", "{t}", "{v1}", "{t},{t},{v1}",
    "{t},{v1},", "{t};{v1}", "{t}, {v1}", " {t},{v1}", "t=+1700000000,{v1}", "t=1700000000.0,{v1}",
    "t= 1700000000,{v1}", "t=1e9,{v1}", "t=0x1,{v1}", "t=1700000000000,{v1}", "t=-1,{v1}",
    "{t},{v1}0", "{t},v1=", "{t},v1=zz", "{t},v0={hex}", "{t},V1={hex}", "é,{t},{v1}",
    "{t},{v1}" + ",v1=00" * 10])  # fmt: skip
def test_a_malformed_header_is_a_clean_refusal(header: str) -> None:
    timestamp, signature = signed("stripe", b"{}")["stripe-signature"].split(",")
    parts = {"t": timestamp, "v1": signature, "hex": signature.removeprefix("v1=")}
    verdict = ask(Source(recipe("stripe")), {"stripe-signature": header.format(**parts)}, b"{}")
    assert verdict.refusal == ("signature-invalid" if header else "signature-missing")


@pytest.mark.parametrize("timestamp", ["1700000000 ", " 1700000000", "1_700_000_000",
    "1700000000.0", "+1700000000", "\u0661\u0667", "2023-11-14T22:13:20Z", "9" * 13])  # fmt: skip
def test_a_timestamp_is_strictly_digits_even_if_it_is_signed(timestamp: str) -> None:
    key, content = SECRET.encode(), b"{}"
    message = b"v0:" + timestamp.encode() + b":" + content
    headers = {
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": "v0=" + hmac.new(key, message, "sha256").hexdigest(),
    }
    verdict = ask(Source(recipe("slack")), headers, content)
    assert verdict.refusal == "signature-invalid"


def test_hex_is_taken_in_capitals_only_where_the_sdk_does() -> None:
    for scheme, refusal in (("github", "signature-invalid"), ("linear", None), ("hmac", None)):
        content = body()
        headers = signed(scheme, content)
        name = {"github": "x-hub-signature-256", "linear": "linear-signature"}.get(
            scheme, "x-signature"
        )
        prefix, _, digits = headers[name].rpartition("=")
        headers[name] = f"{prefix}={digits.upper()}" if prefix else digits.upper()
        assert ask(Source(recipe(scheme)), headers, content).refusal == refusal


def test_basic_and_bearer_compare_whole_credentials() -> None:
    source = Source(recipe("bearer"))
    for value, refusal in (
        (f"Bearer {SECRET}", None),
        (f"bearer {SECRET}", None),
        (f"Bearer {SECRET}x", "signature-invalid"),
        (f"Bearer {SECRET[:-1]}", "signature-invalid"),
        ("Bearer ", "signature-invalid"),
        ("Basic dTpw", "signature-invalid"),
        ("Bearer", "signature-invalid"),
    ):
        assert ask(source, {"authorization": value}, b"").refusal == refusal
    source = Source(recipe("basic", secrets=["u:p:q"]))
    for value, refusal in (
        ("Basic dTpwOnE=", None),
        ("Basic dTpw", "signature-invalid"),
        ("Basic !", "signature-invalid"),
    ):
        assert ask(source, {"authorization": value}, b"").refusal == refusal


def test_a_long_body_is_verified_without_the_interpreter() -> None:
    content = body(text="x" * 100_000)
    assert ask(Source(recipe("github")), signed("github", content) | JSON, content).refusal is None


def test_a_url_that_is_no_utf8_raises_nothing() -> None:
    verdict = Source(recipe("none")).verify("POST", "/\udcff", [], b"", NOW)
    assert verdict.refusal is None


def test_headers_may_come_as_any_sequence() -> None:
    content = b"{}"
    headers = tuple((k.encode(), v.encode()) for k, v in signed("github", content).items())
    assert Source(recipe("github")).verify("POST", "/", headers, content, NOW).refusal is None


def test_nothing_shows_a_secret() -> None:
    source = Source(recipe("github"))
    verdict = ask(source, {"x-hub-signature-256": "sha256=" + "0" * 64}, b"{}")
    expected = signed("github", b"{}")["x-hub-signature-256"]
    for text in (repr(source), repr(verdict), verdict.detail or ""):
        assert SECRET not in text
        assert expected.removeprefix("sha256=") not in text
