"""What shows that a preset is right, one function each: vendors' libraries, and what they publish.

A proof is given a signed webhook and says whether the vendor's side takes it. Where a vendor gives
an example of how to check instead of a library, that example is transcribed here line by line.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import gocardless_pro.webhooks  # type: ignore[import-untyped]
import openai
import razorpay  # type: ignore[import-untyped]
import standardwebhooks
import stripe
from coinbase_commerce.error import CoinbaseError  # type: ignore[import-untyped]
from coinbase_commerce.webhook import Webhook  # type: ignore[import-untyped]
from gidgethub import ValidationFailure
from gidgethub.sansio import validate_event
from gocardless_pro.errors import InvalidSignatureError  # type: ignore[import-untyped]
from linebot.v3.webhook import SignatureValidator  # type: ignore[import-untyped]
from slack_sdk.signature import SignatureVerifier
from square.utils.webhooks_helper import verify_signature
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]


class Sent(NamedTuple):
    """A webhook, as it was signed here."""

    secret: str
    url: str
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        """The body, where its library wants text."""
        return self.body.decode("utf-8", "surrogateescape")


Proof = Callable[[Sent], bool]


def _taken(*refusals: type[Exception]) -> Callable[[Callable[[Sent], object]], Proof]:
    """Make a proof of what answers by raising."""

    def made(check: Callable[[Sent], object]) -> Proof:
        def proof(sent: Sent) -> bool:
            try:
                check(sent)
            except refusals:
                return False
            return True

        return proof

    return made


@_taken(standardwebhooks.WebhookVerificationError)
def _standard(sent: Sent) -> object:
    return standardwebhooks.Webhook(sent.secret).verify(sent.text, dict(sent.headers))


@_taken(stripe.SignatureVerificationError)
def _stripe(sent: Sent) -> object:
    header = sent.headers["stripe-signature"]
    return stripe.WebhookSignature.verify_header(sent.text, header, sent.secret, tolerance=300)


@_taken(ValidationFailure)
def _github(sent: Sent) -> object:
    validate_event(sent.body, signature=sent.headers["x-hub-signature-256"], secret=sent.secret)
    return None


def _slack(sent: Sent) -> bool:
    return SignatureVerifier(sent.secret).is_valid_request(sent.body, dict(sent.headers))


def _twilio(sent: Sent) -> bool:
    form = dict(parse_qsl(sent.text, keep_blank_values=True))
    header = sent.headers["x-twilio-signature"]
    return bool(RequestValidator(sent.secret).validate(sent.url, form, header))


def _square(sent: Sent) -> bool:
    return verify_signature(
        request_body=sent.text,
        signature_header=sent.headers["x-square-hmacsha256-signature"],
        signature_key=sent.secret,
        notification_url=sent.url,
    )


@_taken(openai.InvalidWebhookSignatureError)
def _openai(sent: Sent) -> object:
    client = openai.OpenAI(api_key="none")
    client.webhooks.verify_signature(sent.text, dict(sent.headers), secret=sent.secret)
    return None


@_taken(razorpay.errors.SignatureVerificationError)
def _razorpay(sent: Sent) -> object:
    header = sent.headers["x-razorpay-signature"]
    return razorpay.Utility().verify_webhook_signature(sent.text, header, sent.secret)


@_taken(InvalidSignatureError)
def _gocardless(sent: Sent) -> object:
    header = sent.headers["webhook-signature"]
    return gocardless_pro.webhooks.parse(sent.body, sent.secret, header)


@_taken(CoinbaseError)
def _coinbase_commerce(sent: Sent) -> object:
    header = sent.headers["x-cc-webhook-signature"]
    return Webhook.construct_event(sent.text, header, sent.secret)


def _line(sent: Sent) -> bool:
    header = sent.headers["x-line-signature"]
    return bool(SignatureValidator(sent.secret).validate(sent.text, header))


def _zoom(sent: Sent) -> bool:
    """`zoom/webhook-sample`, index.js: a message, its hash, and `v0=` before it."""
    message = f"v0:{sent.headers['x-zm-request-timestamp']}:{sent.text}"
    hashed = hmac.new(sent.secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return sent.headers["x-zm-signature"] == f"v0={hashed}"


def _zendesk(sent: Sent) -> bool:
    """Its page on verifying: base64 of the hash of timestamp and body."""
    message = sent.headers["x-zendesk-webhook-signature-timestamp"] + sent.text
    hashed = hmac.new(sent.secret.encode(), message.encode(), hashlib.sha256).digest()
    return sent.headers["x-zendesk-webhook-signature"] == base64.b64encode(hashed).decode()


def _hex_of_body(header: str, prefix: str = "", algorithm: str = "sha256") -> Proof:
    """What most pages show: the hash of the body in hex, and something before it."""

    def proof(sent: Sent) -> bool:
        hashed = hmac.new(sent.secret.encode(), sent.body, algorithm).hexdigest()
        return hmac.compare_digest(sent.headers[header], f"{prefix}{hashed}")

    return proof


def _typeform(sent: Sent) -> bool:
    """Its page on securing: base64 of the hash of the body, after `sha256=`."""
    hashed = hmac.new(sent.secret.encode(), sent.body, hashlib.sha256).digest()
    return sent.headers["typeform-signature"] == f"sha256={base64.b64encode(hashed).decode()}"


def _basic(sent: Sent) -> bool:
    """RFC 7617, section 2: user name and password in base64."""
    shown = base64.b64encode(sent.secret.encode()).decode()
    return sent.headers["authorization"] == f"Basic {shown}"


def _bearer(sent: Sent) -> bool:
    """RFC 6750, section 2.1: the token as it is."""
    return sent.headers["authorization"] == f"Bearer {sent.secret}"


BY_NAME: Final[dict[str, Proof]] = {
    "standard": _standard,
    "stripe": _stripe,
    "github": _github,
    "slack": _slack,
    "twilio": _twilio,
    "zoom": _zoom,
    "zendesk": _zendesk,
    "square": _square,
    "hmac": _hex_of_body("x-signature"),
    "basic": _basic,
    "bearer": _bearer,
    "bitbucket": _hex_of_body("x-hub-signature", "sha256="),
    "coinbase-commerce": _coinbase_commerce,
    "dropbox": _hex_of_body("x-dropbox-signature"),
    "gocardless": _gocardless,
    "lemon-squeezy": _hex_of_body("x-signature"),
    "line": _line,
    "meta": _hex_of_body("x-hub-signature-256", "sha256="),
    "openai": _openai,
    "paystack": _hex_of_body("x-paystack-signature", algorithm="sha512"),
    "razorpay": _razorpay,
    "typeform": _typeform,
}
RECORDED: Final = frozenset({"linear", "paddle", "shopify"})
"""Those whose libraries are no Python: see `tests/conformance/recorded`."""
UNSIGNED: Final = frozenset({"none", "microsoft-graph"})
"""Nothing of theirs is signed: a test shows that nothing is checked."""


def now() -> float:
    """Return whole seconds: most libraries ask the real clock, and can't be told another."""
    return float(int(time.time()))


def secret_of(name: str, made: str) -> str:
    """Return a secret that a vendor's library takes."""
    return {"basic": "Aladdin:open sesame", "bearer": "mF_9.B5f-4.1JqM"}.get(name, made)


def told(sent: Sent) -> dict[str, Any]:
    """Return what a failed test should say."""
    return {"url": sent.url, "headers": dict(sent.headers), "body": sent.text}
