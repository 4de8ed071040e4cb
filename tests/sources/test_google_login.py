"""Logins as the Gmail source uses them, against a service that gives and refuses tokens over HTTP."""

import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import keyring
import pytest
import requests
from keyring.backends import fail
from pydantic import ValidationError

from lorchestra.errors import AuthError, SourceError, SourceUnavailableError
from lorchestra.model import Finding
from lorchestra.sources.base import SourceContext
from lorchestra.sources.google_login import GoogleLogin, login_findings, open_login
from lorchestra.sources.google_login_options import GoogleLoginOptions, account_names
from lorchestra.sources.google_refusals import LoginFacts, LoginKind, api_refusal, token_refusal
from lorchestra.sources.login_store import LoginStore, StoredLogin
from tests.gmail.front import Fault, GmailService, answer, cut_before, gmail_service, lose_answer

SYSTEM = "tap-gmail--acct1-personal"
READONLY = "https://www.googleapis.com/auth/gmail.readonly"


@pytest.fixture(autouse=True)
def _without_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture(scope="module")
def _service() -> Iterator[GmailService]:
    with gmail_service() as service:
        yield service


@pytest.fixture
def service(_service: GmailService) -> Iterator[GmailService]:
    _service.reset_log()
    yield _service
    _service.allow_login()
    _service.forget_faults()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path


def context(base: Path, variables: dict[str, str] | None = None, **more: Any) -> SourceContext:
    environment = {"XDG_CONFIG_HOME": str(base / "config"), **(variables or {})}
    return SourceContext(
        base=base, source_system=SYSTEM, job_name="gmail_ingest_acct1", environment=environment, **more
    )


def options(service: GmailService, **more: Any) -> GoogleLoginOptions:
    return GoogleLoginOptions(token_uri=service.token_uri, **more)


def keep(
    service: GmailService, base: Path, account: str = "acct1", *, age_days: float = 0, **more: Any
) -> None:
    LoginStore({"XDG_CONFIG_HOME": str(base / "config")}).save(
        account,
        StoredLogin(
            refresh_token=more.pop("refresh_token", service.refresh_token),
            client_id=service.client_id,
            client_secret=service.client_secret,
            scopes=(READONLY,),
            created_at=datetime.now(UTC) - timedelta(days=age_days),
            **more,
        ),
    )


def by_variables(service: GmailService, base: Path) -> GoogleLogin:
    return open_login(options(service), context(base, service.variables(SYSTEM)))


def reads_mail(service: GmailService, token: str) -> bool:
    url = f"{service.endpoint}/gmail/v1/users/me/profile"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 200


def token_requests(service: GmailService) -> int:
    return len(service.seen("POST", "^/token$"))


# Which login


@pytest.mark.parametrize(
    ("source_system", "account", "names"),
    [
        ("tap-gmail--acct1-personal", None, ["acct1-personal", "acct1"]),
        ("tap-gmail--acct1", None, ["acct1"]),
        ("gmail", None, ["gmail"]),
        ("tap-gmail--acct1-personal", "work", ["work"]),
        ("a--b--c-d", None, ["b--c-d", "b"]),
        ("", None, []),
        ("acme:mail", None, []),
    ],
)
def test_names_of_an_account(source_system: str, account: str | None, names: list[str]) -> None:
    """The most particular first; what cannot be a name is none."""
    assert account_names(GoogleLoginOptions(account=account), source_system) == names


def test_variables_in_the_form_of_meltano_are_taken(service: GmailService, base: Path) -> None:
    """TAP_GMAIL_ACCT1_PERSONAL_CLIENT_ID, _CLIENT_SECRET and _REFRESH_TOKEN are enough."""
    assert "TAP_GMAIL_ACCT1_PERSONAL_REFRESH_TOKEN" in service.variables(SYSTEM)
    assert reads_mail(service, by_variables(service, base).access_token())


@pytest.mark.parametrize("missing", ["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"])
@pytest.mark.parametrize("left", ["unset", "empty"])
def test_an_incomplete_set_of_variables_names_what_is_missing(
    service: GmailService, base: Path, missing: str, left: str
) -> None:
    """Half a login is a mistake, and none of its values is told."""
    variables = service.variables(SYSTEM)
    name = f"TAP_GMAIL_ACCT1_PERSONAL_{missing}"
    if left == "empty":
        variables[name] = ""
    else:
        del variables[name]
    with pytest.raises(AuthError, match=f"incomplete.*{name} not set") as refused:
        open_login(options(service), context(base, variables))
    assert_clean(service, refused.value)


@pytest.mark.parametrize("account", ["acct1-personal", "acct1"])
def test_a_kept_login_is_found_by_the_source_system(service: GmailService, base: Path, account: str) -> None:
    """Under either name."""
    keep(service, base, account)
    assert reads_mail(service, open_login(options(service), context(base)).access_token())


def test_the_more_particular_name_comes_first(service: GmailService, base: Path) -> None:
    """acct1-personal before acct1."""
    keep(service, base, "acct1", refresh_token="1//another")
    keep(service, base, "acct1-personal")
    open_login(options(service), context(base)).access_token()


def test_variables_come_before_a_kept_login(service: GmailService, base: Path) -> None:
    """What was set for this process is meant."""
    keep(service, base, refresh_token="1//another")
    by_variables(service, base).access_token()


def test_a_service_account_reads_the_subjects_mailbox(service: GmailService, base: Path) -> None:
    """With the key file's own token_uri, and before any other login."""
    (base / "key.json").write_text(json.dumps(service.service_account_key()))
    keep(service, base, refresh_token="1//another")
    chosen = GoogleLoginOptions(service_account="key.json", subject=service.address)
    assert reads_mail(service, open_login(chosen, context(base)).access_token())


def test_a_service_account_without_delegation_is_explained(service: GmailService, base: Path) -> None:
    """Which scope to approve, and where."""
    (base / "key.json").write_text(json.dumps(service.service_account_key()))
    chosen = GoogleLoginOptions(service_account="key.json", subject="somebody@else.example")
    with pytest.raises(AuthError, match="not permitted") as refused:
        open_login(chosen, context(base)).access_token()
    assert READONLY in (refused.value.next_step or "")
    assert "admin.google.com" in (refused.value.next_step or "")
    assert "somebody" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "not the key file"),
        ('{"installed": {}}', "not the key file"),
        (
            '{"type": "service_account", "client_email": "a@b", "private_key": "x", "token_uri": "http://b/"}',
            "https",
        ),
        (
            '{"type": "service_account", "client_email": "a@b", "private_key": "x", "token_uri": "https://b/"}',
            "private key",
        ),
    ],
)
def test_a_wrong_key_file_is_explained(base: Path, content: str | None, says: str) -> None:
    """By what is wrong with it, never by what is in it."""
    if content is not None:
        (base / "key.json").write_text(content)
    with pytest.raises(AuthError, match=says) as refused:
        open_login(GoogleLoginOptions(service_account="key.json", subject="me@b.example"), context(base))
    assert "a@b" not in str(refused.value)
    assert refused.value.next_step


def test_no_login_names_the_command_and_the_variables(base: Path) -> None:
    """Both can be copied."""
    with pytest.raises(AuthError, match="there is none") as refused:
        open_login(GoogleLoginOptions(), context(base))
    step = refused.value.next_step or ""
    assert "lorchestra auth gmail acct1." in step
    assert "TAP_GMAIL_ACCT1_PERSONAL_CLIENT_ID" in step


@pytest.mark.parametrize(
    "wrong",
    [
        {"service_account": "key.json"},
        {"subject": "me@example.com"},
        {"token_uri": "http://example.com/token"},
        {"auth_uri": "ftp://127.0.0.1/"},
        {"token_uri": "http://127.0.0.1.example.com/"},
        {"account": "a b"},
        {"client_secrets": ""},
        {"unknown": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    """Tokens travel over https, or not beyond this machine."""
    with pytest.raises(ValidationError):
        GoogleLoginOptions(**wrong)


@pytest.mark.parametrize("uri", ["https://proxy.example/token", "http://localhost:1/t", "http://[::1]:1/t"])
def test_right_options_are_taken(uri: str) -> None:
    """Anywhere over https, and this machine."""
    assert GoogleLoginOptions(token_uri=uri, auth_uri=uri).token_uri == uri


# Access tokens


def test_a_token_is_used_until_shortly_before_its_end(service: GmailService, base: Path) -> None:
    """One request for many calls."""
    login = by_variables(service, base)
    assert len({login.access_token() for _ in range(5)}) == 1
    assert token_requests(service) == 1


def test_a_token_that_ends_within_a_minute_is_not_used(base: Path) -> None:
    """It could end under way."""
    with gmail_service(access_token_seconds=50) as service:
        login = by_variables(service, base)
        assert login.access_token() != login.access_token()


def test_a_refused_token_is_renewed_once_for_all_threads(service: GmailService, base: Path) -> None:
    """Sixteen calls come back with 401 at the same moment."""
    login = by_variables(service, base)
    refused = login.access_token()
    service.expire_access_tokens()
    with ThreadPoolExecutor(16) as threads:
        renewed = set(threads.map(login.renew, [refused] * 16))
    assert len(renewed) == 1
    assert reads_mail(service, renewed.pop())
    assert token_requests(service) == 2


def test_a_fresh_token_that_is_refused_ends_it(service: GmailService, base: Path) -> None:
    """Else one would ask for tokens for ever."""
    login = by_variables(service, base)
    renewed = login.renew(login.access_token())
    with pytest.raises(AuthError, match="refuses access tokens"):
        login.renew(renewed)
    assert token_requests(service) == 2


def test_renewing_slowly_ends_too(service: GmailService, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes its time to refuse is not asked for ever either."""
    monkeypatch.setattr("lorchestra.sources.google_tokens._FRESH_SECONDS", 0.0)
    login = by_variables(service, base)
    token = login.access_token()
    for _ in range(5):
        token = login.renew(token)
    with pytest.raises(AuthError, match="refuses access tokens"):
        login.renew(token)
    assert token_requests(service) == 6


@pytest.mark.parametrize(
    "action",
    [cut_before(), lose_answer(), answer(500, {}), answer(503, {"error": "x"}), answer(429, {"error": "x"})],
)
def test_passing_trouble_is_waited_for(service: GmailService, base: Path, action: Any) -> None:
    """A connection that is cut, an answer that is lost, an error of the service."""
    service.fail(Fault(method="POST", path="^/token", action=action))
    assert reads_mail(service, by_variables(service, base).access_token())


def test_trouble_that_stays_is_for_later(service: GmailService, base: Path) -> None:
    """It can be tried again, and says so."""
    service.fail(Fault(method="POST", path="^/token", action=answer(502, {}), times=99))
    with pytest.raises(SourceUnavailableError) as refused:
        by_variables(service, base).access_token()
    assert refused.value.retryable
    assert token_requests(service) == 4


def test_a_redirection_is_not_followed(service: GmailService, base: Path) -> None:
    """It could lead the refresh token anywhere."""
    elsewhere = {"Location": f"{service.endpoint}/elsewhere"}
    service.fail(Fault(method="POST", path="^/token", action=answer(307, {}, elsewhere), times=99))
    with pytest.raises(SourceUnavailableError):
        by_variables(service, base).access_token()
    assert not service.seen("POST", "elsewhere")


def test_nobody_listening_is_for_later(base: Path) -> None:
    """No network at all."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}/token"
        variables = {
            f"TAP_GMAIL_ACCT1_PERSONAL_{name}": "x"
            for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
        }
        with pytest.raises(SourceUnavailableError, match="ConnectionError"):
            open_login(GoogleLoginOptions(token_uri=uri), context(base, variables)).access_token()


def test_a_netrc_file_adds_nothing(
    service: GmailService, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password for the host would replace the client's."""
    (base / "netrc").write_text("default login somebody password else\n")
    (base / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(base / "netrc"))
    by_variables(service, base).access_token()


# Refusals


def assert_clean(service: GmailService, *told: object) -> None:
    """Nothing of the login in what is said."""
    text = " ".join(f"{one} {getattr(one, 'next_step', '')} {one!r}" for one in told)
    for secret in (service.refresh_token, service.client_secret, service.client_id, service.address):
        assert secret not in text


@pytest.mark.parametrize(
    ("answered", "says", "does", "code"),
    [
        (
            ("invalid_grant", "Token has been expired or revoked."),
            "password changed",
            "lorchestra auth gmail acct1",
            "auth.expired",
        ),
        (("invalid_grant", "Account has been deleted"), "deleted", "administers", "auth.refused"),
        (
            ("invalid_grant", "reauth related error (invalid_rapt)"),
            "sign in again",
            "auth gmail acct1",
            "auth.expired",
        ),
        (
            ("invalid_client", "The OAuth client was not found."),
            "OAuth client",
            "--client-secrets",
            "auth.refused",
        ),
        (("unauthorized_client", "Unauthorized"), "another OAuth client", "auth gmail acct1", "auth.refused"),
        (
            ("invalid_scope", "Some requested scopes were invalid."),
            "gmail.readonly",
            "auth gmail acct1",
            "auth.scope",
        ),
        (("access_denied", "Account Restricted"), "consent was refused", "test users", "auth.no_consent"),
        (("admin_policy_enforced", ""), "administrator", "Admin console", "auth.forbidden"),
        (("org_internal", ""), "organisation", "External", "auth.forbidden"),
        (("me@example.com 1//x", "me@example.com 1//x"), "refused it", "auth gmail acct1", "auth.refused"),
    ],
)
def test_a_refused_login_says_why_and_what_to_do(
    service: GmailService, base: Path, *, answered: tuple[str, str], says: str, does: str, code: str
) -> None:
    """Google's text helps to find the cause, and is not repeated."""
    keep(service, base)
    service.refuse_login(*answered)
    with pytest.raises(AuthError, match=says) as refused:
        open_login(options(service), context(base)).access_token()
    assert does in refused.value.next_step
    assert refused.value.code == code
    assert_clean(service, refused.value)
    assert "1//" not in f"{refused.value} {refused.value.next_step}"
    assert "@" not in str(refused.value)
    assert token_requests(service) == 1


@pytest.mark.parametrize(
    ("age_days", "expires_in_days", "in_testing"),
    [
        (0.1, None, "no"),
        (7.01, None, "yes"),
        (8.9, None, "yes"),
        (40, None, "perhaps"),
        (7, -0.1, "yes"),
        (8, 90, "perhaps"),
    ],
)
def test_an_ended_login_of_a_testing_app_is_recognised(
    service: GmailService, base: Path, age_days: float, expires_in_days: float | None, in_testing: str
) -> None:
    """By what Google said of its end, else by an age of seven days or little more."""
    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    keep(service, base, age_days=age_days, expires_at=expires_at)
    service.refuse_login("invalid_grant", "Token has been expired or revoked.")
    with pytest.raises(AuthError) as refused:
        open_login(options(service), context(base)).access_token()
    said = str(refused.value)
    assert {
        "no": "testing" not in said,
        "yes": "has ended" in said,
        "perhaps": "or the Google app is in testing" in said,
    }[in_testing]
    assert ("publish" in (refused.value.next_step or "")) == (in_testing == "yes")


def test_a_revoked_login_is_refused(base: Path) -> None:
    """The owner withdraws the permission."""
    with gmail_service() as service:
        login = by_variables(service, base)
        token = login.access_token()
        service.revoke()
        with pytest.raises(AuthError, match="withdrawn") as refused:
            login.renew(token)
        assert "TAP_GMAIL_ACCT1_PERSONAL_REFRESH_TOKEN" in (refused.value.next_step or "")


def test_reauthentication_is_recognised_by_its_subtype(service: GmailService, base: Path) -> None:
    """Google's library has words of its own for it, which name another program."""
    denied = answer(400, {"error": "invalid_grant", "error_subtype": "invalid_rapt", "error_description": ""})
    service.fail(Fault(method="POST", path="^/token", action=denied))
    with pytest.raises(AuthError, match="sign in again"):
        by_variables(service, base).access_token()


def test_a_wrong_clock_is_named(service: GmailService, base: Path) -> None:
    """By the Date of the answer, or by what Google says of the times in a signed request."""
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    denied = answer(400, {"error": "invalid_grant"}, {"Date": date})
    service.fail(Fault(method="POST", path="^/token", action=denied))
    with pytest.raises(AuthError, match="clock") as refused:
        by_variables(service, base).access_token()
    assert "timedatectl" in (refused.value.next_step or "")
    service.refuse_login("invalid_grant", "Invalid JWT: … Check your iat and exp values in the JWT claim.")
    with pytest.raises(AuthError, match="clock"):
        by_variables(service, base).access_token()


FACTS = LoginFacts(kind=LoginKind.STORED, account="acct1")


@pytest.mark.parametrize(
    ("status", "reasons", "message", "says", "does"),
    [
        (403, {"insufficientPermissions"}, "", "scope gmail.readonly", "Tick the box"),
        (403, {"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}, "", "scope gmail.readonly", "auth gmail acct1"),
        (403, {"accessNotConfigured"}, "project 123456", "not enabled", "gmail.googleapis.com"),
        (403, {"SERVICE_DISABLED"}, "", "not enabled", "gmail.googleapis.com"),
        (403, {"domainPolicy"}, "", "administrator", "Admin console"),
        (400, {"failedPrecondition"}, "Mail service not enabled", "no Gmail mailbox", "Turn Gmail on"),
        (400, {"failedPrecondition"}, "Precondition check failed.", "no mailbox", "subject"),
        (401, {"authError"}, "Invalid Credentials", "refuses access tokens", "auth gmail acct1"),
        (403, {"forbidden"}, "Delegation denied for me@example.com", "forbidden", "auth gmail acct1"),
        (403, {"me@example.com"}, "me@example.com", "does not permit it$", "auth gmail acct1"),
    ],
)
def test_a_refused_permission_says_why_and_what_to_do(
    status: int, reasons: set[str], message: str, says: str, does: str
) -> None:
    """What the API answers, in our words."""
    refused = api_refusal(status, reasons, message, facts=FACTS)
    with pytest.raises(AuthError, match=says):
        raise refused
    assert does in (refused.next_step or "")
    assert "@" not in str(refused)
    assert "123456" not in str(refused)


def test_a_scope_that_was_not_granted_is_recognised_in_a_real_answer(
    service: GmailService, base: Path
) -> None:
    """As the API gives it."""
    login = by_variables(service, base)
    token = login.access_token()
    service.grant_scopes("https://www.googleapis.com/auth/gmail.labels")
    url = f"{service.endpoint}/gmail/v1/users/me/profile"
    given = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    error = given.json()["error"]
    reasons = [one["reason"] for one in [*error["errors"], *error.get("details", [])]]
    service.grant_scopes(READONLY)
    assert "gmail.readonly" in str(login.refused_permission(given.status_code, reasons, error["message"]))


@pytest.mark.parametrize("kind", list(LoginKind))
def test_every_refusal_has_a_sentence_and_a_step(kind: LoginKind) -> None:
    """For each kind of login, whatever Google answers."""
    facts = LoginFacts(kind=kind, account="acct1", variables_prefix="TAP")
    for error in ("invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "", "else"):
        refused = token_refusal(error, "", facts=facts)
        assert refused.message
        assert refused.next_step
        assert ".," not in refused.next_step
    for status in (400, 401, 403):
        assert api_refusal(status, (), "", facts=facts).next_step


# Doctor


def state(findings: list[Finding]) -> dict[str, bool | None]:
    return {finding.check: finding.ok for finding in findings}


def test_doctor_names_the_login_and_tries_it(service: GmailService, base: Path) -> None:
    """Which kind, where it is kept, and whether Google takes it."""
    keep(service, base)
    [finding] = login_findings(options(service), context(base))
    assert (finding.check, finding.ok) == ("login gmail_ingest_acct1", True)
    assert finding.found.startswith("accepted: ")
    assert finding.found.endswith("gmail-acct1.json")
    [finding] = login_findings(options(service), context(base, service.variables(SYSTEM)))
    assert "TAP_GMAIL_ACCT1_PERSONAL_*" in finding.found
    assert_clean(service, finding)


def test_doctor_says_what_is_missing_or_refused(service: GmailService, base: Path) -> None:
    """The same sentences as a run."""
    [finding] = login_findings(options(service), context(base))
    assert finding.ok is False
    assert "lorchestra auth gmail acct1" in (finding.fix or "")
    keep(service, base)
    service.refuse_login("invalid_grant", "Token has been expired or revoked.")
    [finding] = login_findings(options(service), context(base))
    assert finding.ok is False
    assert "lorchestra auth gmail acct1" in (finding.fix or "")


@pytest.mark.parametrize(
    ("days", "ok", "says"),
    [
        ((0, 6.5), True, "ends in 6.5 days"),
        ((4, 2.5), None, "ends in 2.5 days"),
        ((6, 0.5), None, "ends in 12 hours"),
        ((8, -0.5), False, "over"),
        ((3, None), True, "accepted"),
        ((4.5, None), None, "if the Google app is in testing, it ends in 2.5 days"),
        ((8, None), True, "accepted"),
    ],
)
def test_doctor_warns_days_before_the_end(
    service: GmailService, base: Path, days: tuple[float, float | None], ok: bool | None, says: str
) -> None:
    """By what Google said, else by the age of the login; with the command that mends it."""
    age_days, expires_in_days = days
    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    keep(service, base, age_days=age_days, expires_at=expires_at)
    [finding] = login_findings(options(service), context(base))
    assert finding.ok is ok
    assert says in finding.found
    assert ok or "lorchestra auth gmail acct1" in (finding.fix or "")


def test_doctor_goes_by_what_google_says_now(base: Path) -> None:
    """Also for a login in variables, of which nothing else is known."""
    with gmail_service(refresh_token_expires_in=2 * 86_400) as service:
        [finding] = login_findings(options(service), context(base, service.variables(SYSTEM)))
    assert finding.ok is None
    assert "ends in 2.0 days" in finding.found


def test_doctor_tells_of_a_clock_that_is_wrong(service: GmailService, base: Path) -> None:
    """From a minute on, before logins fail."""
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)
    given = answer(200, {"access_token": "ya29.x", "expires_in": 3599}, {"Date": date})
    service.fail(Fault(method="POST", path="^/token", action=given))
    findings = login_findings(options(service), context(base, service.variables(SYSTEM)))
    assert state(findings) == {"login gmail_ingest_acct1": True, "clock": None}
    assert "slow" in findings[1].found


def test_doctor_does_not_take_a_lost_network_for_a_wrong_login(service: GmailService, base: Path) -> None:
    """What could not be asked is unknown."""
    service.fail(Fault(method="POST", path="^/token", action=answer(503, {}), times=99))
    [finding] = login_findings(options(service), context(base, service.variables(SYSTEM)))
    assert finding.ok is None


def test_nothing_of_a_login_is_logged(
    service: GmailService, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at the level at which libraries tell everything."""
    caplog.set_level(logging.DEBUG)
    login = by_variables(service, base)
    token = login.access_token()
    service.refuse_login("invalid_grant", service.address)
    with pytest.raises(SourceError) as refused:
        login.renew(token)
    assert_clean(service, refused.value, caplog.text, login, login.chosen)
    assert token not in caplog.text
