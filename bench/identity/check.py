"""Whether a token was revoked: the look-up that every authorised request makes."""

import os
import timeit
from typing import Final

from crossdock import ids
from crossdock.directory import Memory
from crossdock.secrets.seal import Sealer
from proto.settings import SESSION, TENANT, Revoked, TenantSettings

REVOKED: Final = 10_000
TIMES: Final = 100_000
ROUNDS: Final = 7


def microseconds() -> float:
    """Return what one check takes, for a token that is good: that one looks everywhere."""
    memory = Memory(Sealer(os.urandom(32)))
    for _ in range(REVOKED):
        memory.take(
            0, f"{SESSION}{ids.new().hex}{ids.new().hex}", Revoked(version=1, until=2.0**40)
        )
    tenant_id, user_id, session_id = ids.new(), ids.new(), ids.new()
    tenant = TenantSettings(version=1, tenant_id=tenant_id.bytes, shard=0)
    memory.take(0, f"{TENANT}{tenant_id.hex}", tenant)

    def asked() -> bool:
        return memory.is_revoked(tenant_id, user_id, session_id, 1.0)

    assert not asked()
    rounds = timeit.repeat(asked, number=TIMES, repeat=ROUNDS)
    return min(rounds) / TIMES * 1e6
