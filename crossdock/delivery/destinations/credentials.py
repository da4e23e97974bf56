"""What a destination is called with: headers of its own, and how it wants to be convinced.

All of it is sealed as one secret in the destination's row, and written only: what may be shown of
it is `Shown`. No text of these shapes, not even their `repr`, has a secret in it.
"""

from typing import Annotated, Literal, NoReturn

import msgspec
from msgspec import Meta

Secret = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Words = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)")]
Pem = Annotated[str, Meta(min_length=1, max_length=16_384)]
Token = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^[!-~]+$(?!\n)")]
Url = Annotated[str, Meta(pattern="^https?://", max_length=2048)]
HeaderValue = Annotated[str, Meta(max_length=4096)]
Headers = Annotated[dict[str, HeaderValue], Meta(max_length=32)]


class _Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class BasicAuth(_Auth, frozen=True, tag="basic"):
    """A name and a password in every request (RFC 7617)."""

    username: Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f:]*$(?!\n)")]
    """Without a colon, which would end it."""
    password: Secret


class BearerAuth(_Auth, frozen=True, tag="bearer"):
    """A token in every request (RFC 6750)."""

    token: Token


class ClientCredentials(_Auth, frozen=True, tag="oauth2"):
    """Tokens that are fetched with a client's credentials (RFC 6749, 4.4)."""

    token_url: Url
    client_id: Words
    client_secret: Secret
    scope: Words | None = None
    """What the token is for, as the token's server names it."""
    audience: Words | None = None
    """A field that some servers ask for."""
    style: Literal["basic", "body"] = "basic"
    """Whether the credentials go in a header or in the form."""


class MutualTls(_Auth, frozen=True, tag="mtls"):
    """A certificate of ours, which the destination asks for."""

    certificate: Pem
    """PEM: the certificate, and whatever lies between it and its root."""
    private_key: Pem
    """PEM, not encrypted."""
    ca: Pem | None = None
    """PEM: what the destination's own certificate is checked against; the system's unless given."""


class StorageAuth(_Auth, frozen=True, tag="s3"):
    """Keys of a storage that speaks S3's protocol."""

    access_key_id: Annotated[str, Meta(min_length=1, max_length=256, pattern="^[!-~]+$(?!\n)")]
    secret_access_key: Secret
    session_token: (
        Annotated[str, Meta(min_length=1, max_length=4096, pattern="^[!-~]+$(?!\n)")] | None
    ) = None


Auth = BasicAuth | BearerAuth | ClientCredentials | MutualTls | StorageAuth


class Credentials(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed."""

    headers: dict[str, str] = {}
    """Custom ones, by names in lower case."""
    auth: Auth | None = None

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Credentials stay in the process that opened them.")


class ShownAuth(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a destination is convinced, without the secrets."""

    type: Literal["basic", "bearer", "oauth2", "mtls", "s3"]
    username: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    scope: str | None = None
    audience: str | None = None
    style: str | None = None
    certificate: str | None = None
    """PEM; it is no secret."""
    ca: str | None = None
    access_key_id: str | None = None


def encode(credentials: Credentials) -> bytes:
    """Return what is sealed."""
    return msgspec.json.encode(credentials)


def decode(opened: bytes) -> Credentials:
    """Return what was sealed."""
    return _decoder.decode(opened)


def shown(auth: Auth | None) -> ShownAuth | None:
    """Return what may be shown of it."""
    match auth:
        case None:
            return None
        case BasicAuth():
            return ShownAuth("basic", username=auth.username)
        case BearerAuth():
            return ShownAuth("bearer")
        case ClientCredentials():
            return ShownAuth(
                "oauth2",
                token_url=auth.token_url,
                client_id=auth.client_id,
                scope=auth.scope,
                audience=auth.audience,
                style=auth.style,
            )
        case MutualTls():
            return ShownAuth("mtls", certificate=auth.certificate, ca=auth.ca)
        case StorageAuth():
            return ShownAuth("s3", access_key_id=auth.access_key_id)


_decoder = msgspec.json.Decoder(Credentials)
