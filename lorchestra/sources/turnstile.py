"""Lets the calls of several threads through one by one, at their pace."""

import time
from threading import Condition

from lorchestra.errors import ConcurrencyError, ProjectRateError, QuotaError, UserRateError
from lorchestra.sources.pace import Pace, Permit, Refusal

# Whoever is not let in for so long had better come back later.
_PATIENCE_SECONDS = 15 * 60.0
_ERRORS: dict[Refusal, type[QuotaError]] = {
    Refusal.USER: UserRateError,
    Refusal.PROJECT: ProjectRateError,
    Refusal.CONCURRENCY: ConcurrencyError,
}


class StoppedError(Exception):
    """The source was closed while a call waited for its turn."""


class Turnstile:
    """A `Pace` for several threads, on the clock of the machine."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._changed = Condition()
        self._stopped = False

    def enter(self, method: str) -> Permit:
        """Wait until a call of this method may go out.

        Raises:
            StoppedError: the source was closed.
        """
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                wait = self._pace.seconds_until(method, now)
                if wait == 0:
                    return self._pace.permit(method, now)
                self._changed.wait(wait)
        raise StoppedError

    def accepted(self, permit: Permit) -> None:
        """The provider let the call in, whatever it answered."""
        with self._changed:
            self._pace.accepted(permit, time.monotonic())
            self._changed.notify_all()

    def ended(self, permit: Permit) -> None:
        """The call has ended, and nothing more is known of it."""
        with self._changed:
            self._pace.ended(permit)
            self._changed.notify_all()

    def refused(self, permit: Permit, refusal: Refusal, *, wait_seconds: float = 0.0) -> bool:
        """The provider refused the call over a limit, and asks to be left alone for so long.

        Returns whether another regime was recognised by it.

        Raises:
            QuotaError: it has refused every call for a quarter of an hour, or asks for more than that.
        """
        with self._changed:
            now = time.monotonic()
            recognised = self._pace.refused(permit, refusal, now, wait_seconds=wait_seconds)
            refused_for = self._pace.refused_for(now)
            self._changed.notify_all()
        if max(refused_for, wait_seconds) > _PATIENCE_SECONDS:
            raise _ERRORS[refusal](
                "quota: is used up, and will not be there again within a quarter of an hour",
            )
        return recognised

    def wait(self, seconds: float) -> None:
        """Wait, unless the source is closed meanwhile.

        Raises:
            StoppedError: it was.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._stopped and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
            if self._stopped:
                raise StoppedError

    def stop(self) -> None:
        """Let no call through any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def telemetry(self) -> dict[str, float | int | str | None]:
        """What the calls used, and how long they were held up by refusals."""
        with self._changed:
            pace = self._pace
            return {
                "quota": pace.recognised,
                "quota_units": pace.units,
                "calls": pace.calls,
                "calls_refused": pace.refusals,
                "throttled_seconds": round(pace.throttled_seconds(time.monotonic()), 3),
            }
