"""What the demo sends: thousands that must be taken, and some that must be refused."""

import random
import secrets
import time
from collections import Counter, defaultdict
from typing import Final, Literal

import msgspec

from crossdock.config import GatewaySettings
from crossdock.samples.composing import Webhook
from crossdock.samples.sender import (
    ACCEPTED,
    Answer,
    Composer,
    Corruption,
    Flow,
    new_serial,
)

Expected = Literal["accepted", "duplicate", "refused"]
SPOILT: Final[tuple[tuple[Corruption, str, int], ...]] = (
    ("signature", "stripe", 60),
    ("body", "github", 60),
    ("timestamp", "slack", 60),
    ("missing", "standard", 30),
)
"""(how, by a source of which scheme, how many)"""
DUPLICATES: Final = 150
UNKNOWN: Final = 30
TOO_LARGE: Final = 5
LARGE_BYTES: Final = GatewaySettings().max_body_bytes + 1


class Tally(msgspec.Struct):
    """The sender's own figures."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    """Webhooks sent a second time and answered 202."""
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    surprises: list[str] = msgspec.field(default_factory=list)
    """Answers that should have been others."""
    accepted_ids: dict[str, set[str]] = msgspec.field(default_factory=lambda: defaultdict(set))
    """Per scheme, each id answered with 202, but for duplicates."""
    duplicate_ids: set[str] = msgspec.field(default_factory=set)
    answers: list[tuple[float, float]] = msgspec.field(default_factory=list)
    """Of each 202: when it came, and after how many seconds."""


class Letter(msgspec.Struct, frozen=True):
    """A webhook, and what its answer should be."""

    webhook: Webhook
    scheme: str
    expected: Expected


class Mail(msgspec.Struct, frozen=True):
    """Two rounds, so that the first copy of a duplicate is surely the one that counts."""

    first: list[Letter]
    again: list[Letter]


def compose(urls: dict[str, str], secrets_of: dict[str, str], count: int) -> Mail:
    """Return the demo's mail in a random order; `urls` and `secrets_of` are by scheme."""
    composers = {scheme: Composer(scheme, urls[scheme], secrets_of[scheme]) for scheme in urls}
    schemes = list(composers)
    good = [
        Letter(composers[scheme].compose(new_serial()), scheme, "accepted")
        for scheme in (schemes[i % len(schemes)] for i in range(count))
    ]
    spoilt = [
        Letter(composers[scheme].compose(new_serial(), corrupt=how), scheme, "refused")
        for how, scheme, number in SPOILT
        for _ in range(number)
    ]
    first = [*good, *spoilt, *_unknown(urls), *_too_large(urls["github"])]
    random.shuffle(first)
    copies = random.sample(good, min(DUPLICATES, len(good)))
    return Mail(first, [Letter(copy.webhook, copy.scheme, "duplicate") for copy in copies])


async def post(mail: Mail, tally: Tally, *, connections: int) -> None:
    """Send it all, and count each answer as it comes."""
    for letters in (mail.first, mail.again):
        by_webhook = {id(letter.webhook): letter for letter in letters}

        def told(webhook: Webhook, answer: Answer, known: dict[int, Letter] = by_webhook) -> None:
            _count(tally, known[id(webhook)], answer)

        await Flow([letter.webhook for letter in letters], connections=connections).run(told)


def _count(tally: Tally, letter: Letter, answer: Answer) -> None:
    tally.sent += 1
    if answer.status != ACCEPTED or answer.event_id is None:
        tally.refused[answer.reason] += 1
        if letter.expected != "refused":
            tally.surprises.append(f"{letter.scheme}: {answer.status} {answer.reason}")
        return
    tally.accepted += 1
    tally.answers.append((time.time(), answer.seconds))
    if letter.expected == "duplicate":
        tally.duplicates += 1
        tally.duplicate_ids.add(answer.event_id)
    else:
        tally.accepted_ids[letter.scheme].add(answer.event_id)
        if letter.expected == "refused":
            tally.surprises.append(f"{letter.scheme}: a spoilt webhook was accepted")


def _unknown(urls: dict[str, str]) -> list[Letter]:
    base = next(iter(urls.values())).rsplit("/", 1)[0]
    return [
        Letter(
            Webhook(f"{base}/{secrets.token_urlsafe(32)}", {"content-type": "text/plain"}, b"?"),
            "unknown",
            "refused",
        )
        for _ in range(UNKNOWN)
    ]


def _too_large(url: str) -> list[Letter]:
    body = b"x" * LARGE_BYTES
    webhook = Webhook(url, {"content-type": "text/plain"}, body)
    return [Letter(msgspec.structs.replace(webhook), "github", "refused") for _ in range(TOO_LARGE)]
