"""Calls to a Google API: paced, signed in, and repeated where that can help.

Connections are kept open, one for each thread that calls.
"""

import random
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Protocol

import requests
from requests.auth import AuthBase

from lorchestra.errors import DailyQuotaError, SourceError, SourceUnavailableError
from lorchestra.sources.google_answers import Answer, answer_of, json_object
from lorchestra.sources.turnstile import Turnstile

#: A call that is answered with an error of the service is made so many times.
ATTEMPTS = 5
#: The code of an answer that is none of the API, such as a proxy's page.
UNREADABLE = "unreadable_answer"
# Where no connection comes about, as after a laptop was opened, we go on trying for about two minutes.
_CONNECTION_ATTEMPTS = 8
_LONGEST_BACKOFF_SECONDS = 60.0
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0


class NotFoundError(Exception):
    """There is nothing of this id, or not any more."""


class FailedCallError(Exception):
    """A call fails whenever it is made. `code` is short and holds nothing of the provider's text."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Login(Protocol):
    """Gives access tokens."""

    def access_token(self) -> str:
        """A token that is valid now."""

    def renew(self, refused: str) -> str:
        """Another one in place of one that was refused."""


class GoogleCalls:
    """GET calls to one API. Safe for several threads.

    `refused_permission` makes the error for an answer that denies a permission; `limits_found` is called
    when a refusal shows which limits are in force.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        login: Login,
        turnstile: Turnstile,
        refused_permission: Callable[[int, frozenset[str], str], SourceError],
        limits_found: Callable[[], None],
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._login = login
        self._turnstile = turnstile
        self._refused_permission = refused_permission
        self._limits_found = limits_found
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._retries = 0

    def telemetry(self) -> dict[str, Any]:
        """What the calls took."""
        return {**self._turnstile.telemetry(), "retries": self._retries}

    def stop(self) -> None:
        """Let no further call out."""
        self._turnstile.stop()

    def get(self, method: str, path: str, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The JSON object that a call gives, and its size in bytes.

        Raises:
            NotFoundError: 404.
            FailedCallError: the service fails at this call each time, or finds it wrong.
            SourceUnavailableError: it cannot be reached.
            AuthError: it does not take the login, or the login may not do this.
            QuotaError: its quota is used up for longer than we wait.
            StoppedError: `stop` was called.
        """
        failures = unreachable = 0
        while True:
            token = self._login.access_token()
            permit = self._turnstile.enter(method)
            try:
                response = self._session().get(
                    f"{self._endpoint}/{path}",
                    params=parameters,
                    auth=_Bearer(token),
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                )
                content = response.content
            except requests.RequestException as error:
                self._turnstile.ended(permit)
                unreachable += 1
                if unreachable >= _CONNECTION_ATTEMPTS:
                    raise _unreachable(error) from None
                self._pause(unreachable, 0.0)
                continue
            except BaseException:
                self._turnstile.ended(permit)
                raise
            answer = None
            if response.status_code == 200:
                self._turnstile.accepted(permit)
                if (value := json_object(content)) is not None:
                    return value, len(content)
            else:
                answer = answer_of(response.status_code, response.headers, content)
                if (refusal := answer.refusal) is not None and not answer.is_used_up_for_today:
                    if self._turnstile.refused(permit, refusal, wait_seconds=answer.wait_seconds):
                        self._limits_found()
                    continue
                self._turnstile.accepted(permit)
                if answer.status == 401:
                    self._login.renew(token)
                    continue
                self._raise_if_final(answer)
            failures += 1
            if failures >= ATTEMPTS:
                raise FailedCallError(f"http_{response.status_code}" if answer else UNREADABLE)
            self._pause(failures, answer.wait_seconds if answer else 0.0)

    def _raise_if_final(self, answer: Answer) -> None:
        if answer.passes:
            return
        if answer.status == 404:
            raise NotFoundError
        if answer.is_used_up_for_today:
            raise DailyQuotaError(
                "quota: today's is used up",
                next_step="After midnight Pacific time, type: lorchestra run JOB. It goes on where it was.",
            )
        if answer.status == 403 or "failedPrecondition" in answer.reasons:
            raise self._refused_permission(answer.status, answer.reasons, answer.message)
        raise FailedCallError(f"http_{answer.status}")

    def _pause(self, failures: int, wait_seconds: float) -> None:
        with self._lock:
            self._retries += 1
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads calls, hides nothing
        backoff = min(2.0 ** (failures - 1), _LONGEST_BACKOFF_SECONDS) * jitter
        self._turnstile.wait(min(max(backoff, wait_seconds), _LONGEST_BACKOFF_SECONDS))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = requests.Session()
            # Google compresses for those who also say so here.
            session.headers["User-Agent"] = f"lorchestra/{version('lorchestra')} (gzip)"
        return session


class _Bearer(AuthBase):
    # As a header it would give way to what a .netrc file says of the host.
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _unreachable(error: requests.RequestException) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"endpoint: cannot be reached: {type(error).__name__}",
        next_step="Check the network, or `endpoint` of the job; then run it again, and it goes on.",
    )
