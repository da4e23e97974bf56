"""A letter's own rules: nothing that could end a header gets in, not even out of a row."""

import msgspec
import pytest

from crossdock.mail.model import Mail


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example.com\r\nBcc: x@example.com",
        "ann@example.com\n",
        "ann@example.com, bob@example.com",
        "ann@example.com;bob@example.com",
        "Ann <ann@example.com>",
        "ann smith@example.com",
        "ann@example.com\0",
        "ann@example.com\u2028Bcc: x@example.com",
        "ann\x85@example.com",
        "ann\ud800@example.com",
    ],
)
def test_what_is_not_one_address_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Mail(to=to, subject="s", text="t")


@pytest.mark.parametrize(
    "end", ["\r", "\n", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
)
def test_a_subject_of_two_lines_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="line"):
        Mail(to="a@b.c", subject=f"s{end}Bcc: x@y.z", text="t")


def test_a_bad_letter_does_not_come_out_of_a_row_either() -> None:
    row = msgspec.json.encode({"to": "a@b.c\nBcc: x@y.z", "subject": "s", "text": "t"})
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(row, type=Mail)
