"""No secret shows anywhere: not in the bucket, not in logs, not in anything's text."""

import gc
import logging
from base64 import b64encode
from typing import Final

import pytest
import structlog

from crossdock.directory import Directory
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.inbound.sources.rules import token_hash
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from proto.settings import SourceSettings
from tests.beds.settings import BUCKET, SettingsBed

SECRET: Final = "whsec_made_up"
"""What `SettingsBed.add_source` gives every source."""

SHOWN: Final = (SealedSecret, SourceSettings, PreparedSource, Directory, Sealer)


async def test_no_secret_shows(
    bed: SettingsBed, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    caplog.set_level(logging.DEBUG)
    good, bad = await bed.add_source(), await bed.add_source()
    await bed.until(lambda: bed.directory.get(bad.token) is not None)
    found = bed.directory.get(good.token)
    assert found is not None
    assert found.native.scheme == "stripe"
    await bed.break_recipe(bad)
    await bed.until(lambda: bed.is_broken(bad))
    await bed.put_raw(token_hash(bad.token).hex(), SECRET.encode())
    await bed.bus.jetstream().delete_stream(f"KV_{BUCKET}")
    await bed.until_async(lambda: bed.in_bucket(token_hash(good.token).hex()))
    entry = await bed.in_bucket(token_hash(good.token).hex())
    assert entry is not None
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text
    texts = [said, repr(good), repr(entry.value)]
    texts += [repr(thing) for thing in gc.get_objects() if isinstance(thing, SHOWN)]
    assert "source_settings_broken" in said, "the logs were captured"
    for secret in (SECRET, good.token, bad.token, b64encode(SECRET.encode()).decode()):
        assert not [text for text in texts if secret in text]
