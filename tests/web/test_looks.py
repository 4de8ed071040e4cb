"""Light and dark, small and large, by keyboard, without scripts, and to those who hear it."""

import re
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Page, ViewportSize

from tests.project import SOURCE_SYSTEM, new_project
from tests.web.conftest import LONG_NAME, all_paths
from tests.web.site import Site, job_path, serving, source_path

AXE = AXE_FILE_PATH.read_text(encoding="utf-8")
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 900}
#: What changes by the second.
_AGES = re.compile(r"\b[\d.]+ (?:s|min|h|days?)(?: [\d.]+ (?:s|min|h))?\b")


def test_axe_finds_nothing(site: Site, browser: Browser) -> None:
    """Contrast in light and dark; names, roles, landmarks and order on a desk and on a phone."""
    found = {}
    # The script is put into the page, which the policy forbids.
    with site.visitor(browser, viewport=DESK, bypass_csp=True) as context:
        page = context.new_page()
        for path in all_paths(site.project):
            page.goto(path)
            found[path] = violations(page)
            page.emulate_media(color_scheme="dark")
            page.set_viewport_size(PHONE)
            found[f"{path} on a phone in the dark"] = violations(page)
            page.emulate_media(color_scheme="light")
            page.set_viewport_size(DESK)
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds, and where; it is loaded into a page once, and describes nothing that passes."""
    if not page.evaluate("!!window.axe"):
        page.evaluate(AXE)
    results = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in results]


def test_no_page_is_wider_than_a_phone(site: Site, browser: Browser) -> None:
    """Also with names that nothing breaks; what is wider scrolls by itself."""
    wide = {}
    with site.visitor(browser, viewport=PHONE) as context:
        page = context.new_page()
        for path in [*all_paths(site.project), job_path(LONG_NAME), source_path(SOURCE_SYSTEM, "email")]:
            page.goto(path)
            wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in wide.items() if width > PHONE["width"]} == {}


def background(page: Page) -> int:
    """How light it is behind everything, of 765."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_it_is_dark_where_the_machine_is(site: Site, browser: Browser) -> None:
    lightness = {}
    for scheme in ("light", "dark"):
        with site.visitor(browser, color_scheme=scheme) as context:
            page = context.new_page()
            page.goto("/")
            lightness[scheme] = background(page)
    assert lightness["light"] > 700
    assert lightness["dark"] < 150


def test_every_page_says_the_same_without_scripts(site: Site, browser: Browser) -> None:
    texts: list[dict[str, str]] = []
    for scripts in (True, False):
        with site.visitor(browser, java_script_enabled=scripts) as context:
            page = context.new_page()
            texts.append({})
            for path in all_paths(site.project):
                page.goto(path)
                texts[-1][path] = _AGES.sub("-", page.locator("main").inner_text())
                assert len(texts[-1][path]) > 20
    assert texts[0] == texts[1]


def focused(page: Page) -> Iterator[tuple[str, bool]]:
    """What Tab comes to, and whether that can be seen, until it comes to the end."""
    for _ in range(60):
        page.keyboard.press("Tab")
        text, outline, inside = page.evaluate(
            """() => {
                const one = document.activeElement, box = one.getBoundingClientRect();
                const style = getComputedStyle(one);
                return [one.textContent.trim(), style.outlineStyle, box.left >= 0 && box.width > 0];
            }"""
        )
        yield text, outline != "none" and inside


def test_the_keyboard_reaches_everything_in_order(page: Page) -> None:
    """The way past the navigation first, then that, then the jobs from above; each can be seen."""
    page.goto("/")
    page.wait_for_function("document.getElementById('live').textContent.includes('live')")
    reached = list(focused(page))
    names = [text for text, _ in reached]
    order = ["To the content", "lorchestra", "Overview", "Timeline", "Runs", "Objects", "fails", "payments"]
    places = [names.index(name) for name in order]

    assert places == sorted(places)
    assert places[0] == 0
    assert all(visible for text, visible in reached[: places[-1] + 1])


def test_the_skip_link_leads_to_the_content(page: Page) -> None:
    page.goto("/runs")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "job"


def test_a_project_without_runs_is_fit_for_all_as_well(tmp_path: Path, browser: Browser) -> None:
    with (
        serving(new_project(tmp_path)) as site,
        site.visitor(browser, viewport=PHONE, bypass_csp=True) as context,
    ):
        page = context.new_page()
        for path in ("/", "/timeline", "/runs", "/objects"):
            page.goto(path)
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
