"""OpenAI."""

from typing import Any, Final

from crossdock.presets.model import Clock, Preset, Sample, Secret


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "event",
        "id": "evt_{serial}",
        "type": kind,
        "created_at": Clock.SECONDS,
        "data": thing,
    }


PRESET: Final = Preset(
    name="openai",
    title="OpenAI",
    scheme="standard",
    headers=("webhook-id", "webhook-timestamp", "webhook-signature"),
    signed="id.timestamp.body: HMAC-SHA256 in base64 (Standard Webhooks)",
    tolerance_s=300,
    dedupe="the signed webhook-id",
    secret=Secret(form="whsec_ and base64", found="shown once, when the endpoint is made"),
    docs_url="https://platform.openai.com/docs/guides/webhooks",
    steps=(
        "In the project's settings, under Webhooks, create one with the source's ingest URL.",
        "Choose the event types, and copy the signing secret into the source.",
    ),
    samples=(
        Sample(
            name="response-completed",
            event_type="response.completed",
            payload=_event("response.completed", {"id": "resp_{serial}"}),
        ),
        Sample(
            name="batch-completed",
            event_type="batch.completed",
            payload=_event("batch.completed", {"id": "batch_{serial}"}),
        ),
        Sample(
            name="fine-tuning-failed",
            event_type="fine_tuning.job.failed",
            payload=_event("fine_tuning.job.failed", {"id": "ftjob-{serial}"}),
        ),
    ),
    proof="the vendor's library openai for Python",
)
