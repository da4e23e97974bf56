"""The webhooks that are sent: 1 KiB each, signed by Stripe's scheme, each of its own."""

import hashlib
import hmac
import time
from pathlib import Path
from typing import Final

import msgspec

SECRET: Final = "whsec_" + "5ba1e0f2" * 8
BODY_BYTES: Final = 1024
COUNT: Final = 512
"""So many different ones, sent in turn; that they come again is nothing this path looks at."""

_FILLING: Final = "filling"


class Webhook(msgspec.Struct, frozen=True):
    """One request."""

    body: bytes
    headers: dict[str, str]


def webhooks() -> list[Webhook]:
    """Return them, signed now: they are good for five minutes."""
    return [_webhook(number, int(time.time())) for number in range(COUNT)]


def _webhook(number: int, now: int) -> Webhook:
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
    return Webhook(
        body,
        {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Accept": "*/*",
            "Stripe-Signature": f"t={now},v1={signature}",
        },
    )


def write_lua(path: Path, token: str, found: list[Webhook]) -> None:
    """Write the script by which wrk sends them and says what became of them."""
    lines = ["local requests, number = {}, 0", "function init()"]
    for webhook in found:
        headers = ", ".join(f"['{name}'] = '{value}'" for name, value in webhook.headers.items())
        lines.append(
            f"  requests[#requests + 1] = wrk.format('POST', '/in/{token}', {{{headers}}},"
            f" '{webhook.body.decode()}')"
        )
    path.write_text("\n".join([*lines, "end", _LUA]), encoding="utf-8")


_LUA: Final = """
function request()
  number = number % #requests + 1
  return requests[number]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"refused":%d,"broken":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f}\\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
