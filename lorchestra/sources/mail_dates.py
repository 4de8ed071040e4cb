"""When a message arrived, in milliseconds since 1970 UTC, as the Gmail API's internalDate has it."""

import calendar
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_tz

from lorchestra.model import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name: number for number, name in enumerate(_MONTHS, start=1)}
# A date as nearly all programs write it today.
_USUAL = re.compile(
    r"\s*(?:[A-Z][a-z][a-z], )?(\d\d?) ({}) ((?:19|20)\d\d) (\d\d):(\d\d):(\d\d)"
    r"(?: ([+-]\d\d)(\d\d)(?: \([A-Z]+\))?)?\s*".format("|".join(_MONTHS)),
    re.ASCII,
)
_EPOCH_DAY = _EPOCH.toordinal()


def parse_mail_date(text: str) -> int | None:
    """An RFC 5322 date, or the many things that are meant for one; without a zone it is UTC."""
    if usual := _USUAL.fullmatch(text):
        day, month, year, hour, minute, second, zone_hours, zone_minutes = usual.groups()
        days = date(int(year), _MONTH[month], 1).toordinal() - _EPOCH_DAY + int(day) - 1
        ahead = int(zone_hours or 0) * 60 + int((zone_hours or "+")[0] + (zone_minutes or "0"))
        return 1000 * (((days * 24 + int(hour)) * 60 + int(minute) - ahead) * 60 + int(second))
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        seconds = calendar.timegm((*parts[:6], 0, 1, 0)) - (parts[9] or 0)
        _EPOCH + timedelta(seconds=seconds)  # refuses what no calendar holds
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds * 1000


def received_date(received: Sequence[str]) -> int | None:
    """The date of the topmost Received header, which the last server on the way wrote."""
    return parse_mail_date(received[0].rpartition(";")[2]) if received else None


def written_date(dates: Sequence[str]) -> int | None:
    """The topmost Date header: the sender's claim, so only the last resort."""
    return parse_mail_date(dates[0]) if dates else None


def in_window(arrived_ms: int | None, window: Window) -> bool:
    """Whether a message belongs to the window; one without a date belongs to every window."""
    if arrived_ms is None:
        return True
    if window.since is not None and arrived_ms * 1000 < _microseconds(window.since):
        return False
    return window.until is None or arrived_ms * 1000 < _microseconds(window.until)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
