"""The options that say as whom Gmail is read. Nothing of Google's is imported for them."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lorchestra.sources.base import SourceOptions

#: All that is ever asked for.
SCOPE = "https://www.googleapis.com/auth/gmail.readonly"

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_.@-]+")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


def is_safe_url(url: str) -> bool:
    """Whether tokens may be sent there: over https, or to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _LOOPBACK.fullmatch(host) is not None)


def _safe_url(url: str) -> str:
    if not is_safe_url(url):
        raise PydanticCustomError("unsafe_url", "must begin with https://; http:// only on this machine")
    return url


#: A URL that tokens are sent to.
SafeUrl = Annotated[str, AfterValidator(_safe_url)]
_Path = Annotated[str, Field(min_length=1)]


class GoogleLoginOptions(SourceOptions):
    """Whose mailbox is read, and with which login."""

    account: Annotated[str, Field(pattern=f"^{ACCOUNT_NAME.pattern}$")] | None = Field(
        default=None,
        description="The name that `lorchestra auth gmail NAME` keeps the login under. By default it comes "
        "from source_system: of `tap-gmail--acct1-personal`, it is `acct1-personal` or `acct1`.",
    )
    client_secrets: _Path | None = Field(
        default=None,
        description="The JSON file that Google's console gives for an OAuth client of type Desktop app, "
        "relative to the configuration file. `lorchestra auth gmail` takes it from here.",
    )
    service_account: _Path | None = Field(
        default=None,
        description="The key file of a service account with domain-wide delegation, relative to the "
        "configuration file. Goes with `subject`.",
    )
    subject: _Path | None = Field(
        default=None, description="The address of the mailbox that the service account reads."
    )
    token_uri: SafeUrl | None = Field(
        default=None, description="Replaces the URL that Google gives access tokens at, for a proxy."
    )
    auth_uri: SafeUrl | None = Field(
        default=None, description="Replaces the URL of Google's page that asks for consent, for a proxy."
    )

    @model_validator(mode="after")
    def _service_account_with_subject(self) -> Self:
        if (self.service_account is None) != (self.subject is None):
            raise PydanticCustomError("needs_both", "service_account and subject need each other")
        return self


def account_names(options: GoogleLoginOptions, source_system: str) -> list[str]:
    """Under which names the login may be kept, the most particular first.

    `account`, where it is set. Else what follows `--` in the source_system, and the first word of that; else
    the source_system itself.
    """
    if options.account is not None:
        return [options.account]
    _, dashes, after = source_system.partition("--")
    names = [after, after.partition("-")[0]] if dashes else [source_system]
    return [name for name in dict.fromkeys(names) if ACCOUNT_NAME.fullmatch(name)]
