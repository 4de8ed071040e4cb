"""What the pages show is what the tables say."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.project import JOB, SOURCE_SYSTEM, Project, new_project, wait_until
from tests.web.conftest import LOGIN, LONG_NAME, bring_jobs
from tests.web.site import Site, job_path, object_path, run_path, source_path

MASKED = "secret-marker-4711"


def rows(site: Site, sql: str) -> list[dict[str, Any]]:
    """What the store itself answers."""
    return site.project.table(sql)


def numbers(page: Page, title: str) -> list[list[str]]:
    """The table below a chart."""
    figure = page.locator("figure", has=page.get_by_text(title, exact=True))
    figure.get_by_text("The numbers").click()
    return [row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()]


def tiles(page: Page) -> dict[str, int]:
    found = page.locator(".tiles").first
    counts = [int(text.replace(",", "")) for text in found.locator("dd").all_inner_texts()]
    return dict(zip(found.locator("dt").all_inner_texts(), counts, strict=True))


def job_row(page: Page, name: str) -> Locator:
    return page.locator(".jobs tbody tr", has=page.get_by_role("link", name=name, exact=True)).first


# --- Overview


def test_the_overview_has_every_job_what_is_wrong_first(page: Page, site: Site) -> None:
    page.goto("/")

    names = page.locator(".jobs tbody th a").all_inner_texts()
    told = [row["job_name"] for row in rows(site, "SELECT DISTINCT job_name FROM events_dev.job_runs")]
    assert set(names) == {*told, "never", "held", "letters"}
    assert names[:3] == ["fails", "payments", "letters"]
    assert page.locator(".verdict").inner_text() == f"3 of {len(names)} jobs need you"
    assert page.locator(".jobs tr.failing th .badge").all_inner_texts() == ["failing", "failing"]
    assert job_row(page, "letters").locator(".badge").inner_text() == "late"
    assert job_row(page, JOB).locator(".badge").inner_text() == "ok"
    assert job_row(page, "never").locator(".badge").inner_text() == "never ran"


def test_a_strip_has_a_bar_for_each_of_the_newest_runs(page: Page, site: Site) -> None:
    page.goto("/")
    for name in ("contacts", "payments", "fails", JOB):
        [counted] = rows(site, f"SELECT COUNT(*) AS runs FROM events_dev.job_runs WHERE job_name = '{name}'")
        bars = job_row(page, name).locator(".strip a")
        assert bars.count() == min(30, counted["runs"])
        [newest] = rows(
            site,
            "SELECT run_id, state FROM events_dev.job_runs "
            f"WHERE job_name = '{name}' ORDER BY started_at DESC, run_id DESC LIMIT 1",
        )
        assert bars.last.get_attribute("href") == run_path(newest["run_id"])
        assert bars.last.locator("rect").get_attribute("class") == newest["state"]


def test_a_failing_job_says_why_and_what_to_type(page: Page) -> None:
    page.goto("/")
    alert = page.locator(".alert.failing", has_text=LOGIN["message"])

    assert alert.inner_text().startswith("failing: 3 runs in a row: The login has expired.")
    assert "lorchestra" in alert.locator(".step").inner_text()
    assert "Type: lorchestra run letters" in page.locator(".alert.late .step").inner_text()


def test_the_numbers_of_the_week_are_those_of_the_tables(page: Page, site: Site) -> None:
    page.goto("/")
    [told] = rows(
        site,
        """
        SELECT COUNTIF(event_type IN ('job.completed', 'job.failed')) AS runs,
          COUNTIF(event_type = 'job.failed') AS failed,
          SUM(CAST(JSON_VALUE(payload, '$.inserted') AS INT64)) AS inserted,
          SUM(CAST(JSON_VALUE(payload, '$.updated') AS INT64)) AS updated
        FROM events_dev.event_log
        WHERE DATE(created_at) > DATE_SUB(CURRENT_DATE(), INTERVAL 7 DAY)
        """,
    )
    shown = tiles(page)
    assert (shown["runs"], shown["failed"]) == (told["runs"], told["failed"])
    assert (shown["new objects"], shown["changed"]) == (told["inserted"], told["updated"])
    assert page.locator(".week tbody tr").count() == 7
    assert sum(map(int, page.locator(".week td:nth-child(4)").all_inner_texts())) == told["failed"]
    assert job_row(page, JOB).locator("td[data-title=Objects]").inner_text() == "4"


def test_a_project_that_has_done_nothing_says_what_to_type(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """Without a file, and with one without runs; looking makes no file."""
    project = new_project(tmp_path)
    site = open_site(project)
    with site.visitor(browser) as context:
        page = context.new_page()
        page.goto("/")
        assert "never ran" in job_row(page, JOB).inner_text()
        page.goto(job_path(JOB))
        assert f"lorchestra run {JOB}" in page.locator("main").inner_text()
        for path, said in (
            ("/timeline", "Nothing ran"),
            ("/runs", "There is none"),
            ("/objects", "Nothing is"),
        ):
            page.goto(path)
            assert said in page.locator("main").inner_text()
        assert not project.database.exists()
        with project.store() as store:
            store.create_tables()
        page.goto("/")
        assert "never ran" in job_row(page, JOB).inner_text()


# --- A run


def test_a_good_run_is_told_whole(page: Page, site: Site) -> None:
    """Its counts, events and objects are those of the tables, each leads to its page, and it is verified."""
    [run] = rows(site, "SELECT * FROM events_dev.job_runs WHERE inserted = 4 AND job_name LIKE 'gmail%'")
    page.goto(run_path(run["run_id"]))

    assert tiles(page) == {"read": 4, "new": 4, "changed": 0, "unchanged": 0, "rejected": 0}
    assert page.locator(".seal").inner_text().startswith("✓ Verified")
    assert page.locator(".facts a[href='#seal']").inner_text() == "✓ yes"
    events = page.locator(".events > li strong").all_inner_texts()
    assert events == ["job.started", "ingestion.completed", "job.completed"]
    page.locator(".events details").nth(1).locator("summary").click()
    assert '"records_extracted": 4' in page.locator(".events pre").nth(1).inner_text()
    parameters = page.locator("[aria-labelledby=parameters] pre").inner_text()
    assert f'"source_system": "{SOURCE_SYSTEM}"' in parameters
    keys = page.locator(".keys a")
    assert sorted(keys.all_inner_texts()) == [row["idem_key"] for row in site.project.objects()]
    key = keys.first.inner_text()
    keys.first.click()
    page.wait_for_url("**/object?**")
    assert page.locator("h1").inner_text() == key
    page.get_by_role("link", name=run["run_id"]).first.click()
    page.wait_for_url(lambda url: url.endswith(run_path(run["run_id"])))


def test_a_run_whose_objects_are_gone_is_told_as_such(
    tmp_path: Path, open_site: Callable[[Project], Site], browser: Browser
) -> None:
    """Above all else, and below with what is missing and the command for it."""
    project = new_project(tmp_path)
    [told] = project.lorchestra("run", JOB, "--json").rows
    [gone, *_] = project.objects()
    with duckdb.connect(str(project.database)) as connection:
        connection.execute("DELETE FROM events_dev.raw_objects WHERE external_id = $1", [gone["external_id"]])
    with open_site(project).visitor(browser) as context:
        page = context.new_page()
        page.goto(run_path(told["run_id"]))
        assert page.locator(".facts a[href='#seal']").inner_text() == "✗ no"
        assert page.locator(".seal.wrong").inner_text() == "✗ Something is missing"
        rows = page.get_by_role("row", name="new objects").all_inner_texts()
        assert rows == ["new objects\tmissing\t3 in the log\t2 in the table"]
        assert "lorchestra" in page.locator("[aria-labelledby=seal] .step").first.inner_text()


def test_a_failed_run_says_why_and_what_to_type(page: Page, site: Site) -> None:
    [run] = rows(site, "SELECT * FROM events_dev.job_runs WHERE job_name = 'fails'")
    page.goto(run_path(run["run_id"]))

    error = page.get_by_role("region", name="Error").inner_text()
    assert run["error_message"] in error
    assert run["error_code"] in error
    assert "lorchestra run fails" in error
    assert page.locator("h1 .badge").inner_text() == "failed"


def test_what_is_secret_in_parameters_is_masked(tmp_path: Path, open_site: Callable[[Project], Site]) -> None:
    """Also in the payload of the event that has them."""
    project = bring_jobs(new_project(tmp_path))
    with (project.folder / "lorchestra.toml").open("a") as config:
        config.write(f'\n[jobs.never]\napi_key = "{MASKED}"\npages = "all"\n')
    [told] = project.lorchestra("run", "never", "--json").rows
    answer = open_site(project).ask(run_path(told["run_id"]))

    assert answer.text.count("&#34;api_key&#34;: &#34;***&#34;") == 2
    assert MASKED not in answer.text


def test_an_unknown_run_job_and_object_are_not_found(site: Site) -> None:
    for path, said in (
        (run_path("nobody"), "no run of this id"),
        ("/run", "no run of this id"),
        (job_path("nobody"), "no job of this name"),
        (object_path("a:b:c"), "no object of this key"),
        (source_path("a", "b"), "no source of this name"),
    ):
        answer = site.ask(path)
        assert answer.status == 404
        assert said in answer.text


def test_a_run_whose_process_was_killed_is_told_as_failed(
    tmp_path: Path, open_site: Callable[[Project], Site]
) -> None:
    project = bring_jobs(new_project(tmp_path))
    process = project.start("run", "held")
    wait_until((project.folder / "begun").exists, "the job had begun")
    process.kill()
    process.communicate(timeout=30)
    site = open_site(project)
    [run] = project.table("SELECT * FROM `events_dev.job_runs`")

    text = site.ask(run_path(run["run_id"])).text
    assert "run.interrupted" in text
    assert "lorchestra run held" in text
    assert "failing" in site.ask("/").text


# --- A job


def test_the_page_of_a_job_draws_its_runs_and_gives_their_numbers(page: Page, site: Site) -> None:
    page.goto(job_path("payments"))
    runs = rows(
        site,
        "SELECT state, duration_seconds, CAST(DATE(started_at) AS STRING) AS day, inserted "
        "FROM events_dev.job_runs WHERE job_name = 'payments' ORDER BY started_at",
    )
    failed = sum(run["state"] == "failed" for run in runs)

    shown = tiles(page)
    assert (shown["runs"], shown["failed"]) == (len(runs), failed)
    table = numbers(page, "How long it took. The band is what is usual; red dots are failures")
    assert [(took, bad) for _, took, bad in table] == [
        ("-", "1") if run["state"] == "failed" else (f"{run['duration_seconds']:,}", "0") for run in runs
    ]
    assert page.locator(".chart .failures circle").count() == failed
    days = numbers(page, "New and changed objects of each day")
    new = {day: int(count.replace(",", "")) for day, count, _ in days}
    for day in {run["day"] for run in runs}:
        assert new[day] == sum(run["inserted"] for run in runs if run["day"] == day)
    assert sum(new.values()) == sum(run["inserted"] for run in runs)
    assert page.locator("svg.chart").count() == 2


# --- Timeline


def test_the_timeline_has_a_lane_for_each_job_and_a_mark_for_each_run(page: Page, site: Site) -> None:
    page.goto("/timeline?span=week")
    summary = page.locator(".summary").inner_text()
    first, last = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", summary)
    runs = rows(
        site,
        f"""
        SELECT job_name, COUNT(*) AS runs FROM events_dev.job_runs
        WHERE started_at < TIMESTAMP '{last}+00' AND COALESCE(ended_at, started_at) >= TIMESTAMP '{first}+00'
        GROUP BY job_name ORDER BY job_name
        """,
    )
    assert f": {sum(one['runs'] for one in runs)} runs" in summary
    assert page.locator(".lane-name a").all_inner_texts() == [one["job_name"] for one in runs]
    for one in runs:
        lane = page.locator(".lane", has=page.get_by_role("link", name=one["job_name"], exact=True))
        together = " ".join(lane.locator("title").all_text_contents())
        alone = lane.locator('a[href^="/run"]').count()
        assert alone + sum(map(int, re.findall(r"· (\d+) runs", together))) == one["runs"]


def span_seen(page: Page) -> str:
    return page.locator("#spans [aria-current]").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_zooming_and_going_back_works_by_links(site: Site, browser: Browser, scripts: bool) -> None:
    with site.visitor(browser, java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto("/timeline")
        assert span_seen(page) == "day"
        steps = (
            ("closer", "6h"),
            ("closer", "1h"),
            ("farther", "6h"),
            ("farther", "day"),
            ("farther", "week"),
        )
        for way, seen in steps:
            page.locator("#spans").get_by_role("link", name=re.compile(way)).click()
            page.wait_for_url(f"**span={seen}&**")
            assert span_seen(page) == seen
        assert page.locator("[data-zoom=out]").count() == 0
        before = page.locator(".summary").inner_text()
        page.locator("[rel=prev]").click()
        page.wait_for_load_state()
        assert page.locator(".summary").inner_text() < before
        page.locator("[rel=next]").click()
        page.wait_for_load_state()
        assert page.locator(".summary").inner_text()[:19] == before[:19]


def test_the_keys_plus_and_minus_zoom(page: Page) -> None:
    page.goto("/timeline")
    for key, seen in (("+", "6h"), ("-", "day"), ("-", "week")):
        page.keyboard.press(key)
        page.wait_for_url(f"**span={seen}&**")


@pytest.mark.parametrize(
    "query", ["span=x", "until=x", "until=9999-12-31T23:59:59Z", "until=0001-01-01", "span=%00&until=%FF"]
)
def test_a_span_that_is_none_is_the_default(site: Site, query: str) -> None:
    answer = site.ask(f"/timeline?{query}")
    assert answer.status == 200
    assert 'aria-current="true">day' in answer.text


# --- Objects


def test_sources_have_the_counts_of_the_table(page: Page, site: Site) -> None:
    page.goto("/objects")
    for one in rows(
        site,
        "SELECT source_system, object_type, COUNT(*) AS objects FROM events_dev.raw_objects GROUP BY 1, 2",
    ):
        row = page.locator("tbody tr", has=page.get_by_role("link", name=one["source_system"], exact=True))
        assert row.locator("td[data-title=Type]").inner_text() == one["object_type"]
        assert row.locator("td[data-title=Objects]").inner_text() == str(one["objects"])
    page.get_by_role("link", name=SOURCE_SYSTEM, exact=True).click()
    page.wait_for_url("**/source?**")
    assert page.locator(".summary").inner_text() == "4 objects"
    assert page.locator("tbody th a").count() == 4


def test_an_object_is_found_by_its_key(site: Site, browser: Browser) -> None:
    [stored, *_] = site.project.objects()
    with site.visitor(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/objects")
        page.get_by_label("Key").fill(stored["idem_key"])
        page.get_by_role("button", name="Open").click()
        assert page.locator("h1").inner_text() == stored["idem_key"]


def test_one_object_is_a_tree_that_can_be_folded(page: Page, site: Site) -> None:
    [stored, *_] = site.project.objects()
    page.goto(object_path(stored["idem_key"]))

    names = page.locator(
        "xpath=//ul[contains(@class, 'root')]/li/details/ul/li/span[@class='field']"
        " | //ul[contains(@class, 'root')]/li/details/ul/li/details/summary/span[@class='field']"
    )
    assert sorted(names.all_inner_texts()) == sorted(stored["payload"])
    labels = page.locator(".tree details", has=page.locator("summary", has_text="labelIds")).last
    label = labels.get_by_text(stored["payload"]["labelIds"][0], exact=True)
    assert not label.is_visible()
    labels.locator("summary").click()
    assert label.is_visible()
    page.locator(".tree.root summary").first.click()
    assert not labels.is_visible()
    assert page.locator(".facts").get_by_role("link", name=re.compile(JOB)).count() == 2


def test_a_long_name_is_shown_whole(page: Page) -> None:
    page.goto(job_path(LONG_NAME))
    assert LONG_NAME in page.locator("h1").inner_text()
