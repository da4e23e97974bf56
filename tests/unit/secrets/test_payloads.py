"""Payloads and data keys: what is sealed opens where it belongs and nowhere else."""

from uuid import UUID

import pytest

from crossdock import ids
from crossdock.secrets.payloads import DataKey, open_payload, seal_payload, unwrap, wrap
from crossdock.secrets.seal import SealBroken, Sealer
from proto.settings import WrappedKey

TENANT, EVENT, KEY = ids.new(), ids.new(), ids.new()
MASTER = Sealer(bytes(32))
BODY = b'{"card":"4242"}\x00\xff'


@pytest.fixture
def key() -> DataKey:
    return DataKey(KEY, Sealer(b"k" * 32))


def wrapped(tenant: UUID = TENANT) -> WrappedKey:
    return WrappedKey(KEY.bytes, wrap(MASTER, tenant, KEY, b"k" * 32))


def test_a_payload_opens_under_its_event(key: DataKey) -> None:
    sealed = seal_payload(key, TENANT, EVENT, BODY)

    assert open_payload(key, TENANT, EVENT, sealed) == BODY
    assert b"4242" not in sealed
    assert len(sealed) == len(BODY) + 29


@pytest.mark.parametrize(
    ("tenant", "event"), [(TENANT, ids.new()), (ids.new(), EVENT)], ids=["event", "tenant"]
)
def test_a_payload_opens_nowhere_else(key: DataKey, tenant: UUID, event: UUID) -> None:
    sealed = seal_payload(key, TENANT, EVENT, BODY)

    with pytest.raises(SealBroken):
        open_payload(key, tenant, event, sealed)


def test_a_wrapped_key_opens_what_its_key_sealed(key: DataKey) -> None:
    found = unwrap(MASTER, TENANT, wrapped())

    assert found.id == KEY
    assert open_payload(found, TENANT, EVENT, seal_payload(key, TENANT, EVENT, BODY)) == BODY


def test_a_wrapped_key_is_its_tenants_and_of_its_id() -> None:
    other = WrappedKey(ids.new().bytes, wrapped().wrapped)

    with pytest.raises(SealBroken):
        unwrap(MASTER, ids.new(), wrapped())
    with pytest.raises(SealBroken):
        unwrap(MASTER, TENANT, other)
    with pytest.raises(SealBroken):
        unwrap(Sealer(b"another installation's key......"), TENANT, wrapped())
