"""GitHub."""

from typing import Final

from crossdock.presets.model import Preset, Sample, Secret

_REPOSITORY: Final = {"id": 35129377, "full_name": "octo-org/hello"}

PRESET: Final = Preset(
    name="github",
    title="GitHub",
    scheme="github",
    headers=("X-Hub-Signature-256",),
    signed="the body: HMAC-SHA256 in hex, after sha256=",
    dedupe="the body; X-GitHub-Delivery is not signed, and only a label",
    secret=Secret(form="any text of yours", found="you choose it when you add the webhook"),
    docs_url="https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    steps=(
        "In the repository's or organisation's settings, add a webhook.",
        "Payload URL: the source's ingest URL. Content type: application/json.",
        "Secret: the source's.",
    ),
    samples=(
        Sample(
            name="push",
            event_type="push",
            headers={"x-github-event": "push", "x-github-delivery": "{serial}"},
            payload={
                "ref": "refs/heads/main",
                "after": "00000000{serial}",
                "repository": _REPOSITORY,
                "pusher": {"name": "octocat"},
            },
        ),
        Sample(
            name="pull-request-opened",
            event_type="pull_request",
            headers={"x-github-event": "pull_request", "x-github-delivery": "{serial}"},
            payload={
                "action": "opened",
                "number": 7,
                "pull_request": {"title": "Ship it {serial}", "state": "open", "draft": False},
                "repository": _REPOSITORY,
            },
        ),
        Sample(
            name="issue-closed",
            event_type="issues",
            headers={"x-github-event": "issues", "x-github-delivery": "{serial}"},
            payload={
                "action": "closed",
                "issue": {"number": 12, "title": "It broke {serial}", "state": "closed"},
                "repository": _REPOSITORY,
            },
        ),
        Sample(
            name="ping",
            event_type="ping",
            headers={"x-github-event": "ping", "x-github-delivery": "{serial}"},
            payload={"zen": "Keep it logically awesome.", "hook_id": 1, "serial": "{serial}"},
        ),
    ),
    proof="the vector in the vendor's documentation, and the library gidgethub for Python",
)
