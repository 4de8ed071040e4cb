"""Logins of sources: asking for them, keeping them, and forgetting them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorchestra.cli_base import say, with_settings
from lorchestra.errors import AuthError, LorchestraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lorchestra.config import Settings
    from lorchestra.jobs.registry import Job
    from lorchestra.sources.google_files import OAuthClient
    from lorchestra.sources.google_login_options import GoogleLoginOptions
    from lorchestra.sources.login_store import FoundLogin, LoginStore, StoredLogin

    JobOptions = Mapping[str, tuple[Job, GoogleLoginOptions]]


@click.group()
def auth() -> None:
    """Log in to the services that are read, and out again."""


@auth.command()
@click.argument("account")
@click.option(
    "--client-secrets",
    type=click.Path(path_type=Path),
    help="The JSON file of an OAuth client of type Desktop app, from Google's console.",
)
@click.option("--no-browser", is_flag=True, help="Sign in on another machine, and paste the answer here.")
@click.option("--remove", is_flag=True, help="Forget the login of this account.")
@with_settings
def gmail(
    account: str, *, client_secrets: Path | None, no_browser: bool, remove: bool, settings: "Settings"
) -> None:
    """Log in to Gmail for reading, and keep the login under the name ACCOUNT.

    A job finds it by its source_system, tap-gmail--ACCOUNT, or by its option account.
    The login is kept in the system's keyring; where there is none, in a file for its owner alone.
    """
    try:
        from lorchestra.sources.login_store import LoginStore
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("lorchestra"):
            raise
        raise UsageError(
            "gmail: needs packages that are not installed", next_step="Type: pip install 'lorchestra[gmail]'"
        ) from None
    store = LoginStore(settings.environment)
    if remove:
        _remove(store, account)
        return
    try:
        kept = store.load(account)
    except AuthError:
        # What cannot be read any more is replaced.
        kept = None
    jobs = _jobs_of(account, settings)
    client = _client(account, client_secrets, jobs, settings, kept)
    login = _asked(account, client, jobs, no_browser=no_browser)
    place = store.save(account, replace(login, token_uri=client.token_uri))
    say(f"The login is kept in {place}.")
    _say_when_it_ends(login)
    _say_what_is_next(account, jobs, settings)


def _remove(store: "LoginStore", account: str) -> None:
    from lorchestra.sources.google_refusals import PERMISSIONS_PAGE

    places = store.remove(account)
    if not places:
        raise UsageError("account: no login is kept under this name", next_step="Check the name.")
    say(f"The login was removed from {' and '.join(places)}.")
    say(f"To withdraw what Google permits the app as well: {PERMISSIONS_PAGE}")


def _jobs_of(account: str, settings: "Settings") -> "JobOptions":
    """The jobs that look for a login of this name, with their options."""
    from lorchestra.jobs.registry import all_jobs, source_and_options
    from lorchestra.sources.google_login_options import GoogleLoginOptions, account_names

    found = {}
    for job in all_jobs(settings):
        if job.settings.source is None:
            continue
        try:
            _, options = source_and_options(job, settings)
        except LorchestraError:
            # Its mistake is told when it is run; another job's login does not depend on it.
            continue
        if isinstance(options, GoogleLoginOptions) and account in account_names(
            options, job.settings.source_system or ""
        ):
            found[job.name] = (job, options)
    return found


def _client(
    account: str,
    file: Path | None,
    jobs: "JobOptions",
    settings: "Settings",
    kept: "FoundLogin | None",
) -> "OAuthClient":
    """The OAuth client that asks: of the file given, of a job, of the environment, or of the last login."""
    from lorchestra.sources.google_files import OAuthClient, read_client
    from lorchestra.sources.google_login_choice import absolute, variables_prefix
    from lorchestra.sources.google_refusals import GUIDE

    if file is not None:
        return read_client(file.expanduser())
    for _, options in jobs.values():
        if options.client_secrets is not None:
            return read_client(absolute(options.client_secrets, settings.base))
    for job, _ in jobs.values():
        prefix = variables_prefix(job.settings.source_system or "")
        client_id, secret = (
            settings.environment.get(f"{prefix}_{name}") for name in ("CLIENT_ID", "CLIENT_SECRET")
        )
        if client_id and secret:
            return OAuthClient(client_id=client_id, client_secret=secret)
    if kept is not None:
        login = kept.login
        return OAuthClient(
            client_id=login.client_id, client_secret=login.client_secret, token_uri=login.token_uri
        )
    raise UsageError(
        "client_secrets: no OAuth client is known to ask Google with",
        next_step=f"Make one in Google's console, as {GUIDE} shows step by step; then type: "
        f"lorchestra auth gmail {account} --client-secrets FILE",
    )


def _asked(account: str, client: "OAuthClient", jobs: "JobOptions", *, no_browser: bool) -> "StoredLogin":
    from lorchestra.sources.google_consent import consent_by_paste, consent_in_browser
    from lorchestra.sources.google_refusals import LoginFacts, LoginKind

    for _, options in jobs.values():
        client = replace(
            client,
            token_uri=options.token_uri or client.token_uri,
            auth_uri=options.auth_uri or client.auth_uri,
        )
    facts = LoginFacts(kind=LoginKind.STORED, account=account)
    if no_browser:
        return consent_by_paste(client, facts=facts, say=say, ask=sys.stdin.readline)
    return consent_in_browser(client, facts=facts, say=say)


def _say_when_it_ends(login: "StoredLogin") -> None:
    from lorchestra.sources.google_refusals import AUDIENCE_PAGE, GUIDE

    if login.expires_at is not None:
        say(f"It ends on {login.expires_at.astimezone():%Y-%m-%d %H:%M}: the Google app is in testing.")
        say(f"To make it last, publish the app, then log in again: {AUDIENCE_PAGE}")
    else:
        say(f"If the Google app is in testing, it ends in seven days; {GUIDE} says how to publish it.")


def _say_what_is_next(account: str, jobs: "JobOptions", settings: "Settings") -> None:
    from lorchestra.sources.google_login_choice import VARIABLE_NAMES, variables_prefix

    if not jobs:
        say("No job uses it yet. Write this into lorchestra.toml:")
        click.echo(_job_table(account))
        return
    if len({job.settings.source_system for job, _ in jobs.values()}) > 1:
        say(f"Several jobs use this login, and read the same mailbox: {', '.join(jobs)}")
    for job, options in jobs.values():
        prefix = variables_prefix(job.settings.source_system or "")
        if options.service_account is not None:
            say(f"{job.name} does not use it: its service_account comes first.")
        elif any(settings.environment.get(f"{prefix}_{name}") for name in VARIABLE_NAMES):
            say(f"{job.name} does not use it while {prefix}_* variables are set, which come first.")
    say(f"Next, type: lorchestra run {next(iter(jobs))}")


def _job_table(account: str) -> str:
    """A job that uses the login. An address as the account's name is nothing for a source_system."""
    word = account.partition("@")[0].replace(".", "_")
    lines = [
        f"[jobs.gmail_ingest_{word}]",
        'source = "gmail"',
        f'source_system = "tap-gmail--{word}"',
        'object_type = "email"',
    ]
    return "\n".join([*lines, f'account = "{account}"'] if word != account else lines)
