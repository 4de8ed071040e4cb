"""The short way to a date ends where the email package's parser does."""

import calendar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources.mail_dates import parse_mail_date


def by_the_package(text: str) -> int | None:
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        seconds = calendar.timegm((*parts[:6], 0, 1, 0)) - (parts[9] or 0)
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return seconds * 1000


dates = st.builds(
    "{}{}{} {} {} {}{}".format,
    st.sampled_from(["", " ", "\n\t"]),
    st.sampled_from(["", "Thu, ", "Thu ", "Xyz, ", "thu,"]),
    st.integers(0, 32).map(str) | st.sampled_from(["01", "001", "-1", "٣"]),
    st.sampled_from(["Jan", "Feb", "Sep", "Dec", "DEC", "Foo"]),
    st.sampled_from(["1969", "1970", "2000", "2024", "2099", "0099", "99", "9999", "20245"]),
    st.sampled_from(["00:00:00", "23:59:60", "99:99:99", "1:2:3", "12:34", "12.34.56"]),
    st.sampled_from(["", " +0000", " -0000", " -0130", " +0530", " -0030", " +9999", " GMT", " +0100 (CET)"])
    | st.sampled_from([" -0700 (PDT) x", " +01:00", "+0100", " EST", " "]),
)
edits = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["", " ", "x", ",", "\n", "0"])), max_size=2)


@settings(deadline=None, max_examples=500)
@given(text=dates, changed=edits)
def test_a_date_is_what_the_email_package_reads(text: str, changed: list[tuple[float, str]]) -> None:
    """Of any century, in any zone, and damaged."""
    for where, put in changed:
        at = int(where * len(text))
        text = text[:at] + put + text[at + (not put) :]
    assert parse_mail_date(text) == by_the_package(text)
