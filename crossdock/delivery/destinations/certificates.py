"""Rules of the certificate and key that we show to a destination. Pure but for the parser."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from crossdock.delivery.destinations.credentials import MutualTls
from crossdock.errors import Violation

LONGEST_RSA: Final = 4096
"""Bits. Each handshake signs with it, on the loop that makes all other calls."""


def check_certificate(auth: MutualTls, now: datetime, pointer: str = "/auth") -> list[Violation]:
    """Return what is wrong with a certificate and its key; never a word of the key."""
    chain = _chain(auth.certificate)
    key = load_key(auth.private_key)
    found = []
    if chain is None:
        found.append(Violation(f"{pointer}/certificate", "This is no certificate in PEM."))
    if key is None:
        detail = "This is no private key in PEM, or it is encrypted."
        found.append(Violation(f"{pointer}/private_key", detail))
    if isinstance(key, RSAPrivateKey) and key.key_size > LONGEST_RSA:
        detail = f"An RSA key has {LONGEST_RSA} bits at most."
        found.append(Violation(f"{pointer}/private_key", detail))
    if auth.ca is not None and _chain(auth.ca) is None:
        found.append(Violation(f"{pointer}/ca", "This is no certificate in PEM."))
    if chain is None or key is None:
        return found
    if not _belong(chain[0], key):
        detail = "This key is not that of the first certificate."
        found.append(Violation(f"{pointer}/private_key", detail))
    if chain[0].not_valid_after_utc <= now:
        found.append(Violation(f"{pointer}/certificate", "The certificate has expired."))
    return found


def expires_at(auth: MutualTls) -> datetime | None:
    """Return the end of a certificate, or `None` where there is none to read."""
    chain = _chain(auth.certificate)
    return None if chain is None else chain[0].not_valid_after_utc


def _chain(text: str) -> list[x509.Certificate] | None:
    try:
        return x509.load_pem_x509_certificates(text.encode()) or None
    except ValueError:
        return None


def load_key(text: str) -> PrivateKeyTypes | None:
    """Return a key in PEM that is not encrypted, or `None` where there is none.

    Whether the primes of an RSA key are prime is not looked at: of 4096 bits that takes half a
    second, in which the process does nothing else. A key that is none fails its owner's handshakes,
    and nobody else's.
    """
    try:
        return load_pem_private_key(
            text.encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _belong(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False
