"""What the catalogue says of a provider: how it signs, where its secret is found, what it sends."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from crossdock.inbound.model import Recipe, Scheme

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class Clock(Enum):
    """Stands in a sample for the moment at which it is sent."""

    SECONDS = "seconds since 1970"
    MILLISECONDS = "milliseconds since 1970"
    TEXT = "seconds since 1970, as text"


class Written(msgspec.Struct, frozen=True):
    """A body and the unsigned headers a provider sends beside it."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A believable webhook of one type.

    In its texts `{serial}` stands for what makes it different from any other, so that none is a
    duplicate; members of `Clock` stand for the time.
    """

    name: str
    event_type: str
    """What an event made of it is of; empty where the provider names no types."""
    payload: Mapping[str, Any]
    headers: Mapping[str, str] = {}
    content_type: str = JSON

    def write(self, serial: str, now: float) -> Written:
        """Return it as it is sent.

        Args:
            serial: Any text that no other sample has.
            now: Unix seconds.
        """
        fields = _filled(self.payload, serial, now)
        body = (
            urlencode(fields).encode() if self.content_type == FORM else msgspec.json.encode(fields)
        )
        headers = tuple((name, _filled(text, serial, now)) for name, text in self.headers.items())
        return Written(body, self.content_type, headers)


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's secret looks like."""

    form: str
    """In words, with its prefix if it has one."""
    found: str
    """Where the provider shows it."""


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    name: str
    title: str
    scheme: Scheme
    recipe: Recipe = Recipe()
    headers: tuple[str, ...]
    """By which a webhook is checked."""
    signed: str
    """What is signed, and how it is written down."""
    tolerance_s: float | None = None
    """How old a webhook may be; `None` where no time is signed."""
    dedupe: str
    """What makes two webhooks the same event."""
    secret: Secret | None
    """`None` where there is nothing to check."""
    handshake: str | None = None
    """What the provider asks before it sends anything; the source answers by itself."""
    docs_url: str
    """The provider's own page about this."""
    steps: tuple[str, ...]
    """What to do at the provider's."""
    samples: tuple[Sample, ...]
    """The first one is what is sent unless another is asked for."""
    proof: str
    """By what it is shown to be right: the vendor's library, or an example that it published."""

    def sample(self, name: str | None = None, event_type: str | None = None) -> Sample | None:
        """Return a sample by its name, or the first of a type, or the first of all."""
        for sample in self.samples:
            if name in {None, sample.name} and event_type in {None, sample.event_type}:
                return sample
        return None


def _filled(value: Any, serial: str, now: float) -> Any:
    if isinstance(value, str):
        return value.replace("{serial}", serial)
    if isinstance(value, Clock):
        moments = {Clock.SECONDS: int(now), Clock.MILLISECONDS: int(now * 1000)}
        return moments.get(value, str(int(now)))
    if isinstance(value, Mapping):
        return {name: _filled(member, serial, now) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(member, serial, now) for member in value]
    return value
