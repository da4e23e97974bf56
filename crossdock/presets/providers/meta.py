"""Meta: WhatsApp, Messenger, Instagram."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Clock, Preset, Sample, Secret


def _change(thing: str, field: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": thing,
        "entry": [
            {"id": "0", "time": Clock.SECONDS, "changes": [{"field": field, "value": value}]}
        ],
    }


PRESET: Final = Preset(
    name="meta",
    title="Meta (WhatsApp, Messenger, Instagram)",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/object"),
        hmac=HmacRecipe(signature_header="X-Hub-Signature-256", prefix="sha256="),
    ),
    headers=("X-Hub-Signature-256",),
    signed="the body: HMAC-SHA256 in hex, after sha256=",
    dedupe="the body",
    secret=Secret(form="32 characters of hex", found="the app's Settings, Basic: App secret"),
    handshake="a GET with hub.challenge, which is echoed where hub.verify_token is the recipe's",
    docs_url="https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    steps=(
        "Copy the app's secret into the source, and set a verify_token in its recipe.",
        "In the app's dashboard, under Webhooks, choose the product, and subscribe.",
        "Callback URL: the source's ingest URL. Verify token: the recipe's.",
    ),
    samples=(
        Sample(
            name="whatsapp-message",
            event_type="whatsapp_business_account",
            payload=_change(
                "whatsapp_business_account",
                "messages",
                {
                    "messaging_product": "whatsapp",
                    "messages": [{"id": "wamid.{serial}", "type": "text", "text": {"body": "Hi"}}],
                },
            ),
        ),
        Sample(
            name="page-feed",
            event_type="page",
            payload=_change("page", "feed", {"item": "post", "verb": "add", "post_id": "{serial}"}),
        ),
        Sample(
            name="instagram-comment",
            event_type="instagram",
            payload=_change("instagram", "comments", {"id": "{serial}", "text": "Nice"}),
        ),
    ),
    proof="the vendor's documented examples, transcribed: the signature and the handshake",
)
