"""Zoom."""

from typing import Any, Final

from crossdock.presets.model import Clock, Preset, Sample, Secret


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {
        "event": kind,
        "event_ts": Clock.MILLISECONDS,
        "payload": {"account_id": "AAAAAABBBB", "object": thing},
    }


PRESET: Final = Preset(
    name="zoom",
    title="Zoom",
    scheme="zoom",
    headers=("x-zm-signature", "x-zm-request-timestamp"),
    signed="v0:timestamp:body: HMAC-SHA256 in hex, after v0=",
    tolerance_s=300,
    dedupe="the body",
    secret=Secret(form="22 characters", found="the app's Features, Access: Secret Token"),
    handshake="endpoint.url_validation: its plainToken is answered with its HMAC",
    docs_url="https://developers.zoom.us/docs/api/webhooks/",
    steps=(
        "Copy the app's secret token into the source first: the validation is signed with it.",
        "Under Features, Access, add an event subscription with the source's ingest URL.",
        "Press Validate, choose the events, and save.",
    ),
    samples=(
        Sample(
            name="meeting-started",
            event_type="meeting.started",
            payload={
                "event": "meeting.started",
                "event_ts": Clock.MILLISECONDS,
                "payload": {"object": {"id": "{serial}", "topic": "Weekly", "type": 2}},
            },
        ),
        Sample(
            name="participant-joined",
            event_type="meeting.participant_joined",
            payload=_event(
                "meeting.participant_joined",
                {"id": "{serial}", "participant": {"user_name": "Ann", "user_id": "16778240"}},
            ),
        ),
        Sample(
            name="recording-completed",
            event_type="recording.completed",
            payload=_event("recording.completed", {"id": "{serial}", "recording_count": 2}),
        ),
    ),
    proof="the vendor's published example (zoom/webhook-sample), transcribed",
)
