"""Google's quota for one user of the Gmail API, to the unit.

The costs are those of https://developers.google.com/workspace/gmail/api/reference/quota: `new` for projects
since May 2026, `old` for projects that used the API before. What is not in them costs as much as a get.
"""

import re
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from threading import Lock
from typing import Literal, Protocol

from tests.emulator.wire import Answer
from tests.gmail.errors import google_error

Regime = Literal["new", "old"]
Model = Literal["bucket", "window", "minute"]
Refusal = Literal["rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED"]
REFUSALS: tuple[Refusal, ...] = ("rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED")

USER_UNITS_PER_MINUTE: dict[Regime, int] = {"new": 6_000, "old": 15_000}
#: By method: what it costs under the new rules, and under the old ones.
_COSTS = {
    "messages.get": (20, 5),
    "messages.list": (5, 5),
    "messages.attachments.get": (20, 5),
    "history.list": (2, 2),
    "getProfile": (1, 1),
    "labels.list": (1, 1),
    "labels.get": (1, 1),
    "threads.get": (40, 10),
    "threads.list": (10, 10),
}
_READS = [
    (re.compile(rf"/gmail/v1/users/[^/]+/{path}"), method)
    for path, method in (
        (r"messages/[^/]+", "messages.get"),
        (r"messages", "messages.list"),
        (r"messages/[^/]+/attachments/[^/]+", "messages.attachments.get"),
        (r"history", "history.list"),
        (r"profile", "getProfile"),
        (r"labels", "labels.list"),
        (r"labels/[^/]+", "labels.get"),
        (r"threads/[^/]+", "threads.get"),
        (r"threads", "threads.list"),
    )
]
_MESSAGE = (
    "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service "
    "'gmail.googleapis.com' for consumer 'project_number:1'."
)
_TOO_MANY_AT_ONCE = "Too many concurrent requests for user"
_DETAIL = {
    "reason": "RATE_LIMIT_EXCEEDED",
    "domain": "googleapis.com",
    "metadata": {
        "service": "gmail.googleapis.com",
        "consumer": "projects/1",
        "quota_metric": "gmail.googleapis.com/default",
        "quota_limit": "defaultPerMinutePerUser",
    },
}


def method_of(http_method: str, route: str) -> str:
    """The API's name for what is called; `write` for what is not a read."""
    if http_method != "GET":
        return "write"
    return next((method for pattern, method in _READS if pattern.fullmatch(route)), "other")


def units_of(method: str, regime: Regime) -> int:
    new, old = _COSTS.get(method, _COSTS["messages.get"])
    return new if regime == "new" else old


class Limit(Protocol):
    """How Google counts is not published; these are the ways it may."""

    def take(self, units: float, now: float) -> bool:
        """Use units, where there are that many; else use none."""


class TokenBucket:
    """Units come in evenly, and what is not used is saved, up to `capacity`."""

    def __init__(self, units: float, seconds: float, capacity: float) -> None:
        self._rate = units / seconds
        self._capacity = self._level = capacity
        self._changed = -1.0

    def take(self, units: float, now: float) -> bool:
        if self._changed >= 0:
            self._level = min(self._capacity, self._level + (now - self._changed) * self._rate)
        self._changed = now
        if units > self._level:
            return False
        self._level -= units
        return True


class SlidingWindow:
    """At no time have more than `units` been used in the last `seconds`."""

    def __init__(self, units: float, seconds: float) -> None:
        self._units, self._seconds = units, seconds
        self._used: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def take(self, units: float, now: float) -> bool:
        while self._used and self._used[0][0] <= now - self._seconds:
            self._sum -= self._used.popleft()[1]
        if self._sum + units > self._units:
            return False
        self._used.append((now, units))
        self._sum += units
        return True


class FixedMinutes:
    """Minutes follow one another, and each has its units."""

    def __init__(self, units: float, seconds: float) -> None:
        self._units, self._seconds = units, seconds
        self._minute, self._used = -1, 0.0

    def take(self, units: float, now: float) -> bool:
        minute = int(now // self._seconds)
        if minute != self._minute:
            self._minute, self._used = minute, 0.0
        if self._used + units > self._units:
            return False
        self._used += units
        return True


def limit_of(model: Model, units: float, seconds: float, burst_units: float | None) -> Limit:
    match model:
        case "bucket":
            return TokenBucket(units, seconds, units if burst_units is None else burst_units)
        case "window":
            return SlidingWindow(units, seconds)
        case "minute":
            return FixedMinutes(units, seconds)


class Meter:
    """Lets calls through or refuses them, and counts. A refused call uses no units."""

    def __init__(
        self, regime: Regime, limit: Limit | None, refuse_with: Sequence[Refusal], retry_after: int | None
    ) -> None:
        self._regime, self._limit = regime, limit
        self._refusals = cycle(refuse_with)
        self._headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Count from zero; the quota that is used stays used."""
        with self._lock:
            self.accepted = self.accepted_units = self.refused = 0
            self.first_call_at: float | None = None
            self.last_call_at: float | None = None

    def refusal(self, method: str, now: float) -> Answer | None:
        """None when the call may go on."""
        units = units_of(method, self._regime)
        with self._lock:
            self.first_call_at = now if self.first_call_at is None else self.first_call_at
            self.last_call_at = now
            if self._limit is None or self._limit.take(units, now):
                self.accepted += 1
                self.accepted_units += units
                return None
            self.refused += 1
            return quota_exceeded(next(self._refusals), headers=self._headers)

    def too_many_at_once(self, method: str, now: float) -> Answer:  # noqa: ARG002
        """The answer to a call that came while too many others were being answered."""
        with self._lock:
            self.first_call_at = now if self.first_call_at is None else self.first_call_at
            self.last_call_at = now
            self.refused += 1
        return quota_exceeded("RESOURCE_EXHAUSTED", _TOO_MANY_AT_ONCE, headers=self._headers)


def quota_exceeded(
    kind: Refusal, message: str = _MESSAGE, *, headers: dict[str, str] | None = None
) -> Answer:
    """The answer to a call that is refused, in one of the ways in which Google does it."""
    exhausted = kind == "RESOURCE_EXHAUSTED"
    return google_error(
        429 if exhausted else 403,
        message,
        reason="rateLimitExceeded" if exhausted else kind,
        status="RESOURCE_EXHAUSTED" if exhausted else "PERMISSION_DENIED",
        domain="global" if exhausted else "usageLimits",
        headers=headers,
        detail=_DETAIL if message == _MESSAGE else None,
    )
