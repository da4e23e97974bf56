"""The process that hashes passwords: one beside each gateway process, and last in line.

A hash takes 64 MiB and a sixth of a second of a processor, on purpose. Done where webhooks are
taken, a storm of logins would stop them; here it waits for processor time that nobody else wants.

It reads questions from standard input and writes answers to standard output: each is a length of
four bytes, big-endian, and a MessagePack value. Passwords are in no argument, in no variable and in
no log; its two arguments say what a hash costs. When its gateway ends in whatever way, so does its
input, and it ends too.
"""

import signal
import sys
from typing import BinaryIO, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import Type, error_to_str

from crossdock.errors import ConfigurationError
from crossdock.process import die_with_parent, step_back

LENGTH_BYTES: Final = 4
MAX_BYTES: Final = 16 * 1024
"""Of a question or an answer; the longest password and hash are a tenth of it."""

LEAST_MEMORY_KIB: Final = 19_456
LEAST_PASSES: Final = 2
"""The least that OWASP's cheat sheet on storing passwords asks of argon2id."""

_NO_MEMORY: Final = error_to_str(-22)
"""ARGON2_MEMORY_ALLOCATION_ERROR of argon2.h."""


class Cost(msgspec.Struct, frozen=True):
    """What one hash by argon2id costs.

    By default RFC 9106 §4's second choice, for where memory is not plenty, but with one lane
    instead of four: the work and the memory are the same, and one hash keeps one processor busy
    and not two.
    """

    memory_kib: int = 65_536
    passes: int = 3

    def check(self) -> None:
        """Check that guessing stays dear.

        Raises:
            ConfigurationError: it is below the floor.
        """
        if self.memory_kib < LEAST_MEMORY_KIB or self.passes < LEAST_PASSES:
            raise ConfigurationError(
                f"CROSSDOCK_IDENTITY__HASH_MEMORY_KIB must be at least {LEAST_MEMORY_KIB} and"
                f" CROSSDOCK_IDENTITY__HASH_PASSES at least {LEAST_PASSES}."
            )

    def hasher(self) -> PasswordHasher:
        """Return what hashes at this cost, and compares at any."""
        return PasswordHasher(
            time_cost=self.passes,
            memory_cost=self.memory_kib,
            parallelism=1,
            hash_len=32,
            salt_len=16,
            type=Type.ID,
        )

    def nobodys(self) -> str:
        """Return a hash as costly to compare with as any, and of no password that can be found."""
        salt, digest = "A" * 22, "A" * 43
        return f"$argon2id$v=19$m={self.memory_kib},t={self.passes},p=1${salt}${digest}"


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A password to hash, or to compare with a hash."""

    number: int
    password: bytes
    hash: str | None = None

    def __repr__(self) -> str:
        return f"Question({self.number}, ***)"


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """Its hash, or whether it was the right one; neither where the hash was none of ours."""

    number: int
    hash: str | None = None
    is_right: bool | None = None


def answer(question: Question, argon2id: PasswordHasher) -> Answer:
    """Do the work.

    Raises:
        Argon2Error: there is no memory for it; whether the password was right is not known.
    """
    if question.hash is None:
        return Answer(question.number, hash=argon2id.hash(question.password))
    try:
        argon2id.verify(question.hash, question.password)
    except VerifyMismatchError:
        return Answer(question.number, is_right=False)
    except InvalidHashError:
        return Answer(question.number)
    except VerificationError as error:
        if str(error) == _NO_MEMORY:
            raise
        return Answer(question.number)
    return Answer(question.number, is_right=True)


def serve(questions: BinaryIO, answers: BinaryIO, cost: Cost) -> None:
    """Answer until there are no more questions."""
    decoder = msgspec.msgpack.Decoder(Question)
    argon2id = cost.hasher()
    while len(head := questions.read(LENGTH_BYTES)) == LENGTH_BYTES:
        text = questions.read(int.from_bytes(head, "big"))
        answers.write(framed(answer(decoder.decode(text), argon2id)))
        answers.flush()


def framed(value: Question | Answer) -> bytes:
    """Return a value with its length before it."""
    text = msgspec.msgpack.encode(value)
    return len(text).to_bytes(LENGTH_BYTES, "big") + text


def main() -> None:
    """Serve the process that started this one."""
    # It lives exactly as long as its gateway, which may have requests to finish after the signal
    # that a terminal or a service manager sends to all of the group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    step_back()
    serve(sys.stdin.buffer, sys.stdout.buffer, Cost(*map(int, sys.argv[1:])))


if __name__ == "__main__":
    main()
