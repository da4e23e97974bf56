"""Claims are read even when the signature is right: signed here with the stack's own key.

Only so is it the claim that is refused and not the signature; the first test is the control.
"""

from collections.abc import AsyncIterator
from time import time
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crossdock import ids
from crossdock.identity.keys.rules import _context
from crossdock.secrets.seal import Sealer
from crossdock.supervisor.folder import DataFolder
from tests.acceptance.identity.forging import Token, unpack
from tests.acceptance.identity.people import Person, Town, unauthenticated
from tests.acceptance.identity.problems import ok, told
from tests.faults.receiver import Receiver
from tests.faults.stack import Stack

ME = "/v1/auth/me"
HOUR = 3600


@pytest.fixture(scope="module")
async def right(owner: Person) -> Token:
    """A token that is good."""
    return Token.read((await owner.login()).access)


@pytest.fixture(scope="module")
async def signer(stack: Stack, right: Token) -> Ed25519PrivateKey:
    """The key that signs for the stack, taken from where only its keeper can take it."""
    settings = DataFolder(stack.folder).settings()
    address = urlsplit(settings.database.url)
    connection = await asyncpg.connect(
        host=address.hostname,
        port=address.port,
        database=address.path[1:],
        user="crossdock_control",
        password=settings.database.control_password,
    )
    try:
        sealed = await connection.fetchval(
            "SELECT private_sealed FROM crossdock.signing_keys WHERE id = $1", right.header["kid"]
        )
    finally:
        await connection.close()
    sealer = Sealer.from_text(settings.keys.identity, setting="CROSSDOCK_KEYS__IDENTITY")
    jwk = msgspec.json.decode(sealer.open(sealed, context=_context(right.header["kid"])))
    return Ed25519PrivateKey.from_private_bytes(unpack(jwk["d"]))


@pytest.fixture(scope="module")
async def elsewhere() -> AsyncIterator[Receiver]:
    """Where nobody should ever look for a key."""
    async with Receiver() as listening:
        yield listening


async def test_a_token_signed_so_is_taken(
    town: Town, right: Token, signer: Ed25519PrivateKey
) -> None:
    again = right.with_claims(jti="another").signed(signer)

    ok(await town.bearer(again).get(ME))


WRONG: dict[str, dict[str, Any]] = {
    "no audience": {"aud": None},
    "another audience": {"aud": "crossdock:prod"},
    "an audience that begins alike": {"aud": "crossdock:dev2"},
    "an audience that ends there": {"aud": "crossdock"},
    "two audiences": {"aud": ["crossdock:dev", "crossdock:prod"]},
    "an audience that is no text": {"aud": {"crossdock:dev": 1}},
    "no audience in a list": {"aud": []},
    "no issuer": {"iss": None},
    "another issuer": {"iss": "https://evil.example"},
    "an empty issuer": {"iss": ""},
    "no end": {"exp": None},
    "an end that is past": {"exp": time() - HOUR},
    "an end long ago": {"exp": 0},
    "an end before time": {"exp": -1},
    "an end that is a text": {"exp": "9999999999"},
    "an end that is true": {"exp": True},
    "an end in a list": {"exp": [9999999999]},
    "a beginning to come": {"nbf": time() + HOUR},
    "a beginning that is a text": {"nbf": "0"},
    "no beginning": {"nbf": None},
    "issued in the future": {"iat": time() + HOUR, "exp": time() + 2 * HOUR},
    "issued never": {"iat": None},
    "issued as a text": {"iat": "1"},
    "no subject": {"sub": None},
    "a subject that is no id": {"sub": "usr_x"},
    "a subject that is empty": {"sub": ""},
    "a subject that is a number": {"sub": 1},
    "a subject that is a key": {"sub": "key_00000000000000000000000000"},
    "a subject that climbs": {"sub": "../../usr"},
    "no tenant": {"tid": None},
    "a tenant that is no id": {"tid": "x"},
    "a tenant that is a user": {"tid": "usr_00000000000000000000000000"},
    "a tenant that is a list": {"tid": ["ten_00000000000000000000000000"]},
    "a tenant that there is not": {"tid": ids.encode("ten", ids.new())},
    "no session": {"sid": None},
    "a session that is no id": {"sid": "x"},
    "a session that is a number": {"sid": 7},
    "no name of its own": {"jti": None},
    "roles that are a text": {"roles": "owner"},
    "roles that are numbers": {"roles": [1]},
    "roles that are objects": {"roles": [{"owner": True}]},
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_claim_is_refused(
    town: Town, right: Token, signer: Ed25519PrivateKey, name: str
) -> None:
    unauthenticated(await town.bearer(right.with_claims(**WRONG[name]).signed(signer)).get(ME))


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "at+jwtx", "rt+jwt", "dpop+jwt", "", 1])
async def test_another_kind_of_token_is_refused(
    town: Town, right: Token, signer: Ed25519PrivateKey, typ: Any
) -> None:
    unauthenticated(await town.bearer(right.with_header(typ=typ).signed(signer)).get(ME))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", ["x", "y"]])
async def test_what_is_critical_and_unknown_is_refused(
    town: Town, right: Token, signer: Ed25519PrivateKey, crit: Any
) -> None:
    unauthenticated(
        await town.bearer(right.with_header(crit=crit, b64=True).signed(signer)).get(ME)
    )


@pytest.mark.parametrize(
    "end", ["1e400", "1e308", "-1e400", "NaN", "Infinity", "1" * 400, "1e-400"]
)
async def test_an_end_out_of_this_world_is_no_end(
    town: Town, right: Token, signer: Ed25519PrivateKey, end: str
) -> None:
    claims = msgspec.json.encode(right.claims | {"exp": 123454321}).replace(
        b"123454321", end.encode()
    )
    text = right.signed_raw(signer, claims)

    reply = await town.bearer(text).get(ME)

    assert reply.status_code in {200, 401}, told(reply)
    thief = Ed25519PrivateKey.generate()
    unauthenticated(await town.bearer(right.signed_raw(thief, claims)).get(ME))


async def test_a_key_is_never_fetched(
    town: Town, right: Token, signer: Ed25519PrivateKey, elsewhere: Receiver
) -> None:
    thief = Ed25519PrivateKey.generate()
    for member in ("jku", "x5u"):
        lure = right.with_header(**{member: f"{elsewhere.url}/jwks.json"})
        unauthenticated(await town.bearer(lure.signed(thief)).get(ME))
        unauthenticated(await town.bearer(lure.with_header(kid="unknown").signed(thief)).get(ME))
        # With the right signature it may be taken or not: the header is not followed either way.
        assert (await town.bearer(lure.signed(signer)).get(ME)).status_code in {200, 401}

    assert elsewhere.arrivals == []


async def test_unknown_keys_do_not_slow_the_known(town: Town, right: Token, owner: Person) -> None:
    thief = Ed25519PrivateKey.generate()
    for number in range(60):
        text = right.with_header(kid=f"unknown-{number}").signed(thief)
        unauthenticated(await town.bearer(text).get(ME))

    ok(await owner.rest.get(ME))
    unauthenticated(await town.bearer(right.with_header(kid="unknown-0").signed(thief)).get(ME))
