"""`crossdock doctor`: what is wrong with a deployment, and how to mend it."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crossdock.config import LogSettings, NatsSettings, Settings
from crossdock.doctor import service
from crossdock.doctor.model import Finding
from crossdock.embedded import EmbeddedNats
from crossdock.supervisor.folder import DEFAULT, find_settings, names_servers
from crossdock.telemetry import logs

MARKS: Final = {
    "ok": "[green]✓[/green]",
    "warning": "[yellow]![/yellow]",
    "wrong": "[red]✗[/red]",
    "unknown": "[dim]?[/dim]",
}


def doctor(
    data: Annotated[
        Path | None,
        typer.Option(help=f"Data folder of a running `crossdock up`; {DEFAULT} if there is one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Examine a deployment and say how to mend what is wrong; then the exit code is 1.

    Looks at what CROSSDOCK_… settings name, or at the stack that runs in a data folder.
    """
    logs.configure(LogSettings(level="error", format="console"), "doctor")
    settings, system, folder = _subject(data)
    findings = asyncio.run(service.examine(settings, system=system, data=folder))
    healthy = not any(finding.verdict == "wrong" for finding in findings)
    if as_json:
        print(msgspec.json.encode({"healthy": healthy, "findings": findings}).decode())
    else:
        _show(findings)
    if not healthy:
        raise typer.Exit(1)


def _subject(data: Path | None) -> tuple[Settings, NatsSettings | None, Path | None]:
    """Return what to examine: servers that settings name, unless a folder is asked for."""
    settings = find_settings(data)
    if data is None and names_servers(os.environ):
        return settings, None, None
    folder = data or DEFAULT
    return settings, EmbeddedNats(folder).system_settings(), folder


def _show(findings: list[Finding]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        table.add_row(MARKS[finding.verdict], finding.check, escape(finding.found))
        if finding.mend:
            table.add_row("", "", f"[italic]→ {escape(finding.mend)}[/italic]")
    console = Console()
    console.print(table)
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    console.print(f"\n{wrong} to mend." if wrong else "\nAll is well.")
