"""Asking a person's consent to read their mail: the flow for installed apps, with PKCE.

In a browser on this machine, which is sent back to a port of ours; or in one anywhere, whose last address the
person pastes here.
"""

import secrets
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from google_auth_oauthlib.flow import InstalledAppFlow  # type: ignore[import-untyped]

from lorchestra.errors import AuthConsentError, SourceUnavailableError
from lorchestra.sources.consent_answer import code_in, listening
from lorchestra.sources.google_files import GOOGLE_AUTH_URI, GOOGLE_TOKEN_URI, OAuthClient
from lorchestra.sources.google_login_options import SCOPE
from lorchestra.sources.google_refusals import PERMISSIONS_PAGE, LoginFacts, scope_missing, token_refusal
from lorchestra.sources.login_store import StoredLogin

_CALL_SECONDS = 30.0
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class ConsentRequest:
    """One attempt: the address to open, and what is needed to use the answer."""

    url: str
    redirect_uri: str
    state: str = field(repr=False)
    code_verifier: str = field(repr=False)


def consent_in_browser(client: OAuthClient, *, facts: LoginFacts, say: Callable[[str], None]) -> StoredLogin:
    """Ask for consent in a browser on this machine, and wait for it to come back.

    Raises:
        AuthError: consent was refused, is not enough, or was not given within five minutes.
        SourceUnavailableError: Google could not be asked for the token.
    """
    with listening() as listener:
        request = consent_request(client, redirect_uri=listener.redirect_uri)
        say(f"Open this address in a browser on this machine, and sign in:\n\n{request.url}\n")
        if not webbrowser.open(request.url):
            say("No browser could be opened here. On a machine without one, use --no-browser.")
        answer = listener.answer(request.state, seconds=_PATIENCE_SECONDS)
    if answer is None:
        raise AuthConsentError(
            "login: nobody came back from the browser within five minutes",
            next_step=f"{facts.renew}; with --no-browser, where the browser is on another machine.",
        )
    return exchanged(client, request, code_in(answer, state=request.state, facts=facts), facts=facts)


def consent_by_paste(
    client: OAuthClient, *, facts: LoginFacts, say: Callable[[str], None], ask: Callable[[], str]
) -> StoredLogin:
    """Ask for consent in a browser anywhere; `ask` gives what the person pastes.

    Raises:
        AuthError: consent was refused or is not enough, or what was pasted is no answer to this.
        SourceUnavailableError: Google could not be asked for the token.
    """
    # Nothing listens there: the page will not load, and that is all right.
    redirect_uri = f"http://127.0.0.1:{49_152 + secrets.randbelow(16_384)}/"
    request = consent_request(client, redirect_uri=redirect_uri)
    say(f"Open this address in any browser, and sign in:\n\n{request.url}\n")
    say(
        "In the end the browser is sent to a page on 127.0.0.1 that does not load. Copy the whole address\n"
        "of that page from the address bar, paste it here and press Enter:"
    )
    return exchanged(client, request, code_in(ask(), state=request.state, facts=facts), facts=facts)


def consent_request(client: OAuthClient, *, redirect_uri: str) -> ConsentRequest:
    """What asks for reading mail, offline, with a consent that is always given anew."""
    flow = InstalledAppFlow.from_client_config(
        {
            "installed": {
                "client_id": client.client_id,
                "client_secret": client.client_secret,
                "auth_uri": GOOGLE_AUTH_URI,
                "token_uri": GOOGLE_TOKEN_URI,
            }
        },
        scopes=[SCOPE],
        redirect_uri=redirect_uri,
    )
    # Without a new consent, Google gives no refresh token to those who have agreed before.
    url, state = flow.authorization_url(access_type="offline", prompt="consent")
    # The library takes https only, but a proxy on this machine may do without.
    auth_uri = client.auth_uri or GOOGLE_AUTH_URI
    return ConsentRequest(
        url=f"{auth_uri}?{urlsplit(url).query}",
        redirect_uri=redirect_uri,
        state=state,
        code_verifier=flow.code_verifier,
    )


def exchanged(client: OAuthClient, request: ConsentRequest, code: str, *, facts: LoginFacts) -> StoredLogin:
    """The login that a code stands for.

    Raises:
        AuthError: Google does not take the code or the client, or the consent is not enough.
        SourceUnavailableError: Google could not be asked.
    """
    status, answer = _token_answer(
        client.token_uri or GOOGLE_TOKEN_URI,
        {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "redirect_uri": request.redirect_uri,
            "code_verifier": request.code_verifier,
        },
    )
    if status != 200:
        error = str(answer.get("error", ""))
        if error == "invalid_grant":
            raise AuthConsentError(
                "login: the code is wrong, too old, or was used already",
                next_step=f"{facts.renew}. Paste the address within a few minutes.",
            )
        raise token_refusal(error, str(answer.get("error_description", "")), facts=facts)
    scopes = str(answer.get("scope", SCOPE)).split()
    if SCOPE not in scopes:
        raise scope_missing(facts)
    if not isinstance(answer.get("refresh_token"), str):
        raise AuthConsentError(
            "login: Google gave no refresh token",
            next_step=f"Remove the app's access at {PERMISSIONS_PAGE}, then log in again. {facts.renew}",
        )
    now, seconds = datetime.now(UTC), answer.get("refresh_token_expires_in")
    return StoredLogin(
        refresh_token=answer["refresh_token"],
        client_id=client.client_id,
        client_secret=client.client_secret,
        scopes=tuple(scopes),
        created_at=now,
        expires_at=now + timedelta(seconds=seconds) if isinstance(seconds, int) else None,
        token_uri=client.token_uri,
    )


def _token_answer(token_uri: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    try:
        response = requests.post(
            token_uri, data=form, timeout=_CALL_SECONDS, allow_redirects=False, auth=lambda request: request
        )
        answer = response.json()
        if response.status_code < 500 and isinstance(answer, dict):
            return response.status_code, answer
        reason = f"HTTP {response.status_code}"
    except requests.RequestException as error:
        reason = type(error).__name__
    raise SourceUnavailableError(
        f"login: Google could not be asked for the token: {reason}",
        next_step="Check the network and its proxy, then log in again.",
    )
