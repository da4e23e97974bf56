"""Dropbox."""

from typing import Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret

PRESET: Final = Preset(
    name="dropbox",
    title="Dropbox",
    scheme="hmac",
    recipe=Recipe(
        # It says who has changes, and nothing else: the next change of theirs is the same bytes.
        dedupe="none",
        event_type=EventTypeRule(fixed="files.changed"),
        hmac=HmacRecipe(signature_header="X-Dropbox-Signature"),
    ),
    headers=("X-Dropbox-Signature",),
    signed="the body: HMAC-SHA256 in hex",
    dedupe="nothing: two notifications may well be the same bytes",
    secret=Secret(form="15 characters", found="the App Console: App secret"),
    handshake="a GET with challenge, which is echoed",
    docs_url="https://www.dropbox.com/developers/reference/webhooks",
    steps=(
        "Copy the app's secret into the source.",
        "In the App Console, add the source's ingest URL as a webhook URI.",
    ),
    samples=(
        Sample(
            name="one-account",
            event_type="files.changed",
            payload={
                "list_folder": {"accounts": ["dbid:{serial}"]},
                "delta": {"users": [12345678]},
            },
        ),
        Sample(
            name="two-accounts",
            event_type="files.changed",
            payload={
                "list_folder": {"accounts": ["dbid:{serial}", "dbid:AAH4f99T0taONIb"]},
                "delta": {"users": [12345678, 23456789]},
            },
        ),
    ),
    proof="the vendor's documented example, transcribed",
)
