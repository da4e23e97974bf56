"""Zendesk."""

from typing import Any, Final

from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "{serial}",
        "type": f"zen:event-type:{kind}",
        "account_id": 22129848,
        "time": "2026-11-23T09:00:00Z",
        "detail": detail,
    }


PRESET: Final = Preset(
    name="zendesk",
    title="Zendesk",
    scheme="zendesk",
    headers=("X-Zendesk-Webhook-Signature", "X-Zendesk-Webhook-Signature-Timestamp"),
    signed="timestamp and body, with nothing between: HMAC-SHA256 in base64",
    tolerance_s=300,
    dedupe="the event's id, in the body; for a trigger's own body, all of it",
    secret=Secret(form="base64-like text", found="the webhook's page: Reveal secret"),
    docs_url="https://developer.zendesk.com/documentation/webhooks/verifying/",
    steps=(
        "In Admin Center, under Apps and integrations, create a webhook.",
        "Endpoint URL: the source's ingest URL. Method POST, format JSON.",
        "Reveal its signing secret and copy it into the source.",
    ),
    samples=(
        Sample(
            name="ticket-created",
            event_type="zen:event-type:ticket.created",
            payload={
                "id": "{serial}",
                "type": "zen:event-type:ticket.created",
                "detail": {"id": "{serial}", "subject": "Help", "status": "OPEN"},
            },
        ),
        Sample(
            name="user-merged",
            event_type="zen:event-type:user.merged",
            payload=_event("user.merged", {"id": "{serial}", "role": "end-user"}),
        ),
        Sample(
            name="organization-created",
            event_type="zen:event-type:organization.created",
            payload=_event("organization.created", {"id": "{serial}", "name": "Acme"}),
        ),
    ),
    proof="the vendor's documented example, transcribed",
)
