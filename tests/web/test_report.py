"""The report is one file: it shows what the page shows, loads nothing, leads nowhere, holds no objects."""

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from docs.past import write_past
from tests.project import JOB, Project, new_project
from tests.web.conftest import PAST, bring_jobs
from tests.web.test_looks import AXE, DESK, PHONE, violations


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a past of weeks, and real runs."""
    made = bring_jobs(new_project(tmp_path_factory.mktemp("report"), messages=4))
    with made.store() as store:
        write_past(store, PAST, now=datetime.now(UTC))
    made.lorchestra("run", JOB)
    made.lorchestra("run", "fails", code=1)
    return made


@pytest.fixture(scope="module")
def reports(project: Project) -> dict[str, Path]:
    """A report of the last days, of a run that succeeded and of one that failed."""
    runs = {run["job_name"]: run["run_id"] for run in project.lorchestra("runs", "--json").rows}
    arguments = {"days": [], "good": [runs[JOB]], "bad": [runs["fails"]]}
    for name, given in arguments.items():
        told = project.lorchestra("report", *given, "-o", f"{name}.html")
        assert told.stdout == ""
        assert told.stderr == f"{name}.html: written\n"
    return {name: project.folder / f"{name}.html" for name in arguments}


def test_it_loads_nothing_and_leads_nowhere(reports: dict[str, Path], browser: Browser) -> None:
    """Without a network, from its file; no script, no link, no picture from elsewhere. It is its owner's."""
    for path in reports.values():
        text = path.read_text()
        assert not re.search(r"<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import", text), path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: pytest.fail(message.text))
        for path in reports.values():
            page.goto(path.as_uri())
        assert asked == [path.as_uri() for path in reports.values()]


def test_it_says_what_is_wrong_and_what_was(project: Project, reports: dict[str, Path]) -> None:
    """Its numbers are those of the view; the failures stand in it one by one."""
    text = " ".join(re.sub(r"<[^>]+>", " ", reports["days"].read_text()).split())
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=6)
    [row] = project.table(
        "SELECT COUNTIF(state != 'running') AS runs, COUNTIF(state = 'failed') AS failed, "
        "SUM(inserted) AS inserted FROM `events_dev.job_runs` WHERE ended_at >= @first",
        first=first,
    )
    assert f"runs {row['runs']:,} failed {row['failed']:,} new objects {row['inserted']:,}" in text
    failed = project.table(
        "SELECT run_id FROM `events_dev.job_runs` WHERE state = 'failed' AND started_at >= @first",
        first=first,
    )
    for run in failed:
        assert run["run_id"] in text
    good = reports["good"].read_text()
    assert "✓ Verified" in good
    assert "4 were stored first by this run" in good


def test_no_object_is_in_it(project: Project, reports: dict[str, Path]) -> None:
    """No key and no content."""
    stored = project.objects()
    assert stored
    for path in reports.values():
        text = path.read_text()
        for one in stored:
            assert one["external_id"] not in text
        assert "@example" not in text


def test_it_is_fit_for_all_and_for_paper(reports: dict[str, Path], browser: Browser) -> None:
    """axe finds nothing; it is not wider than a phone; it can be printed."""
    with browser.new_context(bypass_csp=True, viewport=DESK) as context:
        page = context.new_page()
        for path in reports.values():
            page.goto(path.as_uri())
            page.evaluate(AXE)
            assert violations(page) == [], path
            assert page.pdf(format="A4").startswith(b"%PDF")
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path
            page.set_viewport_size(DESK)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-20260101000000"], "there is none of this id"),
        (["--since", "3x"], "since"),
        (["--since", "2999-01-01"], "--since: lies in the future"),
        (["--since", "99999999w"], "--since"),
        (["-o", "no/such/folder.html"], "--output: cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_said(project: Project, arguments: list[str], said: str) -> None:
    """In a sentence with the next step; nothing is written."""
    before = set(project.folder.iterdir())
    told = project.shell(f"lorchestra report {' '.join(arguments)} 2>&1 || true")
    assert told.startswith("Error: ")
    assert said in told
    assert set(project.folder.iterdir()) == before


def test_a_report_that_cannot_be_written_whole_leaves_the_one_before(project: Project) -> None:
    """Nor is anything of the new one left."""
    report = project.folder / "weekly.html"
    project.lorchestra("report", "-o", report.name)
    before, names = report.read_bytes(), sorted(project.folder.iterdir())
    told = project.shell(f"ulimit -f 8; lorchestra report --since 30d -o {report.name} 2>&1 || echo $?")

    assert told.startswith("Error: ")
    assert "--output: cannot be written: File too large" in told
    assert report.read_bytes() == before
    assert sorted(project.folder.iterdir()) == names
    # What is no file is written to as ever.
    assert project.shell("lorchestra report -o /dev/stdout | cat").startswith("<!doctype html>")
    (project.folder / "link.html").symlink_to(report)
    report.chmod(0o640)
    project.lorchestra("report", "--since", "1d", "-o", "link.html")
    assert (project.folder / "link.html").is_symlink()
    assert report.read_bytes() != before
    assert stat.S_IMODE(report.stat().st_mode) == 0o640


def test_it_goes_to_standard_output_and_back_for_years(project: Project) -> None:
    """Each day is a line, from the first that is asked for until today."""
    for since, days in (("1d", 1), ("4w", 28), ("400d", 400)):
        text = project.lorchestra("report", "--since", since, "-o", "-").stdout
        assert text.startswith("<!doctype html>")
        assert len(re.findall(r'<th scope="row">\w{3} \d\d-\d\d</th>', text)) == days


def test_a_store_without_runs_has_a_report_too(tmp_path: Path) -> None:
    """It says so."""
    empty = new_project(tmp_path)
    assert "No jobs yet" not in empty.lorchestra("report", "-o", "-").stdout
    (tmp_path / "lorchestra.toml").write_text("")
    assert "No jobs yet" in empty.lorchestra("report", "-o", "-").stdout
