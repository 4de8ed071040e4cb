"""What a sync has before it: how many messages, how many units, how long. Told before it begins."""

from collections.abc import Callable, Mapping

from lorchestra.sources.pace import Pace
from lorchestra.sources.quota import Regime

# What is done sooner needs no plan.
_LONG_SECONDS = 60.0
_METHOD = "messages.get"


class GmailPlan:
    """Counts the messages of a run: `total` are those it has to do with, `done` of them need nothing more."""

    def __init__(self, pace: Pace, regimes: Mapping[str, Regime], say: Callable[[str], None]) -> None:
        self._pace = pace
        self._regimes = regimes
        self._say = say
        self._told = False
        self.total = 0
        self.done = 0

    def add(self, count: int, *, done: int = 0) -> None:
        """So many messages more, of which so many are done already."""
        self.total += count
        self.done += done

    def tell(self, count: int) -> None:
        """Say what it takes to fetch so many messages, if that is long."""
        seconds = self._seconds(count, self._pace.regime)
        longest = self._seconds(count, self._regimes["new"]) if self._pace.recognised is None else seconds
        if longest < _LONG_SECONDS:
            return
        self._told = True
        units = count * self._pace.regime.costs[_METHOD]
        if longest == seconds:
            took = f"{units:,} units of quota, about {_duration(seconds)}"
        elif _duration(longest) == _duration(seconds):
            took = f"about {_duration(seconds)}"
        else:
            took = (
                f"{_duration(seconds)} or {_duration(longest)}, depending on the limits that Google sets for "
                f"your project, which show when the first is met"
            )
        self._say(
            f"{count:,} messages to fetch: {took}. Newest first; what is fetched can be queried meanwhile. "
            f"Stop it when you like: the next run goes on."
        )

    def tell_limits(self) -> None:
        """Say which limits were found to be in force, if a plan was told that needs correcting."""
        regime = self._pace.regime
        left = _duration(self._seconds(self.total - self.done, regime))
        if self._told:
            self._say(
                f"Google's limits since May 2026 are in force: {regime.user_units_per_minute:,} units a "
                f"minute, {regime.costs[_METHOD]} a message. About {left} left."
            )

    def _seconds(self, count: int, regime: Regime) -> float:
        return self._pace.seconds_for(count * regime.costs[_METHOD], regime)


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{minutes // 60} h {minutes % 60} min"
