"""The published keys, and those who check our tokens with them."""

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.beds.signing_in import Person, SigningInBed

JWKS = "/.well-known/jwks.json"


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_anybody_can_check_a_token_with_the_published_keys(
    bed: SigningInBed, ann: Person
) -> None:
    answer = await bed.request("GET", JWKS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert not {"d", "k", "p", "q"} & {name for key in keys for name in key}
    token = (await ann.login())["access_token"]
    read = jwt.decode(token, KeySet.import_key_set({"keys": keys}), algorithms=["Ed25519", "EdDSA"])
    assert read.header["typ"] == "at+jwt"
    assert read.header["kid"] in {key["kid"] for key in keys}
    assert read.claims["aud"] == "crossdock:test"
    assert read.claims["iss"] == bed.settings.gateway.public_url
    assert read.claims["exp"] - read.claims["iat"] <= 600


async def test_keys_that_are_not_known_yet_are_not_published_as_none(
    bed: SigningInBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bed.identity.signing_keys, "_keys", {})
    answer = await bed.request("GET", JWKS)
    assert answer.status_code == 503
    assert answer.headers["cache-control"] == "no-store"
