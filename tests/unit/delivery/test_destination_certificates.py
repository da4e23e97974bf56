"""A certificate to show, and its key: what is refused before it is kept."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crossdock.delivery.destinations.certificates import LONGEST_RSA, check_certificate, load_key
from crossdock.delivery.destinations.credentials import MutualTls
from tests.beds.certificates import Authority, pem_of

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    """One for all."""
    return Authority()


def pointers(auth: MutualTls, now: datetime = NOW) -> list[str]:
    return [violation.pointer for violation in check_certificate(auth, now)]


def test_a_pair_that_belongs_together_is_taken(authority: Authority) -> None:
    certificate, key = authority.issue("me")
    assert not pointers(MutualTls(certificate, key))
    assert not pointers(MutualTls(certificate + authority.pem, key, ca=authority.pem))


def test_a_certificate_that_has_expired_is_refused(authority: Authority) -> None:
    certificate, key = authority.issue("me")
    assert pointers(MutualTls(certificate, key), NOW + timedelta(days=2)) == ["/auth/certificate"]
    certificate, key = authority.issue("me", days=-1)
    assert pointers(MutualTls(certificate, key)) == ["/auth/certificate"]


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    certificate, _ = authority.issue("me")
    _, key = authority.issue("you")
    assert pointers(MutualTls(certificate, key)) == ["/auth/private_key"]


def test_a_key_that_is_encrypted_is_refused(authority: Authority) -> None:
    certificate, _ = authority.issue("me")
    key = pem_of(ec.generate_private_key(ec.SECP256R1()), b"a password")
    assert pointers(MutualTls(certificate, key)) == ["/auth/private_key"]


@pytest.mark.parametrize("text", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END"])
def test_what_is_no_pem_is_refused_and_not_repeated(authority: Authority, text: str) -> None:
    certificate, key = authority.issue("me")
    assert pointers(MutualTls(text, key)) == ["/auth/certificate"]
    assert pointers(MutualTls(certificate, text)) == ["/auth/private_key"]
    assert pointers(MutualTls(certificate, key, ca=text)) == ["/auth/ca"]
    for violation in check_certificate(MutualTls(text, key[:-40]), NOW):
        assert key[40:60] not in violation.detail


def unproven(bits: int) -> str:
    """Return an RSA key of about so many bits whose primes are none: only a check would tell."""
    p, q = (1 << bits // 2) - 1, (1 << bits // 2) - 3
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, 65539, 65539, 65539, 65539, public)
    key = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_an_rsa_key_has_its_bounds(authority: Authority) -> None:
    certificate, _ = authority.issue("me")
    for bits, is_long in ((LONGEST_RSA, False), (LONGEST_RSA + 64, True)):
        found = check_certificate(MutualTls(certificate, unproven(bits)), NOW)
        assert any("4096 bits" in one.detail for one in found) is is_long


def test_nobody_waits_for_a_proof_that_primes_are_prime() -> None:
    """It takes as long as its owner likes, and nothing else is done meanwhile."""
    assert load_key(unproven(2048)) is not None
