"""A Stripe event of 1 KiB and the headers it comes with."""

from typing import Final

import msgspec

from crossdock.native import Signer, Source

NOW: Final = 1_700_000_000.5
SECRET: Final = "whsec_bench"
SIZE: Final = 1024


def event(size: int = SIZE) -> bytes:
    """A `setup_intent.created` event as in Stripe's API reference, filled up to `size` bytes."""
    setup_intent = {
        "id": "seti_1NG8Du2eZvKYlo2C9XMqbR0x",
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": "seti_1NG8Du2eZvKYlo2C9XMqbR0x_secret_O2CdhLwGFh2Aej7bCY7qp8jlIuyR8DJ",
        "created": 1686089970,
        "customer": None,
        "last_setup_error": None,
        "livemode": False,
        "metadata": {},
        "payment_method": "pm_1NG8Du2eZvKYlo2CYzzldNr7",
        "payment_method_options": {
            "acss_debit": {
                "currency": "cad",
                "mandate_options": {
                    "interval_description": "First day of every month",
                    "payment_schedule": "interval",
                    "transaction_type": "personal",
                },
                "verification_method": "automatic",
            }
        },
        "payment_method_types": ["acss_debit"],
        "status": "requires_confirmation",
        "usage": "off_session",
        "description": "",
    }
    whole = {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "api_version": "2019-02-19",
        "created": 1686089970,
        "data": {"object": setup_intent},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": "setup_intent.created",
    }
    setup_intent["description"] = "." * (size - len(msgspec.json.encode(whole)))
    return msgspec.json.encode(whole)


def recipe(**fields: object) -> bytes:
    """A Stripe source's recipe, with changes."""
    return msgspec.json.encode({"scheme": "stripe", "secrets": [SECRET], **fields})


def headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """What Stripe sends along, as ASGI gives it."""
    signed = Signer(recipe()).sign("POST", "/in/token", body, NOW)
    return [
        (b"host", b"hooks.example.com"),
        (b"user-agent", b"Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
        (b"content-length", str(len(body)).encode()),
        (b"accept", b"*/*; q=0.5, application/xml"),
        (b"cache-control", b"no-cache"),
        (b"content-type", b"application/json; charset=utf-8"),
        *((name.encode(), value.encode()) for name, value in signed),
    ]


def source() -> Source:
    """The source that takes these."""
    return Source(recipe())
