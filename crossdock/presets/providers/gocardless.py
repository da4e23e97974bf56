"""GoCardless."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret


def _events(kind: str, action: str, links: dict[str, Any]) -> dict[str, Any]:
    event = {
        "id": "EV{serial}",
        "created_at": "2026-11-23T09:00:00.000Z",
        "resource_type": kind,
        "action": action,
        "links": links,
    }
    return {"events": [event], "meta": {"webhook_id": "WB{serial}"}}


PRESET: Final = Preset(
    name="gocardless",
    title="GoCardless",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/events/0/resource_type"),
        hmac=HmacRecipe(signature_header="Webhook-Signature"),
    ),
    headers=("Webhook-Signature",),
    signed="the body: HMAC-SHA256 in hex",
    dedupe="the body, which has the webhook's id",
    secret=Secret(form="40 characters", found="Developers, Webhook endpoints: Secret"),
    docs_url="https://developer.gocardless.com/getting-started/staying-up-to-date-with-webhooks",
    steps=(
        "Under Developers, create a webhook endpoint with the source's ingest URL.",
        "Copy its secret into the source. A webhook brings several events of one type.",
    ),
    samples=(
        Sample(
            name="payment-confirmed",
            event_type="payments",
            payload=_events("payments", "confirmed", {"payment": "PM000123"}),
        ),
        Sample(
            name="mandate-cancelled",
            event_type="mandates",
            payload=_events("mandates", "cancelled", {"mandate": "MD000123"}),
        ),
    ),
    proof="the vendor's library gocardless-pro for Python",
)
