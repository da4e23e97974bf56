"""Stripe."""

from typing import Any, Final

from crossdock.presets.model import Clock, Preset, Sample, Secret


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "evt_{serial}",
        "object": "event",
        "api_version": "2026-06-30",
        "created": Clock.SECONDS,
        "type": kind,
        "livemode": False,
        "data": {"object": thing},
    }


PRESET: Final = Preset(
    name="stripe",
    title="Stripe",
    scheme="stripe",
    headers=("Stripe-Signature",),
    signed="t.body: HMAC-SHA256 in hex, as v1 among the header's fields",
    tolerance_s=300,
    dedupe="the event's id, in the body",
    secret=Secret(
        form="whsec_ and 32 characters or more",
        found="Workbench, Webhooks, the endpoint: Signing secret",
    ),
    docs_url="https://docs.stripe.com/webhooks/signature",
    steps=(
        "In Stripe's Workbench, add an event destination of the kind webhook endpoint.",
        "Give it the source's ingest URL, and choose the events.",
        "Reveal its signing secret and copy it into the source.",
    ),
    samples=(
        Sample(
            name="charge-succeeded",
            event_type="charge.succeeded",
            payload=_event(
                "charge.succeeded",
                {"id": "ch_{serial}", "object": "charge", "amount": 2000, "currency": "eur"},
            ),
        ),
        Sample(
            name="invoice-paid",
            event_type="invoice.paid",
            payload=_event(
                "invoice.paid",
                {
                    "id": "in_{serial}",
                    "object": "invoice",
                    "customer": "cus_Q1aBcD",
                    "amount_paid": 4200,
                    "currency": "eur",
                    "status": "paid",
                },
            ),
        ),
        Sample(
            name="subscription-deleted",
            event_type="customer.subscription.deleted",
            payload=_event(
                "customer.subscription.deleted",
                {
                    "id": "sub_{serial}",
                    "object": "subscription",
                    "customer": "cus_Q1aBcD",
                    "status": "canceled",
                },
            ),
        ),
    ),
    proof="the vendor's library stripe for Python",
)
