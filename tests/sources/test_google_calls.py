"""Calls over HTTP to a service that fails, vanishes and changes its mind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lorchestra.errors import AuthError, SourceUnavailableError
from lorchestra.sources import google_calls, pace
from lorchestra.sources.google_calls import ATTEMPTS, FailedCallError, NotFoundError
from lorchestra.sources.pace import CALLS_MAX
from tests.emulator.faults import Answered
from tests.emulator.wire import Answer, Request, json_answer
from tests.gmail.front import (
    GmailService,
    answer,
    cut_before,
    gmail_service,
    lose_answer,
)
from tests.gmail.server import HttpServer
from tests.sources.google_calls_at_stand_in import MADE, SignedIn, fails, get, get_all, statuses, unchanged

HTML = Answer(200, [("Content-Type", "text/html")], b"<html>Accept the terms of this hotel</html>")


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
    service: GmailService, signed_in: SignedIn, elsewhere: Counting, threads: int
) -> None:
    """However many calls it makes; nothing but the token and who we are goes along."""
    calls = signed_in.calls(endpoint=elsewhere.endpoint + "/")
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: calls.get("getProfile", "p", {"n": number}), range(120)))
    assert len(elsewhere.seen) == 120
    assert 1 <= elsewhere.connections <= threads
    assert {request.route for request in elsewhere.seen} == {"/p"}
    assert all(request.header("authorization").startswith("Bearer ya29.") for request in elsewhere.seen)
    assert all("gzip" in request.header("user-agent") for request in elsewhere.seen)


def test_a_redirect_is_not_followed(service: GmailService, signed_in: SignedIn, elsewhere: Counting) -> None:
    """The token is for one host; a proxy that sends us elsewhere is a fault that passes."""
    fails(service, answer(302, {}, {"Location": f"{elsewhere.endpoint}/gmail/v1/x"}))
    assert get(signed_in.calls())["id"] == MADE[0].id
    assert statuses(service) == [302, 200]
    assert not elsewhere.seen


def test_a_netrc_file_does_not_replace_the_token(
    service: GmailService, signed_in: SignedIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert get(signed_in.calls())["id"] == MADE[0].id
    assert statuses(service) == [200]


@pytest.mark.parametrize("action", [cut_before(), lose_answer()])
def test_a_call_whose_connection_breaks_is_made_again(
    service: GmailService, signed_in: SignedIn, action: Any
) -> None:
    """Before the answer or in the midst of it, and several times."""
    calls = signed_in.calls()
    fails(service, action, times=3, after=10)
    assert [message["id"] for message in get_all(calls)] == [made.id for made in MADE]
    assert calls.telemetry()["retries"] == 3
    assert statuses(service).count(None) == 3


def test_a_service_that_cannot_be_reached_is_said_to_be(
    service: GmailService, signed_in: SignedIn, elsewhere: Counting
) -> None:
    """After more attempts than an error of the service gets, as after a laptop was opened."""
    nobody = signed_in.calls(endpoint="http://127.0.0.1:9")
    with pytest.raises(SourceUnavailableError, match="cannot be reached"):
        get(nobody)
    assert nobody.telemetry()["calls"] > ATTEMPTS


# Logins and permissions


def test_a_token_that_ends_is_renewed_once_for_all_threads(
    service: GmailService, signed_in: SignedIn
) -> None:
    calls = signed_in.calls()
    get_all(calls)
    service.expire_access_tokens()
    service.reset_log()
    assert len(get_all(calls)) == len(MADE)
    assert len(service.seen("POST", "^/token$")) == 1
    assert 1 <= statuses(service).count(401) <= CALLS_MAX
    assert calls.telemetry()["calls_refused"] == 0


def test_what_is_not_permitted_is_not_tried_again(service: GmailService, signed_in: SignedIn) -> None:
    """The error is the login's, which knows what to type."""
    service.grant_scopes("https://www.googleapis.com/auth/gmail.send")
    try:
        with pytest.raises(AuthError, match="login"):
            get(signed_in.calls())
    finally:
        service.grant_scopes("https://www.googleapis.com/auth/gmail.readonly")
    assert statuses(service) == [403]


def test_something_that_is_gone_is_not_found(service: GmailService, signed_in: SignedIn) -> None:
    calls = signed_in.calls()
    with pytest.raises(NotFoundError):
        get(calls, "18c0000000000000")
    assert statuses(service) == [404]
    assert calls.telemetry()["retries"] == 0


# Errors of the service


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_an_error_that_passes_is_waited_for(service: GmailService, signed_in: SignedIn, status: int) -> None:
    calls = signed_in.calls()
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
    service: GmailService, signed_in: SignedIn, action: Any, code: str, calls_made: int
) -> None:
    """Other calls can go on; what is wrong with the call itself is not tried again."""
    calls = signed_in.calls()
    fails(service, action, times=ATTEMPTS)
    with pytest.raises(FailedCallError) as failed:
        get(calls)
    assert failed.value.code == code
    assert len(statuses(service)) == calls_made
    service.forget_faults()
    assert get(calls)["id"] == MADE[0].id


def test_a_page_of_a_captive_portal_is_no_message(service: GmailService, signed_in: SignedIn) -> None:
    """Status 200 is not enough; the call is made again."""
    fails(service, Answered(HTML), times=2)
    assert get(signed_in.calls())["id"] == MADE[0].id
