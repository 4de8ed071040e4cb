"""Points in time as they are typed: `--since 2025-11-20 --until now`."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from lorchestra.errors import ArgumentError
from lorchestra.model import Window

FORMS = (
    "a day (2025-11-20), a time (2025-11-20T14:30, 2025-11-20T14:30:00Z, 2025-11-20T14:30:00+01:00), "
    "now, today, yesterday, or so long ago (-30m, -12h, -7d, -2w)"
)

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2}(:[0-9]{2})?)?"
)
_AGO = re.compile(r"-([0-9]{1,9})([mhdw])")
_AGE = re.compile(r"([0-9]{1,9})([dw])")
_MINUTES = (("m", 1), ("h", 60), ("d", 24 * 60), ("w", 7 * 24 * 60))
_SHOWN = 40


def parse_moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """The moment that the text means, in UTC.

    A day is its midnight in `zone`; a time without an offset is local to `zone`. Where clocks are turned
    back, the first of the two moments is meant; a time skipped when clocks are put forward is as long after
    the change as it would have been after it on the old clock, so the midnight of such a day is its first
    moment. `-7d` is exactly 7 times 24 hours before `now`, whatever clocks do in between.

    Raises:
        ArgumentError: the text has none of the accepted forms (the message lists them), names a day or time
            that does not exist, or a moment outside the years 1 to 9999; or `now` has no time zone.
    """
    return _moment("text", text, now=now, zone=zone)


def parse_age(name: str, text: str) -> timedelta:
    """The span that a text like `400d` or `52w` means.

    Raises:
        ArgumentError: it has not this form; the message begins with `name`.
    """
    age = _AGE.fullmatch(text)
    if age is None:
        raise ArgumentError(
            f"{name}: {_shown(text)} is not an age", next_step="Give days or weeks, such as 400d or 52w."
        )
    try:
        return timedelta(minutes=int(age[1]) * dict(_MINUTES)[age[2]])
    except OverflowError:
        raise ArgumentError(f"{name}: {_shown(text)} is longer than there are years") from None


def window(since: str | None, until: str | None, *, now: datetime, zone: tzinfo) -> Window:
    """The span between two texts, each as `parse_moment` reads it; None is unbounded.

    Raises:
        ArgumentError: a text cannot be read, or the span is empty.
    """
    start = None if since is None else _moment("since", since, now=now, zone=zone)
    end = None if until is None else _moment("until", until, now=now, zone=zone)
    if start is not None and end is not None and start >= end:
        raise ArgumentError(
            f"since: {start.isoformat()} is not before until, {end.isoformat()}",
            next_step="Give a since that lies before until, or leave one of them out.",
        )
    return Window(since=start, until=end)


def _moment(name: str, text: str, *, now: datetime, zone: tzinfo) -> datetime:
    if now.utcoffset() is None:
        raise ArgumentError("now: must have a time zone")
    try:
        moment = _read(text, now=now, zone=zone)
        in_utc = None if moment is None else moment.astimezone(UTC)
    except OverflowError:
        raise ArgumentError(f"{name}: {_shown(text)} lies outside the years 1 to 9999") from None
    except ValueError:
        raise ArgumentError(
            f"{name}: {_shown(text)} is no day or time of the calendar",
            next_step="Check the month, the day, the time and the offset.",
        ) from None
    if in_utc is None:
        raise ArgumentError(f"{name}: {_shown(text)} is not a point in time", next_step=f"Give {FORMS}.")
    return in_utc


def _read(text: str, *, now: datetime, zone: tzinfo) -> datetime | None:
    if text == "now":
        return now
    if text in {"today", "yesterday"}:
        day = now.astimezone(zone).date()
        return _midnight(day if text == "today" else day - timedelta(days=1), zone)
    if ago := _AGO.fullmatch(text):
        # In UTC: subtracting in a local zone would move the clock's hands, not the moment.
        return now.astimezone(UTC) - timedelta(minutes=int(ago[1]) * dict(_MINUTES)[ago[2]])
    if _DAY.fullmatch(text):
        return _midnight(date.fromisoformat(text), zone)
    if _TIME.fullmatch(text):
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return None


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
