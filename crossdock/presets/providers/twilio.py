"""Twilio."""

from typing import Final

from crossdock.presets.model import FORM, Preset, Sample, Secret

PRESET: Final = Preset(
    name="twilio",
    title="Twilio",
    scheme="twilio",
    headers=("X-Twilio-Signature",),
    signed=(
        "the public URL and the form's sorted names and values: HMAC-SHA1 in base64; for JSON the"
        " URL, which carries bodySHA256"
    ),
    dedupe="all that is signed",
    secret=Secret(form="32 characters of hex", found="the account's dashboard: Auth Token"),
    docs_url="https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    steps=(
        "Set the source's ingest URL where a number or a service has its webhook; method POST.",
        "Copy the account's auth token into the source.",
        "If Twilio reaches this installation by another URL, set it as the recipe's public_url.",
    ),
    samples=(
        Sample(
            name="message-received",
            event_type="",
            content_type=FORM,
            payload={
                "MessageSid": "SM{serial}",
                "From": "+15005550006",
                "To": "+15005550009",
                "Body": "Hi",
            },
        ),
        Sample(
            name="message-status",
            event_type="",
            content_type=FORM,
            payload={
                "MessageSid": "SM{serial}",
                "MessageStatus": "delivered",
                "To": "+15005550009",
            },
        ),
        Sample(
            name="call-completed",
            event_type="",
            content_type=FORM,
            payload={
                "CallSid": "CA{serial}",
                "CallStatus": "completed",
                "CallDuration": "42",
                "From": "+15005550006",
                "To": "+15005550009",
            },
        ),
    ),
    proof="the vendor's library twilio for Python",
)
