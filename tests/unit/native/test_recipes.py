"""What can be prepared, and what the refusal of the rest says."""

import msgspec
import pytest

from crossdock.native import (
    SCHEMES,
    RecipeError,
    Signer,
    Source,
    generate_key_pair,
    generate_secret,
)

HUSH = "hush-hush"
HMAC = {"signature_header": "x-s"}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "scheme is missing"),
        ({"scheme": "paypal"}, "scheme"),
        ({"scheme": 1}, "scheme must be a string"),
        ({"scheme": "github"}, "secrets is empty"),
        ({"scheme": "github", "secrets": []}, "secrets is empty"),
        ({"scheme": "github", "secrets": [""]}, "empty"),
        ({"scheme": "github", "secrets": [HUSH, " \t"]}, "empty"),
        ({"scheme": "github", "secrets": HUSH}, "list"),
        ({"scheme": "github", "secrets": [HUSH] * 11}, "more than ten"),
        ({"scheme": "github", "secrets": [HUSH], "extra": 1}, "unknown field extra"),
        ({"scheme": "github", "secrets": [HUSH], "tolerance": 60}, "signs no timestamp"),
        ({"scheme": "stripe", "secrets": [HUSH], "tolerance": 0}, "tolerance"),
        ({"scheme": "stripe", "secrets": [HUSH], "tolerance": 604_801}, "tolerance"),
        ({"scheme": "stripe", "secrets": [HUSH], "tolerance": True}, "tolerance"),
        ({"scheme": "stripe", "secrets": [HUSH], "dedupe": "sometimes"}, "dedupe"),
        ({"scheme": "stripe", "secrets": [HUSH], "dedupe": []}, "dedupe"),
        ({"scheme": "stripe", "secrets": [HUSH], "dedupe": ["id"]}, "dedupe"),
        ({"scheme": "stripe", "secrets": [HUSH], "dedupe": ["/a"] * 9}, "dedupe"),
        ({"scheme": "stripe", "secrets": [HUSH], "event_type": "x"}, "event_type"),
        ({"scheme": "stripe", "secrets": [HUSH], "event_type": {}}, "event_type"),
        ({"scheme": "stripe", "secrets": [HUSH], "event_type": {"fixed": ""}}, "event_type"),
        ({"scheme": "stripe", "secrets": [HUSH], "event_type": {"header": "a b"}}, "event_type"),
        ({"scheme": "stripe", "secrets": [HUSH], "event_type": {"pointer": ""}}, "event_type"),
        ({"scheme": "stripe", "secrets": [HUSH],
          "event_type": {"fixed": "a", "header": "b"}}, "event_type"),
        ({"scheme": "square", "secrets": [HUSH], "public_url": "hooks.example"}, "public_url"),
        ({"scheme": "github", "secrets": [HUSH], "verify_token": ""}, "verify_token"),
        ({"scheme": "github", "secrets": [HUSH], "hmac": HMAC}, "hmac"),
        ({"scheme": "none", "secrets": [HUSH]}, "takes no secrets"),
        ({"scheme": "basic", "secrets": [HUSH]}, "user:password"),
        ({"scheme": "basic", "secrets": [f"{HUSH}:"]}, "user:password"),
        ({"scheme": "standard", "secrets": [f"whsec_{HUSH}"]}, "base64"),
        ({"scheme": "standard", "secrets": ["whsec_"]}, "empty key"),
        ({"scheme": "standard", "secrets": ["whpk_AAAA"]}, "public key"),
        ({"scheme": "standard", "secrets": ["whsk_AAAA"]}, "private key"),
        ({"scheme": "hmac", "secrets": [HUSH]}, "hmac"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_prepared_says_what_to_mend(
    fields: dict[str, object], says: str
) -> None:
    for prepare in (Source, Signer):
        if prepare is Signer and says in {"user:password", "signs no timestamp"}:
            continue
        with pytest.raises(RecipeError, match=says) as caught:
            prepare(msgspec.json.encode(fields))
        assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"signature_header": ""}, "signature_header"),
        ({"algorithm": "md5"}, "algorithm"),
        ({"encoding": "base32"}, "encoding"),
        ({"key_encoding": "base32"}, "key_encoding"),
        ({"key_encoding": "hex"}, "not hex"),
        ({"key_encoding": "base64"}, "not base64"),
        ({"prefix": "a b"}, "prefix"),
        ({"template": "{timestamp}"}, "lacks {body}"),
        ({"template": "{timestamp}.{body}"}, "timestamp_header"),
        ({"timestamp_header": "x-t"}, "timestamp_header"),
        ({"template": "{id}.{body}"}, "id_header"),
        ({"template": "{body}{body}"}, "twice"),
        ({"template": "{body}{secret}"}, "braces"),
        ({"retries": 3}, "unknown field retries"),
    ],
)
def test_a_generic_hmac_is_checked_when_it_is_prepared(
    settings: dict[str, object], says: str
) -> None:
    fields = {"scheme": "hmac", "secrets": [HUSH], "hmac": HMAC | settings}
    with pytest.raises(RecipeError, match=says) as caught:
        Source(msgspec.json.encode(fields))
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"null", b"[]", b"{", b'"hush-hush"', b'{"scheme":"none"} x']
)
def test_what_is_no_json_object_is_no_recipe(text: bytes) -> None:
    with pytest.raises(RecipeError) as caught:
        Source(text)
    assert HUSH not in str(caught.value)


def test_null_stands_for_absent() -> None:
    fields: dict[str, object] = {"scheme": "stripe", "secrets": [HUSH]}
    optional = ("tolerance", "public_url", "dedupe", "event_type", "verify_token", "hmac")
    Source(msgspec.json.encode(fields | dict.fromkeys(optional)))


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in {"none", "hmac"}])
def test_a_generated_secret_can_be_prepared_and_is_fresh(scheme: str) -> None:
    secret = generate_secret(scheme)
    Source(msgspec.json.encode({"scheme": scheme, "secrets": [secret]}))
    assert generate_secret(scheme) != secret


def test_secrets_are_generated_only_for_schemes_that_have_them() -> None:
    for scheme in ("none", "paypal", ""):
        with pytest.raises(ValueError, match="scheme"):
            generate_secret(scheme)


def test_a_private_key_verifies_what_it_signs() -> None:
    private, public = generate_key_pair()
    for key in (private, public):
        Source(msgspec.json.encode({"scheme": "standard", "secrets": [key]}))


@pytest.mark.parametrize("now", [-1.0, float("nan"), float("inf"), 1e18])
def test_a_signer_refuses_a_clock_that_is_none(now: float) -> None:
    signer = Signer(msgspec.json.encode({"scheme": "stripe", "secrets": [HUSH]}))
    with pytest.raises(ValueError, match="now"):
        signer.sign("POST", "/", b"", now)


@pytest.mark.parametrize("message_id", ["", "a b", "a\r\nx: y", "é", "x" * 256])
def test_a_signer_refuses_an_id_that_is_no_header_value(message_id: str) -> None:
    signer = Signer(msgspec.json.encode({"scheme": "standard", "secrets": ["whsec_AAAA"]}))
    with pytest.raises(ValueError, match="message_id"):
        signer.sign("POST", "/", b"", 0.0, message_id)


def test_a_fresh_message_id_is_a_typeid() -> None:
    signer = Signer(msgspec.json.encode({"scheme": "standard", "secrets": ["whsec_AAAA"]}))
    first, second = (dict(signer.sign("POST", "/", b"", 1e9))["webhook-id"] for _ in range(2))
    assert first.startswith("msg_")
    assert second.startswith(first[:14])  # the same time
    assert first != second


def test_a_signer_says_so_when_a_form_is_too_long_to_sign() -> None:
    signer = Signer(msgspec.json.encode({"scheme": "twilio", "secrets": [HUSH]}))
    with pytest.raises(ValueError, match="too many parameters"):
        signer.sign("POST", "/", b"&a" * 513, 0.0)
