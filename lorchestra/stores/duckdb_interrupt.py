"""A signal ends a query of DuckDB at once. Left alone, the engine may work on and never look for one."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

_INTERRUPTED = "Query interrupted"


@contextmanager
def interrupted_by_signals(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupt what the connection does when a signal arrives; whoever waits for it gets the signal's error.

    Raises:
        KeyboardInterrupt: a signal arrived, and its own handler raised nothing.
    """
    with _told_of_signals(connection):
        try:
            yield
        except (duckdb.InterruptException, RuntimeError) as error:
            # The engine has an error of its own for a signal, or two.
            if not isinstance(error, duckdb.InterruptException) and str(error) != _INTERRUPTED:
                raise
            raise KeyboardInterrupt from error


@contextmanager
def _told_of_signals(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """A thread hears of signals that Python handles, while the main thread is inside the engine."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hears, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def listen() -> None:
        # A second signal ends the wait for this thread, and the connection may then be closed already.
        with suppress(duckdb.ConnectionException):
            if os.read(hears, 1):
                connection.interrupt()

    thread = threading.Thread(target=listen, name="signals-of-a-query", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        thread.join()
        os.close(hears)
