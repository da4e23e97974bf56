"""Signatures: symmetric and ed25519, checked by other libraries, and several in a rotation."""

from base64 import b64decode
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook as Verifier

from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import lane, shown
from tests.faults.receiver import Arrival
from tests.faults.waiting import until


def verify(public: str, arrival: Arrival) -> int:
    """Return how many of a delivery's signatures that public key made."""
    assert public.startswith("whpk_")
    key = Ed25519PublicKey.from_public_bytes(b64decode(public.removeprefix("whpk_")))
    head = f"{arrival.headers['webhook-id']}.{arrival.headers['webhook-timestamp']}."
    count = 0
    for one in arrival.headers["webhook-signature"].split(" "):
        version, _, text = one.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(b64decode(text), head.encode() + arrival.body)
        except InvalidSignature:
            continue
        count += 1
    return count


def public_keys(destination: Any) -> list[str]:
    """Return the public keys that are live."""
    return [one["public_key"] for one in destination["secrets"]]


async def test_ed25519_is_verified_with_the_public_key_that_is_shown(house: House) -> None:
    feed = await lane(house, signing="ed25519")
    assert feed.destination["signing"] == "ed25519"
    (public,) = public_keys(await shown(feed))
    arrival = await feed.arrived(await feed.send("a.b"))
    assert verify(public, arrival) == 1
    assert "v1," not in arrival.headers["webhook-signature"]
    assert "whsk_" not in str(feed.destination) + str(await shown(feed))


async def test_ed25519_rotates_with_an_overlap(house: House) -> None:
    feed = await lane(house, signing="ed25519")
    (old,) = public_keys(await shown(feed))
    path = f"/v1/destinations/{feed.destination['id']}/rotate-secret"
    rotated = await house.rest.post(path, {"overlap_s": 3600})
    both = public_keys(rotated)
    assert old in both
    assert len(both) == 2

    async def signed_twice() -> Arrival | None:
        arrival = await feed.arrived(await feed.send("a.b"))
        return arrival if len(arrival.headers["webhook-signature"].split(" ")) == 2 else None

    arrival = await until(signed_twice, "two signatures")
    assert arrival is not None
    assert [verify(one, arrival) for one in both] == [1, 1]


async def test_several_secrets_sign_in_a_rotation_and_one_after_it(house: House) -> None:
    feed = await lane(house)
    path = f"/v1/destinations/{feed.destination['id']}/rotate-secret"
    secrets = [feed.destination["secret"]]
    secrets += [(await house.rest.post(path, {"overlap_s": 3600}))["secret"] for _ in range(2)]

    async def signed() -> Arrival | None:
        arrival = await feed.arrived(await feed.send("a.b"))
        return arrival if len(arrival.headers["webhook-signature"].split(" ")) == 3 else None

    arrival = await until(signed, "three signatures")
    assert arrival is not None
    for secret in secrets:
        Verifier(secret).verify(arrival.body, dict(arrival.headers))
    last = (await house.rest.post(path, {"overlap_s": 0}))["secret"]

    async def alone() -> Arrival | None:
        found = await feed.arrived(await feed.send("a.b"))
        return found if len(found.headers["webhook-signature"].split(" ")) == 1 else None

    arrival = await until(alone, "one signature")
    assert arrival is not None
    Verifier(last).verify(arrival.body, dict(arrival.headers))
    with pytest.raises(Exception, match="signature"):
        Verifier(secrets[0]).verify(arrival.body, dict(arrival.headers))
