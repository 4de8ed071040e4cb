"""A `GoogleCalls` that is signed in at a stand-in, and what its tests do to that."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lorchestra.sources.base import SourceContext
from lorchestra.sources.google_calls import GoogleCalls
from lorchestra.sources.google_login import open_login
from lorchestra.sources.google_login_options import GoogleLoginOptions
from lorchestra.sources.pace import CALLS_MAX, Pace
from lorchestra.sources.quota import load_regimes
from lorchestra.sources.turnstile import Turnstile
from tests.gmail.front import Fault, GmailService
from tests.gmail.mailbox import made_messages

SYSTEM = "tap-gmail--acct1"
MADE = list(made_messages(40))
ANY = "^/gmail/"


class SignedIn:
    """Makes calls that are signed in at a service; `stop` ends all of them."""

    def __init__(self, service: GmailService, base: Path) -> None:
        self._service, self._base = service, base
        self._opened: list[GoogleCalls] = []

    def calls(self, *, endpoint: str | None = None, **limits: Any) -> GoogleCalls:
        """Calls to the service, or to another endpoint, that are held up by nothing if not told otherwise."""
        context = SourceContext(
            base=self._base,
            source_system=SYSTEM,
            environment=self._service.variables(SYSTEM) | {"HOME": str(self._base)},
        )
        login = open_login(GoogleLoginOptions(token_uri=self._service.token_uri), context)
        found = limits.pop("limits_found", lambda: None)
        limits = {"quota": "new", "units_per_minute": 1_000_000} | limits
        pace = Pace(load_regimes("gmail_quota.toml"), now=time.monotonic(), **limits)
        calls = GoogleCalls(
            endpoint or self._service.endpoint,
            login=login,
            turnstile=Turnstile(pace),
            refused_permission=login.refused_permission,
            limits_found=found,
        )
        self._opened.append(calls)
        return calls

    def stop(self) -> None:
        for calls in self._opened:
            calls.stop()


def get(calls: GoogleCalls, message_id: str = MADE[0].id) -> dict[str, Any]:
    path = f"gmail/v1/users/me/messages/{message_id}"
    return calls.get("messages.get", path, {"format": "minimal"})[0]


def get_all(calls: GoogleCalls) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(CALLS_MAX) as pool:
        return list(pool.map(lambda made: get(calls, made.id), MADE))


def fails(service: GmailService, action: Any, **more: Any) -> None:
    service.fail(Fault(method="GET", path=ANY, action=action, **more))


def statuses(service: GmailService) -> Sequence[int | None]:
    return [request.status for request in service.seen("GET", ANY)]


def unchanged(service: GmailService) -> Iterator[GmailService]:
    """The service without what was recorded; afterwards without faults, and as quick as it was."""
    service.reset_log()
    yield service
    service.forget_faults()
    service.latency = 0.0
