"""Every accepted form gives one moment in UTC, everything else a message that lists the forms."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorchestra.errors import ArgumentError
from lorchestra.model import Window
from lorchestra.timespan import parse_moment, window

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
HAVANA = ZoneInfo("America/Havana")
NOW = datetime(2025, 11, 24, 14, 30, 15, 250, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2025-11-20", UTC, "2025-11-20T00:00:00+00:00"),
        ("2025-11-20", BERLIN, "2025-11-19T23:00:00+00:00"),
        ("2025-07-20", BERLIN, "2025-07-19T22:00:00+00:00"),
        ("2025-11-20T14:30", BERLIN, "2025-11-20T13:30:00+00:00"),
        ("2025-11-20 14:30:05", UTC, "2025-11-20T14:30:05+00:00"),
        ("2025-11-20T14:30:05.25", UTC, "2025-11-20T14:30:05.250000+00:00"),
        ("2025-11-20T14:30:00Z", BERLIN, "2025-11-20T14:30:00+00:00"),
        ("2025-11-20T14:30Z", BERLIN, "2025-11-20T14:30:00+00:00"),
        ("2025-11-20T14:30:00+01:00", NEW_YORK, "2025-11-20T13:30:00+00:00"),
        ("2025-11-20T14:30:00-0530", BERLIN, "2025-11-20T20:00:00+00:00"),
        ("2024-02-29", UTC, "2024-02-29T00:00:00+00:00"),
        ("now", BERLIN, "2025-11-24T14:30:15.000250+00:00"),
        ("today", UTC, "2025-11-24T00:00:00+00:00"),
        ("today", BERLIN, "2025-11-23T23:00:00+00:00"),
        ("yesterday", BERLIN, "2025-11-22T23:00:00+00:00"),
        ("today", timezone(timedelta(hours=14)), "2025-11-24T10:00:00+00:00"),
        ("-30m", BERLIN, "2025-11-24T14:00:15.000250+00:00"),
        ("-12h", BERLIN, "2025-11-24T02:30:15.000250+00:00"),
        ("-7d", BERLIN, "2025-11-17T14:30:15.000250+00:00"),
        ("-2w", BERLIN, "2025-11-10T14:30:15.000250+00:00"),
        ("-0d", BERLIN, "2025-11-24T14:30:15.000250+00:00"),
    ],
)
def test_accepted_forms(text: str, zone: tzinfo, moment: str) -> None:
    parsed = parse_moment(text, now=NOW, zone=zone)

    assert parsed.isoformat() == moment
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        # Skipped: 02:30 does not exist; half an hour after the change.
        ("2025-03-30T02:30", BERLIN, "2025-03-30T01:30:00+00:00"),
        # Twice: the first one.
        ("2025-10-26T02:30", BERLIN, "2025-10-26T00:30:00+00:00"),
        ("2025-10-26T02:30+01:00", BERLIN, "2025-10-26T01:30:00+00:00"),
        # Days that begin at 01:00, and days with two midnights.
        ("2018-11-04", SAO_PAULO, "2018-11-04T03:00:00+00:00"),
        ("2025-11-02", HAVANA, "2025-11-02T04:00:00+00:00"),
    ],
)
def test_changes_of_the_clock(text: str, zone: tzinfo, moment: str) -> None:
    assert parse_moment(text, now=NOW, zone=zone).isoformat() == moment


def test_days_ago_are_hours_whatever_the_clock_does() -> None:
    after_change = datetime(2025, 3, 30, 12, tzinfo=BERLIN)

    assert parse_moment("-1d", now=after_change, zone=BERLIN) == datetime(2025, 3, 29, 11, tzinfo=BERLIN)
    assert parse_moment("-24h", now=after_change, zone=BERLIN) == parse_moment(
        "-1d", now=after_change, zone=BERLIN
    )


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "tomorrow", "Now", "last week", "7d", "+7d", "-7", "-d", "-7y", "-1d12h", "- 7d", "-7.5d",
        "20251120", "2025-11", "2025-W47", "2025-W47-4", "2025-324", "20.11.2025", "11/20/2025", "2025-1-2",
        "2025-11-20T", "2025-11-20T14", "2025-11-20T14:30z", " 2025-11-20", "2025-11-20\n", "1763596800",
        "2025-11-20T14:30 CET", "2025-11-20T14:30:00+01", "2025-11-20T14:30:00,5",
        "2025-11-20T14:30:00+00:00:00.000001",
        "2025-11-2\N{ARABIC-INDIC DIGIT ONE}", "-\N{ARABIC-INDIC DIGIT SEVEN}d",
    ],
)  # fmt: skip
def test_other_forms_are_refused_with_the_accepted_ones(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"^text: .* is not a point in time$") as caught:
        parse_moment(text, now=NOW, zone=UTC)

    assert caught.value.next_step is not None
    for example in ("2025-11-20", "yesterday", "-7d"):
        assert example in caught.value.next_step


@pytest.mark.parametrize(
    "text",
    ["2025-02-29", "2025-13-01", "2025-00-10", "0000-01-01", "2025-11-20T25:00", "2025-11-20T14:30+25:00"],
)
def test_what_the_calendar_lacks_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"is no day or time of the calendar$"):
        parse_moment(text, now=NOW, zone=UTC)


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:30+01:00", "9999-12-31T23:30-01:00", "-999999999w"]
)
def test_what_python_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"outside the years 1 to 9999$"):
        parse_moment(text, now=NOW, zone=timezone(timedelta(hours=1)))


def test_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_moment("x" * 1000, now=NOW, zone=UTC)

    assert len(caught.value.message) < 100


def test_now_without_a_zone_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^now: "):
        parse_moment("2025-11-20", now=NOW.replace(tzinfo=None), zone=UTC)


def test_window() -> None:
    assert window("2025-11-20", "now", now=NOW, zone=UTC) == Window(
        since=datetime(2025, 11, 20, tzinfo=UTC), until=NOW
    )
    assert window(None, None, now=NOW, zone=UTC) == Window()
    assert window("-7d", None, now=NOW, zone=UTC) == Window(since=NOW - timedelta(days=7))
    assert window(None, "today", now=NOW, zone=UTC) == Window(until=datetime(2025, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize(("since", "until"), [("now", "now"), ("today", "yesterday"), ("-1h", "-60m")])
def test_empty_window_is_refused(since: str, until: str) -> None:
    with pytest.raises(ArgumentError, match=r"^since: .* is not before until"):
        window(since, until, now=NOW, zone=BERLIN)


@pytest.mark.parametrize(("since", "until", "name"), [("x", None, "since"), (None, "x", "until")])
def test_window_names_the_argument(since: str | None, until: str | None, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}: 'x' is not a point in time"):
        window(since, until, now=NOW, zone=UTC)


OFFSETS: st.SearchStrategy[tzinfo] = st.builds(
    lambda seconds: timezone(timedelta(seconds=seconds)), st.integers(-86399, 86399)
)
ZONES: st.SearchStrategy[tzinfo] = st.sampled_from([UTC, BERLIN, NEW_YORK, SAO_PAULO, HAVANA])
# A year from the ends, so that no offset leads out of what Python can hold.
NAIVE = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31))  # noqa: DTZ001


@given(naive=NAIVE, offset=OFFSETS | ZONES, fold=st.integers(0, 1), zone=ZONES)
def test_isoformat_comes_back_as_the_same_instant(
    naive: datetime, offset: tzinfo, fold: int, zone: tzinfo
) -> None:
    moment = naive.replace(tzinfo=offset, fold=fold)

    assert parse_moment(moment.isoformat(), now=NOW, zone=zone) == moment.astimezone(UTC)
    assert parse_moment(moment.isoformat(" "), now=NOW, zone=zone) == moment.astimezone(UTC)


@given(naive=NAIVE, zone=ZONES)
def test_local_times_are_those_of_the_zone(naive: datetime, zone: tzinfo) -> None:
    parsed = parse_moment(naive.isoformat(), now=NOW, zone=zone)

    assert parsed == naive.replace(tzinfo=zone).astimezone(UTC)


@given(text=st.text(st.characters(codec="utf-8"), max_size=30) | st.from_regex(r"[0-9T:+Z .-]{0,30}"))
def test_any_text_gives_a_moment_or_an_argument_error(text: str) -> None:
    try:
        moment = parse_moment(text, now=NOW, zone=BERLIN)
    except ArgumentError:
        return
    assert moment.tzinfo is UTC
