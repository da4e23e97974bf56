"""Schemathesis on the live document of a real stack: all checks, by those who may and by nobody.

It is run as anyone would run it, by its command line: what it finds is told with a `curl` to see it
again. What it draws is the same each time.
"""

import asyncio
import os
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from crossdock.embedded.ports import free_port
from tests.acceptance.identity.people import Caller, Person, Town, key, source
from tests.acceptance.identity.problems import ok
from tests.acceptance.linked import Walker
from tests.beds.routes import ENDLESS
from tests.faults.stack import Stack
from tests.faults.waiting import until

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = Path(sysconfig.get_path("scripts")) / "schemathesis"
DOCUMENT: Final = "/schema/openapi.json"
LIMIT_S: Final = 200

DIFFERENTLY: Final = (403, 409)
"""What may be answered of something that is there: its state does not allow it, or nobody may."""

CHECKS: Final = """
hooks = "tests.acceptance.schemathesis_hooks"

[checks.positive_data_acceptance]
# `refusals_have_reasons` looks at 400, 412 and 422 one by one.
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "429", "5xx"]

[phases.stateful]
# The links of the document are what is tested; guessed ones, six times as many, would hide them.
inference.algorithms = []

[[operations]]
# Not every provider has a handshake: a source without one takes no GET.
include-operation-id = "answer_handshake"
checks.positive_data_acceptance.expected-statuses = ["200", "404", "405"]
"""
APART: Final = "".join(
    f'[[operations]]\ninclude-path-regex = "^{path}$"\nenabled = false\n' for path in ENDLESS
)
"""All that is not asked: schemathesis would wait for the end of the answer."""
CREDENTIALS: Final = """
[[operations]]
include-path-regex = "^/v1/(?!admin/|auth/)"
headers = { Authorization = "Bearer ${KEY}" }

[[operations]]
include-path-regex = "^/v1/admin/"
headers = { Authorization = "Bearer ${OPERATOR}" }

[[operations]]
include-path-regex = "^/v1/auth/(?!logout)"
headers = { Authorization = "Bearer ${PERSON}" }

[[operations]]
include-path-regex = "^/v1/auth/logout"
headers = { Authorization = "Bearer ${LEAVING}" }
"""


class Callers(NamedTuple):
    """Who asks: a tenant's key, an operator, a person, and one who signs out."""

    key: Caller
    operator: Person
    person: Person
    leaving: Person
    spared: list[str]
    """Ids of what they depend on."""

    def environment(self) -> dict[str, str]:
        """Return what schemathesis is given of them."""
        return {
            "KEY": self.key.headers["authorization"].removeprefix("Bearer "),
            "OPERATOR": self.operator.session.access,
            "PERSON": self.person.session.access,
            "LEAVING": self.leaving.session.access,
            "CROSSDOCK_TEST_SPARED": ",".join(self.spared),
        }


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A stack of its own: an operator who tries everything is no company for other tests."""
    with tempfile.TemporaryDirectory(prefix="crossdock-schemathesis-") as folder:
        async with Stack(Path(folder) / "data", processes=1) as running:
            yield running


@pytest.fixture(scope="module")
async def town(stack: Stack) -> AsyncIterator[Town]:
    """Everybody who may meet there."""
    async with Town(stack) as opened:
        yield opened


@pytest.fixture(scope="module")
async def callers(town: Town) -> Callers:
    """Those who may; their tenants have no limits but those of the test's patience."""
    operator = await town.operator("platform-admin")
    owner, person, leaving = await town.founders(3)
    for one in (owner, person, leaving):
        path = f"/v1/admin/tenants/{one.tenant_id}/quota"
        ok(await operator.rest.patch(path, {"plan": "unlimited"}))
    await furnish(owner)
    await enter(operator, owner.tenant_id)
    await town.colleague(owner, "viewer")
    made = await key(owner.rest, *(await owner.me())["permissions"])
    spared = [made["id"]]
    for one in (operator, owner, person):
        spared += [one.id, one.session.id, (await one.me())["tenant"]["id"]]
    return Callers(town.bearer(made["key"]), operator, person, leaving, spared)


async def furnish(owner: Person) -> None:
    """Give a tenant one of what no request makes: an event, and a delivery that was given up."""
    webhooks = await source(owner.rest)
    nowhere = {"name": "nowhere", "url": f"http://127.0.0.1:{free_port()}/", "retry": {"count": 0}}
    ok(await owner.rest.post("/v1/destinations", nowhere), 201)
    ok(await owner.town.http.post(webhooks["ingest_url"], content=b"{}"), 202)

    async def is_given_up() -> bool:
        return bool(ok(await owner.rest.get("/v1/dead-letters"))["items"])

    await until(is_given_up, "a dead letter", within=30)


async def enter(operator: Person, tenant_id: str) -> None:
    """Have an operator look into a tenant."""
    body = {"reason": "Somebody asked for it.", "minutes": 10}
    ok(await operator.rest.post(f"/v1/admin/tenants/{tenant_id}/support", body), 201)


async def run(
    stack: Stack, folder: Path, settings: str, environment: Mapping[str, str], *words: str
) -> str:
    """Run schemathesis to its end; fail with what it says if it finds anything."""
    config = folder / "schemathesis.toml"
    config.write_text(settings + APART)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        *("--config-file", str(config), "run", stack.url + DOCUMENT),
        *("--checks", "all", "--generation-deterministic", "--continue-on-failure", "--no-color"),
        *words,
        cwd=folder,
        env=ours | dict(environment) | {"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = out.decode()
    assert process.returncode == 0, told
    return told


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_every_link_leads_to_something(callers: Callers, town: Town) -> None:
    document = ok(await town.anyone().get(DOCUMENT))
    asking = {
        "/v1/": callers.key,
        "/v1/admin/": callers.operator.rest,
        "/v1/auth/": callers.person.rest,
    }
    walker = Walker(document, asking)
    assert walker.links
    # Last: it discards the one dead letter that the others need.
    for link in sorted(walker.links, key=lambda link: link.target == "cancel_delivery"):
        if link.target == "end_session":
            await callers.person.login()  # the newest is first, and that is not the one who asks
        reply = await walker.follow(link)
        assert reply.is_success or reply.status_code in DIFFERENTLY, (link, reply.text)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 60)
async def test_those_who_may(stack: Stack, callers: Callers, tmp_path: Path) -> None:
    words = ("--phases", "examples,coverage,fuzzing", "--max-examples", "6")
    await run(stack, tmp_path, CHECKS + CREDENTIALS, callers.environment(), *words)
    await are_still_there(callers)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 60)
async def test_one_thing_leads_to_another(stack: Stack, callers: Callers, tmp_path: Path) -> None:
    words = ("--phases", "stateful", "--max-examples", "40")
    told = await run(stack, tmp_path, CHECKS + CREDENTIALS, callers.environment(), *words)
    assert "Stateful" in told
    await are_still_there(callers)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 60)
async def test_nobody_in_particular(stack: Stack, tmp_path: Path) -> None:
    words = ("--phases", "examples,fuzzing", "--max-examples", "5")
    await run(stack, tmp_path, CHECKS, {"CROSSDOCK_TEST_ANONYMOUS": "1"}, *words)


async def are_still_there(callers: Callers) -> None:
    """Check that what was found was found by callers who were let in to the end."""
    for caller in (callers.key, callers.operator.rest, callers.person.rest):
        ok(await caller.get("/v1/auth/me"))


def test_no_check_is_off() -> None:
    assert "enabled" not in CHECKS
    assert "exclude" not in CHECKS + CREDENTIALS
