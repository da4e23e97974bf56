"""A NATS server that is not ours to configure: what the command prints is all it needs."""

import asyncio
from collections.abc import Callable
from typing import Any

from crossdock.bus import Bus
from crossdock.consumers import rules
from crossdock.embedded import EmbeddedNats
from crossdock.embedded.nats import ACCOUNTS
from tests.integration.consumers.conftest import OURS, THEIRS, Command, signed_in, taken


def configure(server: EmbeddedNats, exports: str, account: str) -> None:
    """Do what the command says, as an operator would: by hand, and a reload, twice."""
    path = server.folder / ACCOUNTS
    text = path.read_text()
    text = text.replace("exports: [\n", f"exports: [\n{exports}\n", 1)
    path.write_text(text.replace("\n}\nsystem_account", f"\n{account}\n}}\nsystem_account"))
    process = server.process
    assert process is not None
    for _ in range(2):
        server._hang_up(process)


async def test_what_is_printed_is_all_that_it_takes(
    command: Command, private_nats: EmbeddedNats, announce: Callable[..., Any], bus: Bus
) -> None:
    def add() -> Any:
        return command.json("add", "billing", "--tenant", OURS, beside=False)

    made = await asyncio.to_thread(add)
    assert private_nats.users.all() == ()
    assert made["password"] not in made["account"]
    await asyncio.to_thread(configure, private_nats, made["exports"], made["account"])
    await announce(THEIRS)
    name = await announce()
    async with signed_in(private_nats, "billing", made["password"]) as client:
        jetstream = client.jetstream(prefix=made["api_prefix"])
        pulled = await jetstream.pull_subscribe_bind("billing", stream="EVENTS")
        assert [one.headers["ce-id"] for one in await taken(pulled, 1)] == [name]

    def listed() -> Any:
        return command.json("list", beside=False)

    assert [one["name"] for one in (await asyncio.to_thread(listed))["items"]] == ["billing"]
    done = await asyncio.to_thread(lambda: command.run("remove", "billing", beside=False))
    assert "take the account CONSUMER_billing" in done.stdout
    assert await bus.jetstream().consumers_info("EVENTS") == []


async def test_people_are_told_where_it_goes(command: Command) -> None:
    key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
    done = await asyncio.to_thread(
        lambda: command.run("add", "billing", "--all-tenants", "--nkey", key, beside=False)
    )
    assert done.returncode == 0, done.stderr
    assert f'nkey: "{key}"' in done.stdout
    assert "password" not in done.stdout
    assert "under `exports: [ … ]`" in done.stdout
    assert '"CONSUMER_billing": {' in done.stdout
    assert f"{rules.API}.CONSUMER.INFO.EVENTS.billing" in done.stdout
