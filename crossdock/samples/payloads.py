"""One believable webhook of each scheme: what `crossdock send`, the demo and the tests send.

The fields that a scheme's rules read (event id, type, a timestamp inside the body) are really
there; the rest is enough to look at. `serial` makes each one different: none is a duplicate.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class Sample(msgspec.Struct, frozen=True):
    """A body and the unsigned headers a provider sends beside it."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def sample(scheme: str, serial: str, now: float) -> Sample:
    """Return a webhook of a scheme; `serial` is any text that no other sample has."""
    return _SAMPLES.get(scheme, _plain)(serial, now)


def _json(**fields: Any) -> bytes:
    return msgspec.json.encode(fields)


def _plain(serial: str, now: float) -> Sample:
    data = {"number": serial, "total": 4200, "currency": "EUR"}
    return Sample(_json(id=f"evt_{serial}", type="invoice.paid", created=int(now), data=data))


def _stripe(serial: str, now: float) -> Sample:
    charge = {"id": f"ch_{serial}", "object": "charge", "amount": 2000, "currency": "eur"}
    return Sample(
        _json(
            id=f"evt_{serial}",
            object="event",
            api_version="2026-06-30",
            created=int(now),
            type="charge.succeeded",
            livemode=False,
            data={"object": charge},
        )
    )


def _github(serial: str, _now: float) -> Sample:
    body = _json(
        ref="refs/heads/main",
        after=serial.rjust(40, "0")[:40],
        repository={"id": 35129377, "full_name": "octo-org/hello"},
        pusher={"name": "octocat"},
    )
    return Sample(body, headers=(("x-github-event", "push"), ("x-github-delivery", serial)))


def _shopify(serial: str, _now: float) -> Sample:
    body = _json(id=serial, email="jon@example.com", total_price="403.00", currency="EUR")
    headers = (
        ("x-shopify-topic", "orders/create"),
        ("x-shopify-shop-domain", "example.myshopify.com"),
        ("x-shopify-webhook-id", serial),
    )
    return Sample(body, headers=headers)


def _slack(serial: str, now: float) -> Sample:
    message = {"type": "message", "channel": "C2147483705", "text": "Hello", "ts": str(now)}
    return Sample(
        _json(
            type="event_callback",
            team_id="T061EG9R6",
            event_id=f"Ev{serial}",
            event_time=int(now),
            event=message,
        )
    )


def _twilio(serial: str, _now: float) -> Sample:
    form = {"MessageSid": f"SM{serial}", "From": "+15005550006", "To": "+15005550009", "Body": "Hi"}
    return Sample(urlencode(form).encode(), FORM)


def _zoom(serial: str, now: float) -> Sample:
    meeting = {"id": serial, "topic": "Weekly", "type": 2}
    return Sample(
        _json(event="meeting.started", event_ts=int(now * 1000), payload={"object": meeting})
    )


def _zendesk(serial: str, _now: float) -> Sample:
    detail = {"id": serial, "subject": "Help", "status": "OPEN"}
    return Sample(_json(id=serial, type="zen:event-type:ticket.created", detail=detail))


def _square(serial: str, _now: float) -> Sample:
    payment = {"id": f"pay_{serial}", "amount_money": {"amount": 100, "currency": "EUR"}}
    return Sample(
        _json(
            merchant_id="6SSW7HV8K2ST5",
            type="payment.created",
            event_id=serial,
            data={"type": "payment", "object": {"payment": payment}},
        )
    )


def _paddle(serial: str, _now: float) -> Sample:
    return Sample(
        _json(
            event_id=f"evt_{serial}",
            event_type="transaction.completed",
            data={"id": f"txn_{serial}", "status": "completed", "currency_code": "EUR"},
        )
    )


def _linear(serial: str, now: float) -> Sample:
    body = _json(
        action="create",
        type="Issue",
        data={"id": serial, "title": "Ship it"},
        webhookTimestamp=int(now * 1000),
        webhookId=serial,
    )
    return Sample(body, headers=(("linear-event", "Issue"), ("linear-delivery", serial)))


_SAMPLES: Final[dict[str, Callable[[str, float], Sample]]] = {
    "stripe": _stripe,
    "github": _github,
    "shopify": _shopify,
    "slack": _slack,
    "twilio": _twilio,
    "zoom": _zoom,
    "zendesk": _zendesk,
    "square": _square,
    "paddle": _paddle,
    "linear": _linear,
}
