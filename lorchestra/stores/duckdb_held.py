"""A connection that stays open from one write of a thread to the next, until somebody else wants the file."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import duckdb

# Whoever waits for the file without standing in the queue has a chance as often as this.
_HELD_SECONDS_MAX = 1.0


class HeldConnection:
    """Opened when it is needed, closed when it is due; used by one thread."""

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
        *,
        identity: Callable[[], tuple[int, int] | None],
        is_wanted: Callable[[], bool],
    ) -> None:
        self._opened = opened
        self._identity = identity
        self._is_wanted = is_wanted
        self._stack = ExitStack()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._file: tuple[int, int] | None = None
        self._since = 0.0

    @contextmanager
    def use(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection, for one piece of work. After an error it is closed."""
        if self._connection is not None and self._identity() != self._file:
            # What is at the path now is another file, or none.
            self.let_go()
        if self._connection is None:
            self._connection = self._stack.enter_context(self._opened())
            self._file = self._identity()
            self._since = time.monotonic()
        try:
            yield self._connection
        except BaseException:
            self.let_go()
            raise
        if self._is_wanted() or time.monotonic() - self._since > _HELD_SECONDS_MAX:
            self.let_go()

    def let_go(self) -> None:
        """Let go of the file."""
        self._connection = None
        self._stack.close()
