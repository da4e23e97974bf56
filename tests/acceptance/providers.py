"""Providers, played from their documentation with Python's own `hmac`: nothing of ours signs here.

Each scheme of the table in `docs/sources.md` has a line in `PROVIDERS`. What is sent is a sample
body; who signs, and how, is written here a second time on purpose.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crossdock.samples.payloads import sample

TOLERANCE_S: Final = 300.0
LINEARS_TOLERANCE_S: Final = 60.0


class Request(NamedTuple):
    """What a provider is about to sign and send."""

    url: str
    body: bytes
    now: float
    serial: str

    @property
    def time(self) -> str:
        """Whole seconds since 1970."""
        return str(int(self.now))


class Provider(NamedTuple):
    """One way of signing."""

    scheme: str
    secret: str
    """What the source is given."""
    sign: Callable[[Request], dict[str, str]]
    """Headers that carry the signature."""
    recipe: Mapping[str, Any] = {}
    tolerance_s: float | None = None
    """How old a webhook may be; `None` where no time is signed."""
    signs_body: bool = True
    """False where a secret is only shown."""
    body: Callable[[str, float], tuple[bytes, str]] | None = None
    """Body and content type, where the sample of the scheme won't do."""

    @property
    def signs(self) -> frozenset[str]:
        """Names of the headers that it signs by, in lower case."""
        nothing = Request("http://localhost/in/x", b"", 0.0, "0" * 32)
        return frozenset(name.lower() for name in self.sign(nothing))

    def content(self, serial: str, now: float) -> tuple[bytes, dict[str, str]]:
        """Return a body and its unsigned headers."""
        if self.body is not None:
            body, content_type = self.body(serial, now)
            return body, {"content-type": content_type}
        made = sample(self.scheme, serial, now)
        return made.body, {"content-type": made.content_type, **dict(made.headers)}

    def target(self, ingest_url: str, body: bytes) -> str:
        """Return the URL that is posted to."""
        if self.body is _json_of_twilio:
            return f"{ingest_url}?bodySHA256={hashlib.sha256(body).hexdigest()}"
        return ingest_url


def _digest(key: bytes | str, text: bytes, algorithm: str = "sha256") -> bytes:
    key = key.encode() if isinstance(key, str) else key
    return hmac.new(key, text, algorithm).digest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json_of_twilio(serial: str, _now: float) -> tuple[bytes, str]:
    return msgspec.json.encode({"MessageSid": serial, "Body": "Hi"}), "application/json"


_KEY: Final = secrets.token_bytes(32)
_TEXT: Final = secrets.token_hex(20)
_STANDARD: Final = f"whsec_{_b64(_KEY)}"
_STRIPE: Final = f"whsec_{_TEXT}"
_PRIVATE: Final = Ed25519PrivateKey.generate()
_PUBLIC: Final = _PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _standard(request: Request, version: str, sign: Callable[[bytes], bytes]) -> dict[str, str]:
    id_ = f"msg_{request.serial}"
    text = f"{id_}.{request.time}.".encode() + request.body
    return {
        "webhook-id": id_,
        "webhook-timestamp": request.time,
        "webhook-signature": f"{version},{_b64(sign(text))}",
    }


def _stripe(request: Request) -> dict[str, str]:
    signature = _digest(_STRIPE, f"{request.time}.".encode() + request.body).hex()
    return {"Stripe-Signature": f"t={request.time},v1={signature},v0={'0' * 64}"}


def _slack(request: Request) -> dict[str, str]:
    signature = _digest(_TEXT, f"v0:{request.time}:".encode() + request.body).hex()
    return {"X-Slack-Signature": f"v0={signature}", "X-Slack-Request-Timestamp": request.time}


def _zoom(request: Request) -> dict[str, str]:
    signature = _digest(_TEXT, f"v0:{request.time}:".encode() + request.body).hex()
    return {"x-zm-signature": f"v0={signature}", "x-zm-request-timestamp": request.time}


def _twilio(request: Request) -> dict[str, str]:
    fields = [] if "bodySHA256=" in request.url else sorted(parse_qsl(request.body.decode()))
    text = request.url + "".join(name + value for name, value in fields)
    return {"X-Twilio-Signature": _b64(_digest(_TEXT, text.encode(), "sha1"))}


def _zendesk(request: Request) -> dict[str, str]:
    moment = datetime.fromtimestamp(int(request.now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "X-Zendesk-Webhook-Signature": _b64(_digest(_TEXT, moment.encode() + request.body)),
        "X-Zendesk-Webhook-Signature-Timestamp": moment,
    }


def _paddle(request: Request) -> dict[str, str]:
    signature = _digest(_TEXT, f"{request.time}:".encode() + request.body).hex()
    return {"Paddle-Signature": f"ts={request.time};h1={signature}"}


def _generic(request: Request) -> dict[str, str]:
    text = f"{request.time}|{request.serial}|{request.url}|".encode() + request.body
    return {
        "X-Acme-Signature": f"sha512:{_b64(_digest(_KEY, text, 'sha512'))}",
        "X-Acme-Time": request.time,
        "X-Acme-Id": request.serial,
    }


_GENERIC: Final = {
    "tolerance": TOLERANCE_S,
    "hmac": {
        "signature_header": "X-Acme-Signature",
        "algorithm": "sha512",
        "encoding": "base64",
        "key_encoding": "hex",
        "prefix": "sha512:",
        "timestamp_header": "X-Acme-Time",
        "id_header": "X-Acme-Id",
        "template": "{timestamp}|{id}|{url}|{body}",
    },
}

PROVIDERS: Final[dict[str, Provider]] = {
    "standard": Provider(
        "standard",
        _STANDARD,
        lambda request: _standard(request, "v1", lambda text: _digest(_KEY, text)),
        tolerance_s=TOLERANCE_S,
    ),
    "standard-v1a": Provider(
        "standard",
        f"whpk_{_b64(_PUBLIC)}",
        lambda request: _standard(request, "v1a", _PRIVATE.sign),
        tolerance_s=TOLERANCE_S,
    ),
    "stripe": Provider("stripe", _STRIPE, _stripe, tolerance_s=TOLERANCE_S),
    "github": Provider(
        "github",
        _TEXT,
        lambda request: {"X-Hub-Signature-256": f"sha256={_digest(_TEXT, request.body).hex()}"},
    ),
    "shopify": Provider(
        "shopify",
        _TEXT,
        lambda request: {"X-Shopify-Hmac-SHA256": _b64(_digest(_TEXT, request.body))},
    ),
    "slack": Provider("slack", _TEXT, _slack, tolerance_s=TOLERANCE_S),
    "twilio": Provider("twilio", _TEXT, _twilio),
    "twilio-json": Provider("twilio", _TEXT, _twilio, body=_json_of_twilio),
    "zoom": Provider("zoom", _TEXT, _zoom, tolerance_s=TOLERANCE_S),
    "zendesk": Provider("zendesk", _TEXT, _zendesk, tolerance_s=TOLERANCE_S),
    "square": Provider(
        "square",
        _TEXT,
        lambda request: {
            "x-square-hmacsha256-signature": _b64(
                _digest(_TEXT, request.url.encode() + request.body)
            )
        },
    ),
    "paddle": Provider("paddle", _TEXT, _paddle, tolerance_s=TOLERANCE_S),
    "linear": Provider(
        "linear",
        _TEXT,
        lambda request: {"linear-signature": _digest(_TEXT, request.body).hex()},
        tolerance_s=LINEARS_TOLERANCE_S,
    ),
    "hmac": Provider("hmac", _KEY.hex(), _generic, recipe=_GENERIC, tolerance_s=TOLERANCE_S),
    "basic": Provider(
        "basic",
        f"acme:{_TEXT}",
        lambda _request: {"Authorization": f"Basic {_b64(f'acme:{_TEXT}'.encode())}"},
        signs_body=False,
    ),
    "bearer": Provider(
        "bearer",
        _TEXT,
        lambda _request: {"Authorization": f"Bearer {_TEXT}"},
        signs_body=False,
    ),
    "none": Provider("none", "", lambda _request: {}, signs_body=False),
}
SIGNING: Final = [name for name, provider in PROVIDERS.items() if provider.signs_body]
TIMED: Final = [name for name, provider in PROVIDERS.items() if provider.tolerance_s is not None]
