"""Shopify."""

from typing import Final

from crossdock.presets.model import Preset, Sample, Secret


def _headers(topic: str) -> dict[str, str]:
    return {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": "example.myshopify.com",
        "x-shopify-webhook-id": "{serial}",
    }


PRESET: Final = Preset(
    name="shopify",
    title="Shopify",
    scheme="shopify",
    headers=("X-Shopify-Hmac-SHA256",),
    signed="the body: HMAC-SHA256 in base64; topic and shop are not signed",
    dedupe="the body; X-Shopify-Webhook-Id is not signed, and only a label",
    secret=Secret(
        form="shpss_ and hex, or hex alone",
        found="the app's client secret; for a shop's own webhooks, Settings, Notifications",
    ),
    docs_url="https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
    steps=(
        "Subscribe to topics in the app's configuration, or in the shop under Notifications.",
        "Address: the source's ingest URL. Format: JSON.",
        "Copy the app's client secret into the source.",
    ),
    samples=(
        Sample(
            name="order-created",
            event_type="orders/create",
            headers=_headers("orders/create"),
            payload={
                "id": "{serial}",
                "email": "jon@example.com",
                "total_price": "403.00",
                "currency": "EUR",
            },
        ),
        Sample(
            name="product-updated",
            event_type="products/update",
            headers=_headers("products/update"),
            payload={"id": "{serial}", "title": "Chair", "status": "active", "variants": []},
        ),
        Sample(
            name="app-uninstalled",
            event_type="app/uninstalled",
            headers=_headers("app/uninstalled"),
            payload={"id": "{serial}", "domain": "example.myshopify.com"},
        ),
    ),
    proof="the vendor's library @shopify/shopify-api for Node, and its test vectors",
)
