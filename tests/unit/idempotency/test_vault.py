"""What is kept of keys, requests and answers."""

import os
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids
from crossdock.errors import ConfigurationError
from crossdock.idempotency.model import Answer, Claim
from crossdock.idempotency.vault import Vault
from crossdock.secrets.seal import SealBroken

VAULT = Vault(b"k" * 32)
TENANT = UUID(int=7)
ANSWER = Answer(201, (("location", "/v1/things/1"),), b'{"id": "1"}')
parts = st.lists(st.binary(max_size=8), max_size=4)


def claim(**changes: object) -> Claim:
    """Return a claim of a tenant, changed so."""
    made = Claim(tenant_id=TENANT, digest=b"d" * 32, fingerprint=b"f" * 32)
    return msgspec.structs.replace(made, **changes)


@given(one=parts, other=parts)
def test_two_requests_have_one_fingerprint_only_if_they_are_the_same(
    one: list[bytes], other: list[bytes]
) -> None:
    same = VAULT.fingerprint(*one) == VAULT.fingerprint(*other)
    assert same == (one == other)


def test_a_key_is_filed_by_tenant_and_scope() -> None:
    mine = VAULT.digest(TENANT, "user 1", "a")
    assert mine == VAULT.digest(TENANT, "user 1", "a")
    others = {
        VAULT.digest(ids.new(), "user 1", "a"),
        VAULT.digest(TENANT, "user 2", "a"),
        VAULT.digest(TENANT, "user 1", "b"),
        VAULT.digest(TENANT, "user ", "1a"),
        Vault(b"j" * 32).digest(TENANT, "user 1", "a"),
    }
    assert len(others) == 5
    assert mine not in others


def test_a_digest_is_no_plain_hash_that_a_reader_of_the_rows_could_guess_at() -> None:
    body = b'{"password": "hunter2"}'
    assert VAULT.fingerprint(body) != Vault(os.urandom(32)).fingerprint(body)


def test_an_answer_opens_for_its_own_claim_and_no_other() -> None:
    sealed = VAULT.seal(claim(), ANSWER)
    assert VAULT.open(claim(), sealed).answer == ANSWER
    assert VAULT.open(claim(), sealed).fingerprint == b"f" * 32
    assert b"things" not in sealed
    for other in (claim(tenant_id=ids.new()), claim(digest=b"e" * 32)):
        with pytest.raises(SealBroken):
            VAULT.open(other, sealed)
    with pytest.raises(SealBroken):
        Vault(b"j" * 32).open(claim(), sealed)


def test_a_large_answer_is_kept_small_unless_it_holds_a_secret() -> None:
    item = b'{"id":"dlv_01h455vb4pex5vsknk084sn02q","status":404,"problem":{"title":"Not found"}}'
    answer = Answer(200, (), b"[" + b",".join([item] * 100) + b"]")
    sealed = VAULT.seal(claim(), answer)
    assert len(sealed) < len(answer.body) / 10
    assert VAULT.open(claim(), sealed).answer == answer
    secret = claim(is_secret=True)
    assert len(VAULT.seal(secret, answer)) > len(answer.body)
    assert VAULT.open(secret, VAULT.seal(secret, answer)).answer == answer


def test_a_lock_is_a_number_of_the_databases() -> None:
    assert -(2**63) <= claim(digest=b"\xff" * 32).lock < 0
    assert claim(digest=b"\x7f" * 32).lock <= 2**63 - 1


def test_its_text_shows_no_key() -> None:
    assert repr(VAULT) == "Vault(***)"
    with pytest.raises(ConfigurationError, match="THE_SETTING"):
        Vault.from_text("short", setting="THE_SETTING")
