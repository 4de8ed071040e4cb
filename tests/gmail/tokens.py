"""Google's token endpoint: the front's own access tokens, and who gets them.

The server behind the front has a consent page and the exchange of its code, with PKCE; that is left to it.
Access tokens are never its own, as it takes any for valid.
"""

import secrets
import time
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from tests.emulator.wire import Answer, Json, Request, json_answer
from tests.gmail.errors import login_error
from tests.gmail.service_account import JWT_BEARER, ServiceAccount
from tests.gmail.upstream import Upstream

READONLY = "https://www.googleapis.com/auth/gmail.readonly"
#: Where a browser is sent to consent.
CONSENT = "/o/oauth2/v2/auth"
_REVOKED = "Token has been expired or revoked."
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class _AccessToken:
    scopes: frozenset[str]
    valid_until: float


class Tokens:
    """What was granted, to one client and for one mailbox."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        access_token_seconds: float,
        refresh_token_expires_in: int | None,
    ) -> None:
        self.client_id = f"{secrets.randbelow(10**12):012}-stand-in.apps.googleusercontent.com"
        self.client_secret = f"GOCSPX-{secrets.token_urlsafe(21)}"
        self.refresh_token = f"1//{secrets.token_urlsafe(48)}"
        self._upstream = upstream
        self._seconds = access_token_seconds
        self._refresh_token_expires_in = refresh_token_expires_in
        self._lock = Lock()
        self._granted = frozenset({READONLY})
        self._access: dict[str, _AccessToken] = {}
        self._live = {self.refresh_token}
        self._dead: set[str] = set()
        self._refused: Answer | None = None
        self._overridden = False

    def scopes_of(self, authorization: str) -> frozenset[str] | None:
        """What the bearer of this header may do; None where nobody is known by it."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            access = self._access.get(token.strip()) if kind.lower() == "bearer" else None
            if access is None or access.valid_until <= time.monotonic():
                return None
            return self._granted if self._overridden else access.scopes

    def grant_scopes(self, scopes: Iterable[str]) -> None:
        """From here on every access token, old or new, allows these, whatever was consented to."""
        with self._lock:
            self._granted = frozenset(scopes)
            self._overridden = True

    def expire_access_tokens(self) -> None:
        with self._lock:
            self._access.clear()

    def revoke(self) -> None:
        """The owner of the mailbox takes back what was granted so far."""
        with self._lock:
            self._access.clear()
            self._dead |= self._live
            self._live.clear()

    def refuse(self, answer: Answer | None) -> None:
        """Answer every request for a token with this; with None, as usual again."""
        with self._lock:
            self._refused = answer

    def answer(self, request: Request, service_account: ServiceAccount) -> Answer | None:
        """The answer to a request that has to do with logging in, None for any other."""
        match request.method, request.route:
            case "POST", "/token":
                with self._lock:
                    refused = self._refused
                return refused or self._granted_to(request, service_account)
            case "POST", "/revoke":
                return self._given_back(request)
            case "GET", route if route == CONSENT:
                return self._consent_error(request) or self._forward(request, request.path)
            case "POST", route if route == f"{CONSENT}/callback":
                return self._forward(request, request.path)
        return None

    def _granted_to(self, request: Request, service_account: ServiceAccount) -> Answer:
        form = _form(request)
        grant_type = form.get("grant_type", "")
        if grant_type == JWT_BEARER:
            scopes = service_account.scopes(form.get("assertion", ""), self._granted)
            return scopes if isinstance(scopes, Answer) else self._answer(scopes)
        wrong_client = self._client_error(request, form)
        if wrong_client:
            return wrong_client
        if grant_type == "refresh_token":
            return self._refreshed(form.get("refresh_token", ""), request)
        if grant_type == "authorization_code":
            return self._exchanged(request)
        return login_error(400, "unsupported_grant_type", f"Invalid grant_type: {grant_type}")

    def _given_back(self, request: Request) -> Answer:
        """A client no longer wants its token, and with that no token."""
        query = parse_qs(urlsplit(request.path).query)
        token = _form(request).get("token") or query.get("token", [""])[0]
        with self._lock:
            known = token in self._live or token in self._access
        if not known:
            return login_error(400, "invalid_token", "Token expired or revoked")
        self.revoke()
        return json_answer(200, {})

    def _consent_error(self, request: Request) -> Answer | None:
        """What is wrong with a request for the consent page: an unknown client, or a way back not its own.

        A desktop application's way back is this machine, at any port; the server behind would ask for one
        port, were it told of a client.
        """
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        if query.get("client_id") != self.client_id:
            return login_error(401, "invalid_client", "The OAuth client was not found.")
        if urlsplit(query.get("redirect_uri", "")).hostname not in _LOOPBACK:
            return login_error(400, "redirect_uri_mismatch", "The redirect URI is not registered.")
        return None

    def _client_error(self, request: Request, form: dict[str, str]) -> Answer | None:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        kind, _, encoded = request.header("authorization").partition(" ")
        if kind.lower() == "basic":
            name, _, secret = b64decode(encoded).decode().partition(":")
        if name != self.client_id:
            return login_error(401, "invalid_client", "The OAuth client was not found.")
        if secret != self.client_secret:
            return login_error(401, "invalid_client", "Unauthorized")
        return None

    def _refreshed(self, token: str, request: Request) -> Answer:
        with self._lock:
            live, dead = token in self._live, token in self._dead
        if not live:
            return login_error(400, "invalid_grant", _REVOKED if dead else "Bad Request")
        if token == self.refresh_token:
            return self._answer(self._granted, scope_is_told=True)
        answer = self._forward(request, "/oauth2/token")
        return self._answer(_scopes(answer), scope_is_told=True) if answer.status == 200 else answer

    def _exchanged(self, request: Request) -> Answer:
        answer = self._forward(request, "/oauth2/token")
        content = answer.json or {}
        if answer.status != 200:
            return answer
        with self._lock:
            self._live.add(content["refresh_token"])
        more = {name: content[name] for name in ("refresh_token", "id_token")}
        return self._answer(_scopes(answer), scope_is_told=True, **more)

    def _forward(self, request: Request, path: str) -> Answer:
        return self._upstream.send(request.method, path, request.body, request.header("content-type"))

    def _answer(self, scopes: frozenset[str], *, scope_is_told: bool = False, **more: str) -> Answer:
        token = f"ya29.{secrets.token_urlsafe(96)}"
        with self._lock:
            self._access[token] = _AccessToken(scopes, time.monotonic() + self._seconds)
            told = self._granted if self._overridden else scopes
        content: Json = {"access_token": token, "expires_in": int(self._seconds), "token_type": "Bearer"}
        if scope_is_told:
            content["scope"] = " ".join(sorted(told))
            if self._refresh_token_expires_in is not None:
                content["refresh_token_expires_in"] = self._refresh_token_expires_in
        return json_answer(200, content | more)


def _form(request: Request) -> dict[str, str]:
    if request.json is not None:
        return {name: str(value) for name, value in request.json.items()}
    return {name: values[0] for name, values in parse_qs(request.decoded.decode()).items()}


def _scopes(answer: Answer) -> frozenset[str]:
    return frozenset((answer.json or {}).get("scope", "").split())
