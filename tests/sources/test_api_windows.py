"""The windows of every source of an API: exact to the millisecond, half-open, in any zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from lorchestra.errors import ArgumentError
from lorchestra.model import Window
from lorchestra.timespan import window
from tests.sources.api_case import ApiCase, ApiService, Table, dates, read

COUNT = 12
ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Pacific/Apia",
    "UTC",
)
#: Among them those on which clocks are changed, somewhere.
DAYS = st.dates(date(2006, 1, 1), date(2025, 12, 30)) | st.sampled_from(
    [
        *(date(2024, 3, 31), date(2024, 10, 27), date(2024, 3, 10), date(2024, 11, 3)),
        *(date(2018, 11, 4), date(2018, 2, 17), date(2024, 4, 7), date(2024, 10, 6), date(2011, 12, 29)),
    ]
)
TIMES = st.none() | st.times().map(lambda time: time.isoformat())
DISTANCES = [timedelta(milliseconds=n) for n in (-60_000, -1_000, -1, 0, 1, 1_000, 60_000)]


def _texts(day: date, length: int, since: str | None, until: str | None) -> tuple[str, str]:
    last = day + timedelta(days=length)
    return f"{day}T{since[:15]}" if since else str(day), f"{last}T{until[:15]}" if until else str(last)


@settings(
    max_examples=15,
    deadline=None,
    # Each example is many calls: to look for a smaller one would take minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    zone=st.sampled_from(ZONES),
    texts=st.builds(_texts, DAYS, st.integers(0, 3), TIMES, TIMES),
    sides=st.sampled_from(["both", "since", "until"]),
)
def test_a_window_holds_what_came_from_since_on_and_before_until(
    case: ApiCase, service: ApiService, zone: str, texts: tuple[str, str], sides: str
) -> None:
    try:
        span = window(*texts, now=datetime.now(UTC), zone=ZoneInfo(zone))
    except ArgumentError:
        reject()
    assert span.since
    assert span.until
    around: dict[str, datetime] = {}
    for boundary in (span.since, span.until):
        # The API knows milliseconds.
        exact = boundary.replace(microsecond=boundary.microsecond // 1000 * 1000)
        for distance in DISTANCES:
            around[service.add(exact + distance)] = exact + distance
    asked = Window(
        since=None if sides == "until" else span.since, until=None if sides == "since" else span.until
    )
    found = read(case.open(service), window=asked).records
    assert found.keys() >= {one for one, at in around.items() if contains(asked, at)}
    assert all(contains(asked, case.date_of(record)) for record in found.values())
    assert all(case.date_of(found[one]) == at for one, at in around.items() if one in found)
    for one in around:
        service.delete(one)


def contains(window: Window, moment: datetime) -> bool:
    since, until = window.since, window.until
    return (since is None or since <= moment) and (until is None or moment < until)


def test_a_window_leaves_the_rest_to_a_reading_without_one(
    case: ApiCase, service: ApiService, table: Table
) -> None:
    first = read(case.open(service), window=Window(since=dates(COUNT)[6]))
    table.merge(first.items)
    table.cursor = first.next_cursor
    assert len(first.records) == COUNT - 6
    second = table.sync(service)
    assert len(second.records) == 6
    assert table.objects() == read(case.open(service)).records
