"""Payloads as providers send them, of a tenth of a kilobyte to some twenty, and schemas of them.

The small ones are the catalogue's samples; the others have the members that Stripe's, GitHub's and
Shopify's references show. A schema says all that there is to say of its payload: the type of every
value, what is required, and that nothing else may be there.
"""

from typing import Any, Final, NamedTuple

import msgspec

from bench.native.samples import event
from crossdock.presets import CATALOGUE

_LINKS: Final = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
]


class Payload(NamedTuple):
    """One payload of one type."""

    event_type: str
    body: bytes


def payloads() -> list[Payload]:
    """Return them, each of a type of its own."""
    found = [
        Payload(f"{preset.name}.{number}", one.write("1", 1e9).body)
        for preset in CATALOGUE.values()
        for number, one in enumerate(preset.samples)
    ]
    # What is no JSON has no schema to be held to; quotes and escapes are not for a Lua script.
    small = [one for one in found if one.body[:1] == b"{" and not {*b"'\\"} & {*one.body}]
    larger: dict[str, Any] = {
        "stripe.setup_intent": msgspec.json.decode(event()),
        "stripe.invoice.short": _invoice(3),
        "stripe.invoice.long": _invoice(25),
        "github.push": _push(4),
        "github.push.long": _push(40),
        "shopify.order": _order(6),
    }
    large = [Payload(name, msgspec.json.encode(value)) for name, value in larger.items()]
    # Every second one is larger than a kilobyte: half of the small ones stay at home.
    return small[::6] + large


def schema_of(value: Any) -> dict[str, Any]:
    """Return the schema of a value and of nothing that is made differently."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {name: schema_of(part) for name, part in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        return {"type": "array", "items": schema_of(value[0])} if value else {"type": "array"}
    if isinstance(value, str):
        return {"type": "string", "maxLength": 5000}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer", "minimum": -(2**53)}
    return {"type": "number" if isinstance(value, float) else "null"}


def _invoice(lines: int) -> dict[str, Any]:
    price = {
        "id": "price_1MtGLtLkdIwHu7ix",
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1680800504,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "product": "prod_NeLd8a3SgQ6Qn1",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
        "type": "recurring",
        "unit_amount": 1099,
        "unit_amount_decimal": "1099",
    }
    line = {
        "id": "il_1MtHcuLkdIwHu7ixTmFsLQ6F",
        "object": "line_item",
        "amount": 1099,
        "currency": "usd",
        "description": "A seat of the plan that everybody takes",
        "discountable": True,
        "period": {"end": 1683397372, "start": 1680805372},
        "price": price,
        "proration": False,
        "quantity": 1,
        "tax_rates": [],
        "type": "subscription",
    }
    invoice = {
        "id": "in_1MtHbELkdIwHu7ixl4OzzPMv",
        "object": "invoice",
        "account_country": "US",
        "amount_due": 1099 * lines,
        "amount_paid": 0,
        "attempted": False,
        "collection_method": "charge_automatically",
        "customer": "cus_NeZwdNtLEOXuvB",
        "customer_email": "jenny.rosen@example.com",
        "lines": {"object": "list", "data": [line] * lines, "has_more": False},
        "paid": False,
        "status": "open",
        "subtotal": 1099 * lines,
        "total": 1099 * lines,
    }
    return {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "api_version": "2026-06-30",
        "created": 1686089970,
        "data": {"object": invoice},
        "livemode": False,
        "type": "invoice.created",
    }


def _push(commits: int) -> dict[str, Any]:
    person = {"name": "Ann Example", "email": "ann@example.com", "username": "ann"}
    base = "https://api.github.example/repos/acme/hello-world"
    commit = {
        "id": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "distinct": True,
        "message": "Say which of the two it was, and why nobody saw it before",
        "timestamp": "2026-05-17T10:20:30+02:00",
        "url": f"{base}/commit/6dcb09b5b57875f334f61aebed695e2e4193db5e",
        "author": person,
        "committer": person,
        "added": ["docs/why.md"],
        "removed": ["docs/old.md"],
        "modified": ["src/main.py", "src/other.py"],
    }
    owner = {
        "login": "acme",
        "id": 583231,
        "node_id": "MDQ6VXNlcjU4MzIzMQ==",
        "type": "Organization",
        "site_admin": False,
    }
    repository = {
        "id": 1296269,
        "name": "hello-world",
        "full_name": "acme/hello-world",
        "private": False,
        "owner": owner,
        "description": "The first of many",
        "fork": False,
        "stargazers_count": 80,
        "default_branch": "main",
        "topics": ["webhooks", "queues"],
        **{f"{name}_url": f"{base}/{name}{{/number}}" for name in _LINKS},
    }
    return {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": commit["id"],
        "repository": repository,
        "pusher": {"name": "ann", "email": "ann@example.com"},
        "sender": owner,
        "created": False,
        "forced": False,
        "compare": f"{base}/compare/0...6",
        "commits": [commit] * commits,
        "head_commit": commit,
    }


def _order(lines: int) -> dict[str, Any]:
    money = {"amount": "403.00", "currency_code": "USD"}
    line = {
        "id": 866550311766439020,
        "name": "IPod Nano - 8GB",
        "price": "199.00",
        "price_set": {"shop_money": money, "presentment_money": money},
        "product_id": 632910392,
        "quantity": 1,
        "requires_shipping": True,
        "sku": "IPOD2008PINK",
        "taxable": True,
        "title": "IPod Nano - 8GB",
        "total_discount": "0.00",
        "variant_id": 808950810,
        "vendor": "Apple",
    }
    address = {
        "first_name": "Bob",
        "address1": "Chestnut Street 92",
        "city": "Louisville",
        "zip": "40202",
        "province": "Kentucky",
        "country": "United States",
        "latitude": 45.41634,
        "longitude": -75.6868,
        "country_code": "US",
    }
    return {
        "id": 820982911946154508,
        "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
        "created_at": "2026-05-17T10:20:30-04:00",
        "currency": "USD",
        "email": "jon@example.com",
        "financial_status": "voided",
        "line_items": [line] * lines,
        "billing_address": address,
        "shipping_address": address,
        "total_price": "403.00",
        "total_price_set": {"shop_money": money, "presentment_money": money},
        "total_weight": 0,
    }
