"""What an answer of a Google API means: let in, refused over a limit, not permitted, or worth another try."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from lorchestra.sources.pace import Refusal

# https://developers.google.com/workspace/gmail/api/guides/handle-errors
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_DAY_REASONS = frozenset({"dailyLimitExceeded", "quotaExceeded"})
_RETRY_AFTER = re.compile(r"[Rr]etry after (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)\d*Z")
_PASSING = frozenset({408, 500, 502, 503, 504})
# No thread can wait for so long as an answer may ask for; nobody waits for a day.
_LONGEST_WAIT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that is an error. `reasons` are Google's own words for it; `message` may quote anything."""

    status: int
    reasons: frozenset[str]
    message: str
    wait_seconds: float

    @property
    def passes(self) -> bool:
        """Whether the same call may work later, with nothing wrong with it."""
        return self.status in _PASSING or 300 <= self.status < 400

    @property
    def refusal(self) -> Refusal | None:
        """Which limit the call met; None where it met none. A 403 may mean this or a lack of permission."""
        if self.status != 429 and not (self.status == 403 and self.reasons & _RATE_REASONS):
            return None
        message = self.message.lower()
        if "concurrent" in message:
            return Refusal.CONCURRENCY
        if (
            "per minute" in message
            and "per user" not in message
            and "userRateLimitExceeded" not in self.reasons
        ):
            return Refusal.PROJECT
        return Refusal.USER

    @property
    def is_used_up_for_today(self) -> bool:
        """Whether a limit by the day was met, for which nobody waits."""
        return self.status in (403, 429) and bool(self.reasons & _DAY_REASONS)


def answer_of(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """What an error's status, headers and JSON body say."""
    reasons, message = _told(content)
    wait_seconds = max(_seconds(headers.get("Retry-After", "")), _seconds_in(message))
    return Answer(
        status=status,
        reasons=reasons,
        message=message,
        wait_seconds=min(wait_seconds, _LONGEST_WAIT_SECONDS),
    )


def _told(content: bytes) -> tuple[frozenset[str], str]:
    error = (json_object(content) or {}).get("error")
    if not isinstance(error, dict):
        return frozenset(), ""
    listed = [
        one for name in ("errors", "details") for one in _list(error.get(name)) if isinstance(one, dict)
    ]
    reasons = {one["reason"] for one in listed if isinstance(one.get("reason"), str)}
    return frozenset(reasons), str(error.get("message", ""))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _seconds(retry_after: str) -> float:
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return _from_now(parsedate_to_datetime(retry_after))
    except (ValueError, OverflowError):
        return 0.0


def _seconds_in(message: str) -> float:
    match = _RETRY_AFTER.search(message)
    try:
        return _from_now(datetime.fromisoformat(f"{match[1]}+00:00")) if match else 0.0
    except ValueError:
        return 0.0


def _from_now(moment: datetime) -> float:
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def json_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object that an answer holds; None where it holds something else, such as a proxy's page."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
