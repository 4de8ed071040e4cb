"""Which login a job uses: a service account's, that of the environment, or one that was kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorchestra.errors import AuthMissingError
from lorchestra.sources.base import SourceContext
from lorchestra.sources.google_files import GOOGLE_TOKEN_URI, read_service_account
from lorchestra.sources.google_login_options import GoogleLoginOptions, account_names
from lorchestra.sources.google_refusals import GUIDE, LoginFacts, LoginKind

VARIABLE_NAMES = ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")


@dataclass(frozen=True, kw_only=True)
class ChosenLogin:
    """A login with its secrets, and for people, where it was found.

    `key` is a service account's, with which `subject`'s mailbox is read; the others have a refresh token.
    """

    facts: LoginFacts
    place: str
    token_uri: str
    key: Mapping[str, Any] | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)
    client_id: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)


def choose_login(options: GoogleLoginOptions, context: SourceContext) -> ChosenLogin:
    """The login to use; the first of service account, environment variables, and what was kept.

    Raises:
        AuthError: there is none, or it cannot be read.
    """
    names = account_names(options, context.source_system)
    # The shortest of the names is the one that people are asked to type.
    account = names[-1] if names else "NAME"
    prefix = variables_prefix(context.source_system)
    if options.service_account is not None:
        key = read_service_account(absolute(options.service_account, context.base))
        return ChosenLogin(
            facts=LoginFacts(kind=LoginKind.SERVICE_ACCOUNT, account=account),
            place="the key file of a service account",
            token_uri=options.token_uri or key["token_uri"],
            key=key,
            subject=options.subject,
        )
    if variables := _from_variables(context.environment, prefix):
        return ChosenLogin(
            facts=LoginFacts(kind=LoginKind.VARIABLES, account=account, variables_prefix=prefix),
            place=f"the variables {prefix}_*",
            token_uri=options.token_uri or GOOGLE_TOKEN_URI,
            client_id=variables["CLIENT_ID"],
            client_secret=variables["CLIENT_SECRET"],
            refresh_token=variables["REFRESH_TOKEN"],
        )
    # The keyring takes a while to import, and the other kinds of login need none.
    from lorchestra.sources.login_store import LoginStore  # noqa: PLC0415

    store = LoginStore(context.environment)
    for name in names:
        if found := store.load(name):
            login = found.login
            return ChosenLogin(
                facts=LoginFacts(
                    kind=LoginKind.STORED,
                    account=name,
                    created_at=login.created_at,
                    expires_at=login.expires_at,
                ),
                place=found.place,
                token_uri=options.token_uri or login.token_uri or GOOGLE_TOKEN_URI,
                client_id=login.client_id,
                client_secret=login.client_secret,
                refresh_token=login.refresh_token,
            )
    raise AuthMissingError(
        "login: there is none for this job",
        next_step=f"Type: lorchestra auth gmail {account}. Or set {_listed(prefix, VARIABLE_NAMES)}. "
        f"{GUIDE} has more.",
    )


def variables_prefix(source_system: str) -> str:
    """How variables of a source_system begin: `TAP_GMAIL_ACCT1_PERSONAL` for tap-gmail--acct1-personal."""
    return re.sub(r"[^A-Za-z0-9]+", "_", source_system).upper()


def absolute(path: str, base: Path) -> Path:
    """A path of the configuration, from the folder that relative ones start from."""
    return base / Path(path).expanduser()


def _from_variables(environment: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    found = {name: value for name in VARIABLE_NAMES if (value := environment.get(f"{prefix}_{name}"))}
    if not prefix or not found:
        return None
    if missing := [name for name in VARIABLE_NAMES if name not in found]:
        raise AuthMissingError(
            f"login: is incomplete in the environment: {_listed(prefix, missing)} not set",
            next_step=f"Set it, or unset {_listed(prefix, list(found))} to use a login of lorchestra's own.",
        )
    return found


def _listed(prefix: str, names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"{prefix}_{name}" for name in names)
