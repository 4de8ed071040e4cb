"""The two JSON files that Google's console gives: of an OAuth client, and of a service account's key."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorchestra.errors import AuthUnreadableError
from lorchestra.sources.google_login_options import is_safe_url
from lorchestra.sources.google_refusals import CLIENTS_PAGE, GUIDE

GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - the address, not a token
GOOGLE_AUTH_URI = "https://accounts.google.com/o/oauth2/v2/auth"

_KEY_FIELDS = ("client_email", "private_key", "token_uri")


@dataclass(frozen=True, kw_only=True)
class OAuthClient:
    """Who asks for consent. The URIs are None where they are Google's."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    token_uri: str | None = None
    auth_uri: str | None = None


def read_client(path: Path) -> OAuthClient:
    """The OAuth client in a file of the console.

    Raises:
        AuthUnreadableError: there is no such file, or it is of another kind; the message says of which.
    """
    content = _json_object(path, "client_secrets")
    if "web" in content:
        raise _no_client(path, "is of a client of type Web application, not Desktop app")
    if content.get("type") == "service_account":
        raise AuthUnreadableError(
            "client_secrets: is the key of a service account",
            place=str(path),
            next_step="Set service_account to it, and subject to the mailbox's address.",
        )
    client = content.get("installed")
    if not isinstance(client, dict):
        raise _no_client(path, "is not a file of an OAuth client")
    for name in ("client_id", "client_secret"):
        if not isinstance(client.get(name), str) or not client[name]:
            raise _no_client(path, f"has no {name}")
    return OAuthClient(
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        token_uri=_uri(client, "token_uri", path, google=GOOGLE_TOKEN_URI),
        auth_uri=_uri(client, "auth_uri", path, google=GOOGLE_AUTH_URI),
    )


def read_service_account(path: Path) -> dict[str, Any]:
    """The fields of a service account's key file.

    Raises:
        AuthUnreadableError: there is no such file, or it is of another kind.
    """
    key = _json_object(path, "service_account")
    if key.get("type") != "service_account" or not all(
        isinstance(key.get(name), str) for name in _KEY_FIELDS
    ):
        raise AuthUnreadableError(
            "service_account: is not the key file of a service account",
            place=str(path),
            next_step=f"Make a key of type JSON, and name its file. {GUIDE} shows how.",
        )
    _uri(key, "token_uri", path, google=GOOGLE_TOKEN_URI)
    return key


def _json_object(path: Path, option: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror or type(error).__name__ if isinstance(error, OSError) else "not JSON"
        raise AuthUnreadableError(
            f"{option}: cannot be read: {reason}",
            place=str(path),
            next_step=f"Name the JSON file that Google's console gave. {GUIDE} shows how to get it.",
        ) from None
    return content if isinstance(content, dict) else {}


def _uri(content: Mapping[str, Any], name: str, path: Path, *, google: str) -> str | None:
    uri = content.get(name, google)
    if not isinstance(uri, str) or not is_safe_url(uri):
        raise AuthUnreadableError(
            f"{name}: must begin with https://", place=str(path), next_step="Download the file again."
        )
    # Older files name addresses of Google's that work as well.
    return None if uri == google or uri.startswith("https://accounts.google.com/") else uri


def _no_client(path: Path, trouble: str) -> AuthUnreadableError:
    return AuthUnreadableError(
        f"client_secrets: {trouble}",
        place=str(path),
        next_step=f"Make a client of type Desktop app and download its JSON: {CLIENTS_PAGE}",
    )
