"""What happened day by day, in UTC."""

from datetime import datetime, timedelta
from typing import Any

from lorchestra.web.reading import Reading

COUNTS = ("succeeded", "failed", "inserted", "updated", "rejected")


def midnight(moment: datetime) -> datetime:
    """The beginning of its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def days_between(reading: Reading, first: datetime, last: datetime) -> dict[str, Any]:
    """Every day from that of `first` until that of `last`, also those without a run; and all together."""
    begin, end = midnight(first), midnight(last) + timedelta(days=1)
    found = {row["day"]: row for row in reading.rows("days", first=begin, last=end)}
    dates = [(begin + timedelta(days=number)).date() for number in range((end - begin).days)]
    days = [found.get(day, {"day": day, **dict.fromkeys(COUNTS, 0)}) for day in dates]
    return {
        "days": days,
        "totals": {name: sum(day[name] for day in days) for name in COUNTS},
        "most_runs": max(day["succeeded"] + day["failed"] for day in days) or 1,
    }
