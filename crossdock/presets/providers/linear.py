"""Linear."""

from typing import Any, Final

from crossdock.presets.model import Clock, Preset, Sample, Secret


def _sample(name: str, action: str, kind: str, thing: dict[str, Any]) -> Sample:
    return Sample(
        name=name,
        event_type=f"{kind}.{action}",
        headers={"linear-event": kind, "linear-delivery": "{serial}"},
        payload={
            "action": action,
            "type": kind,
            "data": thing,
            "webhookTimestamp": Clock.MILLISECONDS,
            "webhookId": "{serial}",
        },
    )


PRESET: Final = Preset(
    name="linear",
    title="Linear",
    scheme="linear",
    headers=("linear-signature",),
    signed="the body, which has the time in webhookTimestamp: HMAC-SHA256 in hex",
    tolerance_s=60,
    dedupe="the body, but for its webhookTimestamp",
    secret=Secret(form="lin_wh_ and more", found="Settings, API, the webhook's page"),
    docs_url="https://linear.app/developers/webhooks",
    steps=(
        "Under Settings, API, create a webhook with the source's ingest URL.",
        "Choose the resources, and copy the signing secret into the source.",
    ),
    samples=(
        _sample("issue-created", "create", "Issue", {"id": "{serial}", "title": "Ship it"}),
        _sample(
            "comment-created", "create", "Comment", {"id": "{serial}", "body": "Looks good to me."}
        ),
        _sample(
            "issue-updated",
            "update",
            "Issue",
            {"id": "{serial}", "title": "Ship it", "state": {"name": "Done"}},
        ),
    ),
    proof="the vendor's library @linear/sdk for Node",
)
