"""The vendors' own libraries as oracles: what they sign we take, and what we sign they take."""

import base64
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlencode

import msgspec
import pytest
import standardwebhooks
import stripe
from slack_sdk.signature import Clock, SignatureVerifier
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from crossdock.native import Signer, Source, generate_secret

NOW: Final = 1_700_000_000
BODY: Final = '{"id": "evt_1", "type": "a.b", "text": "grüße — 😀"}'


def recipe(scheme: str, secret: str, **fields: object) -> bytes:
    """A recipe with one secret."""
    return msgspec.json.encode({"scheme": scheme, "secrets": [secret], **fields})


def refusal(
    source: Source, headers: dict[str, str], body: str, *, url: str = "/", now: float = NOW
) -> str | None:
    """Why the source refuses, or None."""
    asgi = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return source.verify("POST", url, asgi, body.encode(), now).refusal


def test_stripe_takes_ours_and_we_take_stripes() -> None:
    secret = generate_secret("stripe")
    theirs = stripe.WebhookSignature.generate_signature_header(BODY, secret, NOW)
    assert refusal(Source(recipe("stripe", secret)), {"Stripe-Signature": theirs}, BODY) is None
    ours = dict(Signer(recipe("stripe", secret)).sign("POST", "/", BODY.encode(), time.time()))
    header = ours["stripe-signature"]
    assert stripe.WebhookSignature.verify_header(BODY, header, secret, tolerance=300)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY + " ", header, secret, tolerance=300)


def test_stripe_takes_our_signature_with_any_of_two_secrets() -> None:
    old, new = generate_secret("stripe"), generate_secret("stripe")
    both = msgspec.json.encode({"scheme": "stripe", "secrets": [new, old]})
    header = dict(Signer(both).sign("POST", "/", BODY.encode(), time.time()))["stripe-signature"]
    for secret in (old, new):
        assert stripe.WebhookSignature.verify_header(BODY, header, secret, tolerance=300)


def test_standard_webhooks_takes_ours_and_we_take_theirs() -> None:
    secret = generate_secret("standard")
    library = standardwebhooks.Webhook(secret)
    signature = library.sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": signature}
    assert refusal(Source(recipe("standard", secret)), headers, BODY) is None
    ours = dict(Signer(recipe("standard", secret)).sign("POST", "/", BODY.encode(), time.time()))
    assert library.verify(BODY, ours) == msgspec.json.decode(BODY)


def test_standard_webhooks_takes_our_signature_with_any_of_two_secrets() -> None:
    old, new = generate_secret("standard"), generate_secret("standard")
    both = msgspec.json.encode({"scheme": "standard", "secrets": [new, old]})
    ours = dict(Signer(both).sign("POST", "/", BODY.encode(), time.time()))
    for secret in (old, new):
        assert standardwebhooks.Webhook(secret).verify(BODY, ours)


class _At(Clock):
    """Slack's clock, set."""

    def now(self) -> float:
        return NOW


def test_slack_takes_ours_and_we_take_slacks() -> None:
    secret = generate_secret("slack")
    library = SignatureVerifier(secret, _At())
    signature = library.generate_signature(timestamp=str(NOW), body=BODY)
    assert signature is not None
    headers = {"X-Slack-Request-Timestamp": str(NOW), "X-Slack-Signature": signature}
    assert refusal(Source(recipe("slack", secret)), headers, BODY) is None
    ours = dict(Signer(recipe("slack", secret)).sign("POST", "/", BODY.encode(), NOW))
    assert library.is_valid_request(BODY, ours)
    assert not library.is_valid_request(BODY + " ", ours)


PARAMETERS: Final = {"MessageSid": "SM1", "Body": "a b&c=ü", "From": "+14158675310", "Empty": ""}


@pytest.mark.parametrize(
    ("signed", "public"),
    [
        ("https://hooks.example/in/x", "https://hooks.example/in/x"),
        ("https://hooks.example:443/in/x", "https://hooks.example/in/x"),
        ("https://hooks.example/in/x", "https://hooks.example:8443/in/x"),
        ("http://hooks.example:80/in/x", "http://hooks.example/in/x"),
    ],
)
def test_we_take_twilios_forms_with_and_without_port(signed: str, public: str) -> None:
    token = generate_secret("twilio")
    library = RequestValidator(token)
    url = f"{signed}?a=1&b=%20"
    headers = {"X-Twilio-Signature": library.compute_signature(url, PARAMETERS)}
    source = Source(recipe("twilio", token, public_url=public))
    body = urlencode(PARAMETERS)
    assert refusal(source, headers, body, url="/in/x?a=1&b=%20") is None
    assert refusal(source, headers, body, url="/in/x?a=2&b=%20") == "signature-invalid"
    assert refusal(source, headers, body + "&x=1", url="/in/x?a=1&b=%20") == "signature-invalid"


def test_twilio_takes_our_forms() -> None:
    token = generate_secret("twilio")
    url = "https://hooks.example/in/x?a=1"
    ours = dict(
        Signer(recipe("twilio", token)).sign("POST", url, urlencode(PARAMETERS).encode(), 0)
    )
    assert RequestValidator(token).validate(url, PARAMETERS, ours["x-twilio-signature"])


def test_twilios_json_is_bound_by_the_hash_in_its_url() -> None:
    token = generate_secret("twilio")
    library = RequestValidator(token)
    public = "https://hooks.example/in/x"
    query = f"?bodySHA256={library.compute_hash(BODY)}"
    headers = {
        "X-Twilio-Signature": library.compute_signature(public + query, {}),
        "Content-Type": "application/json",
    }
    source = Source(recipe("twilio", token, public_url=public))
    assert refusal(source, headers, BODY, url=f"/in/x{query}") is None
    assert refusal(source, headers, BODY + " ", url=f"/in/x{query}") == "signature-invalid"
    # Without the hash in the URL nothing binds the body, whatever its content type says.
    headers["X-Twilio-Signature"] = library.compute_signature(public, {})
    assert refusal(source, headers, BODY, url="/in/x") == "signature-invalid"
    ours = dict(Signer(recipe("twilio", token)).sign("POST", public + query, BODY.encode(), 0))
    assert library.validate(public + query, BODY, ours["x-twilio-signature"])


def test_we_take_twilios_newer_algorithm_when_its_settings_name_it() -> None:
    token = generate_secret("twilio")
    public = "https://hooks.example/in/x"
    library = RequestValidator(token)
    headers = {
        "X-Twilio-Signature": library.compute_signature(public, PARAMETERS, "HMAC_SHA256"),
        "X-Twilio-Webhooks-Signature-Settings": "key=webhooks_1,algorithm=HMAC_SHA256",
    }
    source = Source(recipe("twilio", token, public_url=public))
    assert refusal(source, headers, urlencode(PARAMETERS)) is None
    headers["X-Twilio-Webhooks-Signature-Settings"] = "key=webhooks_1,algorithm=HMAC_MD5"
    assert refusal(source, headers, urlencode(PARAMETERS)) == "signature-invalid"


def test_github_signatures_agree_with_gidgethub() -> None:
    sansio = pytest.importorskip("gidgethub.sansio", reason="gidgethub is not installed")
    secret = generate_secret("github")
    ours = dict(Signer(recipe("github", secret)).sign("POST", "/", BODY.encode(), 0))
    signature = ours["x-hub-signature-256"]
    sansio.validate_event(BODY.encode(), signature=signature, secret=secret)
    assert refusal(Source(recipe("github", secret)), ours, BODY) is None


def test_paddle_takes_ours() -> None:
    notifications = pytest.importorskip(
        "paddle_billing.Notifications",
        reason="paddle-python-sdk is not installed: its wheel would hide our package `tests`",
    )
    old, new = generate_secret("paddle"), generate_secret("paddle")
    both = msgspec.json.encode({"scheme": "paddle", "secrets": [new, old]})
    ours = dict(Signer(both).sign("POST", "/", BODY.encode(), NOW))
    request = SimpleNamespace(
        headers={"Paddle-Signature": ours["paddle-signature"]}, body=BODY.encode()
    )
    for secret in (old, new):
        verifier = notifications.Verifier()
        assert verifier.verify(request, notifications.Secret(secret), verify_time_drift=False)
        assert refusal(Source(recipe("paddle", secret)), ours, BODY) is None


def test_square_takes_ours() -> None:
    helper = pytest.importorskip("square.utils.webhooks_helper", reason="squareup is not installed")
    key = generate_secret("square")
    url = "https://hooks.example/in/x"
    fields = recipe("square", key, public_url=url)
    ours = dict(Signer(fields).sign("POST", "/in/x", BODY.encode(), 0))
    assert refusal(Source(fields), ours, BODY) is None
    header = ours["x-square-hmacsha256-signature"]
    assert base64.b64decode(header, validate=True)
    for body, valid in ((BODY, True), (BODY + " ", False)):
        took = helper.verify_signature(
            request_body=body, signature_header=header, signature_key=key, notification_url=url
        )
        assert took is valid
