"""One trial: a webhook checked by a recipe, at the time when it was sent."""

import re
import time
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from crossdock import native
from crossdock.inbound.model import Recipe, Scheme
from crossdock.inbound.sources.examples import Pasted

TOO_LATE: Final = "timestamp-outside-tolerance"
LINEARS: Final = "webhookTimestamp"

_CLOCKS: Final[dict[str, str]] = {
    "standard": "webhook-timestamp",
    "slack": "x-slack-request-timestamp",
    "zoom": "x-zm-request-timestamp",
    "zendesk": "x-zendesk-webhook-signature-timestamp",
}
"""Headers that say when a webhook was sent, by scheme."""
_FIELDS: Final[dict[str, tuple[str, re.Pattern[str]]]] = {
    "stripe": ("stripe-signature", re.compile(r"(?:^|,)t=(\d{1,12})(?:,|$)")),
    "paddle": ("paddle-signature", re.compile(r"(?:^|;)ts=(\d{1,12})(?:;|$)")),
}
"""Those that say it among other things."""


class Hint(msgspec.Struct, frozen=True):
    """Another way, by which the example does verify."""

    pointer: str
    """Which member of the recipe, or of the request, would have to be another."""
    value: str
    """What it would have to be; empty where that is a secret's business."""
    detail: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a trial."""

    verified: bool
    refusal: str | None = None
    """The problem's type that its sender would be answered with."""
    detail: str | None = None
    event_type: str = ""
    provider_id: str | None = None
    dedupe: bytes | None = None
    handshake: bool = False
    """Whether it is a provider's question, and would be answered instead of stored."""
    hints: tuple[Hint, ...] = ()


class Attempt(NamedTuple):
    """What one trial takes."""

    scheme: Scheme
    recipe: Recipe
    secrets: tuple[str, ...]
    pasted: Pasted


def tried(source: native.Source, attempt: Attempt, now: float | None = None) -> Checked:
    """Check a webhook by a prepared source.

    Args:
        source: Prepared from the same recipe and secrets.
        attempt: The webhook, and what its clock is found by.
        now: The receiver's clock; by default the moment at which the webhook says it was sent.
    """
    pasted = attempt.pasted
    if now is None:
        moment = moment_of(attempt.scheme, attempt.recipe, pasted)
        now = time.time() if moment is None else moment
    verdict = source.verify(pasted.method, pasted.url, pasted.headers, pasted.body, now)
    return Checked(
        verified=verdict.refusal is None,
        refusal=verdict.refusal,
        detail=verdict.detail,
        event_type=verdict.event_type if verdict.refusal is None else "",
        provider_id=verdict.provider_id if verdict.refusal is None else None,
        dedupe=verdict.dedupe if verdict.refusal is None else None,
        handshake=verdict.handshake is not None,
    )


def moment_of(scheme: str, recipe: Recipe, pasted: Pasted) -> float | None:
    """Return the unix seconds at which a webhook says it was sent, where its scheme has it say so.

    Whether that is to be believed is for the signature to tell.
    """
    texts = pasted.texts
    if scheme in _FIELDS:
        name, pattern = _FIELDS[scheme]
        found = pattern.search(texts.get(name, ""))
        return float(found[1]) if found else None
    if scheme == "linear":
        return _linears(pasted.body)
    name = _CLOCKS.get(scheme, "")
    if scheme == "hmac" and recipe.hmac is not None:
        name = (recipe.hmac.timestamp_header or "").lower()
    return _seconds(texts.get(name, ""))


def _seconds(text: str) -> float | None:
    if text.isascii() and text.isdigit() and len(text) <= 12:  # noqa: PLR2004 - beyond any year
        return float(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _linears(body: bytes) -> float | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    moment = found.get(LINEARS) if isinstance(found, dict) else None
    return moment / 1000 if isinstance(moment, int) and 0 <= moment < 10**15 else None
