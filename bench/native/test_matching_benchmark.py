"""Matching an event of a tenant with 1,000 subscriptions, of which its type leaves 50 to judge.

Bodies are those of `schemas`, 1 to 100 KiB; each of the 50 has a filter of its own, about fields as
they are at GitHub, Shopify and Stripe, some deep and some in loops. Against it: a loop in Python
over all subscriptions by the rules, then the same filters, one call each.
"""

from functools import partial
from typing import Final
from uuid import UUID

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.native import schemas
from crossdock import native
from crossdock.delivery.rules import matches
from crossdock.inbound.persist.matching import Given
from crossdock.inbound.persist.model import Route
from crossdock.routing import matcher

SUBSCRIPTIONS: Final = 1_000
LEFT: Final = 50
TENANT: Final = b"t" * 16
SOURCE: Final = UUID(int=7)
HEADERS: Final = [("content-type", "application/json"), ("x-shop-domain", "shop-7.example")]
BODIES: Final = schemas.mixed()
NAMES: Final = [f"{name}-{len(body) // schemas.KIB}K" for name, body in BODIES]

FILTERS: Final = {
    "github": (
        "payload.ref == 'refs/heads/release-{n}'",
        "payload.repository.stars > {n} && !payload.repository.private",
        "payload.commits.exists(c, 'src/{n}.py' in c.added)",
        "payload.sender.login.startsWith('z') && payload.repository.id % 50 == {n}",
        "headers['x-shop-domain'] == 'shop-{n}.example'",
    ),
    "shopify": (
        "payload.line_items.exists(l, l.quantity > {n})",
        "double(payload.line_items[0].price) > {n}.5",
        "payload.line_items.all(l, l.taxable) && payload.line_items.size() > {n}",
        "payload.line_items.exists(l, l.title.matches('^IPod .* - {n}GB$'))",
        "has(payload.customer) && payload.customer.id == {n}",
    ),
    "stripe": (
        "payload.data.object.amount > {n}000",
        "payload.type.startsWith('invoice.') && payload.livemode",
        "payload.data.object.currency in ['usd', 'eur'] && payload.created > {n}",
        "event.received_at.getHours('Europe/Berlin') == {n} % 24",
        "payload.data.object.lines.data.exists(l, l.amount == {n})",
    ),
}


def routes(name: str) -> list[Route]:
    """Return 1,000 subscriptions: 50 that take that type, and others; each has a filter."""
    made, texts = [], FILTERS[name]
    for number in range(SUBSCRIPTIONS):
        which, rest = divmod(number, SUBSCRIPTIONS // LEFT)
        left = rest == 0
        text = texts[which % len(texts)].replace("{n}", str(which))
        types = [f"{name}.*"] if left else [f"{name}{number}.*", f"other.{number}"]
        made.append(Route(UUID(int=number), [], types, is_open=True, filter=text))
    return made


def subject(name: str, body: bytes) -> Given:
    """Return an event as it is matched."""
    event_id = native.uuid7(1_790_000_000_000)
    kind = f"{name}.event"
    return Given(event_id, SOURCE.bytes, kind, "application/json", None, HEADERS, body)


@pytest.mark.benchmark(group="matching, 1,000 subscriptions")
@pytest.mark.parametrize(("name", "body"), BODIES, ids=NAMES)
def test_matching(benchmark: BenchmarkFixture, name: str, body: bytes) -> None:
    """One call for all of them."""
    made = matcher(routes(name))
    wanted, errors = benchmark(partial(made.match, *subject(name, body)))
    assert len(wanted) + len(errors) <= LEFT


@pytest.mark.benchmark(group="matching, 1,000 subscriptions")
@pytest.mark.parametrize(("name", "body"), BODIES, ids=NAMES)
def test_matching_plain(benchmark: BenchmarkFixture, name: str, body: bytes) -> None:
    """The rules in Python, then each filter by itself."""
    given = routes(name)
    single = [matcher([one]) for one in given]
    event = subject(name, body)

    def match() -> list[int]:
        return [
            at
            for at, one in enumerate(given)
            if matches(one, SOURCE, event.event_type) and single[at].match(*event)[0]
        ]

    wanted, _ = matcher(given).match(*event)
    assert benchmark(match) == [at for at, _ in wanted]


@pytest.mark.parametrize(("name", "body"), BODIES, ids=NAMES)
def test_fifty_are_left(name: str, body: bytes) -> None:
    """What is measured is what it says."""
    given = routes(name)
    assert sum(matches(one, SOURCE, f"{name}.event") for one in given) == LEFT
    _, errors = matcher(given).match(*subject(name, body))
    assert len(errors) < LEFT
