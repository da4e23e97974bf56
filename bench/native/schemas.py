"""Bodies like those of GitHub, Stripe and Shopify, in three sizes, and the schemas they fit."""

from typing import Any, Final

import msgspec

from bench.native import samples

KIB: Final = 1024
SIZES: Final = (1 * KIB, 10 * KIB, 100 * KIB)
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer", "minimum": 0}
URL: Final = {"type": "string", "pattern": "^https://"}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object with these properties, of which some must be there."""
    return {"type": "object", "required": required, "properties": properties}


def github(size: int) -> bytes:
    """A push with as many commits as the size has room for."""
    commit = {
        "id": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
        "message": "Fix the flaky test — it raced the clock",
        "timestamp": "2026-03-01T12:00:00+01:00",
        "url": "https://github.com/acme/shop/commit/7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
        "author": {"name": "Zoë Ní", "email": "zoe@example.com", "username": "zoe"},
        "added": ["src/a.py"],
        "removed": [],
        "modified": ["README.md", "src/b.py"],
        "distinct": True,
    }
    push: dict[str, Any] = {
        "ref": "refs/heads/main",
        "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "after": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
        "repository": {"id": 186853002, "name": "shop", "private": True, "stars": 3},
        "sender": {"login": "zoe", "id": 21031067, "type": "User"},
        "commits": [commit],
    }
    return grown(push, push["commits"], commit, size)


def shopify(size: int) -> bytes:
    """An order with as many lines as the size has room for."""
    line = {
        "id": 866550311766439020,
        "variant_id": 808950810,
        "title": "IPod Nano - 8GB",
        "quantity": 1,
        "price": "199.00",
        "grams": 567,
        "taxable": True,
        "vendor": None,
        "price_set": {"shop_money": {"amount": "199.00", "currency_code": "USD"}},
    }
    order: dict[str, Any] = {
        "id": 820982911946154508,
        "email": "jon@example.com",
        "created_at": "2026-03-01T12:00:00-05:00",
        "currency": "USD",
        "total_price": "403.00",
        "financial_status": "paid",
        "customer": {"id": 115310627314723954, "first_name": "Jon", "tags": ""},
        "line_items": [line],
    }
    return grown(order, order["line_items"], line, size)


def stripe(size: int) -> bytes:
    """An invoice with as many lines as the size has room for; at 1 KiB, one `setup_intent`."""
    if size <= KIB:
        return samples.event(size)
    line = {
        "id": "il_1NG8Du2eZvKYlo2C9XMqbR0x",
        "amount": 1999,
        "currency": "usd",
        "description": "1 Basic (at $19.99 / month)",
        "period": {"start": 1686089970, "end": 1688681970},
        "proration": False,
        "metadata": {},
        "tax_rates": [],
    }
    lines = [line]
    invoice: dict[str, Any] = {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "created": 1686089970,
        "type": "invoice.paid",
        "livemode": False,
        "data": {"object": {"id": "in_1MtHbELkdIwHu7ixl4OzzPMv", "lines": {"data": lines}}},
    }
    return grown(invoice, lines, line, size)


def grown(whole: dict[str, Any], parts: list[Any], part: dict[str, Any], size: int) -> bytes:
    """Repeat the part until the whole has about this size."""
    one = len(msgspec.json.encode(part)) + 1
    missing = size - len(msgspec.json.encode(whole))
    parts.extend([part] * max(0, missing // one))
    return msgspec.json.encode(whole)


SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "github": {
        "$schema": DIALECT,
        **closed(
            ["ref", "repository", "commits"],
            ref={"type": "string", "pattern": "^refs/"},
            before={"$ref": "#/$defs/hash"},
            after={"$ref": "#/$defs/hash"},
            repository=closed(["id", "name"], id=WHOLE, name=TEXT, private={"type": "boolean"}),
            sender=closed(["login"], type={"enum": ["User", "Bot", "Organization"]}),
            commits={"type": "array", "items": {"$ref": "#/$defs/commit"}},
        ),
        "$defs": {
            "hash": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
            "commit": closed(
                ["id", "message", "author"],
                id={"$ref": "#/$defs/hash"},
                message={"type": "string", "maxLength": 65_536},
                url=URL,
                author=closed(["name"], name=TEXT, email=TEXT),
                added={"type": "array", "items": TEXT},
                modified={"type": "array", "items": TEXT, "uniqueItems": True},
                distinct={"type": "boolean"},
            ),
        },
    },
    "stripe": {
        "$schema": DIALECT,
        **closed(
            ["id", "type", "data"],
            id={"type": "string", "pattern": "^evt_[0-9A-Za-z]+$"},
            object={"const": "event"},
            created=WHOLE,
            livemode={"type": "boolean"},
            type={"type": "string", "maxLength": 128},
            data=closed(
                ["object"],
                object=closed(
                    ["id"],
                    id=TEXT,
                    lines=closed(
                        ["data"], data={"type": "array", "items": {"$ref": "#/$defs/line"}}
                    ),
                ),
            ),
        ),
        "$defs": {
            "line": closed(
                ["id", "amount", "currency"],
                id=TEXT,
                amount=WHOLE,
                currency={"type": "string", "minLength": 3, "maxLength": 3},
                period=closed(["start", "end"], start=WHOLE, end=WHOLE),
                proration={"type": "boolean"},
            )
        },
    },
    "shopify": {
        "$schema": DIALECT,
        **closed(
            ["id", "line_items"],
            id=WHOLE,
            email={"type": ["string", "null"]},
            currency={"type": "string", "pattern": "^[A-Z]{3}$"},
            total_price={"$ref": "#/$defs/money"},
            financial_status={"enum": ["pending", "paid", "refunded", "voided"]},
            customer={"oneOf": [{"type": "null"}, closed(["id"], id=WHOLE)]},
            line_items={"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        ),
        "$defs": {
            "money": {"type": "string", "pattern": r"^\d+\.\d{2}$"},
            "line": {
                **closed(
                    ["id", "quantity", "price"],
                    id=WHOLE,
                    title=TEXT,
                    quantity={"type": "integer", "minimum": 1},
                    price={"$ref": "#/$defs/money"},
                    taxable={"type": "boolean"},
                    price_set={"type": "object", "additionalProperties": {"type": "object"}},
                ),
                "not": {"required": ["deleted_at"]},
            },
        },
    },
}
"""By provider, each with the parts that people use: references, patterns, enums, combinations."""

MAKERS: Final = {"github": github, "stripe": stripe, "shopify": shopify}


def mixed() -> list[tuple[str, bytes]]:
    """All bodies of all providers and sizes."""
    return [(name, make(size)) for size in SIZES for name, make in MAKERS.items()]
