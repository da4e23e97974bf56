"""The schemes that belong to nobody in particular."""

from typing import Final

from crossdock.inbound.model import HmacRecipe, Recipe
from crossdock.presets.model import Clock, Preset, Sample, Secret

_SAMPLES: Final = (
    Sample(
        name="invoice-paid",
        event_type="",
        payload={
            "id": "evt_{serial}",
            "type": "invoice.paid",
            "created": Clock.SECONDS,
            "data": {"number": "{serial}", "total": 4200, "currency": "EUR"},
        },
    ),
    Sample(
        name="order-shipped",
        event_type="",
        payload={"id": "{serial}", "kind": "order.shipped", "parcels": 2},
    ),
)

HMAC: Final = Preset(
    name="hmac",
    title="Any HMAC",
    scheme="hmac",
    recipe=Recipe(hmac=HmacRecipe(signature_header="X-Signature")),
    headers=("X-Signature",),
    signed="the body: HMAC-SHA256 in hex; the recipe says otherwise where it is otherwise",
    dedupe="all that is signed but the time; or the id, where the template sets one apart",
    secret=Secret(form="any text; as a key raw, hex or base64", found="where the sender shows it"),
    docs_url="https://datatracker.ietf.org/doc/html/rfc2104",
    steps=(
        "Find out in the sender's documentation which header it signs in, and what.",
        "Write that down as the recipe, and paste a webhook of the sender's as its example.",
    ),
    samples=_SAMPLES,
    proof="the HMAC test vectors of RFC 4231",
)
BASIC: Final = Preset(
    name="basic",
    title="User name and password",
    scheme="basic",
    headers=("Authorization",),
    signed="nothing: user name and password are compared",
    dedupe="the body",
    secret=Secret(form="user:password", found="you choose it"),
    docs_url="https://datatracker.ietf.org/doc/html/rfc7617",
    steps=(
        "Give the sender the source's ingest URL, user name and password.",
        "Use it over https only: the password travels with each webhook.",
    ),
    samples=_SAMPLES,
    proof="the examples of RFC 7617",
)
BEARER: Final = Preset(
    name="bearer",
    title="Bearer token",
    scheme="bearer",
    headers=("Authorization",),
    signed="nothing: a token is compared",
    dedupe="the body",
    secret=Secret(form="any text without spaces", found="you choose it"),
    docs_url="https://datatracker.ietf.org/doc/html/rfc6750",
    steps=(
        "Give the sender the source's ingest URL, and the token for the Authorization header.",
        "Use it over https only: the token travels with each webhook.",
    ),
    samples=_SAMPLES,
    proof="the example of RFC 6750",
)
NONE: Final = Preset(
    name="none",
    title="No check at all",
    scheme="none",
    headers=(),
    signed="nothing: whoever knows the ingest URL can send",
    dedupe="the body",
    secret=None,
    docs_url="https://datatracker.ietf.org/doc/html/rfc9110#section-9.3.3",
    steps=(
        "Give the sender the source's ingest URL, and tell it to nobody else.",
        "Believe nothing that comes: ask the sender's API whether it is so.",
    ),
    samples=_SAMPLES,
    proof="nothing is checked, and a test shows that",
)
