"""Coinbase Commerce."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, charge: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt_number": 1,
        "event": {
            "id": "{serial}",
            "resource": "event",
            "type": kind,
            "api_version": "2018-03-22",
            "data": charge,
        },
    }


PRESET: Final = Preset(
    name="coinbase-commerce",
    title="Coinbase Commerce",
    scheme="hmac",
    recipe=Recipe(
        # Each attempt counts itself in the body: only the event's own id tells copies.
        dedupe=("/event/id",),
        event_type=EventTypeRule(pointer="/event/type"),
        hmac=HmacRecipe(signature_header="X-CC-Webhook-Signature"),
    ),
    headers=("X-CC-Webhook-Signature",),
    signed="the body: HMAC-SHA256 in hex",
    dedupe="the event's id, in the body",
    secret=Secret(form="a UUID or longer", found="Settings, Notifications: Show shared secret"),
    docs_url="https://docs.cdp.coinbase.com/commerce-onchain/docs/webhooks-security",
    steps=(
        "Under Settings, Notifications, add the source's ingest URL as an endpoint.",
        "Show the shared secret and copy it into the source.",
    ),
    samples=(
        Sample(
            name="charge-confirmed",
            event_type="charge:confirmed",
            payload=_event("charge:confirmed", {"code": "66BEOV2A", "name": "A book"}),
        ),
        Sample(
            name="charge-pending",
            event_type="charge:pending",
            payload=_event("charge:pending", {"code": "66BEOV2A", "name": "A book"}),
        ),
    ),
    proof="the vendor's library coinbase-commerce for Python",
)
