"""Access tokens: JWT (RFC 7519) as RFC 9068 profiles them, signed by us and read by us alone.

What is accepted is exactly what is issued, and that is checked before any library sees the text:
three canonical base64url parts, a header of three known members, an algorithm from a list of two, a
key of our own set by its `kid`. So there is nothing in a token that could name another key, another
algorithm, another encoding or another meaning. joserfc then checks the signature, and only then is
the payload read. Whatever is wrong, the answer is the same.

Pure apart from the clock that it is given; what is known of keys comes by `Keys`.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from time import time
from typing import Annotated, Any, Final, Protocol
from uuid import UUID

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.registry import HeaderParameter

from crossdock import ids
from crossdock.errors import NotFound, Unauthenticated
from crossdock.identity.keys.model import LEEWAY_S, LONGEST_S, SigningKey

TYPE: Final = "at+jwt"
ALGORITHMS: Final = frozenset({"EdDSA", "ES256"})

MAX_CHARACTERS: Final = 4096
"""Ours have about 600; a user's roles are bounded."""

MAX_HEADER_CHARACTERS: Final = 256

_PARTS: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MEMBERS: Final = frozenset({"alg", "kid", "typ"})


class Claims(msgspec.Struct, frozen=True):
    """What a token says."""

    tenant_id: UUID
    user_id: UUID
    """Whose it is; of a support token the operator."""
    session_id: UUID
    """Of a support token the support access."""
    roles: tuple[str, ...]
    issued_at: float
    """Unix seconds with their fraction, by the clock of the tenant's database."""
    expires_at: float
    jti: str = ""
    """Made when it is issued, if empty."""
    actor: UUID | None = None
    """The operator who acts inside the tenant, by support access."""


class UnknownKey(Unauthenticated):
    """The credentials are missing, unknown, expired or revoked."""

    def __init__(self, kid: str) -> None:
        super().__init__()
        self.kid = kid
        """Of a token that is otherwise in order; the key may be newer than what is in memory."""


class Keys(Protocol):
    """What is known of our keys, in memory."""

    def current(self) -> SigningKey:
        """Return the key that signs now."""
        ...

    def find(self, kid: str) -> SigningKey | None:
        """Return the published key of that name."""
        ...


class _Actor(msgspec.Struct, frozen=True):
    sub: str


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Second = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A whole unix second that arithmetic with fractions can follow."""


class _Payload(msgspec.Struct, frozen=True, omit_defaults=True):
    iss: str
    aud: str
    sub: str
    tid: str
    sid: str
    jti: _Name
    iat: float
    nbf: _Second
    exp: _Second
    roles: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=64)]
    act: _Actor | None = None


class _Registry(jws.JWSRegistry):
    """Our two algorithms and our three members.

    joserfc calls `EdDSA` deprecated (RFC 9864) and warns at each use. It stays: `Ed25519`, the new
    name of the same, is one that readers of published keys do not all know yet.
    """

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS)
        self.header_registry = {
            "alg": HeaderParameter("Algorithm", "str", required=True),
            "kid": HeaderParameter("Key ID", "str", required=True),
            "typ": HeaderParameter("Type", "str", required=True),
        }

    def get_alg(self, name: str) -> Any:
        """Return the algorithm of that name, which was found in the list before."""
        return self.algorithms[name]


_registry: Final = _Registry()
_header: Final = msgspec.json.Decoder(dict[str, str])
_object: Final = msgspec.json.Decoder(dict[str, Any])


class Issuer:
    """Makes tokens."""

    def __init__(self, keys: Keys, *, public_url: str, environment: str) -> None:
        self._keys = keys
        self._issuer = public_url
        self._audience = audience_of(environment)

    def issue(self, claims: Claims) -> str:
        """Return the text of a token.

        Raises:
            Unavailable: no key is known yet.
            ValueError: it would live longer than any token may.
        """
        if not 0 < claims.expires_at - claims.issued_at < LONGEST_S + 1:
            raise ValueError(f"A token lives at most {LONGEST_S:.0f} s.")
        key = self._keys.current()
        operator = None if claims.actor is None else _Actor(ids.encode("usr", claims.actor))
        payload = _Payload(
            iss=self._issuer,
            aud=self._audience,
            sub=ids.encode("usr", claims.user_id),
            tid=ids.encode("ten", claims.tenant_id),
            sid=ids.encode("ses" if operator is None else "sup", claims.session_id),
            jti=claims.jti or ids.new().hex,
            iat=claims.issued_at,
            nbf=int(claims.issued_at),
            exp=int(claims.expires_at),
            roles=claims.roles,
            act=operator,
        )
        header = {"alg": key.algorithm, "kid": key.kid, "typ": TYPE}
        return jws.serialize_compact(
            header, msgspec.json.encode(payload), key.private, registry=_registry
        )


class Verifier:
    """Reads tokens. It knows nothing of revocations: those are checked against what it returns."""

    def __init__(
        self, keys: Keys, *, public_url: str, environment: str, clock: Callable[[], float] = time
    ) -> None:
        self._keys = keys
        self._issuer = public_url
        self._audience = audience_of(environment)
        self._clock = clock

    def verify(self, text: str) -> Claims:
        """Return what a token says, if it is one of ours and its time is now.

        Raises:
            UnknownKey: it names a key that is not in memory; an `Unauthenticated`, as all else.
            Unauthenticated: it is not one of ours, another environment's, over, or not begun.
        """
        key, payload = _parted(text, self._keys)
        try:
            jws.deserialize_compact(text, key.public, registry=_registry)
            wire = _canonical(payload)
            claims = self._read(wire)
        except (JoseError, NotFound, ValueError) as error:
            raise Unauthenticated from error
        return claims

    def is_over(self, claims: Claims) -> bool:
        """Tell whether a token that was good has expired since, for those who remember it."""
        return claims.expires_at + LEEWAY_S <= self._clock()

    def _read(self, wire: _Payload) -> Claims:
        now = self._clock()
        if wire.iss != self._issuer or wire.aud != self._audience:
            raise Unauthenticated
        if not wire.exp - LONGEST_S - 1 <= wire.iat < wire.exp:
            raise Unauthenticated
        if not max(wire.iat, wire.nbf) - LEEWAY_S <= now < wire.exp + LEEWAY_S:
            raise Unauthenticated
        operator = None if wire.act is None else ids.decode("usr", wire.act.sub)
        user_id = ids.decode("usr", wire.sub)
        if operator is not None and operator != user_id:
            raise Unauthenticated
        return Claims(
            tenant_id=ids.decode("ten", wire.tid),
            user_id=user_id,
            session_id=ids.decode("ses" if operator is None else "sup", wire.sid),
            roles=wire.roles,
            issued_at=wire.iat,
            expires_at=float(wire.exp),
            jti=wire.jti,
            actor=operator,
        )


def audience_of(environment: str) -> str:
    """Return whom an environment's tokens are for."""
    return f"crossdock:{environment}"


def _parted(text: str, keys: Keys) -> tuple[SigningKey, bytes]:
    """Return the key that a token names and its payload, before anything of it is believed."""
    parts = _PARTS.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if parts is None or len(parts[1]) > MAX_HEADER_CHARACTERS:
        raise Unauthenticated
    try:
        raw, payload, _ = map(_from_base64url, parts.groups())
        header = _header.decode(raw)
    except ValueError as error:
        raise Unauthenticated from error
    if msgspec.json.encode(header) != raw or header.keys() != _MEMBERS:
        raise Unauthenticated
    if (
        header["typ"] != TYPE
        or header["alg"] not in ALGORITHMS
        or not _KID.fullmatch(header["kid"])
    ):
        raise Unauthenticated
    key = keys.find(header["kid"])
    if key is None:
        raise UnknownKey(header["kid"])
    if key.algorithm != header["alg"]:
        raise Unauthenticated
    return key, payload


def _from_base64url(part: str) -> bytes:
    """Return what a part encodes, if it encodes it in the one way there is (RFC 7515 §2).

    Raises:
        ValueError: it doesn't.
    """
    raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise ValueError("Bits are left over.")
    return raw


def _canonical(payload: bytes) -> _Payload:
    """Return a payload that has each member once.

    Written again it must be the same bytes; of a member that is there twice, only one would be
    left. Members that we do not know pass: a newer gateway may write them.

    Raises:
        ValueError: it isn't so, or a member is missing or of another type.
    """
    members = _object.decode(payload)
    if msgspec.json.encode(members) != payload:
        raise ValueError("Not as we write it.")
    return msgspec.convert(members, _Payload)
