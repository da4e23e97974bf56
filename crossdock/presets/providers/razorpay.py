"""Razorpay."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Clock, Preset, Sample, Secret


def _sample(name: str, kind: str, thing: str, entity: dict[str, Any]) -> Sample:
    return Sample(
        name=name,
        event_type=kind,
        headers={"x-razorpay-event-id": "{serial}"},
        payload={
            "entity": "event",
            "account_id": "acc_BFQ7uQEaa7j2z7",
            "event": kind,
            "contains": [thing],
            "payload": {thing: {"entity": entity}},
            "created_at": Clock.SECONDS,
        },
    )


PRESET: Final = Preset(
    name="razorpay",
    title="Razorpay",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/event"),
        hmac=HmacRecipe(signature_header="X-Razorpay-Signature", id_header="x-razorpay-event-id"),
    ),
    headers=("X-Razorpay-Signature",),
    signed="the body: HMAC-SHA256 in hex",
    dedupe="the body; x-razorpay-event-id is not signed, and only a label",
    secret=Secret(form="any text of yours", found="you choose it with the webhook"),
    docs_url="https://razorpay.com/docs/webhooks/validate-test/",
    steps=(
        "Under Account & Settings, Webhooks, add one with the source's ingest URL.",
        "Secret: the source's. Choose the active events.",
    ),
    samples=(
        _sample(
            "payment-captured",
            "payment.captured",
            "payment",
            {"id": "pay_{serial}", "amount": 42000, "currency": "INR", "status": "captured"},
        ),
        _sample(
            "refund-created",
            "refund.created",
            "refund",
            {"id": "rfnd_{serial}", "amount": 42000, "currency": "INR"},
        ),
    ),
    proof="the vendor's library razorpay for Python",
)
