"""A certificate of ours, shown to real servers that ask for one."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from crossdock.delivery.destinations.credentials import MutualTls
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.kinds.certificates import Contexts
from crossdock.errors import Invalid
from tests.beds.carrying import delivered
from tests.beds.certificates import Authority
from tests.beds.delivery import DeliveryBed

KEY = (UUID(int=1), UUID(int=2))


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Vouches for the server, and for whom it takes."""
    return Authority()


@asynccontextmanager
async def serving(tls: ssl.SSLContext) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve with TLS; give the URL, and the names of those who were let in."""
    seen: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        peer: Any = request.transport.get_extra_info("peercert")  # type: ignore[union-attr]
        seen.append(peer["subject"][0][0][1] if peer else "nobody")
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}/hook", seen
    finally:
        await runner.cleanup()


def pair(authority: Authority, name: str, ca: str | None = None) -> MutualTls:
    certificate, key = authority.issue(name)
    return MutualTls(certificate, key, ca=authority.pem if ca is None else ca)


async def test_each_destination_shows_its_own(bed: DeliveryBed, authority: Authority) -> None:
    """One pool for all, and yet nobody goes on a connection that another opened."""
    tenant = await bed.tenant()
    async with serving(authority.server(wants_certificate=True)) as (url, seen):
        for name in ("first", "second"):
            await bed.destination(tenant, url, auth=pair(authority, name))
        async with bed.dispatching() as dispatcher:
            for number in range(1, 4):
                await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
                async with asyncio.timeout(10):
                    while await bed.states(tenant) != ["delivered"] * 2 * number:
                        await asyncio.sleep(0.01)
    assert sorted(seen) == ["first"] * 3 + ["second"] * 3


async def test_whoever_is_not_let_in_has_a_failure_of_its_kind(
    bed: DeliveryBed, authority: Authority
) -> None:
    """With TLS 1.3 our certificate is judged after the handshake; some servers just hang up."""
    tenant = await bed.tenant()
    stranger = Authority("another")
    async with serving(authority.server(wants_certificate=True)) as (url, seen):
        await bed.destination(tenant, url, auth=pair(stranger, "me", ca=authority.pem))
        attempt = await delivered(bed, tenant, state="dead")
    assert attempt.error is not None
    assert attempt.error.startswith(("tls: ", "read: "))
    assert not seen


@pytest.mark.parametrize("fault", ["nobody vouches", "expired", "for another"])
async def test_a_server_that_is_not_who_it_says_gets_nothing(
    bed: DeliveryBed, authority: Authority, fault: str
) -> None:
    tenant = await bed.tenant()
    issuer = Authority("another") if fault == "nobody vouches" else authority
    issued: dict[str, Any] = {"expired": {"days": -1}, "for another": {"address": "127.0.0.2"}}
    async with serving(issuer.server(**issued.get(fault, {}))) as (url, seen):
        await bed.destination(tenant, url, auth=pair(authority, "me"))
        attempt = await delivered(bed, tenant, state="dead")
    assert attempt.error is not None
    assert attempt.error.startswith("tls: ")
    assert not seen


async def test_what_expires_later_is_a_tls_failure_and_no_call(authority: Authority) -> None:
    certificate, key = authority.issue("me", days=-1)
    with pytest.raises(CallFailed) as caught:
        await Contexts().get(KEY, 1, MutualTls(certificate, key))
    assert caught.value.kind == "tls"
    assert "expired" in str(caught.value)


async def test_a_disk_that_was_full_for_a_moment_costs_no_more_than_that(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts, auth = Contexts(), pair(authority, "me")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(FileNotFoundError):
            await contexts.get(KEY, 1, auth)
    assert isinstance(await contexts.get(KEY, 1, auth), ssl.SSLContext)


async def test_an_edit_is_not_refused_for_what_has_expired_since(
    bed: DeliveryBed, authority: Authority
) -> None:
    tenant = await bed.tenant()
    certificate, key = authority.issue("me", days=-1)
    with pytest.raises(Invalid):
        await bed.destination(tenant, "https://example.com/", auth=MutualTls(certificate, key))
    made = await bed.destination(tenant, "https://example.com/", auth=pair(authority, "me"))
    changed = await bed.destinations.patch(tenant, made.destination.id, {"name": "new"}, None)
    assert changed.credentials == made.destination.credentials, "nor sealed anew"


async def test_contexts_are_made_once_a_version_and_bounded(authority: Authority) -> None:
    contexts = Contexts(capacity=2)
    auth = pair(authority, "me")
    many = await asyncio.gather(*(contexts.get(KEY, 1, auth) for _ in range(10)))
    assert len(set(map(id, many))) == 1
    assert await contexts.get(KEY, 2, auth) is not many[0]
    for number in range(5):
        await contexts.get((KEY[0], UUID(int=number)), 1, auth)
    assert len(contexts) == 2


async def test_what_can_not_be_loaded_is_a_tls_failure(authority: Authority) -> None:
    certificate, _ = authority.issue("me")
    _, key = authority.issue("you")
    with pytest.raises(CallFailed) as caught:
        await Contexts().get(KEY, 1, MutualTls(certificate, key))
    assert caught.value.kind == "tls"
    assert "BEGIN" not in str(caught.value)
