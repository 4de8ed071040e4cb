"""What is shown of a dataset of BigQuery is what is shown of a file: one line of the settings is another."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests.emulator.front import ServiceFront
from tests.project import JOB, Project, new_project

_TIMES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00)?|\d{14}|\d+(\.\d+)? (s|min|h)\b( ago)?|\d\d:\d\d"
)


@pytest.fixture
def dataset(tmp_path: Path, bigquery_service: ServiceFront) -> Project:
    """A project whose store is a dataset."""
    (tmp_path / "dataset").mkdir()
    made = new_project(tmp_path / "dataset", store_url=f"bigquery://p{uuid4().hex[:20]}/events_dev")
    made.variables["BIGQUERY_EMULATOR_HOST"] = bigquery_service.endpoint
    made.lorchestra("setup")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Project:
    """The same with a file."""
    (tmp_path / "file").mkdir()
    return new_project(tmp_path / "file")


@contextmanager
def page_of(project: Project) -> Iterator[tuple[requests.Session, str]]:
    """The page of a project, and its address."""
    with project.start("web", "--port", "0") as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            with requests.Session() as session:
                session.trust_env = False
                session.get(url, timeout=60).raise_for_status()
                yield session, url.split("/?")[0]
        finally:
            server.terminate()


def shown(project: Project) -> dict[str, str]:
    """The text of each page after a run that succeeds and one that fails, without times."""
    good = project.lorchestra("run", JOB, "--json").rows[0]["run_id"]
    (project.folder / "takeout.mbox").rename(project.folder / "elsewhere.mbox")
    bad = project.lorchestra("run", JOB, "--json", code=1).rows[0]["run_id"]
    [key, *_] = sorted(one["idem_key"] for one in project.objects())
    found = {}
    with page_of(project) as (session, address):
        paths = {
            "overview": "/",
            "timeline": "/timeline",
            "runs": "/runs",
            "good": f"/run?id={good}&verify=1",
            "bad": f"/run?id={bad}&verify=1",
            "job": f"/job?name={JOB}",
            "objects": "/objects",
            "object": f"/object?key={key}",
        }
        for name, path in paths.items():
            answer = session.get(address + path, timeout=60)
            assert answer.status_code == 200, (name, answer.text)
            found[name] = text_of(answer.text)
    project.lorchestra("status", code=1)
    project.lorchestra("report", "-o", "report.html")
    found["report"] = text_of((project.folder / "report.html").read_text())
    found["status"] = text_of(project.lorchestra("status", code=1).stdout)
    return found


def text_of(html: str) -> str:
    main = re.search(r"<main.*</main>", html, re.DOTALL)
    # What BigQuery billed stands in payloads, how fast it was in figures.
    apart = r"<svg.*?</svg>|<figure.*?</figure>|<details data-key=.*?</details>|<[^>]+>"
    text = re.sub(apart, " ", main[0] if main else html, flags=re.DOTALL)
    return " ".join(_TIMES.sub("…", text).split())


def test_the_same_is_shown_of_both_stores(dataset: Project, file: Project) -> None:
    """Every page, the report and the status, word by word, but for times."""
    of_file, of_dataset = shown(file), shown(dataset)
    for name, text in of_file.items():
        assert of_dataset[name] == text, name
