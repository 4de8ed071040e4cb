"""Many workers that call through a `Pace`, and a provider that counts, in virtual time.

Nothing sleeps: an hour of calls takes a second. Requests arrive, and answers come back, each after a while of
its own.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from lorchestra.sources.pace import CALLS_MAX, Pace, Permit, Quota, Refusal
from lorchestra.sources.quota import Regime, load_regimes
from tests.gmail.quota import Limit, limit_of

REGIMES = load_regimes("gmail_quota.toml")
#: The ways in which a provider may count: whose bucket holds a second's units, and so on.
MODELS = ("bucket of a minute", "bucket of a second", "sliding window", "fixed minutes")
GET = "messages.get"

# More than may have a call under way, so that it is not for want of workers that none has.
_WORKERS = 2 * CALLS_MAX
_STEP = 1e-6
_LONGEST = 100_000.0
_OTHERS_UNITS = 20


def limit_by(model: str, units_per_minute: float) -> Limit:
    """A provider's limit in one of `MODELS`."""
    match model:
        case "bucket of a minute":
            return limit_of("bucket", units_per_minute, 60.0, None)
        case "bucket of a second":
            return limit_of("bucket", units_per_minute, 60.0, units_per_minute / 60)
        case "sliding window":
            return limit_of("window", units_per_minute, 60.0, None)
        case _:
            return limit_of("minute", units_per_minute, 60.0, None)


@dataclass(frozen=True, kw_only=True)
class Others:
    """Another process that uses a share of the same quota for a while, evenly."""

    units_per_minute: float
    since: float
    until: float

    def times(self) -> Iterable[float]:
        for number in count():
            at = self.since + number * 60 * _OTHERS_UNITS / self.units_per_minute
            if at >= self.until:
                return
            yield at


@dataclass(kw_only=True)
class Provider:
    """Lets a call in or refuses it. It may also bound how many calls it has at once."""

    costs: Regime
    limit: Limit
    others: Others | None = None
    at_once: int | None = None
    wait_seconds: float = 0.0
    _waiting: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = deque(self.others.times() if self.others else ())

    def refusal(self, method: str, now: float, under_way: int) -> Refusal | None:
        while self._waiting and self._waiting[0] <= now:
            self.limit.take(_OTHERS_UNITS, self._waiting.popleft())
        if self.at_once is not None and under_way > self.at_once:
            return Refusal.CONCURRENCY
        return None if self.limit.take(self.costs.costs[method], now) else Refusal.USER


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: when it was sent and arrived, and whether it was let in."""

    method: str
    sent: float
    arrived: float
    refusal: Refusal | None


class Simulation:
    """Workers, each with one call under way at a time."""

    def __init__(self, pace: Pace, provider: Provider, *, latency: float = 0.1, seed: int = 0) -> None:
        self.pace, self.provider = pace, provider
        self.now = 0.0
        self.calls: list[Call] = []
        self.most_under_way = 0
        #: When which regime was in force.
        self.regimes: list[tuple[float, str]] = [(0.0, pace.regime.name)]
        #: (until when, when it was heard) for each time that the provider asked to be left alone.
        self.left_alone: list[tuple[float, float]] = []
        self._random = random.Random(seed)
        self._latency = latency
        self._events: list[tuple[float, int, Permit, Call | None, float]] = []
        self._number = count()
        self._under_way = self._at_provider = 0

    def run(self, messages: int, methods: Sequence[str] = (GET,)) -> "Simulation":
        """Make so many calls, each again until it is let in."""
        left = deque(methods[number % len(methods)] for number in range(messages))
        while left or self._events:
            wake = self._send(left)
            arrival = self._events[0][0] if self._events else None
            times = [time for time in (wake, arrival) if time is not None]
            assert times, f"nothing more happens, and {len(left)} calls are left"
            self.now = min(times)
            assert self.now < _LONGEST, "no call is let in any more"
            while self._events and self._events[0][0] <= self.now:
                self._happen(left)
        return self

    def refused_share(self) -> float:
        return sum(call.refusal is not None for call in self.calls) / len(self.calls)

    def possible(self, units_per_minute: float) -> float:
        """The share of a limit that so many calls under way can use at this latency, at most 1."""
        units = self.provider.costs.costs[GET] * 60 * CALLS_MAX / self._latency
        return min(1.0, units / units_per_minute)

    def used(self, units_per_minute: float, *, since: float = 0.0, until: float | None = None) -> float:
        """The share that was used of what a limit brings in a span, by the calls that were let in."""
        end = self.calls[-1].arrived if until is None else until
        costs = self.provider.costs.costs
        units = sum(
            costs[call.method] for call in self.calls if call.refusal is None and since <= call.arrived < end
        )
        return units * 60 / units_per_minute / (end - since)

    def most_sent(self, seconds: float = 60.0) -> int:
        """The most units that were sent in any span so long."""
        costs = self.provider.costs.costs
        most = units = first = 0
        ordered = sorted(self.calls, key=lambda call: call.sent)
        for call in ordered:
            units += costs[call.method]
            while ordered[first].sent <= call.sent - seconds:
                units -= costs[ordered[first].method]
                first += 1
            most = max(most, units)
        return most

    def _send(self, left: deque[str]) -> float | None:
        """Send what may go out now; gives when to look again, None when only an answer changes anything."""
        while left and self._under_way < _WORKERS:
            wait = self.pace.seconds_until(left[0], self.now)
            self._note_regime()
            if wait is None:
                return None
            if wait > 0:
                return self.now + wait + _STEP
            permit = self.pace.permit(left.popleft(), self.now)
            self._under_way += 1
            self.most_under_way = max(self.most_under_way, self._under_way)
            self._after(self._latency * self._random.uniform(0.2, 0.8), permit, None)
        return None

    def _happen(self, left: deque[str]) -> None:
        _, _, permit, call, sent = heapq.heappop(self._events)
        if call is None:
            self._at_provider += 1
            refusal = self.provider.refusal(permit.method, self.now, self._at_provider)
            call = Call(method=permit.method, sent=sent, arrived=self.now, refusal=refusal)
            self.calls.append(call)
            self._after(self._latency * self._random.uniform(0.2, 0.8), permit, call)
            return
        self._at_provider -= 1
        self._under_way -= 1
        if call.refusal is None:
            self.pace.accepted(permit, self.now)
            return
        wait = self.provider.wait_seconds
        self.pace.refused(permit, call.refusal, self.now, wait_seconds=wait)
        self.left_alone.append((self.now + wait, self.now))
        self._note_regime()
        left.append(permit.method)

    def _after(self, seconds: float, permit: Permit, call: Call | None) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._number), permit, call, self.now))

    def _note_regime(self) -> None:
        if self.pace.regime.name != self.regimes[-1][1]:
            self.regimes.append((self.now, self.pace.regime.name))


def simulate(
    regime: str,
    quota: Quota,
    model: str,
    messages: int,
    *,
    latency: float = 0.1,
    seed: int = 0,
    others: Others | None = None,
    recognised: str | None = None,
) -> Simulation:
    """Messages fetched under the limits of a regime, by a source that knows them or not."""
    provider = Provider(
        costs=REGIMES[regime],
        limit=limit_by(model, REGIMES[regime].user_units_per_minute),
        others=others,
    )
    pace = Pace(REGIMES, now=0.0, quota=quota, recognised=recognised)
    return Simulation(pace, provider, latency=latency, seed=seed).run(messages)
