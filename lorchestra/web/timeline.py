"""The runs of a week, a day or less, all jobs under each other."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from lorchestra.web.marks import ticks, timeline
from lorchestra.web.reading import Reading, now
from lorchestra.web.svg import lane_svg

#: How much is looked at, from far to near.
SPANS: Mapping[str, timedelta] = {
    "week": timedelta(days=7),
    "day": timedelta(days=1),
    "6h": timedelta(hours=6),
    "1h": timedelta(hours=1),
}


def timeline_page(reading: Reading, span: str | None, until: str | None) -> dict[str, Any]:
    """The runs of a span that ends at `until`, or now; what is not understood is the default."""
    span = span if span is not None and span in SPANS else "day"
    moment = now()
    last = _moment(until) or _next_hour(moment)
    return reading.remembered(
        ("timeline", span, last), lambda: _page(reading, span, last, moment, until=until)
    )


def _page(
    reading: Reading, span: str, last: datetime, moment: datetime, *, until: str | None
) -> dict[str, Any]:
    length = SPANS[span]
    first = last - length
    runs = reading.rows("runs_between", first=first, last=last)
    names = list(SPANS)
    place = names.index(span)
    middle = last - length / 2
    lanes = timeline(runs, first, last, moment)
    closer = partial(_closer, names[min(place + 1, len(names) - 1)])
    return {
        "span": span,
        "first": first,
        "last": last,
        "lanes": lanes,
        "drawn": {name: lane_svg(bars, closer) for name, bars in lanes.items()},
        "runs": len(runs),
        "failed": sum(run["state"] == "failed" for run in runs),
        "ticks": ticks(first, last),
        "now": (moment - first) / length * 100 if first <= moment < last else None,
        "earlier": _link(span, first + length / 4),
        "later": _link(span, last + length * 3 / 4) if last < moment else None,
        "nearer": _link(names[place + 1], middle + SPANS[names[place + 1]] / 2)
        if place + 1 < len(names)
        else None,
        "farther": _link(names[place - 1], min(middle + SPANS[names[place - 1]] / 2, _next_hour(moment)))
        if place
        else None,
        "spans": {name: _link(name, last if until else None) for name in names},
    }


def _closer(span: str, at: datetime) -> str:
    """What looks closer at a moment."""
    return _link(span, at + SPANS[span] / 2)


def _link(span: str, until: datetime | None) -> str:
    query = {"span": span}
    if until is not None:
        query["until"] = f"{until.replace(microsecond=0):%Y-%m-%dT%H:%M:%SZ}"
    return "/timeline?" + urlencode(query)


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Near the ends of the calendar nothing can be added or taken away.
    return found if 1970 <= found.year < 9000 else None


def _next_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
