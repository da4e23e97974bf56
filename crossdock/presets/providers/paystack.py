"""Paystack."""

from typing import Any, Final

from crossdock.inbound.model import EventTypeRule, HmacRecipe, Recipe
from crossdock.presets.model import Preset, Sample, Secret


def _event(kind: str, thing: dict[str, Any]) -> dict[str, Any]:
    return {"event": kind, "data": thing}


PRESET: Final = Preset(
    name="paystack",
    title="Paystack",
    scheme="hmac",
    recipe=Recipe(
        event_type=EventTypeRule(pointer="/event"),
        hmac=HmacRecipe(signature_header="x-paystack-signature", algorithm="sha512"),
    ),
    headers=("x-paystack-signature",),
    signed="the body: HMAC-SHA512 in hex",
    dedupe="the body",
    secret=Secret(form="sk_live_ or sk_test_ and hex", found="Settings, API Keys: Secret Key"),
    docs_url="https://paystack.com/docs/payments/webhooks/",
    steps=(
        "Under Settings, API Keys & Webhooks, set the source's ingest URL as the webhook URL.",
        "Copy the secret key of the same mode, test or live, into the source.",
    ),
    samples=(
        Sample(
            name="charge-success",
            event_type="charge.success",
            payload=_event(
                "charge.success", {"reference": "{serial}", "amount": 10000, "currency": "NGN"}
            ),
        ),
        Sample(
            name="transfer-failed",
            event_type="transfer.failed",
            payload=_event("transfer.failed", {"reference": "{serial}", "status": "failed"}),
        ),
    ),
    proof="the vendor's documented example, transcribed",
)
