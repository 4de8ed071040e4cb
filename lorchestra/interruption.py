"""Signals that end a run: they become an exception, so that the run can still give its account."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunInterrupted(KeyboardInterrupt):
    """A signal asked the run to end. Like KeyboardInterrupt, no `except Exception` catches it."""


@contextmanager
def signals_end_the_run() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `RunInterrupted` in the main thread.

    One that is ignored already stays so: whoever started us, `nohup` for one, wants it.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise RunInterrupted(signal.Signals(number).name)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From here until `signals_end_the_run` is left: the run is ending, and its last event is written."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
