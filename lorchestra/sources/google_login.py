"""The login of a job: to be used, and to be examined: which it is, whether it works, and when it will end."""

from collections.abc import Iterator

from lorchestra.errors import SourceError
from lorchestra.model import Finding
from lorchestra.sources.base import SourceContext
from lorchestra.sources.google_login_choice import choose_login
from lorchestra.sources.google_login_options import GoogleLoginOptions
from lorchestra.sources.google_refusals import AUDIENCE_PAGE, SET_CLOCK, TESTING_DAYS, LoginFacts
from lorchestra.sources.google_tokens import GoogleLogin

__all__ = ["GoogleLogin", "login_findings", "open_login"]

_WARN_DAYS = 3
_WARN_SKEW_SECONDS = 60
_SECONDS_A_DAY = 86_400


def open_login(options: GoogleLoginOptions, context: SourceContext) -> GoogleLogin:
    """The job's login. Google is not asked yet.

    Raises:
        AuthError: there is none, or its file cannot be used; says what to type.
    """
    return GoogleLogin(choose_login(options, context))


def login_findings(options: GoogleLoginOptions, context: SourceContext) -> list[Finding]:
    """The job's login, tried out with one request for an access token."""
    return list(_findings(options, context))


def _findings(options: GoogleLoginOptions, context: SourceContext) -> Iterator[Finding]:
    check = f"login {context.job_name}"
    try:
        login = open_login(options, context)
    except SourceError as error:
        yield Finding(check=check, ok=False, found=error.message, fix=error.next_step)
        return
    place = login.chosen.place
    try:
        login.access_token()
    except SourceError as error:
        # What could not be asked is not known to be wrong.
        ok = None if error.retryable else False
        yield Finding(check=check, ok=ok, found=f"{error.message} ({place})", fix=error.next_step)
    else:
        yield _lifetime(login, check=check, place=place)
    skew = login.clock_skew_seconds
    if skew is not None and abs(skew) > _WARN_SKEW_SECONDS:
        side = "fast" if skew > 0 else "slow"
        yield Finding(check="clock", ok=None, found=f"{abs(skew):.0f} seconds {side}", fix=SET_CLOCK)


def _lifetime(login: GoogleLogin, *, check: str, place: str) -> Finding:
    """What counts comes first: a table shows the beginning."""
    facts = login.chosen.facts
    days = _days_left(login)
    last = f"To make it last, publish the Google app: {AUDIENCE_PAGE} Then log in again. {facts.renew}"
    if days is not None:
        if days <= 0:
            return Finding(check=check, ok=False, found=f"its time is over: {place}", fix=facts.renew)
        ends = f"accepted, ends in {_days(days)}: {place}"
        return Finding(check=check, ok=None if days <= _WARN_DAYS else True, found=ends, fix=last)
    left = _days_if_testing(facts)
    if left is None:
        return Finding(check=check, ok=True, found=f"accepted: {place}")
    return Finding(
        check=check,
        ok=None,
        found=f"accepted; if the Google app is in testing, it ends in {_days(left)}: {place}",
        fix=last,
    )


def _days_left(login: GoogleLogin) -> float | None:
    """By what Google said now, else by what it said when the login was made."""
    if login.refresh_token_seconds is not None:
        return login.refresh_token_seconds / _SECONDS_A_DAY
    return login.chosen.facts.days_left


def _days_if_testing(facts: LoginFacts) -> float | None:
    """How long it would last yet in an app that is in testing, where that may be and is soon."""
    age = facts.age_days
    if age is None or not TESTING_DAYS - _WARN_DAYS <= age < TESTING_DAYS:
        return None
    return TESTING_DAYS - age


def _days(days: float) -> str:
    if days < 1:
        return f"{days * 24:.0f} hours"
    return f"{days:.1f} days"
