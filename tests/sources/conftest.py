"""What the tests of the mail sources share. Mailboxes are real files; nothing is replaced by a double."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lorchestra.model import Record, Rejection, Window
from lorchestra.sources.base import SourceContext, SourceType
from lorchestra.sources.mbox import MBOX
from lorchestra.sources.takeout import TAKEOUT
from tests.sources.api_case import ApiCase, ApiService, Table, dates
from tests.sources.gmail_case import GMAIL_CASE

SAMPLE = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"

SOURCES: dict[str, SourceType] = {"mbox": MBOX, "takeout": TAKEOUT}

#: Every source that reads an API.
API_CASES = [GMAIL_CASE]

Read = Callable[..., list[Record | Rejection]]


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled export."""
    return SAMPLE


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read mailboxes below `tmp_path`: `read("mbox", path="a.mbox")`."""

    def read_records(
        source: str, *, window: Window | None = None, **options: Any
    ) -> list[Record | Rejection]:
        kind = SOURCES[source]
        opened = kind.open(kind.options(**options), SourceContext(base=tmp_path))
        return list(opened.records(window or Window(), None))

    return read_records


@pytest.fixture
def messages(tmp_path: Path, read: Read) -> Callable[..., list[dict[str, Any]]]:
    """Write bytes as an mbox file and give the resources that come of it."""

    def of(content: bytes, source: str = "mbox", **options: Any) -> list[dict[str, Any]]:
        (tmp_path / "mail.mbox").write_bytes(content)
        records = read(source, path="mail.mbox", **options)
        return [record.data for record in records if isinstance(record, Record)]

    return of


@pytest.fixture
def message(messages: Callable[..., list[dict[str, Any]]]) -> Callable[..., dict[str, Any]]:
    """Give the resource of one message, written as an mbox file of one."""

    def of(content: bytes, source: str = "mbox", from_line: bytes = b"", **options: Any) -> dict[str, Any]:
        line = from_line or b"From a@example.com Thu Aug 22 12:36:23 2002"
        quoted = re.sub(rb"(?m)^(>*From )", rb">\1", content)
        [resource] = messages(line + b"\n" + quoted + b"\n", source, **options)
        return resource

    return of


@pytest.fixture(params=[pytest.param(case, id=case.name) for case in API_CASES])
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ApiCase:
    """One API source after the other, with small pages and short pauses."""
    case: ApiCase = request.param
    for name, value in case.constants.items():
        monkeypatch.setattr(name, value)
    return case


@pytest.fixture
def service(case: ApiCase) -> Iterator[ApiService]:
    """Its service, with twelve records on several pages."""
    with case.start(dates(12), 2_000) as service:
        yield service


@pytest.fixture
def table(case: ApiCase, tmp_path: Path) -> Table:
    """An empty table for it."""
    return Table(case, tmp_path / "table.duckdb")
