"""A letter as a message of RFC 5322: the same each time it is made, so that a repeat shows as one.

Headers are made by the standard library's `email`, which folds, encodes (RFC 2047) and refuses
line breaks where they are not encoded; for those that are, see `model.ENCODED`. Names of people and
tenants are in subjects and bodies only, never in addresses.
"""

from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from typing import Final
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from crossdock import ids
from crossdock.errors import ConfigurationError
from crossdock.mail.model import Mail, is_line
from crossdock.mail.transport import Undeliverable

ID_HEADER: Final = "Crossdock-Mail"
KIND_HEADER: Final = "Crossdock-Kind"

LONGEST_LINE: Final = 998
"""Of a body that travels as it is, by RFC 5322."""


class Sender:
    """Whom letters are from."""

    def __init__(self, text: str) -> None:
        """Read `Name <address>`, or an address alone.

        Raises:
            ConfigurationError: it is neither.
        """
        found = getaddresses([text])
        if not is_line(text) or len(found) != 1 or "@" not in found[0][1]:
            raise ConfigurationError(
                f"CROSSDOCK_MAIL__SENDER={text!r} is no address: use `Name <name@example.com>`."
            )
        name, address = found[0]
        local, _, domain = address.rpartition("@")
        try:
            self.domain = domain.encode("idna").decode()
            self.address = Address(name, local, self.domain)
            self.address.addr_spec.encode("ascii")
        except (ValueError, UnicodeError) as error:
            raise ConfigurationError(f"CROSSDOCK_MAIL__SENDER={text!r}: {error}.") from error


def compose(mail_id: UUID, mail: Mail, sender: Sender) -> EmailMessage:
    """Return a letter as a message.

    Its policy is `SMTPUTF8` where the address has letters that plain SMTP can't carry.

    Raises:
        Undeliverable: nothing could be sent to that address.
    """
    to = _recipient(mail.to)
    is_plain = to.isascii()
    message = EmailMessage(policy=policy.SMTP if is_plain else policy.SMTPUTF8)
    message["From"] = str(sender.address)
    message["To"] = to
    if [address.addr_spec for address in message["To"].addresses] != [to]:
        raise Undeliverable("The recipient's address is not one that a header can hold.")
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(ids.time_of(mail_id))
    message["Message-ID"] = f"<{mail_id.hex}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    message[ID_HEADER] = ids.encode("mal", mail_id)
    message[KIND_HEADER] = mail.kind
    message.set_content(mail.text, charset="utf-8", cte=_encoding(mail.text))
    return message


def _recipient(address: str) -> str:
    """Return an address with its domain in ASCII; its local part may be what SMTPUTF8 is for."""
    if address.isascii():
        return address
    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        raise Undeliverable(f"The recipient's address can't be sent to: {error}") from error
    return found.ascii_email or f"{found.local_part}@{found.ascii_domain}"


def _encoding(text: str) -> str:
    """Return how a body travels: as it is where it may, so that its lines stay whole."""
    longest = max(map(len, text.splitlines()), default=0)
    return "7bit" if text.isascii() and longest <= LONGEST_LINE else "quoted-printable"
