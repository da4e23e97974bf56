"""`crossdock`: what it can do, and how it says that something is wrong."""

import sys
from importlib import import_module
from typing import Annotated, Any, Final

import typer
import typer.core
import typer.main

from crossdock import __version__
from crossdock.errors import ConfigurationError, CrossdockError, Invalid

WRONG_SETTINGS: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130

COMMANDS: Final[dict[str, str]] = {
    "up": "crossdock.cli.up:up",
    "demo": "crossdock.cli.demo:demo",
    "tenant": "crossdock.cli.tenant:app",
    "operator": "crossdock.cli.operator:app",
    "mail": "crossdock.cli.mail:app",
    "shard": "crossdock.cli.shard:app",
    "send": "crossdock.cli.send:send",
    "listen": "crossdock.cli.listen:listen",
    "sources": "crossdock.cli.sources:app",
    "destinations": "crossdock.cli.destinations:app",
    "deliveries": "crossdock.cli.deliveries:app",
    "replays": "crossdock.cli.replays:app",
    "alerts": "crossdock.cli.alerts:app",
    "event-types": "crossdock.cli.event_types:app",
    "simulate": "crossdock.cli.simulate:simulate",
    "keys": "crossdock.cli.keys:app",
    "events": "crossdock.cli.events:app",
    "nats": "crossdock.cli.nats:app",
    "retention": "crossdock.cli.retention:app",
    "doctor": "crossdock.cli.doctor:doctor",
    "migrate": "crossdock.cli.migrate:migrate",
    "gateway": "crossdock.cli.gateway:gateway",
    "worker": "crossdock.cli.worker:worker",
}
"""In the order a newcomer meets them. A command's module is imported when it is called."""


class _Commands(typer.core.TyperGroup):
    """Imports only the command that is called: a worker has no use for what `demo` draws with."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found: Any = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            several = typer.main.get_group(found)
            several.name = cmd_name
            return several
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"crossdock {__version__}")
        raise typer.Exit


@app.callback()
def crossdock(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="And exit.")
    ] = False,
) -> None:
    """Crossdock receives signed webhooks, makes them durable before it answers, and delivers them.

    New here? [bold]crossdock up[/bold] starts everything on this machine,
    and [bold]crossdock demo[/bold] shows it at work.

    In production run [bold]migrate[/bold], [bold]gateway[/bold] and [bold]worker[/bold]
    beside your own NATS and PostgreSQL, with settings from
    CROSSDOCK_… variables or the TOML file CROSSDOCK_CONFIG names.
    """


def main() -> None:
    """Run one command; say in one line what is wrong, and never show a traceback for it."""
    try:
        app(prog_name="crossdock")
    except ConfigurationError as error:
        sys.exit(_complain(error, WRONG_SETTINGS))
    except CrossdockError as error:
        sys.exit(_complain(error, FAILED))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _complain(error: CrossdockError, code: int) -> int:
    said = str(error)
    if isinstance(error, Invalid) and said == Invalid.__doc__:  # all it knows is in the details
        said = " ".join(violation.detail for violation in error.violations) or said
    print(f"crossdock: {said}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
