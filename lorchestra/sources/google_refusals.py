"""What it means when Google refuses a login, and the command that mends it.

Google answers most of it with the same few words, so age and kind of the login help to tell causes apart. Its
texts are looked at and never repeated: they may hold addresses.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lorchestra.errors import (
    AuthClockError,
    AuthConsentError,
    AuthError,
    AuthExpiredError,
    AuthForbiddenError,
    AuthMailboxError,
    AuthRefusedError,
    AuthScopeError,
)
from lorchestra.sources.google_login_options import SCOPE

#: A clock that is wrong by more than this makes Google refuse what is signed with a time.
CLOCK_SECONDS = 300.0
#: How long a login lasts while Google's console says "Testing".
TESTING_DAYS = 7
# A job that runs once a day or so notices the end no later than this.
_JUST_ENDED_DAYS = 2

GMAIL_API_PAGE = "https://console.cloud.google.com/apis/library/gmail.googleapis.com"
CLIENTS_PAGE = "https://console.cloud.google.com/auth/clients"
AUDIENCE_PAGE = "https://console.cloud.google.com/auth/audience"
DELEGATION_PAGE = "https://admin.google.com/ac/owl/domainwidedelegation"
PERMISSIONS_PAGE = "https://myaccount.google.com/connections"
GUIDE = "docs/gmail-login.md"

_CLOCK = "login: the clock of this machine is wrong"
SET_CLOCK = "Set the clock, for example: sudo timedatectl set-ntp true. Then run it again."
_SCOPE_MISSING = "login: is not permitted to read mail: the scope gmail.readonly was not granted"
_DELEGATE = f"A Workspace administrator approves the key file's client_id with {SCOPE} at {DELEGATION_PAGE}."

# Words of Google's that may stand in a message, for refusals that have no sentence of their own.
_KNOWN_ERRORS = frozenset(
    {
        "access_denied",
        "admin_policy_enforced",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "org_internal",
        "redirect_uri_mismatch",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
_KNOWN_REASONS = frozenset({"accountDisabled", "authError", "delegationDenied", "forbidden"})


class LoginKind(StrEnum):
    """Where a login comes from."""

    STORED = "stored"
    VARIABLES = "variables"
    SERVICE_ACCOUNT = "service account"


@dataclass(frozen=True, kw_only=True)
class LoginFacts:
    """What is known of a login without asking Google. `account` is what `lorchestra auth gmail` calls it."""

    kind: LoginKind
    account: str
    variables_prefix: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def age_days(self) -> float | None:
        """Days since the consent."""
        return _days_since(self.created_at)

    @property
    def days_left(self) -> float | None:
        """Days until it ends, where Google said when; negative when it has."""
        since = _days_since(self.expires_at)
        return None if since is None else -since

    @property
    def renew(self) -> str:
        """How to log in again; a sentence without its full stop."""
        match self.kind:
            case LoginKind.SERVICE_ACCOUNT:
                return f"Check service_account and subject of the job; {GUIDE} has more"
            case LoginKind.VARIABLES:
                return (
                    f"Put a new refresh token into {self.variables_prefix}_REFRESH_TOKEN. Or unset the "
                    f"{self.variables_prefix}_* variables and type: lorchestra auth gmail {self.account}"
                )
            case LoginKind.STORED:
                return f"Type: lorchestra auth gmail {self.account}"


def _days_since(moment: datetime | None) -> float | None:
    return None if moment is None else (datetime.now(UTC) - moment).total_seconds() / 86_400


def token_refusal(  # noqa: PLR0911 - one return for each cause
    error: str,
    description: str,
    *,
    facts: LoginFacts,
    clock_skew_seconds: float | None = None,
    subtype: str = "",
) -> AuthError:
    """What a token endpoint's `error` and `error_description` mean for this login."""
    text = description.lower()
    if is_clock_wrong(clock_skew_seconds) or ("jwt" in text and "iat" in text and "exp" in text):
        return AuthClockError(_CLOCK, next_step=SET_CLOCK)
    if facts.kind is LoginKind.SERVICE_ACCOUNT:
        return _of_service_account(error, text)
    match error:
        case "invalid_grant":
            return _invalid_grant(text, subtype, facts)
        case "invalid_client" | "deleted_client" | "disabled_client":
            return AuthRefusedError(
                "login: Google does not know this OAuth client, or its secret is wrong",
                next_step=f"Look whether it still exists: {CLIENTS_PAGE}. Download its JSON, and type: "
                f"lorchestra auth gmail {facts.account} --client-secrets FILE",
            )
        case "unauthorized_client":
            return AuthRefusedError(
                "login: the refresh token belongs to another OAuth client", next_step=facts.renew
            )
        case "invalid_scope":
            return AuthScopeError(_SCOPE_MISSING, next_step=facts.renew)
        case "access_denied":
            return AuthConsentError(
                "login: consent was refused",
                next_step=f"{facts.renew}. Allow it there. While the app is in testing, the account must be "
                f"one of its test users: {AUDIENCE_PAGE}",
            )
        case "org_internal":
            return AuthForbiddenError(
                "login: the app is for members of another organisation only",
                next_step=f"Make the audience External ({AUDIENCE_PAGE}), or log in with an account of it. "
                f"{facts.renew}",
            )
        case "admin_policy_enforced":
            return AuthForbiddenError(
                "login: the Workspace administrator does not permit this app",
                next_step="Ask them to trust the client ID: Admin console, Security, "
                f"Access and data control, API controls, Manage app access. Then log in again. {facts.renew}",
            )
        case "redirect_uri_mismatch":
            return AuthRefusedError(
                "client_secrets: the OAuth client is not of type Desktop app",
                next_step=f"Make one of that type: {CLIENTS_PAGE}. {GUIDE} shows how.",
            )
        case _:
            return AuthRefusedError(
                f"login: Google refused it{_known(error, _KNOWN_ERRORS)}", next_step=facts.renew
            )


def _invalid_grant(text: str, subtype: str, facts: LoginFacts) -> AuthError:
    if subtype in {"invalid_rapt", "rapt_required"} or "rapt" in text:
        return AuthExpiredError(
            "login: the Workspace wants its people to sign in again from time to time",
            next_step=f"{facts.renew}. For jobs, an administrator can exempt the app, or give "
            "a service account.",
        )
    if "account" in text and ("deleted" in text or "disabled" in text):
        return AuthRefusedError(
            "login: the Google account is deleted or disabled", next_step="Ask whoever administers it."
        )
    if _ended_with_testing(facts):
        return AuthExpiredError(
            "login: has ended: the Google app is in testing, where logins last seven days",
            next_step=f"{facts.renew}. To make it last, publish the app first: {AUDIENCE_PAGE}",
        )
    known_to_last = facts.age_days is not None and facts.age_days < TESTING_DAYS
    causes = "permission was withdrawn, or the password changed, or it was not used for six months"
    if not known_to_last:
        causes += "; or the Google app is in testing, where logins last seven days"
    return AuthExpiredError(f"login: is not valid any more: {causes}", next_step=facts.renew)


def _ended_with_testing(facts: LoginFacts) -> bool:
    if facts.days_left is not None:
        return facts.days_left <= 0
    age = facts.age_days
    return age is not None and TESTING_DAYS <= age < TESTING_DAYS + _JUST_ENDED_DAYS


def _of_service_account(error: str, text: str) -> AuthError:
    if error == "invalid_grant" and any(word in text for word in ("user id", "impersonat", '"sub"')):
        return AuthMailboxError(
            "subject: Google knows no such user in the service account's Workspace",
            next_step="Set subject to the address of a mailbox of that Workspace.",
        )
    if error in {"unauthorized_client", "access_denied", "invalid_scope"}:
        return AuthForbiddenError(
            "service_account: is not permitted to read this mailbox with the scope gmail.readonly",
            next_step=f"{_DELEGATE} It can take a day to be in force.",
        )
    return AuthRefusedError(
        f"service_account: Google does not take the key{_known(error, _KNOWN_ERRORS)}",
        next_step="It may be deleted. Make a new key: https://console.cloud.google.com/iam-admin/serviceaccounts",
    )


def api_refusal(  # noqa: PLR0911 - one return for each cause
    status: int,
    reasons: Collection[str],
    message: str,
    *,
    facts: LoginFacts,
    clock_skew_seconds: float | None = None,
) -> AuthError:
    """What it means that the Gmail API answers with 400, 401 or 403 and these reasons."""
    text = message.lower()
    if {"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"} & set(reasons) or "scope" in text:
        step = (
            _DELEGATE
            if facts.kind is LoginKind.SERVICE_ACCOUNT
            else f"{facts.renew}. Tick the box for reading mail there."
        )
        return AuthScopeError(_SCOPE_MISSING, next_step=step)
    if {"accessNotConfigured", "SERVICE_DISABLED"} & set(reasons):
        return AuthForbiddenError(
            "login: the Gmail API is not enabled in the Google project of the OAuth client",
            next_step=f"Enable it in that project, wait a minute, and run it again: {GMAIL_API_PAGE}",
        )
    if "domainPolicy" in reasons:
        return AuthForbiddenError(
            "login: the Workspace administrator does not permit this app to use Gmail",
            next_step="Ask them to permit it: Admin console, Security, Access and data control, "
            "API controls.",
        )
    if "failedPrecondition" in reasons or "FAILED_PRECONDITION" in reasons:
        if "mail service not enabled" in text:
            return AuthMailboxError(
                "login: this account has no Gmail mailbox",
                next_step=f"Turn Gmail on for it, or log in with another account. {facts.renew}",
            )
        return AuthMailboxError(
            "login: Gmail finds no mailbox for this login",
            next_step=f"Check the account, or `subject` of a service account. {facts.renew}",
        )
    if is_clock_wrong(clock_skew_seconds):
        return AuthClockError(_CLOCK, next_step=SET_CLOCK)
    if status == 401:
        return AuthRefusedError(
            "login: Gmail refuses access tokens that Google gave a moment ago", next_step=facts.renew
        )
    known = next((reason for reason in sorted(reasons) if reason in _KNOWN_REASONS), "")
    return AuthForbiddenError(
        f"login: Gmail does not permit it{_known(known, _KNOWN_REASONS)}", next_step=facts.renew
    )


def is_clock_wrong(skew_seconds: float | None) -> bool:
    """Whether our clock differs from Google's by so much that logins fail."""
    return skew_seconds is not None and abs(skew_seconds) > CLOCK_SECONDS


def scope_missing(facts: LoginFacts) -> AuthError:
    """The person left the box for reading mail unticked."""
    return AuthScopeError(_SCOPE_MISSING, next_step=f"{facts.renew}. Tick the box for reading mail there.")


def _known(word: str, words: Collection[str]) -> str:
    return f": {word}" if word in words else ""
