"""LINE Messaging API."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Clock, Preset, Sample, Secret


def _event(kind: str, **fields: Any) -> dict[str, Any]:
    event = {
        "type": kind,
        "webhookEventId": "{serial}",
        "deliveryContext": {"isRedelivery": False},
        "timestamp": Clock.MILLISECONDS,
        "mode": "active",
        "source": {"type": "user", "userId": "U4af4980629"},
        **fields,
    }
    return {"destination": "xxxxxxxxxx", "events": [event]}


PRESET: Final = Preset(
    name="line",
    title="LINE Messaging API",
    scheme="hmac",
    recipe=Recipe(
        # A redelivery says in the body that it is one: only the event's own id tells copies.
        dedupe=("/events/0/webhookEventId",),
        event_type=EventTypeRule(pointer="/events/0/type"),
        hmac=HmacRecipe(signature_header="X-Line-Signature", encoding="base64"),
    ),
    headers=("X-Line-Signature",),
    signed="the body: HMAC-SHA256 in base64",
    dedupe="the first event's webhookEventId, in the body",
    secret=Secret(form="32 characters of hex", found="the channel's basic settings: secret"),
    docs_url="https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/",
    steps=(
        "Copy the channel's secret into the source.",
        "Under Messaging API, set the source's ingest URL as the webhook URL, and verify it.",
    ),
    samples=(
        Sample(
            name="message",
            event_type="message",
            payload=_event("message", message={"id": "444573844083572737", "type": "text"}),
        ),
        Sample(name="follow", event_type="follow", payload=_event("follow")),
    ),
    proof="the vendor's library line-bot-sdk for Python",
)
