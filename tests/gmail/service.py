"""One mailbox in Google's hands, and what a test can do to it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any
from urllib.parse import parse_qs

from tests.emulator.faults import Answered, CutBefore, Delayed, Fault, LoseAnswer, Rewritten
from tests.emulator.wire import Answer, Request, matches
from tests.gmail import batch
from tests.gmail.api import Api
from tests.gmail.changes import Changes
from tests.gmail.errors import login_error, not_found
from tests.gmail.quota import Meter
from tests.gmail.server import HttpServer, Outcome
from tests.gmail.service_account import ServiceAccount
from tests.gmail.tokens import CONSENT, Tokens
from tests.gmail.upstream import Upstream


@dataclass(frozen=True)
class Recorded:
    """A request that arrived; `status` is None where no answer was given, `at` is when it came, monotonic.

    Each call of a batch is recorded, and then the batch.
    """

    method: str
    #: Without the query string.
    path: str
    query: dict[str, list[str]]
    status: int | None
    at: float


class GmailService:
    """Where the mailbox is, how to log in, what arrived, and what is to go wrong."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        address: str,
        meter: Meter,
        concurrent_limit: int | None,
        latency: float,
        access_token_seconds: float,
        refresh_token_expires_in: int | None,
    ) -> None:
        self._upstream = upstream
        self._server = HttpServer(self._serve)
        self.address = address
        self.endpoint = self._server.endpoint
        self.token_uri = f"{self.endpoint}/token"
        self.auth_uri = f"{self.endpoint}{CONSENT}"
        #: Seconds before anything happens to a request.
        self.latency = latency
        self._tokens = Tokens(
            upstream,
            access_token_seconds=access_token_seconds,
            refresh_token_expires_in=refresh_token_expires_in,
        )
        self.client_id = self._tokens.client_id
        self.client_secret = self._tokens.client_secret
        self.refresh_token = self._tokens.refresh_token
        self._service_account = ServiceAccount(
            address=address, token_uri=self.token_uri, auth_uri=self.auth_uri
        )
        self._meter = meter
        self._api = Api(
            upstream, address=address, tokens=self._tokens, meter=meter, concurrent_limit=concurrent_limit
        )
        changes = Changes(upstream, self._api.ids)
        self.insert, self.modify = changes.insert, changes.modify
        self.trash, self.delete = changes.trash, changes.delete
        self._lock = Lock()
        self._closing = Event()
        self._faults: list[Fault] = []
        self._requests: list[Recorded] = []

    def variables(self, source_system: str) -> dict[str, str]:
        """The environment variables that log a source in: `TAP_GMAIL_ACCT1_PERSONAL_CLIENT_ID` and so on."""
        prefix = re.sub(r"[^A-Z0-9]+", "_", source_system.upper())
        return {
            f"{prefix}_CLIENT_ID": self.client_id,
            f"{prefix}_CLIENT_SECRET": self.client_secret,
            f"{prefix}_REFRESH_TOKEN": self.refresh_token,
        }

    def service_account_key(self) -> dict[str, str]:
        """The content of the key file of a service account that may read this mailbox."""
        return self._service_account.key()

    def expire_access_tokens(self) -> None:
        """Each access token given out so far is no longer known."""
        self._tokens.expire_access_tokens()

    def revoke(self) -> None:
        """Each token given out so far, of either kind, is no longer valid."""
        self._tokens.revoke()

    def refuse_login(self, error: str, description: str, status: int = 400) -> None:
        """Answer each request for a token with this error, until `allow_login`."""
        self._tokens.refuse(login_error(status, error, description))

    def allow_login(self) -> None:
        self._tokens.refuse(None)

    def grant_scopes(self, *scopes: str) -> None:
        """From here on each access token, old or new, allows these; it was gmail.readonly."""
        self._tokens.grant_scopes(scopes)

    def expire_history(self) -> None:
        """Each history id that anybody can know so far is too old."""
        self._api.history.expire()

    @property
    def shift_pages(self) -> Callable[[], object] | None:
        """What happens each time after a page of messages.list was made, before it is answered."""
        return self._api.after_page

    @shift_pages.setter
    def shift_pages(self, change: Callable[[], object] | None) -> None:
        self._api.after_page = change

    @property
    def accepted(self) -> int:
        """How many calls of the API quota let through."""
        return self._meter.accepted

    @property
    def accepted_units(self) -> int:
        """What those calls cost."""
        return self._meter.accepted_units

    @property
    def refused(self) -> int:
        """How many calls quota, or the limit of calls at once, did not let through."""
        return self._meter.refused

    @property
    def first_call_at(self) -> float | None:
        """When quota first saw a call, monotonic."""
        return self._meter.first_call_at

    @property
    def last_call_at(self) -> float | None:
        return self._meter.last_call_at

    @property
    def requests(self) -> list[Recorded]:
        """What arrived, in the order in which it was answered."""
        with self._lock:
            return list(self._requests)

    def seen(self, method: str, path_regex: str) -> list[Recorded]:
        """The recorded requests with this method whose path, without its query string, matches."""
        return [r for r in self.requests if r.method == method and matches(path_regex, r.path)]

    def gets(self, message_id: str) -> int:
        """How often a message was given to somebody, by messages.get."""
        found = self.seen("GET", rf"^/gmail/v1/users/[^/]+/messages/{re.escape(message_id)}$")
        return sum(request.status == 200 for request in found)

    def reset_log(self) -> None:
        """Forget what was recorded, and count from zero. Quota that is used stays used."""
        with self._lock:
            self._requests.clear()
        self._meter.reset()

    def fail(self, fault: Fault) -> None:
        """Let a fault happen. Of several that match a request, the first that has not happened yet does."""
        with self._lock:
            self._faults.append(fault)

    def forget_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def _serve(self, request: Request) -> Outcome:
        at = time.monotonic()
        fits = self._api.enter()
        try:
            if self.latency:
                self._closing.wait(self.latency)
            return self._outcome(request, at, fits=fits)
        finally:
            self._api.leave()

    def _outcome(self, request: Request, at: float, *, fits: bool = True) -> Outcome:
        """What happens to a request: an answer, a connection that is cut, or None for a lost answer."""
        match self._take_fault(request):
            case Answered(answer=given):
                outcome: Outcome = given
            case CutBefore() as cut:
                outcome = cut
            case action:
                if isinstance(action, Delayed):
                    self._closing.wait(action.seconds)
                outcome = self._routed(request, fits=fits)
                if isinstance(action, Rewritten) and isinstance(outcome, Answer):
                    outcome = outcome.with_json(action.change(outcome.json or {}))
                elif isinstance(action, LoseAnswer):
                    outcome = None
        status = outcome.status if isinstance(outcome, Answer) else None
        query = parse_qs(request.path.partition("?")[2])
        with self._lock:
            self._requests.append(Recorded(request.method, request.route, query, status, at))
        return outcome

    def _take_fault(self, request: Request) -> Any:
        with self._lock:
            waiting = list(self._faults)
        matching = [fault for fault in waiting if fault.matches(request)]  # may wait for the body
        with self._lock:
            for fault in matching:
                if fault.times > 0 and fault.claims():
                    return fault.action
        return None

    def _routed(self, request: Request, *, fits: bool) -> Outcome:
        if request.method == "POST" and request.route == batch.PATH and fits:
            return batch.batch_answer(request, lambda call: self._outcome(call, time.monotonic()))
        if request.route.startswith(("/gmail/", "/upload/gmail/", batch.PATH)):
            return self._api.answer(request, too_many_at_once=not fits)
        return self._tokens.answer(request, self._service_account) or not_found()
