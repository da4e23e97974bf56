"""TLS to the broker, checked against the CA that settings name."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crossdock.bus import connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import NatsSettings
from crossdock.embedded import binaries
from crossdock.embedded.account import Account
from crossdock.embedded.ports import free_port
from tests.beds.tls import certify
from tests.integration.bus.conftest import message, publishing, refusal

CONFIGURATION = """
host: "127.0.0.1"
port: {port}
jetstream {{ store_dir: "{folder}/store" }}
tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key" }}
"""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """A server that speaks TLS alone, for as long as the block lasts; gives its address."""
    port = free_port()
    configuration = folder / "nats.conf"
    configuration.write_text(CONFIGURATION.format(port=port, folder=folder))
    program = binaries.nats_server(Account.for_folder(folder))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "--config", str(configuration)], stderr=log)
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


@pytest.mark.parametrize("group_commit", [False, True])
async def test_messages_are_published_over_tls(private_folder: Path, *, group_commit: bool) -> None:
    authority = certify(private_folder)
    with broker(private_folder) as url:
        settings = NatsSettings(
            url=url,
            tls_ca=authority,
            group_commit=group_commit,
            ingest_max_bytes=10_000_000,
            events_max_bytes=10_000_000,
        )
        bus = await connect(settings, wait_s=10)
        try:
            await wait_for_streams(bus)
            async with publishing(settings) as publisher:
                for future in [publisher.publish(message(str(n), 50_000)) for n in range(50)]:
                    await future
        finally:
            await bus.close()


async def test_a_server_of_another_ca_is_refused(private_folder: Path, tmp_path: Path) -> None:
    certify(private_folder)
    with broker(private_folder) as url:
        publisher = Publisher(NatsSettings(url=url, tls_ca=certify(tmp_path)))
        try:
            assert "certificate" in (await refusal(publisher, "certificate", "CERTIFICATE")).lower()
        finally:
            await publisher.close()
