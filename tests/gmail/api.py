"""One call of the API: who calls, whether there is quota left, and the answer."""

import re
import time
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from tests.emulator.wire import Answer, Request
from tests.gmail.corrections import History, profile, with_size_of_message, without_empty_list
from tests.gmail.errors import forbidden, invalid_credentials, not_found
from tests.gmail.fields import selected
from tests.gmail.ids import Ids
from tests.gmail.quota import Meter, method_of
from tests.gmail.scopes import scope_error
from tests.gmail.search import understood
from tests.gmail.tokens import Tokens
from tests.gmail.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable

_USER = re.compile(r"(?P<before>(?:/upload)?/gmail/v1/users/)(?P<user>[^/]+)(?P<rest>/.+)")


class Api:
    """The calls of users.*, for one mailbox."""

    def __init__(
        self, upstream: Upstream, *, address: str, tokens: Tokens, meter: Meter, concurrent_limit: int | None
    ) -> None:
        self._upstream, self._address, self._tokens, self._meter = upstream, address, tokens, meter
        self._concurrent_limit = concurrent_limit
        self._lock = Lock()
        self._in_flight = 0
        self.history = History(upstream)
        self.ids = Ids()
        #: Called when a page of messages.list was found, before it is given.
        self.after_page: Callable[[], object] | None = None

    def enter(self) -> bool:
        """A request arrived; False when there are more at once than one user may have."""
        with self._lock:
            self._in_flight += 1
            return self._concurrent_limit is None or self._in_flight <= self._concurrent_limit

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def answer(self, request: Request, *, too_many_at_once: bool = False) -> Answer:
        called = _USER.fullmatch(request.route)
        if not called:
            return not_found()
        method = method_of(request.method, request.route)
        query = request.path.partition("?")[2]
        refusal = self._login_error(request, method, query) or self._user_error(called["user"])
        if not refusal:
            now = time.monotonic()
            limited = self._meter.too_many_at_once if too_many_at_once else self._meter.refusal
            refusal = limited(method, now)
        if refusal:
            return refusal
        answer = self._permitted(request, method, f"{called['before']}me{called['rest']}", query)
        fields = parse_qs(query).get("fields")
        return selected(answer, fields[0]) if fields else answer

    def _login_error(self, request: Request, method: str, query: str) -> Answer | None:
        scopes = self._tokens.scopes_of(request.header("authorization"))
        return invalid_credentials() if scopes is None else scope_error(scopes, method, parse_qs(query))

    def _user_error(self, user: str) -> Answer | None:
        known = unquote(user) in {"me", self._address}
        return None if known else forbidden(f"Delegation denied for {self._address}")

    def _permitted(self, request: Request, method: str, route: str, query: str) -> Answer:
        match method:
            case "getProfile":
                return profile(self._upstream, self._address)
            case "messages.list":
                answer = without_empty_list(self._sent(request, route, understood(query)), "messages")
                if self.after_page:
                    self.after_page()
                return answer
            case "messages.get":
                return with_size_of_message(self._sent(request, route, query))
            case "history.list":
                start = parse_qs(query).get("startHistoryId", [""])[0]
                refusal = self.history.refusal(start)
                return refusal or without_empty_list(self._sent(request, route, query), "history")
            case _:
                return self._sent(request, route, query)

    def _sent(self, request: Request, route: str, query: str) -> Answer:
        path = self.ids.inward(route) + (f"?{query}" if query else "")
        content_type, body = request.header("content-type"), request.decoded
        if content_type.startswith("application/json"):
            body = self.ids.inward(body.decode()).encode()
        return self.ids.outward(self._upstream.send(request.method, path, body, content_type))
