"""Objects in a bucket, on a real server that speaks S3's protocol."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import boto3
import pytest
from aiohttp import web
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer
from yarl import URL

from crossdock import ids
from crossdock.delivery.destinations.credentials import StorageAuth
from crossdock.delivery.destinations.model import StorageSettings
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.kinds.storage import extension, key_of, signed
from crossdock.delivery.model import Cargo
from crossdock.errors import Invalid
from tests.beds.carrying import delivered
from tests.beds.delivery import DeliveryBed, Receiver

BUCKET = "webhooks"
REGION = "eu-west-1"
AUTH = StorageAuth("AKIAEXAMPLE", "a/secret+key")
ENDPOINT = URL("https://s3.eu-west-1.amazonaws.com")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server, with a bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    bucket(url).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    yield url
    server.stop()


def bucket(url: str) -> Any:
    """Return a client that is none of ours."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=AUTH.access_key_id,
        aws_secret_access_key=AUTH.secret_access_key,
    )


def settings(endpoint: str, **fields: Any) -> StorageSettings:
    return StorageSettings(**{"bucket": BUCKET, "region": REGION, "endpoint": endpoint, **fields})


async def test_an_event_is_an_object_by_day_and_id(bed: DeliveryBed, endpoint: str) -> None:
    tenant = await bed.tenant()
    await bed.destination(
        tenant, kind="storage", auth=AUTH, settings=settings(endpoint, prefix="in/")
    )
    attempt = await delivered(bed, tenant, b'{"total": 4200}')
    delivery = (await bed.all_of(tenant))[0].delivery
    day = ids.time_of(delivery.event_id)
    key = f"in/{day:%Y/%m/%d}/{ids.encode('evt', delivery.event_id)}.json"
    found = bucket(endpoint).get_object(Bucket=BUCKET, Key=key)
    assert found["Body"].read() == b'{"total": 4200}'
    assert found["ContentType"] == "application/json"
    assert attempt.status == 200
    assert AUTH.secret_access_key not in repr(attempt)
    assert "X-Amz-Signature" not in repr(attempt)


async def test_the_same_event_again_is_the_same_object(bed: DeliveryBed, endpoint: str) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(
        tenant, kind="storage", auth=AUTH, settings=settings(endpoint, prefix="again/")
    )
    await delivered(bed, tenant)
    delivery = (await bed.all_of(tenant))[0].delivery
    await bed.deliveries.replay(tenant, delivery.id)
    async with bed.dispatching():
        from tests.beds.delivery import until  # noqa: PLC0415

        async def are_there() -> bool:
            return await bed.states(tenant) == ["delivered", "delivered"]

        await until(are_there)
    listed = bucket(endpoint).list_objects_v2(Bucket=BUCKET, Prefix="again/")
    assert listed["KeyCount"] == 1
    assert made.destination.url == endpoint


async def test_a_bucket_that_is_not_there_is_an_answer(bed: DeliveryBed, endpoint: str) -> None:
    tenant = await bed.tenant()
    await bed.destination(
        tenant, kind="storage", auth=AUTH, settings=settings(endpoint, bucket="not-there")
    )
    attempt = await delivered(bed, tenant, state="dead")
    assert attempt.status == 404
    assert b"NoSuchBucket" in attempt.response_body


@pytest.mark.parametrize("token", [None, "a/session+token=="], ids=["keys", "session"])
@pytest.mark.parametrize("key", ["2026/11/23/evt_1.json", "a!_.*'()=-b/evt_2.bin"])
async def test_the_signature_is_what_amazons_own_library_makes(token: str | None, key: str) -> None:
    auth = StorageAuth(AUTH.access_key_id, AUTH.secret_access_key, token)
    url = await signed(ENDPOINT, settings(str(ENDPOINT)), auth, key)
    ours = dict(parse_qsl(url.raw_query_string))
    signer = S3SigV4QueryAuth(
        Credentials(auth.access_key_id, auth.secret_access_key, token),
        "s3",
        REGION,
        expires=int(ours["X-Amz-Expires"]),
    )
    bare = str(url).partition("?")[0]
    request = AWSRequest("PUT", bare)
    moment = datetime.strptime(ours["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    request.context["timestamp"] = ours["X-Amz-Date"]
    theirs = sign_at(signer, request, moment)
    assert ours["X-Amz-Signature"] == theirs["X-Amz-Signature"]
    assert ours == theirs


def sign_at(signer: S3SigV4QueryAuth, request: AWSRequest, moment: datetime) -> dict[str, str]:
    """Sign as the library does, at another moment than now."""
    import botocore.auth  # noqa: PLC0415

    known = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *_, **__: moment.replace(tzinfo=None)
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.get_current_datetime = known
    return dict(parse_qsl(urlsplit(request.url).query))


async def test_nothing_of_the_machines_own_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would take what it is not told from here."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "OURS",
        "AWS_SECRET_ACCESS_KEY": "OURS",
        "AWS_SESSION_TOKEN": "OURS",
        "AWS_ENDPOINT_URL": "http://ours",
        "AWS_ENDPOINT_URL_S3": "http://ours",
        "AWS_REGION": "ours",
        "AWS_DEFAULT_REGION": "ours",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_S3_EXPRESS": "true",
        "AWS_REQUEST_PAYER": "true",
        "AWS_BUCKET": "ours",
    }.items():
        monkeypatch.setenv(name, value)
    url = await signed(ENDPOINT, settings(str(ENDPOINT)), AUTH, "a/b.json")
    assert url.host == ENDPOINT.host
    assert url.path == f"/{BUCKET}/a/b.json"
    assert url.query["X-Amz-Credential"].startswith(f"{AUTH.access_key_id}/")
    assert f"/{REGION}/" in url.query["X-Amz-Credential"]
    assert "ours" not in str(url).lower()


async def test_a_storage_inside_is_refused_when_saved_and_when_called(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    with pytest.raises(Invalid) as caught:
        await bed.destination(
            tenant, kind="storage", auth=AUTH, settings=settings("http://169.254.169.254")
        )
    assert caught.value.violations[0].pointer == "/settings/endpoint"


async def test_a_storage_that_sends_elsewhere_is_not_followed(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    hits: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        hits.append(request.path)
        return web.Response(status=307, headers={"location": "http://127.0.0.1:1/"})

    async with putting(elsewhere) as url:
        await bed.destination(tenant, kind="storage", auth=AUTH, settings=settings(url))
        attempt = await delivered(bed, tenant, state="dead")
    assert attempt.status == 307
    assert len(hits) == 4
    assert not receiver.calls


def putting(handler: Any) -> Any:
    """Serve any PUT by a handler."""
    from contextlib import asynccontextmanager  # noqa: PLC0415

    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_put("/{tail:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return serve()


async def test_what_is_sent_can_be_checked_by_the_storage(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    seen: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append((headers, await request.read()))
        return web.Response()

    async with putting(take) as url:
        await bed.destination(tenant, kind="storage", auth=AUTH, settings=settings(url))
        await delivered(bed, tenant, b"some bytes")
    ((headers, body),) = seen
    from base64 import b64decode  # noqa: PLC0415

    assert b64decode(headers["content-md5"]) == hashlib.md5(body).digest()  # noqa: S324
    assert not [name for name in headers if name.startswith(("x-amz-", "webhook-"))]
    assert "authorization" not in headers


async def test_an_address_that_is_not_the_one_meant_is_never_called() -> None:
    with pytest.raises(CallFailed) as caught:
        await signed(ENDPOINT, settings(str(ENDPOINT)), AUTH, "../other/x")
    assert caught.value.kind == "internal"


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [
        ("application/json", "json"),
        ("Application/JSON; charset=utf-8", "json"),
        ("application/vnd.acme+json", "json"),
        ("application/soap+xml", "xml"),
        ("text/plain", "txt"),
        ("application/x-www-form-urlencoded", "form"),
        ("application/../../etc", "bin"),
        ("", "bin"),
        ("x" * 1000, "bin"),
    ],
)
def test_an_ending_says_of_which_type_it_is(content_type: str, ending: str) -> None:
    assert extension(content_type) == ending
    event_id = UUID("01939fd6-8a00-7000-8000-000000000001")
    key = key_of("p/", Cargo(event_id, content_type, "", b""))
    assert key == f"p/2024/12/07/{ids.encode('evt', event_id)}.{ending}"
