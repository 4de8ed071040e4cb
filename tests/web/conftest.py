"""A browser, and sites to look at with it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from docs.browser import FLAGS, browser_path
from docs.past import PastJob, write_past
from tests.project import JOB, SOURCE_SYSTEM, Project, new_project
from tests.web.site import Site, job_path, object_path, run_path, serving, source_path

LOGIN = {"code": "source.login", "message": "The login has expired."}
QUOTA = {"code": "quota.daily", "message": "The quota of today is used up."}
LONG_NAME = "a_job_whose_name_is_as_long_as_somebody_liked_and_has_no_place_to_break_it_anywhere_at_all"
#: Every two hours and well; failing; late; and one that runs but once a day, with a long name.
PAST = (
    PastJob(
        name="contacts",
        source_system="crm--main",
        object_type="contact",
        every=timedelta(hours=2),
        since=timedelta(days=5),
        error=QUOTA,
        fails_every=17,
    ),
    PastJob(
        name="payments",
        source_system="pay--main",
        object_type="payment",
        every=timedelta(hours=12),
        since=timedelta(days=12),
        error=LOGIN,
        failing=3,
    ),
    PastJob(
        name="letters",
        source_system="scan--main",
        object_type="letter",
        every=timedelta(days=1),
        since=timedelta(days=8),
        ends=timedelta(days=4),
        error=QUOTA,
    ),
    PastJob(
        name=LONG_NAME,
        source_system="long--main",
        every=timedelta(days=1),
        since=timedelta(days=10),
        error=QUOTA,
    ),
)
CODE_OF_JOBS = """
import time


def never(context):
    pass


def letters(context):
    pass


def held(context):
    context.upsert_objects(
        objects=[{"id": n} for n in range(3)],
        source_system="held--main",
        object_type="page",
        idem_key_fn=lambda page: f"held:page:{page['id']}",
    )
    (context.base / "begun").touch()
    for _ in range(1200):
        if (context.base / "more").exists():
            (context.base / "more").unlink()
            context.upsert_objects(
                objects=[{"id": n} for n in range(3, 10)],
                source_system="held--main",
                object_type="page",
                idem_key_fn=lambda page: f"held:page:{page['id']}",
            )
        if (context.base / "go-on").exists():
            (context.base / "go-on").unlink()
            return
        time.sleep(0.02)


def fails(context):
    raise ValueError("no")
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of the machine; one for each process of the tests."""
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a past of weeks, real runs of a mailbox, and real failures."""
    project = bring_jobs(new_project(tmp_path_factory.mktemp("site"), messages=4))
    with project.store() as store:
        write_past(store, PAST, now=datetime.now(UTC))
    project.lorchestra("run", JOB)
    project.lorchestra("run", JOB)
    project.lorchestra("run", "fails", code=1)
    return project


@pytest.fixture(scope="session")
def site(lived_in: Project) -> Iterator[Site]:
    """The site of that project, for tests that only look."""
    with serving(lived_in) as started:
        yield started


@pytest.fixture
def page(site: Site, browser: Browser) -> Iterator[Page]:
    """A page of that site whose scripts report no error."""
    with site.visitor(browser) as context:
        yield quiet_page(context.new_page())


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[Callable[[Project], Site]]:
    """Start sites that end with the test."""
    with ExitStack() as stack:
        yield lambda project: stack.enter_context(serving(project))


def bring_jobs(project: Project) -> Project:
    """The jobs above, for this project."""
    project.install("site-jobs", CODE_OF_JOBS, jobs=("never", "letters", "held", "fails"))
    return project


def quiet_page(page: Page) -> Page:
    """The page, which fails the test when a script does."""
    page.on("pageerror", _fail)
    return page


def _fail(error: object) -> None:
    pytest.fail(f"a script of the page failed: {error}")


def all_paths(project: Project) -> list[str]:
    """The address of every kind of page there."""
    [good, *_] = project.table(
        "SELECT run_id FROM `events_dev.job_runs` WHERE state = 'succeeded' AND inserted = 4 ORDER BY 1 DESC"
    )
    [failed, *_] = project.table("SELECT run_id FROM `events_dev.job_runs` WHERE state = 'failed' ORDER BY 1")
    [stored, *_] = project.table("SELECT idem_key FROM `events_dev.raw_objects` ORDER BY 1")
    return [
        "/",
        "/timeline?span=week",
        "/runs?job=payments",
        run_path(good["run_id"]),
        run_path(failed["run_id"]),
        job_path("payments"),
        job_path(LONG_NAME),
        "/objects",
        source_path(SOURCE_SYSTEM, "email"),
        object_path(stored["idem_key"]),
        "/nowhere",
        "/run?id=unknown",
    ]
