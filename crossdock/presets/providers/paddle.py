"""Paddle Billing."""

from typing import Any, Final

from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": "evt_{serial}",
        "event_type": kind,
        "occurred_at": "2026-11-23T09:00:00.000000Z",
        "data": thing,
    }


PRESET: Final = Preset(
    name="paddle",
    title="Paddle Billing",
    scheme="paddle",
    headers=("Paddle-Signature",),
    signed="ts:body: HMAC-SHA256 in hex, as h1 among the header's fields",
    tolerance_s=300,
    dedupe="the event_id, in the body",
    secret=Secret(
        form="pdl_ntfset_ and more",
        found="Developer Tools, Notifications, Edit destination: Secret key",
    ),
    docs_url="https://developer.paddle.com/webhooks/signature-verification",
    steps=(
        "Under Developer Tools, Notifications, add a destination of the type URL.",
        "URL: the source's ingest URL. Choose the events.",
        "Copy its secret key into the source.",
    ),
    samples=(
        Sample(
            name="transaction-completed",
            event_type="transaction.completed",
            payload={
                "event_id": "evt_{serial}",
                "event_type": "transaction.completed",
                "data": {"id": "txn_{serial}", "status": "completed", "currency_code": "EUR"},
            },
        ),
        Sample(
            name="subscription-created",
            event_type="subscription.created",
            payload=_event("subscription.created", {"id": "sub_{serial}", "status": "active"}),
        ),
        Sample(
            name="customer-updated",
            event_type="customer.updated",
            payload=_event("customer.updated", {"id": "ctm_{serial}", "email": "ann@example.com"}),
        ),
    ),
    proof="the vendor's library @paddle/paddle-node-sdk for Node",
)
