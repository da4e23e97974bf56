"""An object in a bucket that speaks S3's protocol, one for each event.

obstore signs the address, our guarded client calls it: nothing else opens a socket. obstore would
fill what it is not told from the environment and the machine's own identity; it is told everything,
and the address that comes out is held against the one that was meant.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from yarl import URL

from crossdock import ids
from crossdock.delivery.client import USER_AGENT, Client
from crossdock.delivery.destinations.credentials import StorageAuth
from crossdock.delivery.destinations.model import StorageSettings
from crossdock.delivery.dispatch.targets import Ready, media_type
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.kinds.parcel import NONE, Parcel
from crossdock.delivery.model import Cargo

if TYPE_CHECKING:
    from obstore.store import S3Credential

SIGNED_FOR: Final = timedelta(minutes=15)
"""Far longer than an attempt takes, for clocks differ."""

_EXTENSIONS: Final = {
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/plain": "txt",
    "text/html": "html",
    "text/csv": "csv",
    "application/x-www-form-urlencoded": "form",
    "application/x-ndjson": "ndjson",
    "application/pdf": "pdf",
}
_UNKNOWN: Final = "bin"


class StorageCarrier:
    """Puts objects where their keys say: the same event again is the same object again."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def label(
        self,
        cargo: Cargo,
        ready: Ready,  # noqa: ARG002 - as all carriers
        now: float,  # noqa: ARG002 - as all carriers
        extra: Mapping[str, str] = NONE,  # noqa: ARG002 - only what is signed may be there
    ) -> dict[str, str]:
        """Return what the storage keeps with the object, and checks it by.

        The event's ids stand in the key: S3 refuses an `x-amz-meta-` header that is not signed, and
        obstore signs none but the host.
        """
        return {
            "content-type": media_type(cargo.content_type),
            "content-md5": b64encode(
                hashlib.md5(cargo.body, usedforsecurity=False).digest()
            ).decode(),
            "user-agent": USER_AGENT,
        }

    async def carry(self, parcel: Parcel, ready: Ready, timeout_s: float) -> Response:
        """Put it.

        Raises:
            CallFailed: there was no answer, or no address to call.
        """
        settings, auth = ready.target.settings, ready.auth
        if not isinstance(settings, StorageSettings) or not isinstance(auth, StorageAuth):
            raise CallFailed("internal", "this destination has no bucket, or no keys")
        url = await signed(ready.url, settings, auth, key_of(settings.prefix, parcel.cargo))
        return await self._client.request("PUT", url, parcel.headers, parcel.cargo.body, timeout_s)


def key_of(prefix: str, cargo: Cargo) -> str:
    """Return the key of an event's object: by day, for listings, and by the event's id."""
    day = ids.time_of(cargo.event_id)
    name = ids.encode("evt", cargo.event_id)
    return f"{prefix}{day:%Y/%m/%d}/{name}.{extension(cargo.content_type)}"


def extension(content_type: str) -> str:
    """Return the ending of a file of that media type."""
    essence = content_type.partition(";")[0].strip().lower()
    known = _EXTENSIONS.get(essence)
    if known is not None:
        return known
    suffix = essence.rpartition("+")[2]
    return suffix if suffix in {"json", "xml"} else _UNKNOWN


async def signed(endpoint: URL, settings: StorageSettings, auth: StorageAuth, key: str) -> URL:
    """Return the address to which an object may be put for some minutes.

    Raises:
        CallFailed: there is none, or it is not where the destination's owner said.
    """
    try:
        url = await _signed(endpoint, settings, auth, key)
    except (TypeError, ValueError, BaseError) as error:
        # Not chained: what the library says may name the keys.
        raise CallFailed("internal", type(error).__name__) from None
    if url.origin() != endpoint.origin() or not url.raw_path.startswith(f"/{settings.bucket}/"):
        raise CallFailed("internal", "the signed address is another one")
    return url


async def _signed(endpoint: URL, settings: StorageSettings, auth: StorageAuth, key: str) -> URL:
    store = S3Store(
        settings.bucket,
        region=settings.region,
        endpoint=str(endpoint),
        aws_endpoint_url_s3=str(endpoint),
        credential_provider=_provider(auth),
        virtual_hosted_style_request=False,
        skip_signature=False,
        s3_express=False,
        request_payer=False,
        client_options={"allow_http": endpoint.scheme == "http"},
    )
    return URL(await obstore.sign_async(store, "PUT", key, SIGNED_FOR), encoded=True)


def _provider(auth: StorageAuth) -> "Callable[[], S3Credential]":
    """Return what obstore asks for keys: so it never looks for any of the machine's own."""

    def provide() -> "S3Credential":
        return {
            "access_key_id": auth.access_key_id,
            "secret_access_key": auth.secret_access_key,
            "token": auth.session_token,
            "expires_at": None,
        }

    return provide
