"""What was stored is shown by the page of one object, and by no other."""

from pathlib import Path

from tests.acceptance.canaries import Canaries
from tests.project import JOB, SOURCE_SYSTEM, Project
from tests.web.conftest import bring_jobs
from tests.web.site import job_path, object_path, run_path, serving, source_path


def test_only_the_page_of_an_object_has_its_content(tmp_path: Path) -> None:
    """Neither addresses, subjects and text of mail nor secrets of the configuration reach another page."""
    canary = Canaries()
    project = bring_jobs(Project(folder=tmp_path))
    (tmp_path / "takeout.mbox").write_text(
        "From 1849000000000000001@xxx Fri Nov 21 01:00:00 +0000 2025\n"
        "X-GM-THRID: 1849000000000000001\n"
        f"X-Gmail-Labels: Inbox,{canary('label')}\n"
        "Date: Fri, 21 Nov 2025 01:00:00 +0000\n"
        f"From: {canary('name')} <{canary('sender')}@example.org>\n"
        f"To: {canary('recipient')}@example.org\n"
        f"Subject: {canary('subject')}\n"
        f"Message-ID: <{canary('message id')}@example.org>\n"
        "Content-Type: text/html; charset=utf-8\n"
        f"\n<p>{canary('body')}</p>\n\n"
    )
    project.configure(
        f"""
        [jobs.{JOB}]
        source = "takeout"
        source_system = "{SOURCE_SYSTEM}"
        object_type = "email"
        path = "takeout.mbox"

        [jobs.never]
        api_key = "{canary("key")}"
        """
    )
    [told] = project.lorchestra("run", JOB, "--json").rows
    [other] = project.lorchestra("run", "never", "--json").rows
    (tmp_path / "takeout.mbox").unlink()
    project.lorchestra("run", JOB, code=1)
    [stored] = project.objects()
    with serving(project) as site:
        for path in (
            "/",
            "/timeline",
            "/runs",
            run_path(told["run_id"]),
            run_path(other["run_id"]),
            run_path(project.events()[-1]["correlation_id"]),
            job_path(JOB),
            job_path("never"),
            "/objects",
            source_path(SOURCE_SYSTEM, "email"),
            "/object?key=x",
        ):
            answer = site.ask(path)
            assert canary.found(answer.body, secrets=[site.token]) == set(), path
        found = canary.found(site.ask(object_path(stored["idem_key"])).body, secrets=[site.token])
        # The way of encoding is found as well as what is encoded.
        assert {"subject", "sender", "body"} <= {place.split()[0] for place in found} | found
        assert "key" not in found
        assert not [place for place in found if place.startswith("secret")]
