"""Microsoft Graph change notifications."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, Recipe
from crossdock.presets.model import Preset, Sample


def _change(kind: str, resource: str) -> dict[str, Any]:
    return {
        "value": [
            {
                "subscriptionId": "76222963-cc7b-42d2-882d-8aaa69cb2ba3",
                "changeType": kind,
                "clientState": "agreed",
                "resource": resource,
                "resourceData": {"id": "{serial}"},
            }
        ]
    }


PRESET: Final = Preset(
    name="microsoft-graph",
    title="Microsoft Graph",
    scheme="none",
    recipe=Recipe(
        # The next change of the same thing is the same bytes.
        dedupe="none",
        event_type=EventTypeRule(pointer="/value/0/changeType"),
    ),
    headers=(),
    signed="nothing: the body has the clientState that the subscription was made with",
    dedupe="nothing: two notifications may well be the same bytes",
    secret=None,
    handshake="a POST with validationToken, which is echoed",
    docs_url="https://learn.microsoft.com/graph/change-notifications-delivery-webhooks",
    steps=(
        "Create a subscription with the source's ingest URL as its notificationUrl.",
        "Give it a clientState, and compare it where you take the events: nothing is signed.",
        "Make the source with the scheme none, by name.",
    ),
    samples=(
        Sample(
            name="message-created",
            event_type="created",
            payload=_change("created", "Users/ann@example.com/Messages/{serial}"),
        ),
        Sample(
            name="event-updated",
            event_type="updated",
            payload=_change("updated", "Users/ann@example.com/Events/{serial}"),
        ),
    ),
    proof="the vendor's documented example of the handshake",
)
