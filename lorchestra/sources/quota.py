"""What a provider allows, as data, and a bucket that lets no more than that through."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

#: The share of a limit that is aimed at; the rest is for clocks that differ and answers that are late.
AIMED_AT = 0.97
# A bucket holds what so many seconds bring: enough for calls that come together, too little for a burst that
# a limit by the second would refuse.
_BURST_SECONDS = 0.5
# After a refusal the rate falls to this share, and rises again by this share of the ceiling a second.
_DECREASE = 0.85
_LEAST_SHARE = 0.02
_INCREASE_PER_SECOND = 0.0025


@dataclass(frozen=True, kw_only=True)
class Regime:
    """A set of limits and costs, in units of quota."""

    name: str
    user_units_per_minute: int
    project_units_per_minute: int
    costs: Mapping[str, int]


def load_regimes(file_name: str) -> dict[str, Regime]:
    """The regimes in a TOML file of this package, by name."""
    text = files("lorchestra.sources").joinpath(file_name).read_text(encoding="utf-8")
    return {name: Regime(name=name, **table) for name, table in tomllib.loads(text).items()}


class Bucket:
    """A token bucket whose rate gives way to refusals and recovers by itself.

    Additive increase, multiplicative decrease: `slow_down` takes a share of the rate, time gives it back
    evenly, up to the ceiling. Times are seconds of one monotonic clock.
    """

    def __init__(self, units_per_minute: float, *, now: float) -> None:
        self._changed = now
        self._set_ceiling(units_per_minute)
        self._rate = self._ceiling
        self._level = self._ceiling * _BURST_SECONDS

    @property
    def units_per_minute(self) -> float:
        """What comes through at the present rate."""
        return self._rate * 60

    def limit_to(self, units_per_minute: float, *, now: float) -> None:
        """Another limit is in force from here; nothing is left of what was saved under the one before."""
        self._set_ceiling(units_per_minute)
        self._rate = self._ceiling
        self._level = 0.0
        self._changed = now

    def seconds_until(self, units: float, *, now: float) -> float:
        """How long until so many units may be used: 0 when it is now."""
        self._refill(now)
        # A call that is dearer than the bucket is large may go when the bucket is full.
        missing = min(units, self._burst) - self._level
        return max(0.0, missing / self._rate)

    def take(self, units: float, *, now: float) -> None:
        """Use units; what is not there is owed."""
        self._refill(now)
        self._level -= units

    def slow_down(self, *, now: float) -> None:
        """A call was refused: go more slowly, from an empty bucket."""
        self._refill(now)
        self._rate = max(self._rate * _DECREASE, self._ceiling * _LEAST_SHARE)
        self._level = min(self._level, 0.0)

    def empty(self, *, now: float) -> None:
        """Nothing was saved up while nobody was let through."""
        self._refill(now)
        self._level = min(self._level, 0.0)

    def _set_ceiling(self, units_per_minute: float) -> None:
        self._ceiling = units_per_minute * AIMED_AT / 60

    @property
    def _burst(self) -> float:
        return self._ceiling * _BURST_SECONDS

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._changed)
        self._changed = now
        self._level = min(self._level + passed * self._rate, self._burst)
        self._rate = min(self._rate + passed * self._ceiling * _INCREASE_PER_SECOND, self._ceiling)
