"""Typeform."""

from typing import Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret

PRESET: Final = Preset(
    name="typeform",
    title="Typeform",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/event_type"),
        dedupe=("/event_id",),
        hmac=HmacRecipe(signature_header="Typeform-Signature", prefix="sha256=", encoding="base64"),
    ),
    headers=("Typeform-Signature",),
    signed="the body: HMAC-SHA256 in base64, after sha256=",
    dedupe="the event_id, in the body",
    secret=Secret(form="any text of yours", found="you choose it with the webhook"),
    docs_url="https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
    steps=(
        "In the form, under Connect, Webhooks, add one with the source's ingest URL.",
        "Edit it, enter the source's secret, and turn it on.",
    ),
    samples=(
        Sample(
            name="answered",
            event_type="form_response",
            payload={
                "event_id": "{serial}",
                "event_type": "form_response",
                "form_response": {
                    "form_id": "lT4Z3j",
                    "submitted_at": "2026-11-23T09:00:00Z",
                    "answers": [{"type": "text", "text": "Yes", "field": {"id": "JwWggjAKtOkA"}}],
                },
            },
        ),
        Sample(
            name="answered-in-part",
            event_type="form_response_partial",
            payload={
                "event_id": "{serial}",
                "event_type": "form_response_partial",
                "form_response": {"form_id": "lT4Z3j", "answers": []},
            },
        ),
    ),
    proof="the vendor's documented example, transcribed",
)
