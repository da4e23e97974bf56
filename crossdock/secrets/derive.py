"""Keys made of a key: one for each use, so that none is put to two."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crossdock.secrets.seal import KEY_BYTES


def derive(key: bytes, label: str) -> bytes:
    """Return the 32 bytes that a key gives for a use, by HKDF-SHA256 (RFC 5869).

    From one of them nobody learns the key, or what it gives under another label.
    """
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=label.encode()).derive(key)
