"""Samples as a provider would send them to one source: signed, with all their headers."""

import hashlib
from collections.abc import Sequence

import msgspec

from crossdock import native
from crossdock.errors import Conflict
from crossdock.inbound.model import Recipe, Scheme
from crossdock.inbound.sources.rules import complete_recipe
from crossdock.presets import Written
from crossdock.presets.model import FORM


class Webhook(msgspec.Struct, frozen=True):
    """One request, ready to send any number of times."""

    url: str
    headers: dict[str, str]
    body: bytes


class Signer(msgspec.Struct, frozen=True):
    """Signs as the provider of one source."""

    handle: native.Signer
    scheme: Scheme


def signer_of(scheme: Scheme, recipe: Recipe, secrets: Sequence[str]) -> Signer:
    """Return what signs as a source's provider does.

    Raises:
        Conflict: only a public key is known, so nobody here can sign.
    """
    try:
        return Signer(native.Signer(complete_recipe(scheme, recipe, secrets)), scheme)
    except native.RecipeError as error:
        raise Conflict(f"Nothing can be signed for this source here: {error}.") from error


def signed(signer: Signer, written: Written, url: str, *, now: float, message_id: str) -> Webhook:
    """Return a webhook with its signature.

    Args:
        signer: The source's.
        written: What is sent.
        url: Where it goes.
        now: The sender's clock, in unix seconds.
        message_id: Where the scheme sends one; 1 to 255 visible ASCII characters.
    """
    if signer.scheme == "twilio" and written.content_type != FORM and "bodySHA256=" not in url:
        # What of JSON is signed is its hash, in the URL.
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}bodySHA256={hashlib.sha256(written.body).hexdigest()}"
    made = signer.handle.sign("POST", url, written.body, now, message_id)
    headers = {"content-type": written.content_type, **dict(written.headers), **dict(made)}
    return Webhook(url, headers, written.body)
