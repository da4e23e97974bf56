"""What crosses the boundary: a sealed secret, the same in rows, in snapshots and in services."""

import msgspec

from proto.settings import SealedSecret

__all__ = ["SealedSecret", "decode", "encode"]

_decoder = msgspec.json.Decoder(tuple[SealedSecret, ...])


def decode(column: str | bytes) -> tuple[SealedSecret, ...]:
    """Return the secrets of a `secrets` column."""
    return _decoder.decode(column)


def encode(secrets: tuple[SealedSecret, ...]) -> str:
    """Return the JSON of a `secrets` column; bytes are base64 in it."""
    return msgspec.json.encode(secrets).decode()
