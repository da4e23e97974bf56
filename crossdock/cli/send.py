"""`crossdock send`: sign and send samples of any scheme, as its provider would."""

import asyncio
import os
import statistics
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from crossdock.errors import ConfigurationError
from crossdock.presets import CATALOGUE
from crossdock.samples.composing import Webhook
from crossdock.samples.sender import (
    ACCEPTED,
    CORRUPTIONS,
    UNSIGNED,
    Answer,
    Composer,
    Flow,
    new_serial,
)

SECRET_VARIABLE = "CROSSDOCK_SOURCE_SECRET"  # noqa: S105 - the variable's name, not its value


def send(
    source: Annotated[str, typer.Option(help="The source's ingest URL.")],
    scheme: Annotated[
        str, typer.Option("--scheme", "--preset", help=f"One of: {', '.join(CATALOGUE)}.")
    ] = "standard",
    sample: Annotated[
        str | None, typer.Option(help="A sample of the preset's by its name; the first if none.")
    ] = None,
    secret: Annotated[
        str, typer.Option(help="The source's secret.", envvar=SECRET_VARIABLE, show_envvar=True)
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="How many webhooks.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Webhooks a second; as fast as it goes if none.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=1024, help="At the same time.")] = 8,
    corrupt: Annotated[
        str | None, typer.Option(help=f"Spoil each in one way: {', '.join(CORRUPTIONS)}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, no table.")] = False,
) -> None:
    """Sign and send sample webhooks of any scheme to a source.

    Exits with 1 when any answer was not what it should be: 202, or a refusal for a spoilt one.
    """
    composer = _composer(scheme, source, secret, sample)
    webhooks = _compose(composer, scheme, count, corrupt)
    answers = asyncio.run(_run(webhooks, count, connections, rate, quiet=as_json))
    _report(answers, as_json=as_json)
    expected = range(400, 500) if corrupt else range(ACCEPTED, ACCEPTED + 1)
    if any(answer.status not in expected for answer in answers):
        raise typer.Exit(1)


def _composer(scheme: str, url: str, secret: str, sample: str | None) -> Composer:
    if scheme not in CATALOGUE:
        raise ConfigurationError(f"No scheme {scheme!r}; there are: {', '.join(CATALOGUE)}.")
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError("--source takes the source's ingest URL, http://…/in/….")
    if not secret and CATALOGUE[scheme].scheme != UNSIGNED:
        raise ConfigurationError(f"Give the source's secret by --secret or {SECRET_VARIABLE}.")
    return Composer(scheme, url, secret, sample=sample)


def _compose(composer: Composer, scheme: str, count: int, corrupt: str | None) -> Iterator[Webhook]:
    how = next((known for known in CORRUPTIONS if known == corrupt), None)
    if corrupt and how is None:
        raise ConfigurationError(f"--corrupt takes one of: {', '.join(CORRUPTIONS)}.")
    if how is not None and CATALOGUE[scheme].scheme == UNSIGNED:
        raise ConfigurationError(f"The scheme {UNSIGNED} signs nothing, so nothing can be spoilt.")
    return (composer.compose(new_serial(), corrupt=how) for _ in range(count))


async def _run(
    webhooks: Iterator[Webhook], count: int, connections: int, rate: float | None, *, quiet: bool
) -> list[Answer]:
    answers: list[Answer] = []
    columns = (
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("send", total=count)

        def told(_webhook: Webhook, answer: Answer) -> None:
            answers.append(answer)
            bar.advance(task)

        await Flow(webhooks, connections=min(connections, count), rate=rate).run(told)
    return answers


def _report(answers: list[Answer], *, as_json: bool) -> None:
    reasons = Counter(answer.reason for answer in answers)
    times = sorted(answer.seconds * 1000 for answer in answers)
    p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
    if as_json:
        summary = {
            "sent": len(answers),
            "answers": dict(reasons),
            "median_ms": round(statistics.median(times), 2),
            "p99_ms": round(p99, 2),
            "event_ids": [answer.event_id for answer in answers if answer.event_id],
        }
        print(msgspec.json.encode(summary).decode())
        return
    caption = f"p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms"
    table = Table("answer", "webhooks", caption=caption)
    for reason, number in reasons.most_common():
        table.add_row(reason, str(number))
    Console().print(table)
    if len(answers) == 1 and answers[0].event_id:
        print(os.linesep + f"event {answers[0].event_id}")
