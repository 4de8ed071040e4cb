"""Access tokens for a Google API, got with Google's own library for the login that a job has."""

import threading
import time
from collections import deque
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests
from google.auth import exceptions
from google.auth.transport import Response
from google.auth.transport.requests import Request
from google.oauth2 import credentials, service_account

from lorchestra.errors import AuthError, AuthUnreadableError, SourceUnavailableError
from lorchestra.sources.google_login_choice import ChosenLogin
from lorchestra.sources.google_login_options import SCOPE
from lorchestra.sources.google_refusals import api_refusal, token_refusal

_CALL_SECONDS = 30.0
_PAUSES_SECONDS = (0.5, 1.0, 2.0)
# A token that ends while a call is under way would be refused.
_MARGIN = timedelta(seconds=60)
# Refused sooner than this, a renewed token never was any good.
_FRESH_SECONDS = 2.0
# And nobody needs more than so many in ten minutes.
_RENEWALS_MAX, _RENEWALS_SECONDS = 5, 600.0
_PASSING = frozenset({408, 429})
_NEVER = datetime.max.replace(tzinfo=UTC)


class GoogleLogin:
    """Gives access tokens for reading mail, and gets a new one when one ends. Safe for several threads."""

    def __init__(self, chosen: ChosenLogin) -> None:
        self.chosen = chosen
        self._credentials = _credentials(chosen)
        self._transport = _TokenTransport()
        self._lock = threading.Lock()
        self._token = ""
        self._expires_at = _NEVER
        self._renewed_at: float | None = None
        self._renewals: deque[float] = deque(maxlen=_RENEWALS_MAX)

    @property
    def clock_skew_seconds(self) -> float | None:
        """How far our clock is ahead of Google's, by its last answer."""
        return self._transport.clock_skew_seconds

    @property
    def refresh_token_seconds(self) -> float | None:
        """How long the login itself lasts yet, where Google's last answer said so."""
        return self._transport.refresh_token_seconds

    def access_token(self) -> str:
        """A token that is valid for the next minute at least.

        Raises:
            AuthError: Google refused the login; says why and what to type.
            SourceUnavailableError: Google could not be asked.
        """
        with self._lock:
            if not self._token or datetime.now(UTC) >= self._expires_at - _MARGIN:
                self._refresh()
                self._renewed_at = None
            return self._token

    def renew(self, refused: str) -> str:
        """Another token in place of one that the API did not take. Threads with the same one share the new.

        Raises:
            AuthError: what was refused was new itself, or Google refused the login.
            SourceUnavailableError: Google could not be asked.
        """
        with self._lock:
            if self._token and refused != self._token:
                return self._token
            now = time.monotonic()
            was_new = self._renewed_at is not None and now - self._renewed_at < _FRESH_SECONDS
            too_often = len(self._renewals) == _RENEWALS_MAX and now - self._renewals[0] < _RENEWALS_SECONDS
            if was_new or too_often:
                raise self.refused_permission(401, (), "")
            self._refresh()
            self._renewed_at = time.monotonic()
            self._renewals.append(self._renewed_at)
            return self._token

    def refused_permission(self, status: int, reasons: Collection[str], message: str) -> AuthError:
        """What it means for this login that the API answered so. `message` is looked at, and not repeated."""
        return api_refusal(
            status,
            reasons,
            message,
            facts=self.chosen.facts,
            clock_skew_seconds=self.clock_skew_seconds,
        )

    def _refresh(self) -> None:
        self._token = ""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                self._credentials.refresh(self._transport)
                break
            except exceptions.RefreshError:
                raise self._refused() from None
            except (exceptions.TransportError, OSError, ValueError, TypeError) as error:
                # An answer that is none of Google's, such as a proxy's page, is a lost answer too.
                if pause is None or isinstance(error.__cause__, requests.exceptions.SSLError):
                    raise _unreachable(error) from None
            time.sleep(pause)
        self._token = str(self._credentials.token)
        expiry = self._credentials.expiry
        self._expires_at = expiry.replace(tzinfo=UTC) if expiry else _NEVER

    def _refused(self) -> AuthError:
        answer = self._transport.refusal
        return token_refusal(
            answer.get("error", ""),
            answer.get("error_description", ""),
            subtype=answer.get("error_subtype", ""),
            facts=self.chosen.facts,
            clock_skew_seconds=self.clock_skew_seconds,
        )


class _TokenTransport:
    """Google's transport, which also remembers what Google's library keeps to itself."""

    def __init__(self) -> None:
        session = requests.Session()
        # Else a .netrc file could add a login of its own.
        session.auth = _as_it_is
        self._request = Request(session)
        self.clock_skew_seconds: float | None = None
        self.refresh_token_seconds: float | None = None
        self.refusal: dict[str, str] = {}

    def __call__(self, url: str, method: str = "GET", **arguments: Any) -> Response:
        """Make one request; answers that say nothing of the login raise `TransportError`."""
        arguments["timeout"] = _CALL_SECONDS
        # A redirection could lead tokens to where they do not belong.
        arguments["allow_redirects"] = False
        response: Response = self._request(url, method, **arguments)
        self.clock_skew_seconds = clock_skew(response.headers.get("Date", ""))
        answer = _object(response.data)
        if answer is None or response.status in _PASSING or response.status // 100 in (3, 5):
            raise exceptions.TransportError(f"HTTP {response.status}")  # type: ignore[no-untyped-call]
        self.refusal = {name: value for name, value in answer.items() if isinstance(value, str)}
        seconds = answer.get("refresh_token_expires_in")
        self.refresh_token_seconds = float(seconds) if isinstance(seconds, int) else None
        return response


def _credentials(chosen: ChosenLogin) -> Any:
    if chosen.key is None:
        return credentials.Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=chosen.refresh_token,
            client_id=chosen.client_id,
            client_secret=chosen.client_secret,
            token_uri=chosen.token_uri,
        )
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            {**chosen.key, "token_uri": chosen.token_uri}, scopes=[SCOPE], subject=chosen.subject
        )
    except ValueError:
        raise AuthUnreadableError(
            "service_account: its private key cannot be read",
            next_step="Make a new key of type JSON, and name its file.",
        ) from None


def clock_skew(date: str) -> float | None:
    """How far our clock is ahead of an answer's Date header, in seconds."""
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None


def _object(data: bytes | str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _unreachable(error: BaseException) -> SourceUnavailableError:
    reason = type(error.__cause__ or error).__name__
    return SourceUnavailableError(
        f"login: Google could not be asked for an access token: {reason}",
        next_step="Check the network, its proxy, and the job's token_uri where it is set; then run it again.",
    )
