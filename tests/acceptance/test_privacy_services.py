"""What services answer and what they are sent: no content and no secret but where it belongs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.canaries import Canaries, clean, session
from tests.emulator.front import Fault as BigQueryFault
from tests.emulator.front import ServiceFront, rewrite, service_error
from tests.gmail.front import Fault, GmailService, answer, gmail_service, google_error
from tests.project import JOB, SOURCE_SYSTEM, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for name in ("project", "home", "tmp"):
        (tmp_path / name).mkdir()
    project = Project(folder=tmp_path / "project")
    project.variables = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / ".config"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "BROWSER": "true",
    }
    return project


@pytest.fixture
def service() -> Iterator[GmailService]:
    with gmail_service(address="kanari4711@example.com") as started:
        yield started


def mail(canary: Canaries) -> bytes:
    return (
        f"From: {canary('sender')}@example.com\r\nTo: {canary('recipient')}@example.com\r\n"
        f"Subject: {canary('subject')}\r\nDate: Fri, 21 Nov 2025 08:00:00 +0000\r\n"
        f"Message-ID: <{canary('message id')}@example.com>\r\nX-{canary('header')}: {canary('value')}\r\n\r\n"
        f"{canary('text')}\r\n"
    ).encode()


def test_nothing_that_gmail_answers_is_told(project: Project, service: GmailService) -> None:
    """Refused and accepted logins, errors of the API and of single messages."""
    canary = Canaries()
    broken, *_ = [service.insert(mail(canary)) for _ in range(4)]
    options = [f"{name} = '{getattr(service, name)}'" for name in ("endpoint", "token_uri", "auth_uri")]
    gmail = ["source = 'gmail'", f"source_system = '{SOURCE_SYSTEM}'", *options]
    named = ["source = 'gmail'", f"source_system = 'other--{SOURCE_SYSTEM}'", "account = 'acct9'", *options]
    project.configure("\n".join([f"[jobs.{JOB}]", *gmail]), "\n".join(["[jobs.other]", *named]))
    login = project.folder.parent / "home" / ".config" / "lorchestra" / "logins" / "gmail-acct9.json"
    login.parent.mkdir(parents=True, mode=0o700)
    login.write_text(json.dumps({"refresh_token": canary("kept login"), "client_id": canary("client")}))
    login.chmod(0o600)
    client = {
        "client_id": service.client_id,
        "client_secret": canary("client secret"),
        "other": canary("other"),
    }
    (project.folder / "client.json").write_text(json.dumps({"installed": client}))
    (project.folder / "login.json").write_text(f"{{ {canary('no JSON')}")
    words = service.variables(SOURCE_SYSTEM)

    service.refuse_login("invalid_grant", canary("description of a refusal"))
    sessions = [
        session(
            project,
            ["run", JOB],
            ["run", "other"],
            ["doctor"],
            ["auth", "gmail", "acct1", "--no-browser", "--client-secrets", "login.json"],
            ["auth", "gmail", "acct1", "--no-browser", "--client-secrets", "client.json"],
            env=words,
            stdin=f"http://127.0.0.1/?state={canary('state')}&code={canary('code')}\n".encode(),
        )
    ]
    assert sessions[0].codes == [1, 1, 1, 1, 1]
    service.allow_login()

    refusals = [
        google_error(400, canary("400"), reason=canary("reason"), status=canary("status")),
        google_error(403, canary("403"), reason="forbidden", status="X", detail={"reason": canary("detail")}),
        google_error(404, canary("404"), reason="notFound", status="X", entry={"location": canary("place")}),
    ]
    for refusal in refusals:
        action = answer(refusal.status, refusal.json or {})
        service.fail(Fault(method="GET", path="/messages\\?", action=action))
    trouble = google_error(400, canary("message"), reason=canary("its reason"), status="X")
    action = answer(400, trouble.json or {})
    service.fail(Fault(method="GET", path=f"/messages/{broken}", action=action, times=99))
    ran = session(project, *[["run", JOB]] * 4, ["runs", "--json"], ["doctor"], env=words)
    # `other` has no login that can be used.
    assert ran.codes == [1, 1, 1, 0, 0, 1], ran.said.decode()
    [rejected] = (project.spool / "rejects").iterdir()
    shown = session(project, ["retry", rejected.stem], ["runs", "show", rejected.stem, "--json"], env=words)

    secrets = (service.refresh_token, service.client_secret, *service._tokens._access)
    clean(canary, project, *sessions, ran, shown, secrets=secrets)
    assert len(project.objects()) == 3
    assert canary.found(json.dumps(project.objects(), default=str).encode()) >= {"subject", "text"}


def test_nothing_but_rows_goes_to_bigquery_and_none_of_its_answers_is_told(
    project: Project, bigquery_service: ServiceFront
) -> None:
    """Names, labels, descriptions, statements and their parameters hold no data; its errors quote it."""
    canary = Canaries()
    project.store_url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    project.variables["BIGQUERY_EMULATOR_HOST"] = bigquery_service.endpoint
    jobs = ("first", "upload", "merge", "refused")
    for job in jobs:
        message = mail(canary).replace(b"\r", b"")
        (project.folder / f"{job}.mbox").write_bytes(b"From x@y Fri Nov 21 08:00:00 2025\n" + message)
    project.configure(
        *(
            f"[jobs.{job}]\nsource = 'mbox'\nsource_system = 'mbox--{job}'\npath = '{job}.mbox'"
            for job in jobs
        )
    )
    for fault in faults(canary):
        bigquery_service.fail(fault)

    ran = session(
        project,
        ["setup"],
        *(["run", job] for job in ("first", *jobs)),
        ["runs", "--json"],
        ["doctor"],
        ["query", "SELECT 4711 AS one"],
    )

    assert ran.codes == [0, 0, 0, 1, 1, 1, 0, 0, 2], ran.said.decode()
    assert len(project.objects()) == 1
    clean(canary, project, ran)
    sent = b"\n".join(
        json.dumps([one.method, one.path, one.json]).encode()
        for one in bigquery_service.requests
        if not one.path.startswith("/upload/")
    )
    assert len(sent) > 10_000
    assert canary.found(sent) == set()


def faults(canary: Canaries) -> Iterator[BigQueryFault]:
    """Of the third upload, of two merges and of one query: their words quote data."""

    def choked(job: dict[str, Any]) -> dict[str, Any]:
        trouble = {"reason": "invalidQuery", "message": canary("message"), "location": f"row {canary('row')}"}
        return {**job, "status": {"state": "DONE", "errorResult": trouble, "errors": [trouble]}}

    upload = service_error(400, "invalid", canary("refused upload"))
    merge = service_error(403, "accessDenied", canary("refused merge"))
    query = service_error(400, "invalidQuery", f"Bad value: {canary('value')} in '{canary('quoted')}'")
    yield BigQueryFault(method="POST", path="^/upload/", action=answer(400, upload), after=2)
    yield BigQueryFault(method="POST", path="/jobs", body="mbox--merge:", action=rewrite(choked))
    yield BigQueryFault(method="POST", path="/jobs", body="mbox--refused:", action=answer(403, merge))
    yield BigQueryFault(method="POST", path="/(jobs|queries)", body="4711 AS one", action=answer(400, query))
