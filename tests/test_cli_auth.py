"""Logging in to Gmail from the command line: the real page of consent, over HTTP, as a browser meets it."""

import json
import os
import re
import select
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import requests

from tests.gmail.front import Fault, GmailService, answer, gmail_service, rewrite
from tests.project import COMMAND, Outcome, Project

SYSTEM = "tap-gmail--acct1-personal"
READONLY = "https://www.googleapis.com/auth/gmail.readonly"
_SECONDS = 30


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
def project(tmp_path: Path, service: GmailService) -> Project:
    """A project with a Gmail job, a home of its own, and no keyring."""
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder=folder)
    project.variables = {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "XDG_DATA_HOME": str(tmp_path / "home" / ".local" / "share"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        # A browser that opens nothing.
        "BROWSER": "true",
    }
    configure(project, service)
    (folder / "client.json").write_text(json.dumps(client_file(service)), encoding="utf-8")
    return project


def configure(project: Project, service: GmailService, *lines: str, system: str = SYSTEM) -> None:
    options = [f'token_uri = "{service.token_uri}"', f'auth_uri = "{service.auth_uri}"', *lines]
    project.configure(
        "\n".join(
            [
                "[jobs.gmail_ingest_acct1]",
                'source = "gmail"',
                f'source_system = "{system}"',
                'object_type = "email"',
                f'endpoint = "{service.endpoint}"',
                *options,
            ]
        )
    )


def client_file(service: GmailService) -> dict[str, dict[str, str]]:
    """What Google's console gives for a client of type Desktop app."""
    return {
        "installed": {
            "client_id": service.client_id,
            "client_secret": service.client_secret,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    }


def login_file(project: Project, account: str = "acct1") -> Path:
    return Path(project.variables["XDG_CONFIG_HOME"]) / "lorchestra" / "logins" / f"gmail-{account}.json"


# A person and a browser


class _Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        elif tag == "input" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""


def consent(url: str) -> str:
    """Open the page, agree, and give the address that the browser is sent to."""
    page = requests.get(url, timeout=_SECONDS)
    assert page.status_code == 200, page.text
    form = _Form(page.text)
    assert form.action is not None
    sent = requests.post(urljoin(url, form.action), data=form.fields, timeout=_SECONDS, allow_redirects=False)
    assert sent.status_code in {302, 303}, sent.text
    return sent.headers["Location"]


@dataclass
class Running:
    """The command, and what it has said so far."""

    process: "subprocess.Popen[str]"
    said: str = ""

    def url(self) -> str:
        """The address that it prints for the person to open."""
        deadline = time.monotonic() + _SECONDS
        descriptor = self.process.stderr.fileno()  # type: ignore[union-attr]
        while not (found := re.search(r"^(http\S+)\n", self.said, re.MULTILINE)):
            assert time.monotonic() < deadline, self.said
            if select.select([descriptor], [], [], 0.2)[0]:
                piece = os.read(descriptor, 65_536).decode()
                assert piece, f"it ended: {self.said}"
                self.said += piece
        return found[1]

    def end(self, stdin: str | None = None) -> Outcome:
        """Give it this line, and wait for its end."""
        stdout, stderr = self.process.communicate(stdin, timeout=_SECONDS)
        assert "Traceback" not in stderr, stderr
        return Outcome(code=self.process.returncode, stdout=stdout, stderr=self.said + stderr)


@contextmanager
def login(
    project: Project, *arguments: str, account: str = "acct1", env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    with subprocess.Popen(
        [COMMAND, "auth", "gmail", account, *arguments],
        cwd=project.folder,
        env=project.environment(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            process.kill()


def logged_in(project: Project, *arguments: str, account: str = "acct1") -> Outcome:
    """Log in by pasting; it must work."""
    with login(project, "--no-browser", *arguments, account=account) as running:
        outcome = running.end(consent(running.url()) + "\n")
    assert outcome.code == 0, outcome
    return outcome


FROM_FILE = ("--client-secrets", "client.json")


# The flow


def test_a_browser_here_comes_back_to_the_command(project: Project, service: GmailService) -> None:
    """The address asks for reading only, offline, with PKCE and a state, and leads back to a port of ours."""
    with login(project, *FROM_FILE) as running:
        url = running.url()
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        back = consent(url)
        page = requests.get(back, timeout=_SECONDS)
        outcome = running.end()
    assert page.status_code == 200
    assert "close this page" in page.text
    assert url.startswith(f"{service.auth_uri}?")
    assert asked["scope"] == READONLY
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", asked["redirect_uri"])
    assert back.startswith(asked["redirect_uri"])
    assert outcome.code == 0, outcome
    assert f"The login is kept in {login_file(project)}." in outcome.stderr
    assert "lorchestra run gmail_ingest_acct1" in outcome.stderr
    assert works(project)


def works(project: Project) -> bool:
    """Whether the job's login is accepted, by doctor."""
    project.lorchestra("setup")
    rows = project.lorchestra("doctor", "--json").rows
    return {row["check"]: row["state"] for row in rows}["login gmail_ingest_acct1"] == "ok"


def test_a_stranger_at_the_port_changes_nothing(project: Project) -> None:
    """Another page that calls it, with no state or a wrong one, is turned away; the answer still counts."""
    with login(project, *FROM_FILE) as running:
        url = running.url()
        port = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        for path in ("", "favicon.ico", "?code=stolen-code&state=wrong", "?error=access_denied"):
            assert requests.get(port + path, timeout=_SECONDS).status_code == 400
        requests.get(consent(url), timeout=_SECONDS)
        assert running.end().code == 0


def test_without_a_browser_the_address_is_pasted(project: Project, service: GmailService) -> None:
    """Nothing listens at the address that the browser is sent to."""
    with login(project, *FROM_FILE, "--no-browser") as running:
        back = consent(running.url())
        with pytest.raises(requests.ConnectionError):
            requests.get(back, timeout=_SECONDS)
        outcome = running.end(f"  {back}\n")
    assert outcome.code == 0, outcome
    assert works(project)


@pytest.mark.parametrize("form", ["code", "quoted code", "query"])
def test_a_part_of_the_address_is_enough(project: Project, form: str) -> None:
    """The code alone, as it stands there or decoded, or all behind the question mark."""
    with login(project, *FROM_FILE, "--no-browser") as running:
        query = urlsplit(consent(running.url())).query
        code = parse_qs(query)["code"][0]
        pasted = {"code": code, "quoted code": urlencode({"": code})[1:], "query": query}[form]
        assert running.end(f"{pasted}\n").code == 0


def test_a_job_names_its_client_file(project: Project, service: GmailService) -> None:
    """Relative to the configuration, wherever the command is given."""
    configure(project, service, 'client_secrets = "client.json"')
    below = project.folder / "below"
    below.mkdir()
    logged_in(replace(project, folder=below))
    assert works(project)


def test_the_client_may_stand_in_variables(project: Project, service: GmailService) -> None:
    """Those of the job; and it is said that a refresh token there comes first."""
    variables = service.variables(SYSTEM)
    del variables["TAP_GMAIL_ACCT1_PERSONAL_REFRESH_TOKEN"]
    project.variables |= variables
    outcome = logged_in(project)
    assert "does not use it while TAP_GMAIL_ACCT1_PERSONAL_* variables are set" in outcome.stderr


def test_a_later_login_needs_no_client_file(project: Project) -> None:
    """That of the first is kept with it, and the new login takes the place of the old."""
    logged_in(project, *FROM_FILE)
    before = json.loads(login_file(project).read_text())
    logged_in(project)
    after = json.loads(login_file(project).read_text())
    assert before["refresh_token"] != after["refresh_token"]
    assert before["client_id"] == after["client_id"]
    assert after["token_uri"] is None
    assert works(project)


def test_a_login_without_a_job_says_which_to_write(project: Project, service: GmailService) -> None:
    """The table can be pasted, and finds the login."""
    configure(project, service, 'account = "shared"', system="tap-gmail--team")
    logged_in(project, *FROM_FILE, account="shared")
    client = client_file(service)["installed"] | {
        "token_uri": service.token_uri,
        "auth_uri": service.auth_uri,
    }
    (project.folder / "client.json").write_text(json.dumps({"installed": client}))
    outcome = logged_in(project, *FROM_FILE, account="acct2")
    assert "No job uses it yet" in outcome.stderr
    with (project.folder / "lorchestra.toml").open("a") as file:
        file.write(f'\n{outcome.stdout}endpoint = "{service.endpoint}"\n')
    rows = {row["check"]: row["state"] for row in doctor(project)}
    assert rows["login gmail_ingest_acct1"] == "ok"
    assert rows["login gmail_ingest_acct2"] == "ok"


def doctor(project: Project) -> list[dict[str, str]]:
    project.lorchestra("setup")
    return project.lorchestra("doctor", "--json").rows


def test_a_login_that_ends_soon_says_when(project: Project) -> None:
    """Seven days, while the app is in testing; and how to make it last."""
    with gmail_service(refresh_token_expires_in=604_799) as service:
        configure(project, service)
        (project.folder / "client.json").write_text(json.dumps(client_file(service)))
        outcome = logged_in(project, *FROM_FILE)
    assert re.search(r"It ends on \d{4}-\d\d-\d\d \d\d:\d\d", outcome.stderr)
    assert "publish the app" in outcome.stderr
    assert json.loads(login_file(project).read_text())["expires_at"]


# What can go wrong


def refused(project: Project, pasted: str, *arguments: str) -> str:
    """What is said when this is pasted, `URL` and `STATE` filled in; nothing is kept."""
    with login(project, *FROM_FILE, "--no-browser", *arguments) as running:
        url = running.url()
        asked = parse_qs(urlsplit(url).query)
        text = pasted.replace("URL", asked["redirect_uri"][0]).replace("STATE", asked["state"][0])
        outcome = running.end(f"{text}\n")
    assert outcome.code == 1
    assert not login_file(project).exists()
    return outcome.stderr


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("URL?state=wrong&code=4/0AbCdEfGh", "answer to another attempt"),
        ("URL?code=4/0AbCdEfGh", "answer to another attempt"),
        ("URL?state=STATE&error=access_denied", "consent was refused"),
        ("URL?state=STATE&error=admin_policy_enforced", "administrator"),
        ("URL?state=STATE&error=secret-looking-word", "refused it"),
        ("URL?state=STATE", "neither a code nor the address"),
        ("", "neither a code nor the address"),
        ("yes please", "neither a code nor the address"),
        ("4/0AbCdEfGhIjKl", "the code is wrong, too old, or was used already"),
    ],
)
def test_a_wrong_answer_is_explained(project: Project, pasted: str, says: str) -> None:
    """With the command to type again; what was pasted is not repeated."""
    said = refused(project, pasted)
    assert says in said
    assert "lorchestra auth gmail acct1" in said
    assert "0AbCdEfGh" not in said
    assert "secret-looking-word" not in said


def test_an_unticked_box_is_a_wrong_scope(project: Project, service: GmailService) -> None:
    """Google then gives a login that may not read mail; it is not kept."""
    service.fail(
        Fault(method="POST", path="^/token", action=rewrite(lambda given: given | {"scope": "openid email"}))
    )
    with login(project, *FROM_FILE, "--no-browser") as running:
        outcome = running.end(consent(running.url()) + "\n")
    assert outcome.code == 1
    assert "the scope gmail.readonly was not granted" in outcome.stderr
    assert "Tick the box" in outcome.stderr
    assert not login_file(project).exists()


def test_a_login_without_refresh_token_is_explained(project: Project, service: GmailService) -> None:
    """It would last an hour."""

    def without(given: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in given.items() if name != "refresh_token"}

    service.fail(Fault(method="POST", path="^/token", action=rewrite(without)))
    with login(project, *FROM_FILE, "--no-browser") as running:
        outcome = running.end(consent(running.url()) + "\n")
    assert outcome.code == 1
    assert "gave no refresh token" in outcome.stderr
    assert "myaccount.google.com" in outcome.stderr


def test_a_service_that_is_down_is_for_later(project: Project, service: GmailService) -> None:
    """The code cannot be exchanged now."""
    service.fail(Fault(method="POST", path="^/token", action=answer(503, {}), times=9))
    with login(project, *FROM_FILE, "--no-browser") as running:
        outcome = running.end(consent(running.url()) + "\n")
    assert outcome.code == 1
    assert "HTTP 503" in outcome.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("not json", "not JSON"),
        ("[]", "not a file of an OAuth client"),
        ('{"web": {"client_id": "x"}}', "Web application, not Desktop app"),
        ('{"type": "service_account"}', "key of a service account"),
        ('{"installed": {"client_id": "x"}}', "has no client_secret"),
        ('{"installed": {"client_id": "x", "client_secret": "y", "token_uri": "http://a.b/"}}', "https://"),
    ],
)
def test_a_wrong_client_file_is_explained(project: Project, content: str | None, says: str) -> None:
    """Before anybody has to open a browser."""
    (project.folder / "client.json").unlink()
    if content is not None:
        (project.folder / "client.json").write_text(content)
    outcome = project.lorchestra("auth", "gmail", "acct1", *FROM_FILE, "--no-browser", code=1)
    assert says in outcome.stderr
    assert "127.0.0.1" not in outcome.stderr


def test_without_a_client_the_guide_is_named(project: Project) -> None:
    """The page says step by step how to make one, and is there."""
    outcome = project.lorchestra("auth", "gmail", "acct1", code=2)
    assert "docs/gmail-login.md" in outcome.stderr
    assert "--client-secrets FILE" in outcome.stderr
    assert (Path(__file__).parents[1] / "docs" / "gmail-login.md").exists()


@pytest.mark.parametrize("account", ["a/b", "../x", "two words"])
def test_a_name_that_cannot_be_one_is_refused(project: Project, account: str) -> None:
    """It would be a file's."""
    assert "account" in project.lorchestra("auth", "gmail", account, code=2).stderr


# Keeping and forgetting


def test_a_keyring_keeps_it_where_there_is_one(project: Project) -> None:
    """No file of ours is made."""
    project.variables["PYTHON_KEYRING_BACKEND"] = "keyrings.alt.file.PlaintextKeyring"
    outcome = logged_in(project, *FROM_FILE)
    assert "The login is kept in the system keyring." in outcome.stderr
    assert not login_file(project).exists()
    assert works(project)
    assert "system keyring" in project.lorchestra("auth", "gmail", "acct1", "--remove").stderr
    assert project.lorchestra("auth", "gmail", "acct1", "--remove", code=2)


def test_removing_forgets_the_file(project: Project) -> None:
    """And says that Google still permits it, and where to change that."""
    logged_in(project, *FROM_FILE)
    outcome = project.lorchestra("auth", "gmail", "acct1", "--remove")
    assert not login_file(project).exists()
    assert "myaccount.google.com" in outcome.stderr


@pytest.mark.parametrize("damage", ["readable by others", "no login"])
def test_logging_in_again_mends_what_is_kept(project: Project, damage: str) -> None:
    """Whatever is wrong with the file."""
    logged_in(project, *FROM_FILE)
    if damage == "no login":
        login_file(project).write_text("{}")
    else:
        login_file(project).chmod(0o644)
    logged_in(project, *FROM_FILE)
    assert stat.S_IMODE(login_file(project).stat().st_mode) == 0o600
    assert works(project)


# Doctor


def test_doctor_shows_logins_beside_a_store_that_cannot_be_opened(project: Project) -> None:
    """Neither hides the other."""
    logged_in(project, *FROM_FILE)
    (project.folder / "lorchestra.duckdb").write_text("no database")
    rows = project.lorchestra("doctor", "--json", code=1).rows
    states = {row["check"]: row["state"] for row in rows}
    assert states["login gmail_ingest_acct1"] == "ok"
    assert "missing" in states.values()


def test_doctor_goes_on_after_a_job_that_is_wrong(project: Project) -> None:
    """Its mistake is a finding, with its place; the others are examined."""
    logged_in(project, *FROM_FILE)
    with (project.folder / "lorchestra.toml").open("a") as file:
        file.write('\n[jobs.broken]\nsource = "gmail"\nsubject = "me@example.com"\n')
        file.write('\n[jobs.elsewhere]\nsource = "none_such"\n')
    project.lorchestra("setup")
    rows = {row["check"]: row for row in project.lorchestra("doctor", "--json", code=1).rows}
    assert rows["login gmail_ingest_acct1"]["state"] == "ok"
    assert rows["job broken"]["state"] == "missing"
    assert "service_account and subject need each other" in rows["job broken"]["found"]
    assert rows["job elsewhere"]["state"] == "missing"


def test_doctor_without_gmail_is_as_before(project: Project) -> None:
    """A store that cannot be opened is an error, not a table."""
    project.configure()
    (project.folder / "lorchestra.duckdb").write_text("no database")
    shown = project.lorchestra("doctor", code=1)
    assert "login" not in shown.words


# Secrets


def test_nothing_of_a_login_gets_out(project: Project, service: GmailService, tmp_path: Path) -> None:
    """Tokens, secret and address are in the login's file and nowhere else: no output, event or other file."""
    words = [logged_in(project, *FROM_FILE).words]
    kept = json.loads(login_file(project).read_text())
    secrets = [kept["refresh_token"], kept["client_secret"], service.address]
    words += [project.lorchestra("setup").words, project.lorchestra("doctor").words]
    words += [project.lorchestra("jobs", "show", "gmail_ingest_acct1").words]
    service.refuse_login("invalid_grant", f"{service.address} {kept['refresh_token']}")
    words += [project.lorchestra("run", "gmail_ingest_acct1", code=1).words]
    words += [project.lorchestra("doctor", code=1).words]
    words += [json.dumps(project.events(), default=str)]
    for secret in secrets:
        assert not [text for text in words if secret in text]
        assert [path for path in _files(tmp_path) if secret.encode() in path.read_bytes()] == (
            [login_file(project)]
            if secret == kept["refresh_token"]
            else [project.folder / "client.json", login_file(project)]
            if secret == kept["client_secret"]
            else []
        )
    assert stat.S_IMODE(login_file(project).stat().st_mode) == 0o600
    assert stat.S_IMODE(login_file(project).parent.stat().st_mode) == 0o700


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name)


def test_help_and_listings_need_none_of_it(project: Project) -> None:
    """Neither Google's libraries nor the keyring are imported before they are used."""
    script = "import sys; from lorchestra.cli import main; main(standalone_mode=False); "
    script += "print([name for name in ('google.auth', 'keyring', 'requests') if name in sys.modules])"
    for arguments in (["--help"], ["auth", "gmail", "--help"], ["jobs", "list"]):
        done = subprocess.run(
            [COMMAND.with_name("python"), "-c", script, *arguments],
            cwd=project.folder,
            env=project.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == "[]", arguments
