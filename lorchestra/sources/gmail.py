"""Gmail over its API, one mailbox a job, read-only.

Nothing that the extra brings is imported before a mailbox is opened: a listing of jobs works without.
"""
# ruff: noqa: PLC0415

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lorchestra.errors import ConfigError
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import Finding
from lorchestra.sources.base import SourceContext, SourceType
from lorchestra.sources.gmail_options import GmailOptions

if TYPE_CHECKING:
    from lorchestra.sources.gmail_source import GmailSource, Mailbox


def open_gmail(options: GmailOptions, context: SourceContext) -> "GmailSource":
    """The mailbox; it is connected to when records are asked for.

    Raises:
        ConfigError: the packages that the source needs are not installed.
    """
    _check_packages()
    from lorchestra.sources.gmail_source import GmailSource

    return GmailSource(options, context, lambda quota: _connected(options, context, quota))


def diagnose_gmail(options: GmailOptions, context: SourceContext) -> list[Finding]:
    """Whether there is a login, whether it works, and how long it will."""
    _check_packages()
    from lorchestra.sources.google_login import login_findings

    return login_findings(options, context)


def _connected(options: GmailOptions, context: SourceContext, quota: str | None) -> "Mailbox":
    from lorchestra.sources.gmail_api import ENDPOINT, GmailApi
    from lorchestra.sources.gmail_listing import GmailListing
    from lorchestra.sources.gmail_message_fetch import MessageFetch
    from lorchestra.sources.gmail_messages import GmailMessages
    from lorchestra.sources.gmail_plan import GmailPlan
    from lorchestra.sources.gmail_source import Mailbox
    from lorchestra.sources.google_calls import GoogleCalls
    from lorchestra.sources.google_login import open_login
    from lorchestra.sources.pace import Pace
    from lorchestra.sources.quota import load_regimes
    from lorchestra.sources.turnstile import Turnstile

    regimes = load_regimes("gmail_quota.toml")
    pace = Pace(
        regimes,
        now=time.monotonic(),
        quota=options.quota,
        units_per_minute=options.quota_units_per_minute,
        recognised=quota if quota in regimes else None,
    )
    plan = GmailPlan(pace, regimes, context.say)
    login = open_login(options, context)
    calls = GoogleCalls(
        options.endpoint or ENDPOINT,
        login=login,
        turnstile=Turnstile(pace),
        refused_permission=login.refused_permission,
        limits_found=plan.tell_limits,
    )
    api = GmailApi(calls)
    fetch = MessageFetch(
        api=api,
        message_format=options.format,
        attachment_bytes_max=options.attachment_bytes_max if options.attachments else None,
    )
    return Mailbox(
        api=api,
        listing=GmailListing(api, options),
        messages=GmailMessages(fetch, plan, context.stored),
        plan=plan,
        quota=lambda: pace.recognised,
    )


def _check_packages() -> None:
    if any(find_spec(package) is None for package in ("google_auth_oauthlib", "keyring", "requests")):
        raise ConfigError(
            "source gmail: needs packages that are not installed",
            next_step="Type: pip install 'lorchestra[gmail]'",
        )


GMAIL = SourceType(
    summary="Gmail over its API: what is new, changed and gone since the last run.",
    object_type="email",
    options=GmailOptions,
    open=open_gmail,
    idem_key_fn=gmail_idem_key,
    resumes=True,
    refetches=True,
    diagnose=diagnose_gmail,
)
