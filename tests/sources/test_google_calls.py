"""Calls over HTTP to a service that refuses, fails, vanishes and changes its mind."""

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail

from lorchestra.errors import SourceError, SourceLoginError, SourceQuotaError, SourceUnavailableError
from lorchestra.sources import google_calls, pace
from lorchestra.sources.base import SourceContext
from lorchestra.sources.fetching import fetched
from lorchestra.sources.google_calls import ATTEMPTS, FailedCallError, GoogleCalls, NotFoundError
from lorchestra.sources.google_login import open_login
from lorchestra.sources.google_login_options import GoogleLoginOptions
from lorchestra.sources.pace import CALLS_MAX, Pace
from lorchestra.sources.quota import load_regimes
from lorchestra.sources.turnstile import StoppedError, Turnstile
from tests.emulator.faults import Answered
from tests.emulator.wire import Answer, Request, json_answer
from tests.gmail.errors import forbidden
from tests.gmail.front import (
    Fault,
    GmailService,
    answer,
    cut_before,
    gmail_service,
    google_error,
    lose_answer,
    quota_exceeded,
    rewrite,
)
from tests.gmail.mailbox import made_messages
from tests.gmail.server import HttpServer

SYSTEM = "tap-gmail--acct1"
MADE = list(made_messages(40))
ANY = "^/gmail/"
HTML = Answer(200, [("Content-Type", "text/html")], b"<html>Accept the terms of this hotel</html>")

Connect = Callable[..., GoogleCalls]


@pytest.fixture(autouse=True)
def _without_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


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
    _service.reset_log()
    yield _service
    _service.forget_faults()
    _service.latency = 0.0


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Calls that are signed in at a service, to it or to another endpoint."""
    opened: list[GoogleCalls] = []

    def connected(service: GmailService, *, endpoint: str | None = None, **limits: Any) -> GoogleCalls:
        context = SourceContext(
            base=tmp_path, source_system=SYSTEM, environment=service.variables(SYSTEM) | {"HOME": str(tmp_path)}
        )
        login = open_login(GoogleLoginOptions(token_uri=service.token_uri), context)
        limits = {"quota": "new", "units_per_minute": 1_000_000, **limits}
        found = limits.pop("limits_found", lambda: None)
        opened.append(
            GoogleCalls(
                endpoint or service.endpoint,
                login=login,
                turnstile=Turnstile(Pace(load_regimes("gmail_quota.toml"), now=time.monotonic(), **limits)),
                refused_permission=login.refused_permission,
                limits_found=found,
            )
        )
        return opened[-1]

    yield connected
    for calls in opened:
        calls.stop()


def get(calls: GoogleCalls, message_id: str = MADE[0].id) -> dict[str, Any]:
    path = f"gmail/v1/users/me/messages/{message_id}"
    return calls.get("messages.get", path, {"format": "minimal"})[0]


def get_all(calls: GoogleCalls, *, threads: int = CALLS_MAX) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda made: get(calls, made.id), MADE))


def fails(service: GmailService, action: Any, **more: Any) -> None:
    service.fail(Fault(method="GET", path=ANY, action=action, **more))


def statuses(service: GmailService) -> list[int | None]:
    return [request.status for request in service.seen("GET", ANY)]


# Connections


class Counting(HttpServer):
    """Counts the connections that were made to it, and keeps what arrived on them."""

    def __init__(self) -> None:
        self.connections = 0
        self.seen: list[Request] = []
        super().__init__(self._empty)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def _empty(self, request: Request) -> Answer:
        self.seen.append(request)
        return json_answer(200, {})


@pytest.fixture
def elsewhere() -> Iterator[Counting]:
    server = Counting()
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("threads", [1, 4, CALLS_MAX])
def test_each_thread_keeps_one_connection(
    service: GmailService, connect: Connect, elsewhere: Counting, threads: int
) -> None:
    """However many calls it makes; nothing but the token and who we are goes along."""
    calls = connect(service, endpoint=elsewhere.endpoint + "/")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: calls.get("getProfile", "p", {"n": number}), range(120)))
    assert len(elsewhere.seen) == 120
    assert 1 <= elsewhere.connections <= threads
    assert {request.route for request in elsewhere.seen} == {"/p"}
    assert all(request.header("authorization").startswith("Bearer ya29.") for request in elsewhere.seen)
    assert all("gzip" in request.header("user-agent") for request in elsewhere.seen)


def test_a_redirect_is_not_followed(service: GmailService, connect: Connect, elsewhere: Counting) -> None:
    """The token is for one host; a proxy that sends us elsewhere is a fault that passes."""
    fails(service, answer(302, {}, {"Location": f"{elsewhere.endpoint}/gmail/v1/x"}))
    assert get(connect(service))["id"] == MADE[0].id
    assert statuses(service) == [302, 200]
    assert not elsewhere.seen


def test_a_netrc_file_does_not_replace_the_token(
    service: GmailService, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert get(connect(service))["id"] == MADE[0].id
    assert statuses(service) == [200]


@pytest.mark.parametrize("action", [cut_before(), lose_answer()])
def test_a_call_whose_connection_breaks_is_made_again(
    service: GmailService, connect: Connect, action: Any
) -> None:
    """Before the answer or in the midst of it, and several times."""
    calls = connect(service)
    fails(service, action, times=3, after=10)
    assert [message["id"] for message in get_all(calls)] == [made.id for made in MADE]
    assert calls.telemetry()["retries"] == 3
    assert statuses(service).count(None) == 3


def test_a_service_that_cannot_be_reached_is_said_to_be(
    service: GmailService, connect: Connect, elsewhere: Counting
) -> None:
    """After more attempts than an error of the service gets, as after a laptop was opened."""
    nobody = connect(service, endpoint="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        get(nobody)
    assert nobody.telemetry()["calls"] > ATTEMPTS


# Logins and permissions


def test_a_token_that_ends_is_renewed_once_for_all_threads(service: GmailService, connect: Connect) -> None:
    calls = connect(service)
    get_all(calls)
    service.expire_access_tokens()
    service.reset_log()
    assert len(get_all(calls)) == len(MADE)
    assert len(service.seen("POST", "^/token$")) == 1
    assert 1 <= statuses(service).count(401) <= CALLS_MAX
    assert calls.telemetry()["calls_refused"] == 0


def test_what_is_not_permitted_is_not_tried_again(service: GmailService, connect: Connect) -> None:
    """The error is the login's, which knows what to type."""
    service.grant_scopes("https://www.googleapis.com/auth/gmail.send")
    try:
        with pytest.raises(SourceLoginError, match="login"):
            get(connect(service))
    finally:
        service.grant_scopes("https://www.googleapis.com/auth/gmail.readonly")
    assert statuses(service) == [403]


def test_something_that_is_gone_is_not_found(service: GmailService, connect: Connect) -> None:
    calls = connect(service)
    with pytest.raises(NotFoundError):
        get(calls, "18c0000000000000")
    assert statuses(service) == [404]
    assert calls.telemetry()["retries"] == 0


# Errors of the service


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_an_error_that_passes_is_waited_for(service: GmailService, connect: Connect, status: int) -> None:
    calls = connect(service)
    fails(service, answer(status, {}), times=ATTEMPTS - 1)
    assert get(calls)["id"] == MADE[0].id
    assert calls.telemetry()["retries"] == ATTEMPTS - 1
    assert calls.telemetry()["calls"] == ATTEMPTS


@pytest.mark.parametrize(
    ("action", "code", "calls_made"),
    [
        (answer(503, {}), "http_503", ATTEMPTS),
        (answer(301, {}, {"Location": "/"}), "http_301", ATTEMPTS),
        (answer(400, {}), "http_400", 1),
        (answer(410, {}), "http_410", 1),
        (Answered(HTML), "unreadable_answer", ATTEMPTS),
        (Answered(Answer(200, [], b"[]")), "unreadable_answer", ATTEMPTS),
    ],
)
def test_a_call_that_fails_each_time_fails_with_a_code(
    service: GmailService, connect: Connect, action: Any, code: str, calls_made: int
) -> None:
    """Other calls can go on; what is wrong with the call itself is not tried again."""
    calls = connect(service)
    fails(service, action, times=ATTEMPTS)
    with pytest.raises(FailedCallError) as failed:
        get(calls)
    assert failed.value.code == code
    assert len(statuses(service)) == calls_made
    service.forget_faults()
    assert get(calls)["id"] == MADE[0].id


def test_a_page_of_a_captive_portal_is_no_message(service: GmailService, connect: Connect) -> None:
    """Status 200 is not enough; the call is made again."""
    fails(service, Answered(HTML), times=2)
    assert get(connect(service))["id"] == MADE[0].id


# Refusals


@pytest.mark.parametrize("kind", ["rateLimitExceeded", "userRateLimitExceeded", "RESOURCE_EXHAUSTED"])
def test_a_refused_call_is_made_again_however_often(
    service: GmailService, connect: Connect, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """Refusals are not counted among the attempts at a call."""
    monkeypatch.setattr(pace, "_LONGEST_PAUSE_SECONDS", 0.05)
    calls = connect(service)
    fails(service, Answered(quota_exceeded(kind)), times=3 * ATTEMPTS)
    assert get(calls)["id"] == MADE[0].id
    told = calls.telemetry()
    assert (told["calls_refused"], told["retries"]) == (3 * ATTEMPTS, 0)
    assert told["throttled_seconds"] > 0


def test_all_threads_wait_for_as_long_as_google_asks(service: GmailService, connect: Connect) -> None:
    calls = connect(service)
    get(calls)
    fails(service, Answered(quota_exceeded("RESOURCE_EXHAUSTED", headers={"Retry-After": "1"})))
    began = time.monotonic()
    assert len(get_all(calls)) == len(MADE)
    assert time.monotonic() - began >= 1
    # Only what was under way when the refusal came may have arrived since.
    waited = [request.at for request in service.seen("GET", ANY) if request.at - began < 0.9]
    assert len(waited) <= 1 + CALLS_MAX + CALLS_MAX


@pytest.mark.parametrize("retry_after", ["3600", "9" * 30, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_more_than_a_quarter_of_an_hour(
    service: GmailService, connect: Connect, retry_after: str
) -> None:
    """One thread ends with an error that says to come later; the others, when they are stopped."""
    calls = connect(service)
    refused = quota_exceeded("RESOURCE_EXHAUSTED", headers={"Retry-After": retry_after})
    fails(service, Answered(refused), times=1_000)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            get(calls)
        except BaseException as error:
            errors.append(error)
            calls.stop()

    threads = [threading.Thread(target=work) for _ in range(CALLS_MAX)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(errors) == CALLS_MAX
    assert {type(error) for error in errors} <= {SourceQuotaError, StoppedError}
    assert type(errors[0]) is SourceQuotaError


def test_todays_quota_is_not_waited_for(service: GmailService, connect: Connect) -> None:
    fails(service, Answered(google_error(403, "x", reason="dailyLimitExceeded", status="X")))
    with pytest.raises(SourceQuotaError, match="today"):
        get(connect(service))
    assert statuses(service) == [403]


def test_the_limits_that_a_refusal_shows_are_told_once(service: GmailService, connect: Connect) -> None:
    told: list[str] = []
    calls = connect(service, quota="auto", limits_found=lambda: told.append("found"))
    fails(service, Answered(quota_exceeded("rateLimitExceeded")), times=2)
    get(calls)
    assert told == ["found"]
    assert calls.telemetry()["quota"] == "new"


# The end, and what is told


def test_waiting_threads_are_let_go(service: GmailService, connect: Connect) -> None:
    """Those that wait for their turn, and those that wait to try again."""
    fails(service, answer(503, {}, {"Retry-After": "60"}), times=100)
    errors: list[BaseException] = []

    def work(calls: GoogleCalls) -> None:
        try:
            get(calls)
        except BaseException as error:
            errors.append(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(google_calls, "_LONGEST_BACKOFF_SECONDS", 60.0)
        waiting = connect(service, units_per_minute=10)
        trying = connect(service)
        threads = [threading.Thread(target=work, args=(calls,)) for calls in (waiting, trying) * 4]
        for thread in threads:
            thread.start()
        while len(statuses(service)) < 5:
            time.sleep(0.01)
        waiting.stop()
        trying.stop()
        for thread in threads:
            thread.join(20)
    assert [type(error) for error in errors] == [StoppedError] * 8
    with pytest.raises(StoppedError):
        get(trying)


def test_what_is_told_of_the_calls_adds_up(service: GmailService, connect: Connect) -> None:
    """What the service counted is what we say; faults count no units there."""
    calls = connect(service)
    fails(service, answer(503, {}), times=2, after=5)
    fails(service, Answered(quota_exceeded("RESOURCE_EXHAUSTED")), times=1, after=20)
    get_all(calls)
    calls.get("getProfile", "gmail/v1/users/me/profile", {})
    calls.get("messages.list", "gmail/v1/users/me/messages", {})
    told = calls.telemetry()
    assert told["calls"] == len(service.seen("GET", ANY))
    assert (told["retries"], told["calls_refused"]) == (2, 1)
    assert told["quota_units"] == (len(MADE) + 2) * 20 + 5 + 5


def test_no_error_holds_a_token_or_the_providers_text(service: GmailService, connect: Connect) -> None:
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
            get(connect(service))
        errors.append(raised.value)
        service.forget_faults()
    assert len(errors) == 9
    for error in errors:
        shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        assert "ya29." not in shown
        assert secret not in shown
        assert "Bearer" not in shown


def test_what_an_answer_holds_is_what_is_given(service: GmailService, connect: Connect) -> None:
    """As it is, with its size as JSON."""
    fails(service, rewrite(lambda found: {"id": found["id"], "x": ["ä", None, 1.5]}))
    value, size = connect(service).get("messages.get", f"gmail/v1/users/me/messages/{MADE[0].id}", {})
    assert value == {"id": MADE[0].id, "x": ["ä", None, 1.5]}
    assert len(MADE[0].id) < size < 100


# At the pace of real time


@pytest.mark.xdist_group("real-time")
@pytest.mark.parametrize(("regime", "units_per_minute"), [("new", 30_000), ("old", 7_500)])
def test_a_limit_is_used_and_not_met(connect: Connect, regime: Any, units_per_minute: int) -> None:
    """25 messages a second, by a bucket that holds a second's units: sixteen threads share it."""
    with gmail_service(
        MADE,
        quota=regime,
        user_units_per_minute=units_per_minute,
        burst_units=units_per_minute / 60,
        latency=0.05,
    ) as service:
        calls = connect(service, quota=regime, units_per_minute=units_per_minute)
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
