"""Lemon Squeezy."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, thing: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "meta": {"event_name": kind, "test_mode": False},
        "data": {"type": thing, "id": "{serial}", "attributes": fields},
    }


PRESET: Final = Preset(
    name="lemon-squeezy",
    title="Lemon Squeezy",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/meta/event_name"),
        hmac=HmacRecipe(signature_header="X-Signature"),
    ),
    headers=("X-Signature",),
    signed="the body: HMAC-SHA256 in hex",
    dedupe="the body",
    secret=Secret(form="6 to 40 characters of yours", found="you choose it with the webhook"),
    docs_url="https://docs.lemonsqueezy.com/help/webhooks/signing-requests",
    steps=(
        "Under Settings, Webhooks, add one with the source's ingest URL as its callback URL.",
        "Signing secret: the source's, of 40 characters at most. Choose the events.",
    ),
    samples=(
        Sample(
            name="order-created",
            event_type="order_created",
            payload=_event("order_created", "orders", {"status": "paid", "total": 4200}),
        ),
        Sample(
            name="subscription-cancelled",
            event_type="subscription_cancelled",
            payload=_event("subscription_cancelled", "subscriptions", {"status": "cancelled"}),
        ),
    ),
    proof="the vendor's documented example, transcribed",
)
