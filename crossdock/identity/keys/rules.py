"""Which key signs, which are published, and how one takes the place of another.

A new key is published at once and signs a while later, when everybody who keeps a copy of the
published set has fetched it anew. The old one stays published until the last token that it may
have signed is over. Pure: the clock is an argument.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec
from joserfc.jwk import ECKey, OKPKey

from crossdock.errors import Conflict
from crossdock.identity.keys.model import (
    LEEWAY_S,
    LONGEST_S,
    Algorithm,
    Phase,
    SigningKey,
    StoredKey,
)
from crossdock.secrets.seal import SealBroken, Sealer

PUBLISH_AHEAD: Final = timedelta(minutes=10)
"""Twice as long as anybody may keep a copy of the published keys."""

MARGIN: Final = timedelta(minutes=1)
"""For clocks that differ, and for gateways that heard late that another key signs."""

LIFE_AFTER: Final = timedelta(seconds=LONGEST_S + LEEWAY_S) + MARGIN
"""How long a key stays published when it signs no more."""


class _Timed(Protocol):
    @property
    def signs_from(self) -> Any: ...

    @property
    def ends_at(self) -> Any: ...


_Key = TypeVar("_Key", bound=_Timed)
"""With its times as moments or as unix seconds; the clock is then of the same kind."""


class NewKey(msgspec.Struct, frozen=True):
    """A key just made, its private part sealed."""

    kid: str
    algorithm: Algorithm
    public: dict[str, Any]
    private_sealed: bytes


class Rotation(msgspec.Struct, frozen=True):
    """What a rotation writes."""

    signs_from: datetime
    endings: dict[str, datetime]
    """New ends of keys that are there already."""


def generate(sealer: Sealer, algorithm: Algorithm = "EdDSA") -> NewKey:
    """Return a new key. Its `kid` is its thumbprint, so that it says by itself which key it is."""
    made = OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else ECKey.generate_key("P-256")
    kid = made.thumbprint()
    private = msgspec.json.encode(made.as_dict(private=True))
    return NewKey(
        kid=kid,
        algorithm=algorithm,
        public=dict(made.as_dict(private=False)),
        private_sealed=sealer.seal(private, context=_context(kid)),
    )


def opened(stored: StoredKey, sealer: Sealer) -> SigningKey:
    """Return a stored key, ready for use.

    Its public part is computed from the sealed private one, and its `kid` from that: whoever can
    write rows and nothing else can't smuggle in a key of his own.

    Raises:
        SealBroken: the row is not one of ours, or was sealed under another key.
    """
    if stored.private_sealed is None:
        raise SealBroken("A retired key has nothing to open.")
    text = sealer.open(stored.private_sealed, context=_context(stored.id))
    jwk = msgspec.json.decode(text, type=dict[str, Any])
    kind: type[OKPKey | ECKey] = OKPKey if stored.algorithm == "EdDSA" else ECKey
    private = kind.import_key(jwk)
    if private.thumbprint() != stored.id:
        raise SealBroken("A signing key is not the one that its row names.")
    public: dict[str, Any] = dict(private.as_dict(private=False))
    return SigningKey(
        kid=stored.id,
        algorithm=cast("Algorithm", stored.algorithm),
        public=kind.import_key(public),
        private=private,
        jwk=public | {"kid": stored.id, "alg": stored.algorithm, "use": "sig"},
        signs_from=stored.signs_from.timestamp(),
        ends_at=None if stored.ends_at is None else stored.ends_at.timestamp(),
    )


def chosen(keys: Iterable[_Key], now: Any) -> _Key | None:
    """Return the key that signs: of those whose time has come, the latest.

    One that was told to end signs only until another's time has come; where none's has, for this
    clock is slow, it is the one whose time comes first.
    """
    live = [key for key in keys if key.ends_at is None or now < key.ends_at]
    due = [key for key in live if key.signs_from <= now]
    if due:
        return max(due, key=lambda key: (key.ends_at is None, key.signs_from))
    return min(live, key=lambda key: key.signs_from, default=None)


def is_over(stored: StoredKey, now: datetime) -> bool:
    """Tell whether a key has nothing left to prove."""
    return stored.ends_at is not None and stored.ends_at <= now


def phases(keys: Sequence[StoredKey], now: datetime) -> list[Phase]:
    """Return where each key stands."""
    signing = chosen((key for key in keys if key.private_sealed is not None), now)
    found: list[Phase] = []
    for key in keys:
        if is_over(key, now):
            found.append("retired")
        elif key is signing:
            found.append("signing")
        else:
            found.append("retiring" if key.ends_at is not None else "published")
    return found


def rotate(
    keys: Iterable[StoredKey], now: datetime, *, at_once: bool, revoke_old: bool
) -> Rotation:
    """Return what a new key changes.

    Args:
        keys: all that there are.
        now: by the database's clock.
        at_once: the new key signs from now on, although copies of the published set lack it.
        revoke_old: nothing that another key signed is worth anything from now on.

    Raises:
        Conflict: a new key is on its way already, and neither was asked for.
    """
    live = [key for key in keys if not is_over(key, now)]
    at_once = at_once or revoke_old or not live
    if not at_once:
        for key in live:
            if now < key.signs_from:
                moment = key.signs_from.isoformat(timespec="seconds")
                raise Conflict(f"Key {key.id} is on its way already: it signs from {moment}.")
    signs_from = now if at_once else now + PUBLISH_AHEAD
    end = now if revoke_old else signs_from + LIFE_AFTER
    endings = {key.id: end for key in live if key.ends_at is None or end < key.ends_at}
    return Rotation(signs_from, endings)


def _context(kid: str) -> bytes:
    return b"signing-key:" + kid.encode()
