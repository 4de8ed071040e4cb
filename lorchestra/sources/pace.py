"""Decides when a call may go out: at the ceiling of a quota, and finds out which quota that is.

While calls are refused, a single one at a time goes out to see whether the door is open again; so a limit
costs a handful of refusals, however the provider counts.
"""

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from lorchestra.sources.quota import Bucket, Regime

Quota = Literal["auto", "new", "old"]

#: At most so many calls are under way at a time.
CALLS_MAX = 24

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0
# A limit by the minute lets through at most a minute's units saved up and a minute's that come.
_WINDOW_SECONDS = 60.0
_SAVED_UP = 2
# A quota that was taken for the smaller one by mistake is tried again after so long, then twice as long.
_FIRST_TRIAL_SECONDS = 20 * 60.0
_CALLS_UNTIL_ONE_MORE = 50


class Refusal(StrEnum):
    """Which limit a call met."""

    USER = "user"
    PROJECT = "project"
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, kw_only=True, slots=True)
class Permit:
    """Leave for one call."""

    method: str
    episode: int
    probes: bool


class Pace:
    """When calls may go out under the limits of user and project; `now` is of one monotonic clock.

    `quota` "auto" begins with the larger limits and takes the smaller ones for true when a refusal shows
    that they are; `recognised` is what an earlier run found. `units_per_minute` replaces the limit of the
    user.
    """

    def __init__(
        self,
        regimes: Mapping[str, Regime],
        *,
        now: float,
        quota: Quota = "auto",
        units_per_minute: int | None = None,
        recognised: str | None = None,
    ) -> None:
        self._regimes = regimes
        self._own_limit = units_per_minute
        self._undecided = quota == "auto"
        self.regime = regimes[(recognised or "old") if quota == "auto" else quota]
        self._user = Bucket(self._user_limit(self.regime), now=now)
        self._project = Bucket(self.regime.project_units_per_minute, now=now)
        self._under_way = 0
        self._calls_max = CALLS_MAX
        self._successes = 0
        # An episode begins with the first refusal and ends with the first call that is let in again.
        self._episode = 0
        self._throttled_since: float | None = None
        self._probing = False
        self._pause = _FIRST_PAUSE_SECONDS
        self._resume_at = 0.0
        self._accepted: deque[tuple[float, str]] = deque()
        self._trial_seconds = _FIRST_TRIAL_SECONDS
        self._next_trial = now + self._trial_seconds
        self._throttled_seconds = 0.0
        self.units = self.calls = self.refusals = 0

    @property
    def recognised(self) -> str | None:
        """The name of the regime, where it was set or found out."""
        return self.regime.name if not self._undecided or self.regime.name == "new" else None

    def seconds_for(self, units: int, regime: Regime) -> float:
        """How long so many units take at the limit of a regime."""
        return units * 60 / min(self._user_limit(regime), regime.project_units_per_minute)

    def throttled_seconds(self, now: float) -> float:
        """How long calls were held up by refusals, altogether."""
        return self._throttled_seconds + self.refused_for(now)

    def refused_for(self, now: float) -> float:
        """For how long no call has been let in; 0 when the last one was."""
        return 0.0 if self._throttled_since is None else now - self._throttled_since

    def seconds_until(self, method: str, now: float) -> float | None:
        """How long until a call may go out: 0 when it is now, None when an answer must come first."""
        if self._under_way >= self._calls_max:
            return None
        if self._throttled_since is not None:
            return None if self._probing else max(0.0, self._resume_at - now)
        if self._undecided and self.regime.name == "new" and now >= self._next_trial:
            self._adopt(self._regimes["old"], now)
        units = self.regime.costs[method]
        return max(
            self._user.seconds_until(units, now=now),
            self._project.seconds_until(units, now=now),
            # A call from before may be refused when others are let in again, with a time to wait for.
            self._resume_at - now,
        )

    def permit(self, method: str, now: float) -> Permit:
        """Leave for a call that goes out now."""
        units = self.regime.costs[method]
        self._user.take(units, now=now)
        self._project.take(units, now=now)
        self._under_way += 1
        self.calls += 1
        self._probing = self._throttled_since is not None
        return Permit(method=method, episode=self._episode, probes=self._probing)

    def accepted(self, permit: Permit, now: float) -> None:
        """The provider let the call in, whatever it answered."""
        self.ended(permit)
        self.units += self.regime.costs[permit.method]
        if self._undecided:
            self._accepted.append((now, permit.method))
            self._forget(now)
        if permit.probes and self._is_present(permit):
            self._reopen(now)
        self._successes += 1
        if self._successes % _CALLS_UNTIL_ONE_MORE == 0:
            self._calls_max = min(self._calls_max + 1, CALLS_MAX)

    def refused(self, permit: Permit, refusal: Refusal, now: float, *, wait_seconds: float = 0.0) -> bool:
        """The provider refused the call over a limit, and asks to be left alone for so long.

        Returns whether another regime was recognised by it.
        """
        self.ended(permit)
        self.refusals += 1
        recognised = False
        if self._is_present(permit):
            if self._throttled_since is None:
                recognised = self._begin_episode(now, refusal)
            else:
                self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
            # Not all the mailboxes of a project shall come back at the same moment.
            spread = random.uniform(0.9, 1.1)  # noqa: S311 - hides nothing
            self._resume_at = now + self._pause * spread
        self._resume_at = max(self._resume_at, now + wait_seconds)
        return recognised

    def ended(self, permit: Permit) -> None:
        """The call has ended, and nothing more is known of it."""
        self._under_way -= 1
        if permit.probes and self._is_present(permit):
            self._probing = False

    def _is_present(self, permit: Permit) -> bool:
        # What went out before the episode says nothing of it.
        return permit.episode == self._episode

    def _begin_episode(self, now: float, refusal: Refusal) -> bool:
        self._throttled_since = now
        self._episode += 1
        self._pause = _FIRST_PAUSE_SECONDS
        if refusal is Refusal.CONCURRENCY:
            self._calls_max = max(1, self._calls_max // 2)
        elif refusal is Refusal.USER and self._shows_smaller_limits(now):
            self._adopt(self._regimes["new"], now)
            self._next_trial = now + self._trial_seconds
            self._trial_seconds *= 2
            return True
        else:
            # Of a project's units too, those of this user are all that we can leave to others.
            self._user.slow_down(now=now)
        return False

    def _reopen(self, now: float) -> None:
        self._throttled_seconds += self.refused_for(now)
        self._throttled_since = None
        self._user.empty(now=now)
        self._project.empty(now=now)

    def _shows_smaller_limits(self, now: float) -> bool:
        if not self._undecided or self.regime.name == "new":
            return False
        self._forget(now)
        smaller = self._regimes["new"]
        units = sum(smaller.costs[method] for _, method in self._accepted)
        return units <= _SAVED_UP * self._user_limit(smaller)

    def _adopt(self, regime: Regime, now: float) -> None:
        self.regime = regime
        self._user.limit_to(self._user_limit(regime), now=now)
        self._project.limit_to(regime.project_units_per_minute, now=now)

    def _user_limit(self, regime: Regime) -> int:
        return self._own_limit or regime.user_units_per_minute

    def _forget(self, now: float) -> None:
        while self._accepted and self._accepted[0][0] < now - _WINDOW_SECONDS:
            self._accepted.popleft()
