"""Signatures as receivers check them, by libraries that know nothing of ours."""

from base64 import b64decode
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from crossdock.delivery.destinations.model import OpenedDestination
from tests.beds.carrying import delivered
from tests.beds.delivery import Call, DeliveryBed, Receiver

DAY = timedelta(days=1)


def signatures(call: Call) -> list[str]:
    return call.headers["webhook-signature"].split(" ")


def is_signed(call: Call, public_key: str) -> bool:
    """Tell whether any signature of a call is by this `whpk_`."""
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key.removeprefix("whpk_")))
    text = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode()
    for one in signatures(call):
        scheme, _, signature = one.partition(",")
        assert scheme == "v1a"
        try:
            key.verify(b64decode(signature, validate=True), text + call.body)
        except InvalidSignature:
            continue
        return True
    return False


def public_keys(bed: DeliveryBed, opened: OpenedDestination) -> list[str]:
    visible = bed.destinations.visible(opened.destination)
    return [visible.public_keys[secret.id] for secret in opened.destination.secrets]


async def sent(bed: DeliveryBed, receiver: Receiver, tenant: UUID) -> Call:
    await delivered(bed, tenant, b'{"total": 4200}')
    return receiver.calls[-1]


async def test_an_ed25519_signature_is_checked_by_the_public_key(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ed"), signing="ed25519")
    assert made.new_secret is None
    (key,) = public_keys(bed, made)
    call = await sent(bed, receiver, tenant)
    assert len(signatures(call)) == 1
    assert is_signed(call, key)
    call.body += b" "
    assert not is_signed(call, key), "and of nothing else"


@pytest.mark.parametrize("signing", ["hmac", "ed25519"])
async def test_during_a_rotation_old_and_new_are_both_good(
    bed: DeliveryBed, receiver: Receiver, signing: str
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/both"), signing=signing)  # type: ignore[arg-type]
    key = made.destination.id
    rotated = await bed.destinations.rotate_secret(tenant, key, DAY)
    call = await sent(bed, receiver, tenant)
    assert len(signatures(call)) == 2
    if signing == "hmac":
        for opened in (made, rotated):
            assert opened.new_secret is not None
            Webhook(opened.new_secret).verify(call.body, call.headers)
        assert {one[:3] for one in signatures(call)} == {"v1,"}
    else:
        new, old = public_keys(bed, rotated)
        assert [old] == public_keys(bed, made)
        assert is_signed(call, old)
        assert is_signed(call, new)
    last = await bed.destinations.rotate_secret(tenant, key, timedelta(0))
    call = await sent(bed, receiver, tenant)
    assert len(signatures(call)) == 1
    if signing == "ed25519":
        assert is_signed(call, public_keys(bed, last)[0])
        assert not is_signed(call, public_keys(bed, rotated)[0])
    else:
        assert last.new_secret is not None
        assert rotated.new_secret is not None
        Webhook(last.new_secret).verify(call.body, call.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(rotated.new_secret).verify(call.body, call.headers)


async def test_no_delivery_is_ever_signed_in_both_ways(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/one"))
    key = made.destination.id
    await bed.destinations.rotate_secret(tenant, key, DAY)
    changed = await bed.destinations.rotate_secret(tenant, key, timedelta(0), signing="ed25519")
    call = await sent(bed, receiver, tenant)
    (signature,) = signatures(call)
    assert signature.startswith("v1a,")
    assert is_signed(call, public_keys(bed, changed)[0])
    back = await bed.destinations.rotate_secret(tenant, key, timedelta(0), signing="hmac")
    call = await sent(bed, receiver, tenant)
    (signature,) = signatures(call)
    assert signature.startswith("v1,")
    assert back.new_secret is not None
    Webhook(back.new_secret).verify(call.body, call.headers)
