"""Square."""

from typing import Any, Final

from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, name: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "merchant_id": "6SSW7HV8K2ST5",
        "type": kind,
        "event_id": "{serial}",
        "data": {"type": name, "object": {name: thing}},
    }


_MONEY: Final = {"amount": 100, "currency": "EUR"}

PRESET: Final = Preset(
    name="square",
    title="Square",
    scheme="square",
    headers=("x-square-hmacsha256-signature",),
    signed="the notification URL and the body: HMAC-SHA256 in base64",
    dedupe="the event_id, in the body",
    secret=Secret(form="22 characters or more", found="the subscription's page: Signature Key"),
    docs_url="https://developer.squareup.com/docs/webhooks/step3validate",
    steps=(
        "In the Developer Console, under Webhooks, Subscriptions, add one.",
        "Notification URL: the source's ingest URL, exactly; it is part of what is signed.",
        "Copy the subscription's signature key into the source.",
        "If the URL has another name outside, set it as the recipe's public_url.",
    ),
    samples=(
        Sample(
            name="payment-created",
            event_type="payment.created",
            payload=_event(
                "payment.created", "payment", {"id": "pay_{serial}", "amount_money": _MONEY}
            ),
        ),
        Sample(
            name="refund-updated",
            event_type="refund.updated",
            payload=_event(
                "refund.updated",
                "refund",
                {"id": "ref_{serial}", "status": "COMPLETED", "amount_money": _MONEY},
            ),
        ),
        Sample(
            name="order-created",
            event_type="order.created",
            payload=_event(
                "order.created", "order_created", {"order_id": "{serial}", "state": "OPEN"}
            ),
        ),
    ),
    proof="the vendor's library squareup for Python",
)
