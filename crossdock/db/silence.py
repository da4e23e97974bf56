"""A server that has stopped refuses nobody: it keeps connections open and lets all callers wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError

from crossdock.errors import DatabaseUnavailable

SAYS_NOTHING: Final = "The database does not answer."


class Silence:
    """Notes that a server lets callers wait; then one of them goes on asking, the others do not."""

    def __init__(self) -> None:
        self._is_silent = False
        self._is_asked = False

    def check(self) -> None:
        """Be spared the wait.

        Raises:
            DatabaseUnavailable: the server did not answer somebody, and is being asked again.
        """
        if self._is_silent and self._is_asked:
            raise DatabaseUnavailable(SAYS_NOTHING)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Ask the server something that it answers at once, if it answers at all.

        Raises:
            DatabaseUnavailable: see `check`.
        """
        self.check()
        asks = self._is_silent
        self._is_asked = asks
        try:
            yield
        except Exception as error:
            self._is_silent = _is_timeout(error)
            raise
        else:
            self._is_silent = False
        finally:
            if asks:
                self._is_asked = False


def _is_timeout(error: Exception) -> bool:
    return isinstance(error.orig if isinstance(error, DBAPIError) else error, TimeoutError)
