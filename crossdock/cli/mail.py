"""`crossdock mail`: the letters of an installation that writes them into a folder."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Annotated, Any, Final

import msgspec
import typer
from email_validator import EmailNotValidError, validate_email

from crossdock.cli.options import Data, Json, print_json
from crossdock.config import MailSettings
from crossdock.errors import ConfigurationError, NotFound
from crossdock.mail.folder import Letter, MailFolder
from crossdock.mail.letters import token_of
from crossdock.supervisor.folder import find_settings

POLL_S: Final = 0.1

app = typer.Typer(help="Read the letters that a stack has written.")

To = Annotated[str | None, typer.Option(help="Only those to this address.")]
Kind = Annotated[
    str | None, typer.Option(help="Only those of this kind, for example `password-reset`.")
]
Wait = Annotated[
    float, typer.Option(min=0, max=3600, help="Seconds to wait for one, if there is none yet.")
]


class Numbered(msgspec.Struct, frozen=True):
    """A letter with its number: the oldest of all has 1."""

    number: int
    letter: Letter


@app.callback(invoke_without_command=True)
def mail(context: typer.Context, to: To = None, data: Data = None, as_json: Json = False) -> None:
    """Read the letters that a stack has written; without a command, list them."""
    if context.invoked_subcommand is None:
        list_letters(to=to, data=data, as_json=as_json)
    elif to is not None or data is not None or as_json:
        raise typer.BadParameter("Options come after the command.")


@app.command("list")
def list_letters(
    to: To = None,
    kind: Kind = None,
    data: Data = None,
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """List letters, the newest last."""
    found = _find(_folder(data), to, kind, wait)
    if as_json:
        print_json({"items": [_shown(one) for one in found]})
        return
    for one in found:
        letter = one.letter
        print(f"{one.number:>4}  {letter.date:%Y-%m-%d %H:%M:%S}  {letter.to}  {letter.subject}")


@app.command()
def show(
    which: Annotated[
        str, typer.Argument(metavar="N|latest", help="Its number in the list.")
    ] = "latest",
    to: To = None,
    kind: Kind = None,
    data: Data = None,
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Show a letter."""
    one = _choose(_find(_folder(data), to, kind, wait), which)
    if as_json:
        print_json(_shown(one) | {"text": one.letter.text, "token": token_of(one.letter.text)})
        return
    letter = one.letter
    print(f"From: {letter.sender}\nTo: {letter.to}\nDate: {letter.date:%Y-%m-%d %H:%M:%S %z}")
    print(f"Subject: {letter.subject}\n\n{letter.text}", end="")


@app.command()
def token(
    to: Annotated[str, typer.Option(help="The address it was sent to.")],
    kind: Kind = None,
    data: Data = None,
    wait: Wait = 0.0,
    as_json: Json = False,
) -> None:
    """Print the token of the newest letter that carries one, and nothing else."""
    found = _find(_folder(data), to, kind, wait, lambda one: token_of(one.text) is not None)
    one = _choose(found, "latest")
    text = token_of(one.letter.text)
    if as_json:
        print_json(_shown(one) | {"token": text})
    else:
        print(text)


def _folder(data: Path | None) -> MailFolder:
    """Return the folder that settings name.

    Raises:
        ConfigurationError: letters leave another way, or none.
    """
    settings: MailSettings = find_settings(data).mail
    if settings.smtp_host is not None:
        raise ConfigurationError(f"Letters leave by {settings.smtp_host}; none are kept here.")
    if settings.folder is None:
        raise ConfigurationError("No folder of mail is set: name one by CROSSDOCK_MAIL__FOLDER.")
    return MailFolder(settings.folder)


def _find(
    folder: MailFolder,
    to: str | None,
    kind: str | None,
    wait_s: float,
    fits: Callable[[Letter], bool] = lambda _letter: True,
) -> list[Numbered]:
    """Return the letters wanted, oldest first; wait for the first of them if there is none."""
    address = None if to is None else _comparable(to)
    until, pause = time.monotonic() + wait_s, Event()
    while True:
        found = [
            Numbered(number, letter)
            for number, letter in enumerate(folder.letters(), 1)
            if address in {None, _comparable(letter.to)}
            and kind in {None, letter.kind}
            and fits(letter)
        ]
        if found or time.monotonic() >= until:
            return found
        pause.wait(POLL_S)


def _comparable(address: str) -> str:
    """Return an address in the form in which two ways to write it are the same."""
    try:
        found = validate_email(address, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        return address.casefold()
    return found.normalized.casefold()


def _choose(found: list[Numbered], which: str) -> Numbered:
    """Return one letter.

    Raises:
        NotFound: there is none of that number, or none at all.
    """
    if which == "latest" and found:
        return found[-1]
    chosen = next((one for one in found if str(one.number) == which), None)
    if chosen is None:
        raise NotFound("There is no such letter." if found else "There is no letter yet.")
    return chosen


def _shown(one: Numbered) -> dict[str, Any]:
    letter = one.letter
    return {
        "number": one.number,
        "id": letter.id,
        "kind": letter.kind,
        "to": letter.to,
        "subject": letter.subject,
        "date": letter.date.isoformat(timespec="seconds"),
    }
