"""Standard Webhooks: what many providers agreed on, and what Crossdock itself sends."""

from typing import Final

from crossdock.presets.model import Clock, Preset, Sample, Secret

PRESET: Final = Preset(
    name="standard",
    title="Standard Webhooks",
    scheme="standard",
    headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
    signed="id.timestamp.body: HMAC-SHA256 in base64 (v1), or ed25519 (v1a)",
    tolerance_s=300,
    dedupe="the signed webhook-id",
    secret=Secret(
        form="whsec_ and base64 (v1); whpk_ and base64, the sender's public key (v1a)",
        found="where the sender shows the endpoint",
    ),
    docs_url="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    steps=(
        "Add an endpoint at the sender's, with the source's ingest URL.",
        "Copy the secret that it shows into the source.",
    ),
    samples=(
        Sample(
            name="invoice-paid",
            event_type="invoice.paid",
            payload={
                "id": "evt_{serial}",
                "type": "invoice.paid",
                "created": Clock.SECONDS,
                "data": {"number": "{serial}", "total": 4200, "currency": "EUR"},
            },
        ),
        Sample(
            name="contact-created",
            event_type="contact.created",
            payload={
                "type": "contact.created",
                "timestamp": "2026-11-23T09:00:00Z",
                "data": {"id": "{serial}", "email": "ann@example.com"},
            },
        ),
        Sample(
            name="user-deleted",
            event_type="user.deleted",
            payload={
                "type": "user.deleted",
                "timestamp": "2026-11-23T09:00:00Z",
                "data": {"id": "{serial}"},
            },
        ),
    ),
    proof="the library standardwebhooks for Python, and the Go library's test vectors",
)
