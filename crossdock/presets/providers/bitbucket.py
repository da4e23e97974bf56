"""Bitbucket Cloud."""

from typing import Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret

_REPOSITORY: Final = {"full_name": "acme/hello", "type": "repository"}

PRESET: Final = Preset(
    name="bitbucket",
    title="Bitbucket Cloud",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(header="X-Event-Key"),
        hmac=HmacRecipe(
            signature_header="X-Hub-Signature", prefix="sha256=", id_header="X-Request-UUID"
        ),
    ),
    headers=("X-Hub-Signature",),
    signed="the body: HMAC-SHA256 in hex, after sha256=",
    dedupe="the body; X-Request-UUID is not signed, and only a label",
    secret=Secret(form="any text of yours", found="you choose or generate it with the webhook"),
    docs_url="https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/",
    steps=(
        "In the repository's settings, under Webhooks, add one with the source's ingest URL.",
        "Enter the source's secret as its secret, and choose the triggers.",
    ),
    samples=(
        Sample(
            name="push",
            event_type="repo:push",
            headers={"x-event-key": "repo:push", "x-request-uuid": "{serial}"},
            payload={
                "actor": {"display_name": "Ann"},
                "repository": _REPOSITORY,
                "push": {"changes": [{"new": {"name": "main", "target": {"hash": "{serial}"}}}]},
            },
        ),
        Sample(
            name="pull-request-created",
            event_type="pullrequest:created",
            headers={"x-event-key": "pullrequest:created", "x-request-uuid": "{serial}"},
            payload={
                "repository": _REPOSITORY,
                "pullrequest": {"id": 7, "title": "Ship it {serial}", "state": "OPEN"},
            },
        ),
    ),
    proof="the vector in the vendor's documentation",
)
