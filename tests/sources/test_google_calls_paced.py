"""Calls over HTTP to a service that refuses them: all threads wait, nothing is lost, and it adds up."""

import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lorchestra.errors import DailyQuotaError, SourceError, UserRateError
from lorchestra.sources import google_calls, pace
from lorchestra.sources.fetching import fetched
from lorchestra.sources.google_calls import ATTEMPTS, FailedCallError, NotFoundError
from lorchestra.sources.pace import CALLS_MAX
from lorchestra.sources.turnstile import StoppedError
from tests.emulator.faults import Answered
from tests.emulator.wire import Answer
from tests.gmail.errors import forbidden
from tests.gmail.front import (
    GmailService,
    answer,
    cut_before,
    gmail_service,
    google_error,
    lose_answer,
    quota_exceeded,
    rewrite,
)
from tests.sources.google_calls_at_stand_in import (
    ANY,
    MADE,
    SignedIn,
    fails,
    get,
    get_all,
    statuses,
    unchanged,
)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_calls, "_LONGEST_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr(pace, "_FIRST_PAUSE_SECONDS", 0.05)


@pytest.fixture(scope="module")
def _service() -> Iterator[GmailService]:
    with gmail_service(MADE) as service:
        yield service


@pytest.fixture
def service(_service: GmailService) -> Iterator[GmailService]:
    yield from unchanged(_service)


@pytest.fixture
def signed_in(service: GmailService, tmp_path: Path) -> Iterator[SignedIn]:
    made = SignedIn(service, tmp_path)
    yield made
    made.stop()


# Refusals


@pytest.mark.parametrize("kind", ["rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED"])
def test_a_refused_call_is_made_again_however_often(
    service: GmailService, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """Refusals are not counted among the attempts at a call."""
    monkeypatch.setattr(pace, "_LONGEST_PAUSE_SECONDS", 0.05)
    calls = signed_in.calls()
    fails(service, Answered(quota_exceeded(kind)), times=3 * ATTEMPTS)
    assert get(calls)["id"] == MADE[0].id
    told = calls.telemetry()
    assert (told["calls_refused"], told["retries"]) == (3 * ATTEMPTS, 0)
    assert told["throttled_seconds"] > 0


def test_all_threads_wait_for_as_long_as_google_asks(service: GmailService, signed_in: SignedIn) -> None:
    service.latency = 0.1
    calls = signed_in.calls()
    fails(service, Answered(quota_exceeded("RESOURCE_EXHAUSTED", headers={"Retry-After": "1"})))
    began = time.monotonic()
    assert len(get_all(calls)) == len(MADE)
    assert time.monotonic() - began >= 1
    # Until the refusal is heard, each thread may have sent a call and, after its answer, another.
    assert sum(request.at - began < 0.9 for request in service.seen("GET", ANY)) <= 2 * CALLS_MAX


@pytest.mark.parametrize("retry_after", ["3600", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_more_than_a_quarter_of_an_hour(
    service: GmailService, signed_in: SignedIn, retry_after: str
) -> None:
    """One thread ends with an error that says to come later; the others, when they are stopped."""
    calls = signed_in.calls()
    refused = quota_exceeded("RESOURCE_EXHAUSTED", headers={"Retry-After": retry_after})
    fails(service, Answered(refused), times=1_000)

    def work() -> None:
        try:
            get(calls)
        finally:
            calls.stop()

    with ThreadPoolExecutor(CALLS_MAX) as pool:
        working = [pool.submit(work) for _ in range(CALLS_MAX)]
        errors = {type(one.exception(20)) for one in working}
    assert UserRateError in errors
    assert errors <= {UserRateError, StoppedError}


def test_todays_quota_is_not_waited_for(service: GmailService, signed_in: SignedIn) -> None:
    fails(service, Answered(google_error(403, "x", reason="dailyLimitExceeded", status="X")))
    with pytest.raises(DailyQuotaError, match="today"):
        get(signed_in.calls())
    assert statuses(service) == [403]


def test_the_limits_that_a_refusal_shows_are_told_once(service: GmailService, signed_in: SignedIn) -> None:
    told: list[str] = []
    calls = signed_in.calls(quota="auto", limits_found=lambda: told.append("found"))
    fails(service, Answered(quota_exceeded("rateLimitExceeded")), times=2)
    get(calls)
    assert told == ["found"]
    assert calls.telemetry()["quota"] == "new"


# The end, and what is told


def test_waiting_threads_are_let_go(service: GmailService, signed_in: SignedIn) -> None:
    """Those that wait for their turn, and those that wait to try again."""
    fails(service, answer(503, {}, {"Retry-After": "60"}), times=100)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(8) as pool:
        patch.setattr(google_calls, "_LONGEST_BACKOFF_SECONDS", 60.0)
        waiting = signed_in.calls(units_per_minute=10)
        trying = signed_in.calls()
        working = [pool.submit(get, calls) for calls in (waiting, trying) * 4]
        began = time.monotonic()
        while len(statuses(service)) < 5:
            assert time.monotonic() - began < 20
            time.sleep(0.01)
        waiting.stop()
        trying.stop()
        assert [type(one.exception(20)) for one in working] == [StoppedError] * 8
    with pytest.raises(StoppedError):
        get(trying)


def test_what_is_told_of_the_calls_adds_up(service: GmailService, signed_in: SignedIn) -> None:
    """What the service counted is what we say; faults count no units there."""
    calls = signed_in.calls()
    fails(service, answer(503, {}), times=2, after=5)
    fails(service, Answered(quota_exceeded("RESOURCE_EXHAUSTED")), times=1, after=20)
    get_all(calls)
    calls.get("getProfile", "gmail/v1/users/me/profile", {})
    calls.get("messages.list", "gmail/v1/users/me/messages", {})
    told = calls.telemetry()
    assert told["calls"] == len(service.seen("GET", ANY))
    assert (told["retries"], told["calls_refused"]) == (2, 1)
    assert told["quota_units"] == (len(MADE) + 2) * 20 + 5 + 5


def test_no_error_holds_a_token_or_the_providers_text(service: GmailService, signed_in: SignedIn) -> None:
    """Neither its message, nor its representation, nor its trace."""
    errors: list[BaseException] = []
    secret = "the text of a message"
    for action in (
        Answered(forbidden(secret)),
        answer(503, {"error": {"message": secret}}),
        answer(418, {"error": {"message": secret}}),
        answer(404, {"error": {"message": secret}}),
        Answered(quota_exceeded("RESOURCE_EXHAUSTED", secret, headers={"Retry-After": "9999"})),
        Answered(google_error(403, secret, reason="dailyLimitExceeded", status="X")),
        Answered(Answer(200, [], secret.encode())),
        cut_before(),
        lose_answer(),
    ):
        fails(service, action, times=10)
        with pytest.raises((SourceError, NotFoundError, FailedCallError)) as raised:
            get(signed_in.calls())
        errors.append(raised.value)
        service.forget_faults()
    assert len(errors) == 9
    for error in errors:
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        assert "ya29." not in shown
        assert secret not in shown
        assert "Bearer" not in shown


def test_what_an_answer_holds_is_what_is_given(service: GmailService, signed_in: SignedIn) -> None:
    """As it is, with its size as JSON."""
    fails(service, rewrite(lambda found: {"id": found["id"], "x": ["ä", None, 1.5]}))
    value, size = signed_in.calls().get("messages.get", f"gmail/v1/users/me/messages/{MADE[0].id}", {})
    assert value == {"id": MADE[0].id, "x": ["ä", None, 1.5]}
    assert len(MADE[0].id) < size < 100


# At the pace of real time


@pytest.mark.xdist_group("real-time")
@pytest.mark.parametrize(("regime", "units_per_minute"), [("new", 30_000), ("old", 7_500)])
def test_a_limit_is_used_and_not_met(tmp_path: Path, regime: Any, units_per_minute: int) -> None:
    """25 messages a second, by a bucket that holds a second's units: sixteen threads share it."""
    with gmail_service(
        MADE,
        quota=regime,
        user_units_per_minute=units_per_minute,
        burst_units=units_per_minute / 60,
        latency=0.05,
    ) as service:
        calls = SignedIn(service, tmp_path).calls(quota=regime, units_per_minute=units_per_minute)
        ids = [made.id for made in MADE] * 4
        results = list(
            fetched(
                ids,
                lambda one: calls.get("messages.get", f"gmail/v1/users/me/messages/{one}", {}),
                threads=CALLS_MAX,
                single=(),
            )
        )
        assert sorted(result.id for result in results) == sorted(ids)
        assert service.first_call_at is not None
        assert service.last_call_at is not None
        allowed = units_per_minute / 60 * (service.last_call_at - service.first_call_at)
        assert service.accepted_units >= 0.9 * allowed
        assert service.refused <= 0.01 * len(ids)
