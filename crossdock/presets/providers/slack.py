"""Slack."""

from typing import Any, Final

from crossdock.presets.model import Clock, Preset, Sample, Secret


def _callback(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "event_callback",
        "team_id": "T061EG9R6",
        "event_id": "Ev{serial}",
        "event_time": Clock.SECONDS,
        "event": event,
    }


PRESET: Final = Preset(
    name="slack",
    title="Slack",
    scheme="slack",
    headers=("X-Slack-Signature", "X-Slack-Request-Timestamp"),
    signed="v0:timestamp:body: HMAC-SHA256 in hex, after v0=",
    tolerance_s=300,
    dedupe="the event_id, in the body",
    secret=Secret(form="32 characters of hex", found="the app's Basic Information: Signing Secret"),
    handshake="url_verification: its challenge is answered, once it is signed",
    docs_url="https://docs.slack.dev/authentication/verifying-requests-from-slack",
    steps=(
        "Copy the app's signing secret into the source first: the handshake is signed with it.",
        "Under Event Subscriptions, enter the source's ingest URL as the request URL.",
        "Subscribe to the bot's events, and save.",
    ),
    samples=(
        Sample(
            name="message",
            event_type="message",
            payload=_callback(
                {
                    "type": "message",
                    "channel": "C2147483705",
                    "text": "Hello",
                    "ts": Clock.TEXT,
                }
            ),
        ),
        Sample(
            name="app-mention",
            event_type="app_mention",
            payload=_callback(
                {
                    "type": "app_mention",
                    "user": "U061F7AUR",
                    "channel": "C0LAN2Q65",
                    "text": "<@U0LAN0Z89> is it everything?",
                    "ts": Clock.TEXT,
                }
            ),
        ),
        Sample(
            name="reaction-added",
            event_type="reaction_added",
            payload=_callback(
                {
                    "type": "reaction_added",
                    "user": "U061F7AUR",
                    "reaction": "thumbsup",
                    "item": {"type": "message", "channel": "C0LAN2Q65", "ts": Clock.TEXT},
                }
            ),
        ),
    ),
    proof="the vendor's library slack-sdk for Python, and the vector in its documentation",
)
