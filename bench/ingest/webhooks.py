"""The webhooks that are sent: 1 KiB each, signed by Stripe's scheme, each of its own."""

import hashlib
import hmac
import time
from itertools import cycle
from typing import Final

import msgspec

from bench.load import Request

SECRET: Final = "whsec_" + "5ba1e0f2" * 8
BODY_BYTES: Final = 1024
COUNT: Final = 512
"""So many different ones, sent in turn; that they come again is nothing this path looks at."""

_FILLING: Final = "filling"


def webhooks(*tokens: str) -> list[Request]:
    """Return them, signed now: they are good for five minutes.

    Args:
        tokens: of the sources to send to, in turn; each gets at least one.
    """
    bodies = [_webhook(number, int(time.time())) for number in range(COUNT)]
    count = max(COUNT, len(tokens))
    return [
        Request(f"/in/{tokens[number % len(tokens)]}", headers, "POST", body)
        for number, (body, headers) in zip(range(count), cycle(bodies), strict=False)
    ]


def _webhook(number: int, now: int) -> tuple[str, dict[str, str]]:
    charge = {"id": f"ch_{number}", "amount": 2000, "currency": "eur", _FILLING: ""}
    event = {
        "id": f"evt_{number:08}",
        "object": "event",
        "type": "charge.succeeded",
        "created": now,
        "data": {"object": charge},
    }
    charge[_FILLING] = "x" * (BODY_BYTES - len(msgspec.json.encode(event)))
    body = msgspec.json.encode(event)
    assert len(body) == BODY_BYTES
    signature = hmac.new(SECRET.encode(), b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Accept": "*/*",
        "Stripe-Signature": f"t={now},v1={signature}",
    }
    return body.decode(), headers
