"""What an answer of Google means, and that no answer, however odd, is more than an error."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import TIMEOUT_MAX
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lorchestra.sources.google_answers import Answer, answer_of, json_object
from lorchestra.sources.pace import Refusal
from tests.emulator.wire import Answer as Given
from tests.gmail.errors import forbidden, google_error, insufficient_scope, not_found
from tests.gmail.quota import REFUSALS, quota_exceeded

QUOTA = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute{}' of service 'x'."
AT_ONCE = "Too many concurrent requests for user"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
error_shapes = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("errors", "details", "message", "code", "status"), json_values)
)


def told(given: Given) -> Answer:
    return answer_of(given.status, dict(given.headers), given.body)


def error(status: int, reason: str, message: str = "", **more: Any) -> Answer:
    return told(google_error(status, message, reason=reason, status="X", **more))


def waits(retry_after: str) -> float:
    return answer_of(429, {"Retry-After": retry_after}, b"").wait_seconds


@pytest.mark.parametrize("kind", REFUSALS)
def test_each_way_in_which_google_refuses_is_a_refusal(kind: Any) -> None:
    assert told(quota_exceeded(kind)).refusal is Refusal.USER
    assert told(quota_exceeded(kind, AT_ONCE)).refusal is Refusal.CONCURRENCY


@pytest.mark.parametrize(
    ("status", "reason", "message", "refusal"),
    [
        (429, "rateLimitExceeded", QUOTA.format(" per user"), Refusal.USER),
        (429, "rateLimitExceeded", QUOTA.format(""), Refusal.PROJECT),
        (403, "rateLimitExceeded", QUOTA.format(""), Refusal.PROJECT),
        (403, "userRateLimitExceeded", QUOTA.format(""), Refusal.USER),
        (403, "userRateLimitExceeded", "User-rate limit exceeded.  Retry after 2026-01-01T", Refusal.USER),
        (429, "backendError", "", Refusal.USER),
        (429, "", AT_ONCE, Refusal.CONCURRENCY),
        (403, "rateLimitExceeded", "Rate Limit Exceeded", Refusal.USER),
        (403, "forbidden", QUOTA.format(" per user"), None),
        (403, "domainPolicy", "The domain administrators have disabled Gmail apps.", None),
        (403, "accessNotConfigured", "Gmail API has not been used in project 1 before", None),
        (403, "insufficientPermissions", "Request had insufficient scopes", None),
        (400, "rateLimitExceeded", AT_ONCE, None),
        (401, "authError", "", None),
        (503, "rateLimitExceeded", "", None),
        (404, "notFound", "", None),
    ],
)
def test_a_refusal_is_told_from_a_lack_of_permission(
    status: int, reason: str, message: str, refusal: Refusal | None
) -> None:
    """By the reason, as both may be 403, and from the message, which limit it was."""
    assert error(status, reason, message).refusal is refusal


def test_a_reason_may_stand_in_the_details_alone() -> None:
    """Newer services have no `errors`."""
    body = {"error": {"code": 403, "details": [{"@type": "x"}, {"reason": "RATE_LIMIT_EXCEEDED"}]}}
    answer = answer_of(403, {}, json.dumps(body).encode())
    assert (answer.reasons, answer.refusal) == ({"RATE_LIMIT_EXCEEDED"}, Refusal.USER)


@pytest.mark.parametrize(
    "given_answer", [forbidden("Delegation denied"), insufficient_scope("x"), not_found()]
)
def test_what_is_denied_does_not_pass(given_answer: Given) -> None:
    answer = told(given_answer)
    assert (answer.refusal, answer.passes, answer.is_used_up_for_today) == (None, False, False)


def test_errors_of_the_service_and_redirects_pass() -> None:
    """The same call may work later; what is said of the call itself stays true."""
    passing = {status for status in range(201, 600) if answer_of(status, {}, b"").passes}
    assert passing == {408, 500, 502, 503, 504, *range(300, 400)}


@pytest.mark.parametrize("reason", ["dailyLimitExceeded", "quotaExceeded"])
def test_for_a_limit_by_the_day_nobody_waits(reason: str) -> None:
    assert error(403, reason).is_used_up_for_today
    assert error(429, reason).is_used_up_for_today
    assert not error(503, reason).is_used_up_for_today
    assert not any(told(quota_exceeded(kind)).is_used_up_for_today for kind in REFUSALS)


@given(st.integers(0, 3_600))
def test_a_time_to_wait_is_seconds_or_a_date(seconds: int) -> None:
    assert waits(str(seconds)) == seconds
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    assert seconds - 5 <= waits(format_datetime(until, usegmt=True)) <= seconds


@pytest.mark.parametrize("fraction", ["", ".5", ".123", ".123456", ".123456789"])
def test_a_time_to_wait_may_stand_in_the_message(fraction: str) -> None:
    """Gmail says it so, with and without the header; the later of both counts."""
    until = (datetime.now(UTC) + timedelta(seconds=100)).strftime("%Y-%m-%dT%H:%M:%S")
    content = google_error(
        429,
        f"User-rate limit exceeded.  Retry after {until}{fraction}Z",
        reason="rateLimitExceeded",
        status="X",
    ).body
    assert 95 < answer_of(429, {}, content).wait_seconds <= 101
    assert 95 < answer_of(429, {"Retry-After": "7"}, content).wait_seconds <= 101
    assert answer_of(429, {"Retry-After": "700"}, content).wait_seconds == 700


@pytest.mark.parametrize(
    "retry_after",
    ["", " ", "-5", "soon", "1.5", "٣", "1e9", "NaN", "inf", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon", "0x10"],
)
def test_what_is_no_time_to_wait_is_none(retry_after: str) -> None:
    assert waits(retry_after) == 0


@pytest.mark.parametrize("retry_after", ["9" * 12, "9" * 400, "9" * 5_000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_time_beyond_all_bounds_can_still_be_waited_for(retry_after: str) -> None:
    """A thread can wait for so long; it is for others to decide that nobody does."""
    assert 3_600 < waits(retry_after) < TIMEOUT_MAX


@given(
    st.integers(201, 599),
    st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | error_shapes.map(lambda value: json.dumps({"error": value}).encode()),
    st.text(st.characters(max_codepoint=255), max_size=60),
)
@example(429, b"", "Mon, 20 Nov 99999999999999999999 00:00:00 GMT")
@example(429, b"", "Mon, 20 Nov 2025 00:00:00 +99999999999999999999")
@example(429, b"", "Mon, 01 Jan 0001 00:00:00 +2300")
@example(429, b'{"error": {"message": "Retry after 9999-99-99T99:99:99Z"}}', "")
@example(429, b'{"error": {"errors": [{"reason": {}}, {"reason": []}], "details": null}}', "")
@example(403, b"[" * 100_000, "")
@settings(deadline=None, max_examples=400)
def test_no_answer_is_too_odd(status: int, content: bytes, retry_after: str) -> None:
    """Proxies, captive portals and cut connections leave anything; it is an error with a status, no more."""
    answer = answer_of(status, {"Retry-After": retry_after}, content)
    assert answer.status == status
    assert 0 <= answer.wait_seconds < TIMEOUT_MAX
    assert all(isinstance(reason, str) for reason in answer.reasons)
    assert isinstance(answer.refusal, Refusal | None)
    assert answer.passes in {True, False}
    assert answer.is_used_up_for_today in {True, False}


@pytest.mark.parametrize("odd", [None, "x", 7, [None], [7], ["x"], {"a": 1}, [{"reason": 7}]])
@pytest.mark.parametrize("field", ["errors", "details"])
def test_one_odd_field_does_not_hide_the_others(field: str, odd: Any) -> None:
    """A refusal that is not recognised would end the run as a lack of permission."""
    other = "details" if field == "errors" else "errors"
    body = {"error": {field: odd, other: [{"reason": "rateLimitExceeded"}], "message": AT_ONCE}}
    assert answer_of(403, {}, json.dumps(body).encode()).refusal is Refusal.CONCURRENCY


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_only_a_json_object_is_one(content: bytes) -> None:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    found = json_object(content)
    assert found is None or found == value
    assert not isinstance(value, dict) or found is not None or b"\\ud" in content.lower()
