"""The page follows what jobs do, and never hinders them."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, expect

from lorchestra.stack_clients.event_client import log_event, upsert_objects
from tests.project import JOB, Project, new_project, wait_until
from tests.test_cli_jobs import locked
from tests.web.conftest import bring_jobs, quiet_page
from tests.web.site import Site, job_path, run_path


def test_a_running_job_is_followed_to_its_end(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """It appears, its objects are counted while they come, and its end is shown; nothing is loaded anew."""
    project = bring_jobs(new_project(tmp_path))
    with (project.folder / "lorchestra.toml").open("a") as config:
        config.write('\n[jobs.held]\nsource_system = "held--main"\nobject_type = "page"\n')
    with project.store() as store:
        upsert_objects(
            objects=[{"id": number} for number in range(3, 10)],
            source_system="held--main",
            object_type="page",
            correlation_id="earlier",
            idem_key_fn=lambda page: f"held:page:{page['id']}",
            bq_client=store,
        )
    site = open_site(project)
    with site.visitor(browser) as context:
        page = quiet_page(context.new_page())
        page.goto("/")
        row = page.locator(".jobs tbody tr", has=page.get_by_role("link", name="held", exact=True)).first
        expect(row).to_contain_text("never ran")
        page.evaluate("window.same = true")

        process = project.start("run", "held")
        progress = page.locator(".progress")
        expect(progress).to_contain_text("3 objects so far, 3 of them new")
        expect(row).to_contain_text("running")
        (project.folder / "more").touch()
        expect(progress).to_contain_text("10 objects so far, 3 of them new")
        (project.folder / "go-on").touch()
        expect(row.locator(".badge")).to_have_text("ok")
        expect(progress).to_have_count(0)

        assert process.communicate(timeout=30)[1] == ""
        assert process.returncode == 0
        assert page.evaluate("window.same")
        expect(row.locator(".strip a")).to_have_count(1)
        expect(row.locator("td[data-title=Objects]")).to_have_text("10")


def test_focus_and_open_details_are_kept_over_an_update(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    project = new_project(tmp_path)
    [told] = project.lorchestra("run", JOB, "--json").rows
    site = open_site(project)
    with site.visitor(browser) as context:
        page = quiet_page(context.new_page())
        page.goto(run_path(told["run_id"]))
        details = page.locator(".events details").first
        details.locator("summary").click()
        link = page.locator(".summary a")
        link.focus()
        with project.store() as store:
            log_event(
                event_type="note.added", source_system="x", correlation_id=told["run_id"], bq_client=store
            )
        expect(page.locator(".events")).to_contain_text("note.added")

        assert details.get_attribute("open") is not None
        expect(link).to_be_focused()
        assert page.evaluate("document.activeElement.getAttribute('href')") == job_path(JOB)


def test_a_run_that_is_killed_meanwhile_is_told_as_failed(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """No other command has to be typed for it."""
    project = bring_jobs(new_project(tmp_path))
    site = open_site(project)
    with site.visitor(browser) as context:
        page = quiet_page(context.new_page())
        page.goto(job_path("held"))
        process = project.start("run", "held")
        expect(page.locator("h1 .badge")).to_have_text("running")
        process.kill()
        process.communicate(timeout=30)
        expect(page.locator("h1 .badge")).to_have_text("failing")
        expect(page.locator(".alert")).to_contain_text("its process was killed")


def test_a_word_that_is_half_typed_is_kept(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """However the page changes beside it, and when the field has lost the focus as well."""
    project = new_project(tmp_path)
    project.lorchestra("run", JOB)
    site = open_site(project)
    with site.visitor(browser) as context:
        page = quiet_page(context.new_page())
        page.goto("/objects")
        page.get_by_label("Key").fill("half a w")
        page.get_by_role("button", name="Open").focus()
        # Marked when the page could have been fetched anew.
        page.evaluate(
            "new EventSource('/live').addEventListener('changed', () => fetch(location.href)"
            ".then(answer => answer.text())"
            ".then(() => setTimeout(() => document.documentElement.classList.add('changed'), 300)))"
        )
        project.lorchestra("run", JOB)
        expect(page.locator("html.changed")).to_have_count(1)
        assert page.get_by_label("Key").input_value() == "half a w"

        page.get_by_label("Key").fill("")
        page.get_by_role("button", name="Open").focus()
        [told] = project.lorchestra("run", JOB, "--json").rows
        expect(page.locator("main table")).to_contain_text(told["run_id"])


def test_jobs_write_while_the_page_is_open(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """With hardly any patience for a busy file, and a page that is asked all the time."""
    project = new_project(tmp_path)
    project.lorchestra("run", JOB)
    site = open_site(project)
    with site.visitor(browser) as context:
        pages = [quiet_page(context.new_page()) for _ in range(2)]
        pages[0].goto("/")
        pages[1].goto(job_path(JOB))
        for _ in range(3):
            process = project.start("run", JOB)
            while process.poll() is None:
                assert site.ask("/").status == 200
            assert process.communicate()[1] == ""
            assert process.returncode == 0
        expect(pages[0].locator(".strip a")).to_have_count(4)
        expect(pages[1].locator(".strip a")).to_have_count(4)
    runs = project.table("SELECT state FROM `events_dev.job_runs`")
    assert [run["state"] for run in runs] == ["succeeded"] * 4
    assert project.waiting() == []


def test_a_busy_store_is_told_and_it_goes_on_afterwards(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """A page that was open stays as it was; one that is opened says what is the matter."""
    project = new_project(tmp_path)
    project.lorchestra("run", JOB)
    text = (project.folder / "lorchestra.toml").read_text()
    (project.folder / "lorchestra.toml").write_text(
        text.replace("busy_timeout_seconds = 10", "busy_timeout_seconds = 0.2")
    )
    site = open_site(project)
    with site.visitor(browser) as context:
        page = quiet_page(context.new_page())
        page.goto("/")
        before = page.locator(".jobs").inner_text()
        with locked(project.database):
            answer = site.ask("/runs")
            assert answer.status == 503
            assert answer.headers["retry-after"] == "5"
            assert "This cannot be shown" in answer.text
            # Where the file lies is for the terminal.
            assert str(project.folder) not in answer.text
            assert "held by another process" in answer.text or "busy" in answer.text
            assert page.locator(".jobs").inner_text().split("\t")[0] == before.split("\t")[0]
        assert site.ask("/runs").status == 200
        project.lorchestra("run", JOB)
        expect(page.locator(".strip a")).to_have_count(2)
    wait_until(lambda: site.ask("/").status == 200, "the page is back")
