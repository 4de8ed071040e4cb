"""Whatever stands in the tables is text on the page: nothing of it runs, loads, hides or leads elsewhere."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from lorchestra.stack_clients.event_client import log_event, upsert_objects
from tests.project import Project, new_project
from tests.web.site import Site, job_path, object_path, run_path, serving, source_path

HOSTILE = {
    "script": "<script>window.ran = 1</script>",
    "attribute": "\"><img src=x onerror='window.ran = 1'>",
    "single quote": "' onmouseover='window.ran = 1' x='",
    "end of text": "</pre></code></title></svg><script>window.ran = 1</script>",
    "template": "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript": "javascript:window.ran=1",
    "up": "../../etc/passwd",
    "encoded up": "%2e%2e%2f%2e%2e%2f",
    "other host": "//evil.example/",
    "query": "?token=x&id=y#z%2f%00",
    "escape": "\x1b[31mred\x1b]8;;http://evil.example\x07",
    "direction": "user\u202egnp.exe\u2066\u200f",
    "long": "x" * 10_000,
    "spaces": "a b\tc\nd",
    "astral": "\U0001f600\u2028\ufeff",
}
#: DuckDB keeps what has a NUL in it only as JSON.
IN_JSON = {**HOSTILE, "nul": "a\0b"}
MAIL = "<html><body><h1>hello</h1><form action=http://evil.example><input name=password></form></body></html>"
#: Where the links of a page lead; those of drawings say so differently.
LINKS = "[...document.querySelectorAll('a')].map(one => new URL(one.getAttribute('href'), location).href)"
TIME = datetime.now(UTC).strftime("%Y%m%d%H%M%S")


def run_ids() -> list[str]:
    return [f"{text}-{TIME}" for text in HOSTILE.values()]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A job, a run, a source and an object for each of them, brought by the event client."""
    project = new_project(tmp_path_factory.mktemp("hostile"))
    with project.store() as store:
        store.create_tables()
        for text in HOSTILE.values():
            run_id = f"{text}-{TIME}"
            job: dict[str, Any] = {"job_name": text, "package_name": text, "host": text}
            about: dict[str, Any] = {"correlation_id": run_id, "bq_client": store, "trace_id": text}
            failed: dict[str, Any] = {"status": "failed", "error_message": text}
            source = text.replace(":", "")
            upsert_objects(
                objects=[{"id": text, text: IN_JSON, "html": MAIL, "list": list(IN_JSON.values())}],
                source_system=source,
                object_type="page",
                correlation_id=run_id,
                idem_key_fn=lambda page: f"x:page:{page['id']}",
                bq_client=store,
            )
            [seen] = store.query(
                "SELECT MAX(last_seen) AS at FROM `events_dev.raw_objects` WHERE source_system = @source",
                {"source": source},
            ).to_pylist()
            log_event(
                event_type="job.started",
                source_system="lorchestra",
                object_type="job_run",
                payload={**job, "parameters": IN_JSON | {text: text}},
                **about,
            )
            log_event(
                event_type="ingestion.failed",
                source_system=source,
                object_type="page",
                payload={
                    "inserted": 1,
                    "seen_at": seen["at"].isoformat(),
                    "cursor": IN_JSON,
                    "records_over_time": [[0, 1], [1, "x"], text, [2, 3]],
                    "error_code": text,
                },
                **about,
                **failed,
            )
            log_event(
                event_type="job.failed",
                source_system="lorchestra",
                object_type="job_run",
                payload={**job, "error_code": text, "next_step": text, "duration_seconds": 1.5},
                **about,
                **failed,
            )
    return project


@pytest.fixture(scope="module")
def site(hostile: Project) -> Iterator[Site]:
    with serving(hostile) as started:
        yield started


def paths(project: Project) -> dict[str, str]:
    """Every page that shows them, and what its heading must be."""
    objects = project.objects()
    keys = [(object_path(one["idem_key"]), one["idem_key"]) for one in objects]
    sources = [(source_path(one["source_system"], "page"), one["source_system"]) for one in objects]
    return {
        "/": "",
        "/timeline?span=week": "",
        "/runs": "",
        "/objects": "",
        **{run_path(run_id): run_id for run_id in run_ids()},
        **{job_path(text): text for text in HOSTILE.values()},
        # A payload holds all of them.
        **dict(sources[:2]),
        **dict(keys[:2]),
    }


def shown(text: str) -> str:
    """As the page shows it: what cannot be seen is replaced, spaces are folded."""
    seen = (char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    return " ".join("".join(seen).split())


def test_nothing_of_it_is_more_than_text(hostile: Project, site: Site, browser: Browser) -> None:
    """Every page is there and named by what it shows; nothing runs, asks, is put in, or goes elsewhere."""
    with site.visitor(browser) as context:
        page = context.new_page()
        wrong: list[str] = []
        page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("request", lambda asked: wrong.append(asked.url))
        for path, heading in paths(hostile).items():
            answer = page.goto(path)
            assert answer is not None
            assert answer.status == 200, path
            assert shown(heading) in " ".join(page.locator("h1").inner_text().split()), path
            assert injected(page) == [], path
            wrong += page.evaluate(LINKS)
    assert [one for one in wrong if not one.startswith(site.base + "/")] == []


def injected(page: Page) -> list[str]:
    """What no template has: elements, attributes that run, and what a script left."""
    found: list[str] = page.evaluate(
        """() => [
            ...[...document.querySelectorAll(
                'img, iframe, object, embed, base, style, body script, body link, form[action^=http]'
            )].map(one => one.outerHTML.slice(0, 200)),
            ...[...document.querySelectorAll('*')].flatMap(
                one => one.getAttributeNames().filter(name => name.startsWith('on') || name === 'style')
            ),
            ...(window.ran ? ['it ran'] : []),
        ]"""
    )
    return found


def test_links_lead_to_what_they_name(site: Site, browser: Browser) -> None:
    """A run, a job and an object are found by following the link, whatever their name has in it."""
    with site.visitor(browser, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/runs")
        addresses = page.locator("tbody th a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        found = {parse_qs(urlsplit(address).query)["id"][0] for address in addresses}
        assert found == set(run_ids())
        for address in addresses:
            page.goto(address)
            href = page.locator(".summary a").get_attribute("href")
            assert href
            assert parse_qs(urlsplit(href).query)["name"][0] in HOSTILE.values()
            answer = page.goto(href)
            assert answer is not None
            assert answer.status == 200


def test_html_in_a_payload_is_letters(hostile: Project, site: Site, browser: Browser) -> None:
    """Mail is not shown as its sender wants it."""
    [stored, *_] = hostile.objects()
    with site.visitor(browser) as context:
        page = context.new_page()
        page.goto(object_path(stored["idem_key"]))
        assert MAIL in page.locator(".tree").first.inner_text()
        assert page.locator("main h1").count() == 1
        assert page.locator("main form, main input").count() == 0


def test_long_names_widen_no_phone(hostile: Project, site: Site, browser: Browser) -> None:
    with site.visitor(browser, viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        long = HOSTILE["long"]
        lists = ("/", "/timeline?span=week", "/runs", "/objects")
        for path in (*lists, run_path(f"{long}-{TIME}"), job_path(long)):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


@pytest.mark.parametrize("text", ["%00", "a%00b", "%ED%A0%80", "%FF", "%", "x" * 60_000, "%22%3E"])
def test_any_name_in_an_address_is_answered(site: Site, text: str) -> None:
    """By saying that there is none of it."""
    for path in ("/run?id=", "/job?name=", "/object?key=", "/source?system=x&type=", "/runs?state=x&job="):
        answer = site.ask(path + text)
        assert answer.status in ((200,) if path.startswith("/runs") else (404, 414)), path
