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
    """SIGINT, SIGTERM and SIGHUP raise `RunInterrupted` in the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        raise RunInterrupted(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Signals are ignored while the last event of a run is written: the run is ending anyway."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
