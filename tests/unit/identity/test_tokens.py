"""Access tokens: what is issued can be read, and only then, there and while it lives."""

import random
import uuid
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet

from crossdock import ids
from crossdock.errors import Unauthenticated
from crossdock.identity.keys.model import LEEWAY_S, LONGEST_S
from crossdock.identity.tokens import Claims, Issuer, UnknownKey, Verifier
from tests.beds import tokens
from tests.beds.tokens import Ring

NOW: Final = 1_790_000_000.125
URL: Final = "https://crossdock.example"
KEY: Final = tokens.key()
RING: Final = Ring(KEY)
ISSUER: Final = Issuer(RING, public_url=URL, environment="test")


def uuid7() -> uuid.UUID:
    return ids.new()


def claims(**changes: Any) -> Claims:
    whole: dict[str, Any] = {
        "tenant_id": uuid7(),
        "user_id": uuid7(),
        "session_id": uuid7(),
        "roles": ("developer",),
        "issued_at": NOW,
        "expires_at": float(int(NOW + 600)),
        "jti": "one",
    }
    return Claims(**whole | changes)


def verifier(
    *, now: float = NOW, ring: Ring = RING, url: str = URL, environment: str = "test"
) -> Verifier:
    return Verifier(ring, public_url=url, environment=environment, clock=lambda: now)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_what_is_issued_can_be_read(algorithm: Any) -> None:
    ring = Ring(tokens.key(algorithm))
    said = claims(roles=("owner", "billing — büro"))
    text = Issuer(ring, public_url=URL, environment="test").issue(said)
    assert verifier(ring=ring).verify(text) == said


def test_a_support_token_names_its_operator_twice_and_its_access() -> None:
    operator = uuid7()
    said = claims(user_id=operator, actor=operator, roles=("support",))
    text = ISSUER.issue(said)
    assert verifier().verify(text) == said
    payload = msgspec.json.decode(jws.extract_compact(text.encode()).payload)
    assert payload["act"] == {"sub": ids.encode("usr", operator)}
    assert payload["sid"].startswith("sup_")


def test_every_token_has_a_name_of_its_own() -> None:
    said = claims(jti="")
    texts = [ISSUER.issue(said) for _ in range(100)]
    assert len({verifier().verify(text).jti for text in texts}) == 100


def test_the_wire_is_what_rfc_9068_says() -> None:
    said = claims()
    found = jws.extract_compact(ISSUER.issue(said).encode())
    assert found.headers() == {"alg": "EdDSA", "kid": KEY.kid, "typ": "at+jwt"}
    assert found.payload is not None
    assert msgspec.json.decode(found.payload) == {
        "iss": URL,
        "aud": "crossdock:test",
        "sub": ids.encode("usr", said.user_id),
        "tid": ids.encode("ten", said.tenant_id),
        "sid": ids.encode("ses", said.session_id),
        "jti": "one",
        "iat": NOW,
        "nbf": int(NOW),
        "exp": int(NOW) + 600,
        "roles": ["developer"],
    }


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_anybody_can_check_one_with_the_published_key(algorithm: Any) -> None:
    signer = tokens.key(algorithm)
    text = Issuer(Ring(signer), public_url=URL, environment="test").issue(claims())
    published = KeySet.import_key_set({"keys": [signer.jwk]})
    assert jws.deserialize_compact(text, published, algorithms=[algorithm]).payload
    assert "d" not in signer.jwk


@pytest.mark.parametrize(
    ("after", "good"),
    [
        (-LEEWAY_S - 0.2, False),
        (-LEEWAY_S + 0.2, True),
        (0, True),
        (599, True),
        (600 + LEEWAY_S - 0.2, True),
        (600 + LEEWAY_S + 0.2, False),
        (10**9, False),
    ],
)
def test_it_counts_only_in_its_time(*, after: float, good: bool) -> None:
    text = ISSUER.issue(claims())
    if good:
        verifier(now=NOW + after).verify(text)
        return
    with pytest.raises(Unauthenticated):
        verifier(now=NOW + after).verify(text)


def test_one_that_is_remembered_can_be_asked_whether_it_is_over() -> None:
    said = claims()
    assert not verifier(now=said.expires_at + LEEWAY_S - 0.01).is_over(said)
    assert verifier(now=said.expires_at + LEEWAY_S).is_over(said)


@pytest.mark.parametrize("elsewhere", [{"url": URL + "/"}, {"environment": "prod"}])
def test_another_environments_or_issuers_is_refused(elsewhere: Any) -> None:
    with pytest.raises(Unauthenticated):
        verifier(**elsewhere).verify(ISSUER.issue(claims()))


def test_a_key_that_is_not_in_memory_is_named() -> None:
    stranger = tokens.key()
    text = Issuer(Ring(stranger), public_url=URL, environment="test").issue(claims())
    with pytest.raises(UnknownKey) as error:
        verifier().verify(text)
    assert error.value.kid == stranger.kid
    with pytest.raises(Unauthenticated) as plain:
        verifier().verify("junk")
    assert str(error.value) == str(plain.value)


def test_a_key_of_ours_with_anothers_signature_is_refused() -> None:
    head, body, _ = ISSUER.issue(claims()).split(".")
    *_, signature = (
        Issuer(Ring(tokens.key()), public_url=URL, environment="test").issue(claims()).split(".")
    )
    with pytest.raises(Unauthenticated):
        verifier().verify(f"{head}.{body}.{signature}")


@pytest.mark.parametrize("life", [0, -1, LONGEST_S + 1])
def test_none_is_issued_that_lives_too_long_or_not_at_all(life: float) -> None:
    with pytest.raises(ValueError, match="at most"):
        ISSUER.issue(claims(expires_at=NOW + life))


@settings(deadline=None)  # a busy machine
@given(st.floats(1e9, 1e10))
def test_one_of_the_longest_life_is_issued_at_any_moment(now: float) -> None:
    said = claims(issued_at=now, expires_at=now + LONGEST_S)
    assert verifier(now=now).verify(ISSUER.issue(said)).issued_at == now


@settings(deadline=None)  # a busy machine
@given(st.text(max_size=300) | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]*", fullmatch=True))
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier().verify(junk)


@settings(deadline=None)  # a busy machine
@given(st.binary(max_size=60), st.binary(max_size=200), st.binary(max_size=64))
def test_junk_in_the_shape_of_a_token_is_refused(
    header: bytes, payload: bytes, signature: bytes
) -> None:
    text = ".".join(map(tokens.encode, (header, payload, signature)))
    with pytest.raises(Unauthenticated):
        verifier().verify(text)


_MEMBERS: Final = ("iss", "aud", "sub", "tid", "sid", "jti", "iat", "nbf", "exp", "roles", "act")
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(deadline=None)  # a busy machine
@given(st.dictionaries(st.sampled_from(_MEMBERS), _json, min_size=1))
def test_whatever_stands_in_a_payload_that_we_signed_only_our_own_kind_is_taken(
    members: dict[str, Any],
) -> None:
    good = msgspec.json.decode(jws.extract_compact(ISSUER.issue(claims()).encode()).payload or b"")
    if all(good.get(name) == value for name, value in members.items()):
        return
    payload = msgspec.json.encode(good | members)
    try:
        said = verifier().verify(tokens.sign(KEY, tokens.header_of(KEY), payload))
    except Unauthenticated:
        return
    # What may differ is what differs between tokens: names, roles, times within bounds.
    assert set(members) <= {"jti", "iat", "nbf", "exp", "roles", "act"}
    assert isinstance(said.issued_at, float)


def test_every_single_changed_character_is_noticed() -> None:
    text = ISSUER.issue(claims())
    dice = random.Random(1)  # noqa: S311 - which other character does not matter
    for position, character in enumerate(text):
        other = dice.choice([c for c in "ABcd01-_." if c != character])
        with pytest.raises(Unauthenticated):
            verifier().verify(text[:position] + other + text[position + 1 :])
