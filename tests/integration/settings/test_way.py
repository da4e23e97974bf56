"""From a committed change to what the gateway does: every kind of change travels."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from crossdock import native
from crossdock.inbound.model import OpenedSource
from crossdock.inbound.sources.rules import token_hash
from tests.beds.settings import SettingsBed

WITHIN_S: Final = 1.0
BODY: Final = b'{"id": "evt_1", "type": "charge.succeeded"}'


def verifies(bed: SettingsBed, source: OpenedSource, secret: str) -> bool:
    """Say whether the gateway would take a webhook signed with a secret."""
    found = bed.directory.get(source.token)
    assert found is not None
    signer = native.Signer(b'{"scheme": "stripe", "secrets": ["%s"]}' % secret.encode())
    signed = signer.sign("POST", "/", BODY, 1e9)
    headers = [(name.encode(), value.encode()) for name, value in signed]
    return found.native.verify("POST", "/", headers, BODY, 1e9).refusal is None


async def known(bed: SettingsBed) -> OpenedSource:
    """Make a source and wait until the gateway has it."""
    source = await bed.add_source()
    await bed.until(lambda: bed.directory.get(source.token) is not None, within_s=WITHIN_S)
    return source


async def test_a_new_source_takes_webhooks(bed: SettingsBed) -> None:
    source = await known(bed)
    assert verifies(bed, source, "whsec_made_up")
    assert not verifies(bed, source, "whsec_another")


async def test_a_change_is_known_at_once(bed: SettingsBed) -> None:
    source = await known(bed)
    late = [await bed.seen_after(source, 2000 + number) for number in range(20)]
    assert max(late) < WITHIN_S
    assert sorted(late)[10] < 0.1, "by notification, not by the poll"


async def test_a_change_that_is_rolled_back_never_arrives(bed: SettingsBed) -> None:
    source = await known(bed)
    before = bed.size_of(source)
    with pytest.raises(ZeroDivisionError):
        await bed.change_and_fail(source)
    await bed.seen_after(await known(bed), 4000)
    assert bed.size_of(source) == before


async def test_both_secrets_verify_during_a_rotation(bed: SettingsBed) -> None:
    source = await known(bed)
    rotated = await bed.rotate(source, "whsec_new", timedelta(hours=1))
    await bed.until(lambda: verifies(bed, source, "whsec_new"), within_s=WITHIN_S)
    assert verifies(bed, rotated, "whsec_made_up")


async def test_the_old_secret_ends_without_another_snapshot(bed: SettingsBed) -> None:
    source = await known(bed)
    await bed.rotate(source, "whsec_new", timedelta(seconds=1.5))
    await bed.until(lambda: verifies(bed, source, "whsec_new"), within_s=WITHIN_S)
    assert verifies(bed, source, "whsec_made_up")
    await bed.stop("drainer")
    await bed.until(lambda: not verifies(bed, source, "whsec_made_up"), within_s=3)
    assert verifies(bed, source, "whsec_new")


async def test_a_deleted_source_is_gone_for_good(bed: SettingsBed) -> None:
    source = await known(bed)
    await bed.sources.delete(bed.tenant_id, source.source.id, None)
    await bed.until(lambda: bed.directory.get(source.token) is None, within_s=WITHIN_S)
    allowed = bed.directory._lookups._allowed
    assert await bed.directory.lookup(source.token) is None
    assert bed.directory._lookups._allowed == allowed, "no read is spent on it"
    late = bed.another_directory()
    await bed.until(lambda: late.ready)
    assert late.get(source.token) is None


async def test_an_erased_row_is_gone_too(bed: SettingsBed) -> None:
    source = await known(bed)
    await bed.erase(source)
    await bed.until(lambda: bed.directory.get(source.token) is None, within_s=WITHIN_S)


@pytest.mark.parametrize("state", ["suspended", "terminating", "terminated", "active"])
async def test_a_tenants_state_reaches_all_its_sources(bed: SettingsBed, state: str) -> None:
    sources = [await known(bed) for _ in range(3)]
    await bed.set_tenant_state(state)

    def arrived() -> bool:
        found = [bed.directory.get(source.token) for source in sources]
        return all(one is not None and one.settings.tenant_state == state for one in found)

    await bed.until(arrived, within_s=WITHIN_S)


async def test_other_tenants_notice_nothing(bed: SettingsBed) -> None:
    mine = await known(bed)
    bed.tenant_id = await bed.add_tenant()
    await bed.set_tenant_state("suspended")
    theirs = await known(bed)
    found = bed.directory.get(mine.token), bed.directory.get(theirs.token)
    assert [one.settings.tenant_state for one in found if one] == ["active", "suspended"]


async def test_a_source_that_the_watch_has_not_brought_yet_is_looked_up(
    idle_bed: SettingsBed,
) -> None:
    idle_bed.start_drainer()
    source = await idle_bed.add_source()
    key = token_hash(source.token).hex()
    await idle_bed.until_async(lambda: idle_bed.in_bucket(key))
    idle_bed.directory._follow(0)
    assert idle_bed.directory.get(source.token) is None
    found = await idle_bed.directory.lookup(source.token)
    assert found is not None
    assert found.settings.source_id == source.source.id.bytes


async def test_unknown_tokens_leave_nothing_behind(bed: SettingsBed) -> None:
    await known(bed)
    before = bed.directory.count
    tokens = [f"junk {number}" for number in range(500)]
    found = await asyncio.gather(*map(bed.directory.lookup, tokens))
    assert found == [None] * 500
    assert bed.directory.count == before


async def test_tokens_may_hold_anything(bed: SettingsBed) -> None:
    for token in ("", "\x00", "\ud800", "é" * 10_000, "../../etc", "*", ">", "beat"):
        assert bed.directory.get(token) is None
        assert await bed.directory.lookup(token) is None


async def test_settings_that_cannot_be_used_harm_nobody_else(
    bed: SettingsBed, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = await known(bed), await known(bed)
    await bed.break_recipe(bad)
    await bed.until(lambda: bed.is_broken(bad), within_s=WITHIN_S)
    assert bed.is_broken(bad)
    assert verifies(bed, good, "whsec_made_up")
    log = capfd.readouterr()
    assert (log.out + log.err).count("source_settings_broken") == 1, "said once"


async def test_what_a_gateway_cannot_read_it_leaves_alone(bed: SettingsBed) -> None:
    source = await known(bed)
    key = token_hash(source.token).hex()
    for value in (b"not msgpack", b"\x81\xa4type\xa9source.v9", b""):
        await bed.put_raw(key, value)
    await bed.put_raw("not-hex", b"x")
    await bed.put_raw("beat", b"x")
    assert await bed.seen_after(await known(bed), 4000) < WITHIN_S
    assert verifies(bed, source, "whsec_made_up")
