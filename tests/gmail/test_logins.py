"""Who gets an access token, and what it is good for."""

import base64
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from google.auth import jwt
from google.auth.crypt import RSASigner
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from tests.gmail.client import Client, error_of, refresh
from tests.gmail.front import GmailService, gmail_service
from tests.gmail.mailbox import made_messages

MADE = list(made_messages(1))
READONLY = "https://www.googleapis.com/auth/gmail.readonly"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(scope="module")
def service() -> Iterator[GmailService]:
    with gmail_service(MADE, refresh_token_expires_in=604_799) as service:
        yield service


@pytest.mark.parametrize("authorization", [None, "Bearer ya29.unknown", "Basic eDp5"])
def test_without_a_good_access_token_there_is_no_answer(
    service: GmailService, authorization: str | None
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    refused = requests.get(f"{service.endpoint}/gmail/v1/users/me/profile", headers=headers, timeout=20)
    assert refused.status_code == 401
    assert error_of(refused)["status"] == "UNAUTHENTICATED"
    assert error_of(refused)["errors"][0]["reason"] == "authError"


def test_access_tokens_expire(service: GmailService) -> None:
    client = Client(service)
    service.expire_access_tokens()
    assert client.get("/profile").status_code == 401
    client.log_in()
    assert client.get("/profile").status_code == 200


def test_refreshing_tells_scope_and_lifetime(service: GmailService) -> None:
    content = refresh(service).json()
    assert (content["scope"], content["expires_in"]) == (READONLY, 3599)
    assert content["refresh_token_expires_in"] == 604_799


def test_a_wrong_client_or_refresh_token_gets_nothing(service: GmailService) -> None:
    for changed in ({"client_id": "other"}, {"client_secret": "other"}):
        refused = refresh(service, **changed)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    refused = refresh(service, refresh_token="other")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_login_can_be_refused_for_a_while(service: GmailService) -> None:
    service.refuse_login("invalid_grant", "Account has been deleted")
    refused = refresh(service)
    service.allow_login()
    assert refused.status_code == 400
    assert refused.json() == {"error": "invalid_grant", "error_description": "Account has been deleted"}
    assert refresh(service).status_code == 200


def test_consent_gives_tokens_of_their_own(service: GmailService) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    back = "http://127.0.0.1:50123/"
    asked = {
        "client_id": service.client_id,
        "redirect_uri": back,
        "response_type": "code",
        "scope": READONLY,
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert requests.get(service.auth_uri, params=asked | {"client_id": "x"}, timeout=20).status_code == 401
    page = requests.get(service.auth_uri, params=asked, timeout=20).text
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    consented = requests.post(
        f"{service.auth_uri}/callback", data=form, timeout=20, allow_redirects=False
    ).headers["Location"]
    assert consented.startswith(back)
    code = parse_qs(urlsplit(consented).query)["code"][0]
    exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "refresh_token": ""}
    wrong = refresh(service, **exchange, code_verifier="w" * 50)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    granted = refresh(service, **exchange, code_verifier=verifier).json()
    assert granted["scope"] == READONLY
    again = refresh(service, refresh_token=granted["refresh_token"]).json()
    for token in (granted["access_token"], again["access_token"]):
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{service.endpoint}/gmail/v1/users/me/profile"
        assert requests.get(url, headers=headers, timeout=20).status_code == 200


def assertion(service: GmailService, **changed: Any) -> str:
    key = service.service_account_key()
    claims: dict[str, Any] = {
        "iss": key["client_email"],
        "sub": service.address,
        "scope": READONLY,
        "aud": service.token_uri,
        "iat": int(time.time()),
        "exp": int(time.time()) + 3600,
    }
    return str(jwt.encode(RSASigner.from_service_account_info(key), claims | changed).decode())


def test_a_service_account_reads_in_the_owners_name(service: GmailService) -> None:
    form = {"grant_type": JWT_BEARER, "assertion": assertion(service)}
    granted = requests.post(service.token_uri, data=form, timeout=20).json()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    url = f"{service.endpoint}/gmail/v1/users/{service.address}/profile"
    assert requests.get(url, headers=headers, timeout=20).status_code == 200


def test_googles_own_library_logs_in(service: GmailService) -> None:
    url = f"{service.endpoint}/gmail/v1/users/{service.address}/profile"
    key = service.service_account_key()
    delegated = service_account.Credentials.from_service_account_info(key, scopes=[READONLY])
    owner = Credentials(
        None,
        refresh_token=service.refresh_token,
        token_uri=service.token_uri,
        client_id=service.client_id,
        client_secret=service.client_secret,
        scopes=[READONLY],
    )
    for credentials in (delegated.with_subject(service.address), owner):
        with AuthorizedSession(credentials) as session:
            assert session.get(url, timeout=20).status_code == 200
            service.expire_access_tokens()
            assert session.get(url, timeout=20).status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "error", "described"),
    [
        ({"iat": 0, "exp": 3600}, 400, "invalid_grant", "Invalid JWT: Token must be a short-lived token"),
        ({"iat": 2**33, "exp": 2**33 + 9}, 400, "invalid_grant", "Invalid JWT: Token must be a short-lived"),
        ({"aud": "https://example.com"}, 400, "invalid_grant", "Invalid JWT: Failed audience check"),
        ({"iss": "other@example.com"}, 400, "invalid_grant", "Invalid grant: account not found"),
        ({"sub": "other@example.com"}, 401, "unauthorized_client", "Client is unauthorized"),
        ({"scope": "https://mail.google.com/"}, 401, "unauthorized_client", "Client is unauthorized"),
    ],
)
def test_an_assertion_must_be_right(
    service: GmailService, changed: dict[str, Any], status: int, error: str, described: str
) -> None:
    form = {"grant_type": JWT_BEARER, "assertion": assertion(service, **changed)}
    refused = requests.post(service.token_uri, data=form, timeout=20)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert refused.json()["error_description"].startswith(described)


def test_an_assertion_must_be_signed_with_the_key(service: GmailService) -> None:
    head, claims, signature = assertion(service).split(".")
    forged = f"{head}.{claims}.{signature[::-1]}"
    form = {"grant_type": JWT_BEARER, "assertion": forged}
    refused = requests.post(service.token_uri, data=form, timeout=20)
    assert refused.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


def test_what_a_source_needs_to_log_in_is_named_after_it(service: GmailService) -> None:
    assert service.variables("tap-gmail--acct1-personal") == {
        "TAP_GMAIL_ACCT1_PERSONAL_CLIENT_ID": service.client_id,
        "TAP_GMAIL_ACCT1_PERSONAL_CLIENT_SECRET": service.client_secret,
        "TAP_GMAIL_ACCT1_PERSONAL_REFRESH_TOKEN": service.refresh_token,
    }


def test_revoked_tokens_and_wrong_scopes_are_refused() -> None:
    with gmail_service(MADE[:1]) as service:
        client = Client(service)
        service.grant_scopes("https://www.googleapis.com/auth/drive")
        refused = client.get("/profile")
        assert refused.status_code == 403
        assert error_of(refused)["errors"][0]["reason"] == "insufficientPermissions"
        assert error_of(refused)["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
        service.grant_scopes("https://www.googleapis.com/auth/gmail.metadata")
        assert client.get("/messages").status_code == 200
        assert client.get("/messages", q="in:inbox").status_code == 403
        assert client.get(f"/messages/{MADE[0].id}", format="raw").status_code == 403
        service.revoke()
        assert client.get("/profile").status_code == 401
        refused = refresh(service)
        assert refused.status_code == 400
        assert refused.json() == {
            "error": "invalid_grant",
            "error_description": "Token has been expired or revoked.",
        }
