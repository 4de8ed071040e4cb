"""The pictures of the page: they can be taken anew, and those that are shown are there."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from docs.browser import browser_path
from docs.sample import sample_project
from docs.screenshots import IMAGES, PAST, PICTURES, lived_in, served, take
from tests.project import JOB

ROOT = IMAGES.parent.parent
SHOWN = [name for name, *_ in PICTURES]


def test_pictures_are_of_a_project_where_something_of_each_kind_happens(
    tmp_path: Path, browser: Browser
) -> None:
    """One job fails, one is late, one runs, one is well; and a picture of it can be taken."""
    with sample_project() as sample:
        newest = lived_in(sample, [replace(job, since=job.every * 12) for job in PAST])
        with served(sample) as url:
            take(browser, url, f"/run?id={newest}", tmp_path / "run.png", dark=True, height=300)
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(url)
                badges = page.locator(".jobs tbody th .badge").all_inner_texts()
    assert newest.startswith(JOB)
    assert set(badges) == {"failing", "late", "running", "ok"}
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", SHOWN)
def test_each_picture_is_there_and_small(name: str) -> None:
    data = (IMAGES / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 1100
    assert len(data) < 150_000


def test_no_picture_is_kept_that_nobody_is_shown() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    used = {name for page in pages for name in re.findall(r"images/(page-[a-z-]+)\.png", page.read_text())}
    assert used <= set(SHOWN)
    assert {path.stem for path in IMAGES.glob("page-*.png")} == set(SHOWN)
    assert "page-overview" in used


def test_a_browser_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to type; the tests of the page do not pass over it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="apt-get install chromium"):
        browser_path()
