"""What an endpoint is convinced by: headers, basic, bearer; and what is kept of them."""

import pickle
from base64 import b64encode

import pytest
from standardwebhooks import Webhook

from crossdock.delivery.destinations.credentials import BasicAuth, BearerAuth
from crossdock.delivery.destinations.sealing import open_credentials, secret_context
from crossdock.delivery.dispatch.targets import HIDDEN
from crossdock.secrets.seal import SealBroken
from tests.beds.carrying import delivered
from tests.beds.delivery import DeliveryBed, Receiver

URL = "https://example.com/hook"
SECRET = "not-for-eyes-7d1e"


async def test_headers_of_ones_own_go_along_and_are_hidden_in_the_record(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(
        tenant, receiver.url("/own"), headers={"X-Api-Key": SECRET, "X-Team": "billing"}
    )
    attempt = await delivered(bed, tenant)
    (call,) = receiver.seen("/own")
    assert (call.headers["x-api-key"], call.headers["x-team"]) == (SECRET, "billing")
    assert made.new_secret is not None
    Webhook(made.new_secret).verify(call.body, call.headers)
    kept = dict(attempt.request_headers)
    assert kept["x-api-key"] == kept["x-team"] == HIDDEN
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type"):
        assert kept[name] == call.headers[name]


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        (BasicAuth("Ålice", SECRET), "Basic " + b64encode(f"Ålice:{SECRET}".encode()).decode()),
        (BearerAuth(SECRET), f"Bearer {SECRET}"),
    ],
    ids=["basic", "bearer"],
)
async def test_a_word_is_sent_and_hidden_in_the_record(
    bed: DeliveryBed, receiver: Receiver, auth: BasicAuth | BearerAuth, sent: str
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/word"), auth=auth)
    attempt = await delivered(bed, tenant)
    (call,) = receiver.seen("/word")
    assert call.headers["authorization"] == sent
    assert dict(attempt.request_headers)["authorization"] == HIDDEN
    assert SECRET not in repr(attempt)


async def test_nothing_is_hidden_where_nothing_is_secret(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/open"))
    attempt = await delivered(bed, tenant)
    (call,) = receiver.seen("/open")
    assert "authorization" not in call.headers
    assert dict(attempt.request_headers).items() <= call.headers.items()


async def test_a_new_word_is_used_at_once(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/new"), auth=BearerAuth("first"))
    await delivered(bed, tenant)
    changes = {"auth": {"type": "bearer", "token": "second"}}
    await bed.destinations.patch(tenant, made.destination.id, changes, None)
    await delivered(bed, tenant)
    sent = [call.headers["authorization"] for call in receiver.seen("/new")]
    assert sent == ["Bearer first", "Bearer second"]


async def test_credentials_are_sealed_to_their_row_and_in_no_text(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    one = (await bed.destination(tenant, URL, auth=BearerAuth(SECRET))).destination
    other = (await bed.destination(tenant, URL, auth=BearerAuth("mine"))).destination
    opened = open_credentials(bed.sealer, tenant, one.id, one.credentials)
    assert opened.auth == BearerAuth(SECRET)
    with pytest.raises(SealBroken):
        open_credentials(bed.sealer, tenant, other.id, one.credentials)
    assert one.credentials is not None
    with pytest.raises(SealBroken):
        bed.sealer.open(one.credentials.sealed, context=secret_context(tenant, one.id))
    for text in (repr(opened), repr(opened.auth), repr(one), f"{opened}", str([opened.auth])):
        assert SECRET not in text
    with pytest.raises(TypeError):
        pickle.dumps(opened)
