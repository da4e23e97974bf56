"""Keys that sign access tokens: made, published, rotated, retired."""

from crossdock.identity.keys.model import KeyInfo, SigningKey
from crossdock.identity.keys.service import SigningKeys, list_keys

__all__ = ["KeyInfo", "SigningKey", "SigningKeys", "list_keys"]
