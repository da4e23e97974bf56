"""Letters as files."""

import asyncio
import stat
from pathlib import Path

import pytest

from crossdock import ids
from crossdock.mail.folder import MailFolder
from crossdock.mail.message import Sender, compose
from crossdock.mail.model import Mail
from crossdock.mail.transport import Unsent

SENDER = Sender("Crossdock <no-reply@localhost>")


def files(folder: Path) -> list[Path]:
    """What lies in a folder, drafts included."""
    return list(folder.iterdir())


async def test_nobody_else_can_read_a_letter(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "a" / "mail")
    await folder.send(compose(ids.new(), Mail("a@example.com", "s", "t\n"), SENDER))
    [file] = files(folder.path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert file.suffix == ".eml"


async def test_letters_are_read_as_they_were_written_oldest_first(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    mails = [
        Mail("ann@example.com", "Grüße für Müller", "Schöne Grüße,\n\n    token\n", "signup"),
        Mail("jürgen@example.com", "s", "t\n"),
        Mail("bob@example.com", "x" * 200, "t\n", "alert"),
    ]
    made = [ids.new() for _ in mails]
    for mail_id, mail in reversed(list(zip(made, mails, strict=True))):
        await folder.send(compose(mail_id, mail, SENDER))
    letters = folder.letters()
    assert [letter.id for letter in letters] == [ids.encode("mal", mail_id) for mail_id in made]
    assert [Mail(one.to, one.subject, one.text, one.kind) for one in letters] == mails  # type: ignore[arg-type]


async def test_a_letter_written_twice_is_one(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    message = compose(ids.new(), Mail("a@example.com", "s", "t\n"), SENDER)
    await asyncio.gather(*(folder.send(message) for _ in range(5)))
    assert len(folder.letters()) == 1
    assert {path.suffix for path in files(tmp_path)} == {".eml"}


async def test_a_draft_left_behind_is_no_letter_and_no_obstacle(tmp_path: Path) -> None:
    folder = MailFolder(tmp_path)
    assert folder.letters() == []
    message = compose(ids.new(), Mail("a@example.com", "s", "t\n"), SENDER)
    (tmp_path / f".{message['Crossdock-Mail']}.eml.1").write_bytes(b"half of it")
    await folder.send(message)
    assert len(folder.letters()) == 1


async def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = MailFolder(tmp_path / "file" / "mail")
    with pytest.raises(Unsent, match="file/mail"):
        await folder.send(compose(ids.new(), Mail("a@example.com", "s", "t\n"), SENDER))
