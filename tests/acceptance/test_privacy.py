"""No content, no address and no secret but where it belongs: canaries in every field, then a look at all."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import keyring
import pytest
from keyring.backends.null import Keyring as NullKeyring

from lorchestra.sources.login_store import LoginStore, StoredLogin
from tests.acceptance.canaries import MARK, Canaries, Session, clean, session
from tests.project import JOB, Project, new_project

# A source and jobs of somebody else's, that fail over their data at every point where they may.
PACKAGE = """
from dataclasses import dataclass
import sys
import threading
import warnings

from lorchestra.model import Finding, Progress, Record, Rejection
from lorchestra.sources.base import SourceOptions, SourceType

DATA = "%s"


class Options(SourceOptions):
    stage: str = ""
    client_secret: str | None = None
    webhook_url: str | None = None
    note: str | None = None


class Thing:
    def __repr__(self):
        return DATA

    __str__ = __repr__


def fail():
    try:
        raise KeyError(DATA)
    except KeyError as error:
        failure = ValueError(f"cannot use {DATA} of someone@{DATA}.org")
        failure.add_note(DATA)
        raise failure from error


@dataclass
class Source:
    stage: str

    def records(self, window, cursor):
        yield Record(data={"id": f"a{DATA}", DATA: {"deep": [DATA, {DATA: DATA}]}}, position=f"row {DATA}")
        if self.stage == "records":
            fail()
        if self.stage == "thing":
            yield Record(data={"id": "thing", "value": Thing()}, position=DATA)
            yield Record(data={"no": DATA}, position=DATA)
            yield Record(data={"id": {DATA: DATA}}, position=DATA)
            yield Record(data={"id": "key", Thing(): 1}, position=DATA)
            yield Rejection(reason=f"cannot read '{DATA}' of row 7", position=DATA)
        if self.stage == "exit":
            sys.exit(DATA)

    def next_cursor(self):
        if self.stage == "cursor":
            fail()

    def progress(self):
        if self.stage == "progress":
            fail()
        return Progress()

    def telemetry(self):
        if self.stage == "telemetry":
            fail()
        return {}


def open_source(options, context):
    if options.stage == "open":
        fail()
    return Source(options.stage)


def key_fn(source_system):
    def key(record):
        if record["id"] == "thing":
            fail()
        return f"{source_system}:row:{record['id']}"

    return key


def diagnose(options, context):
    if options.stage:
        fail()
    return [Finding(check="trap", ok=True, found="there")]


TRAP = SourceType(
    summary="Fails over its data.", object_type="row", options=Options, open=open_source, idem_key_fn=key_fn,
    diagnose=diagnose,
)


def explode(context):
    context.upsert_objects(
        objects=[{"id": "1", "v": DATA}, {"v": Thing()}], source_system="s", object_type="t",
        idem_key_fn=lambda row: f"s:t:{row['id']}",
    )


def leave(context):
    sys.exit(DATA)


def misuse(context):
    context.log_event(event_type="report.completed", source_system="x", payload={"v": Thing(), DATA: {1, 2}})
"""
STAGES = ("", "open", "records", "thing", "exit", "cursor", "progress", "telemetry")
# Each fails over a row; the last over one that also has the words of a harmless error.
QUERIES = (
    "SELECT CAST(JSON_VALUE(payload, '$.snippet') AS INT64) FROM `events_dev.raw_objects`",
    "SELECT PARSE_TIMESTAMP('%Y', idem_key) FROM `events_dev.raw_objects`",
    "SELECT PARSE_JSON(idem_key) FROM `events_dev.raw_objects`",
    "SELECT REGEXP_CONTAINS('x', CONCAT('(', idem_key)) FROM `events_dev.raw_objects`",
    "SELECT ERROR(CONCAT('parameter ', idem_key)) FROM `events_dev.raw_objects`",
)


_NO_KEYRING = "keyring.backends.null.Keyring"
LOOKS = (
    ["runs"],
    ["runs", "--json"],
    ["jobs", "show", "explode"],
    ["status"],
    ["status", "--json"],
)


def mailbox(canary: Canaries) -> bytes:
    """Messages with a canary in every field and every kind of part; some are broken."""
    number = 1_849_000_000_000_000_000
    c = canary
    word = b64encode(c("encoded word").encode()).decode()
    text = b64encode(f"{c('base64 text')} and more".encode()).decode()
    wide = b64encode(c("UTF-16 text").encode("utf-16")).decode()
    whole = f"""From {number}@xxx Fri Nov 21 08:00:00 +0000 2025
X-GM-THRID: {number}
X-Gmail-Labels: Inbox,{c("label")},=?utf-8?b?{word}?=
X-{c("header name")}: {c("header value")}
Received: from {c("host")} by {c("other host")}; {c("received")}
Date: Fri, 21 Nov 2025 08:00:00 +0000 ({c("date comment")})
From: "{c("name")}" <{c("sender")}@{c("domain")}.org>
To: {c("recipient")}@example.org, {c("group")}: a@b.org;
Cc: {c("copy")}@example.org
Bcc: {c("blind copy")}@example.org
Subject: =?utf-8?b?{word}?= {c("subject")}
Message-ID: <{c("message id")}@example.org>
In-Reply-To: <{c("reply")}@example.org>
References: <{c("reference")}@example.org>
MIME-Version: 1.0 ({c("version comment")})
Content-Type: multipart/mixed; boundary="b{c("boundary")}"; x="{c("parameter")}"

{c("preamble")}
--b{MARK}n{len(c.places) - 3}n
Content-Type: text/plain; charset={c("charset")}
Content-Transfer-Encoding: {c("transfer encoding")}

{c("plain text")}
--b{MARK}n{len(c.places) - 6}n
Content-Type: text/html; charset=utf-16
Content-Transfer-Encoding: base64

{wide}
{text}
"""
    parts = f"""Content-Type: application/pdf; name="{c("file name")}"
Content-Disposition: attachment; filename*=utf-8''{c("encoded file name")}%20x
Content-Transfer-Encoding: base64
Content-ID: <{c("content id")}>

{text}
---
Content-Type: message/rfc822

Subject: {c("inner subject")}

{c("inner text")}
---
Content-Type: text/calendar
Content-Transfer-Encoding: quoted-printable

=ZZ{c("calendar")}=
---
Content-Type: {c("content type")}

{c("unknown part")}
""".split("---\n")
    boundary = re.search(r'boundary="(.*?)"', whole)
    assert boundary is not None
    inside = "".join(f"--{boundary[1]}\n{part}\n" for part in parts)
    broken = f"""From {c("envelope")}@xxx {c("envelope date")}
X-GM-THRID: {c("thread id")}
Date: {c("broken date")}
Subject: {c("no id")}

{c("text of a broken one")}

From {number + 2}@xxx Fri Nov 21 08:00:00 +0000 2025
{c("no header at all")}

{c("its text")}

From {number + 3}@xxx Fri Nov 21 08:00:00 +0000 2025
Subject: \xff\xfe{c("bytes")}
Content-Type: multipart/mixed; boundary=

{c("no parts")}

From {c("no number")} Fri Nov 21 99:99:99 2025

{c("without anything")}
"""
    text_of_all = re.sub(rf"(?m)^--b{MARK}n\d+n", f"--{boundary[1]}", whole) + inside + "\n" + broken
    return text_of_all.encode("latin-1")


@pytest.fixture(scope="module")
def canary() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, canary: Canaries) -> Project:
    """A project with a canary in everything that is read."""
    folder = tmp_path_factory.mktemp("privacy")
    for name in ("project", "home", "tmp"):
        (folder / name).mkdir(mode=0o755)
    project = Project(folder=folder / "project")
    (project.folder / "takeout.mbox").write_bytes(mailbox(canary))
    project.install(
        "trap-jobs",
        PACKAGE % canary("package"),
        jobs=["explode", "leave", "misuse"],
        sources={"trap": "TRAP"},
    )
    project.configure(*_jobs(canary))
    (project.folder / ".env").write_text(f"UNUSED={canary('.env')}\nMY_TOKEN={canary('.env secret')}\n")
    project.variables |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "XDG_CONFIG_HOME": str(folder / "home" / ".config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "TRACEPARENT": canary("TRACEPARENT"),
        "SOME_API_KEY": canary("environment"),
        "PGPASSWORD": canary("password in the environment"),
    }
    return project


def _jobs(canary: Canaries) -> Iterator[str]:
    for name, source in ((JOB, "takeout"), ("mail", "mbox")):
        yield f"[jobs.{name}]\nsource = '{source}'\nsource_system = 'x--{source}'\npath = 'takeout.mbox'"
    for stage in STAGES:
        yield (
            f"[jobs.trap{stage}]\nsource = 'trap'\nsource_system = 'trap--{stage}x'\nstage = '{stage}'\n"
            f"client_secret = '{canary('secret option')}'\nwebhook_url = 'https://x/{canary('webhook')}'\n"
            f"note = 'ghp_{canary('token by its look')}0000 {canary('address')}@example.org'"
        )
    yield (
        f"[jobs.explode]\napi_key = '{canary('api key')}'\nnested = {{ password = '{canary('nested')}' }}\n"
        f"url = 'https://{canary('user')}:{canary('password')}@host/?token={canary('query')}'\n"
        f'inline = \'{{"private_key": "{canary("inline JSON")}"}}\''
    )


def private(project: Project) -> None:
    """Every file that holds what the source held is its owner's alone; these commands ran with umask 0."""
    for path in [project.database, project.spool.parent, *project.spool.parent.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_of_the_data_is_told_whatever_happens(project: Project, canary: Canaries) -> None:
    jobs = [JOB, "mail", *(f"trap{stage}" for stage in STAGES), "explode", "leave", "misuse"]
    ran = session(project, *(["run", job] for job in jobs), ["run", JOB, "--dry-run"])
    # Broken mail is stored as it is; what cannot be stored at all is rejected.
    failing = {"trapopen", "traprecords", "trapexit", "trapcursor", "trapprogress", "traptelemetry"}
    assert ran.codes == [int(job in {*failing, "explode", "leave", "misuse"}) for job in jobs] + [0]

    looked = session(
        project,
        *LOOKS,
        ["runs", "show", rejecting_run(project)],
        ["runs", "show", rejecting_run(project), "--json"],
        ["retry", rejecting_run(project)],
        ["jobs", "list", "--json"],
        ["jobs", "show", "trap", "--json"],
        ["doctor"],
        ["setup", "--check"],
        *(["query", sql] for sql in QUERIES),
        ["query", "top_senders", "--param", f"x:INT64={canary('typed value')}"],
        ["query", "SELECT 1", "--param", canary("typed parameter")],
        ["copy", "--to", f"kanari://{canary('user of a URL')}:{canary('password of a URL')}@host/x"],
        ["runs", "--store-url", f"postgres://{canary('typed user')}:{canary('typed password')}@host/x"],
    )

    clean(canary, project, ran, looked)
    private(project)
    # The search would have found them: where they belong they are.
    objects = json.dumps(project.objects(), default=str).encode()
    assert canary.found(objects) >= {"subject", "plain text", "header name", "file name", "package", "label"}
    assert any("encoded as" in place for place in canary.found(objects))


def test_nothing_of_the_data_is_shown_on_a_terminal(project: Project, canary: Canaries) -> None:
    """There is a progress bar, and what is said goes above it."""
    jobs = (JOB, "trapthing", "traprecords", "explode")
    shown = session(project, *(["run", job] for job in jobs), *LOOKS, terminal=True)

    assert b"\x1b[" in shown.said
    clean(canary, project, shown)


def rejecting_run(project: Project) -> str:
    """A run that rejected records."""
    return min(path.stem for path in (project.spool / "rejects").glob("trapthing-*"))


def test_what_was_typed_goes_no_further_than_the_terminal(project: Project, canary: Canaries) -> None:
    """A name or a date that is wrong may be repeated to whoever typed it, and is kept nowhere."""
    typed = session(
        project,
        # Something to look at, also where this test comes first.
        ["run", JOB],
        ["run", "mail"],
        ["run", "explode"],
        ["run", JOB, "--since", canary("since")],
        ["run", canary("job")],
        ["runs", "show", canary("run")],
        ["query", canary("query name")],
    )

    assert typed.codes == [0, 0, 1, 2, 2, 2, 2]
    # From here on all of it must be clean, but for what was said.
    clean(canary, project, Session(b"", typed.codes, typed.noted))


def test_no_value_of_a_wrong_configuration_is_told(tmp_path: Path, canary: Canaries) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder=folder)
    c = canary
    wrong = f"""
[store]
url = ['{c("url")}']
busy_timeout_seconds = '{c("seconds")}'
dataset = '{c("dataset")}!'
nope = '{c("unknown key")}'
[spool]
path = ['{c("path")}']
[jobs.x]
source = ['{c("source")}']
source_system = 'a:{c("system")}'
object_type = {{ x = '{c("type")}' }}
---
[store]
url = 'postgres://{c("db user")}:{c("db password")}@host/x'
---
[store]
url = 'bigquery://{c("project")}!/x?{c("option")}'
---
[store]
url = 'bigquery://p/d?location={c("location")}&credentials='
---
[store]
url = '{c("no end")}
---
{c("no value")}
---
x = {c("no type")}
---
[jobs.x]
source = 'gmail'
source_system = 'x'
account = '{c("account")} !'
subject = '{c("subject")}'
token_uri = 'http://{c("host")}/'
quota_units_per_minute = '{c("units")}'
backfill = '{c("backfill")}'
labels = '{c("labels")}'
format = '{c("format")}'
attachments = '{c("attachments")}'
q = ['{c("q")}']
passwort = '{c("unknown option")}'
---
[jobs.x]
source = 'mbox'
source_system = 'x'
path = {{ a = '{c("path table")}' }}
""".split("---\n")
    commands: list[list[str]] = []
    for number, text in enumerate(wrong):
        (folder / f"{number}.toml").write_text(text)
        commands += [[*words, f"--config={number}.toml"] for words in (["run", "x"], ["jobs", "show", "x"])]
    told = session(project, *commands)
    assert told.codes == [2] * len(commands)
    said = [told]
    (folder / ".env").write_text(f"A=1\n{c('.env line')} {c('.env rest')}\n")
    said.append(session(project, ["runs"]))
    (folder / ".env").unlink()
    said.append(
        session(project, ["runs"], env={"LORCHESTRA_STORE_URL": f"{c('user')}://a:{c('password')}@x"})
    )
    said.append(session(project, ["runs"], env={"EVENTS_BQ_DATASET": f"{c('dataset')} !"}))
    assert all(set(one.codes) == {2} for one in said)

    for one in said:
        assert canary.found(one.said) == set(), one.said.decode()
        assert canary.found(one.noted) == set()
        assert b"Traceback" not in one.said


def test_the_security_page_names_every_file_and_how_to_remove_it(tmp_path: Path) -> None:
    """After a run, a failure that waits and a login, nothing lies anywhere that the page does not name."""
    folder, home = tmp_path / "project", tmp_path / "home"
    folder.mkdir()
    project = new_project(folder)
    project.variables = {"HOME": str(home), "XDG_CONFIG_HOME": "", "PYTHON_KEYRING_BACKEND": _NO_KEYRING}
    there = {path for path in folder.rglob("*") if path.is_file()}
    login = StoredLogin(
        refresh_token="r", client_id="c", client_secret="s", scopes=(), created_at=datetime.now(UTC)
    )
    usual = keyring.get_keyring()
    keyring.set_keyring(NullKeyring())
    try:
        LoginStore(project.variables).save("acct1", login)
    finally:
        keyring.set_keyring(usual)
    session(project, ["run", JOB], ["run", JOB, f"--store-url=duckdb:///{folder}"])
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
    named = [path.replace("~", str(home)) for path in re.findall(r"`((?:~/)?[.\w][\w./-]*)`", page)]

    made = {path for path in tmp_path.rglob("*") if path.is_file() and "plan.json" not in path.name} - there
    assert {path.name for path in made} >= {"lorchestra.duckdb", "outbox.jsonl", "gmail-acct1.json"}
    for path in made:
        assert any(
            str(path).startswith((one, f"{folder}/{one}")) for one in named if "/" in one or "." in one
        ), path
        assert path.stat().st_mode & 0o077 == 0, path

    removal = re.search(r"<!-- remove -->\n```text\n(.*?)```", page, re.DOTALL)
    assert removal is not None
    project.shell(removal[1])
    assert {path for path in tmp_path.rglob("*") if path.is_file() and "plan.json" not in path.name} == there
