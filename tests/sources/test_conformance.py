"""What every source promises, asked of each registered one.

A source joins by a `Case`: how to lay out some records of it in a folder.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from lorchestra.errors import SourceError
from lorchestra.model import Record, Window
from lorchestra.sources.base import Source, SourceContext, SourceType, source_names, source_type
from lorchestra.sources.mbox import MBOX
from lorchestra.sources.takeout import TAKEOUT

SAMPLE = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
# A word of the sample's content, which no error may repeat.
CONTENT = "spamassassin"


@dataclass(frozen=True, kw_only=True)
class Case:
    kind: SourceType
    lay_out: Callable[[Path], dict[str, Any]]
    #: A folder whose source cannot be read to the end.
    lay_out_broken: Callable[[Path], dict[str, Any]]


def takeout_sample(folder: Path) -> dict[str, Any]:
    # Larger than what is read at once, so that laziness shows.
    content = SAMPLE.read_bytes()
    (folder / "takeout.mbox").write_bytes(content * 2)
    return {"path": "takeout.mbox"}


def not_an_mbox(folder: Path) -> dict[str, Any]:
    (folder / "takeout.mbox").write_bytes(SAMPLE.read_bytes().split(b"\n", 1)[1])
    return {"path": "takeout.mbox"}


def maildir_sample(folder: Path) -> dict[str, Any]:
    for name in ("cur", "new", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True)
    for number, part in enumerate(SAMPLE.read_bytes().split(b"\n\nFrom ")[:60]):
        name = f"{1030000000 + number * 3600}.M{number}.host:2,S"
        (folder / "Maildir" / "cur" / name).write_bytes(part.split(b"\n", 1)[1] + b"\n")
    return {"path": "Maildir"}


def not_a_maildir(folder: Path) -> dict[str, Any]:
    maildir_sample(folder)
    shutil.rmtree(folder / "Maildir" / "new")
    return {"path": "Maildir"}


CASES = [
    pytest.param(Case(kind=TAKEOUT, lay_out=takeout_sample, lay_out_broken=not_an_mbox), id="takeout"),
    pytest.param(Case(kind=MBOX, lay_out=takeout_sample, lay_out_broken=not_an_mbox), id="mbox"),
    pytest.param(Case(kind=MBOX, lay_out=maildir_sample, lay_out_broken=not_a_maildir), id="maildir"),
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def kind(case: Case) -> SourceType:
    return case.kind


@pytest.fixture
def open_source(case: Case, kind: SourceType, tmp_path: Path) -> Callable[[], Source]:
    options = kind.options(**case.lay_out(tmp_path))
    return lambda: kind.open(options, SourceContext(base=tmp_path))


def records_of(source: Source, window: Window | None = None) -> list[Record]:
    return [item for item in source.records(window or Window(), None) if isinstance(item, Record)]


def arrived(record: Record) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(record.data["internalDate"]))


def test_every_registered_source_is_here() -> None:
    cases = {id(case.values[0].kind) for case in CASES}
    assert [name for name in source_names() if id(source_type(name)) not in cases] == []


def test_the_first_record_comes_before_the_last_is_read(open_source: Callable[[], Source]) -> None:
    source = open_source()
    next(iter(source.records(Window(), None)))
    progress = source.progress()
    assert progress.bytes_total is None or progress.bytes_done < progress.bytes_total / 2


def test_records_are_json_objects_with_an_identity(
    open_source: Callable[[], Source], kind: SourceType
) -> None:
    key_of = kind.idem_key_fn("tap-test--acct1")
    records = records_of(open_source())
    assert records
    for record in records:
        assert orjson.loads(orjson.dumps(record.data)) == record.data
        assert "\0" not in orjson.dumps(record.data).decode().replace("\\u0000", "\0")
        assert key_of(record.data).startswith(f"tap-test--acct1:{kind.object_type}:")


def test_reading_twice_gives_the_same_records(open_source: Callable[[], Source]) -> None:
    assert records_of(open_source()) == records_of(open_source())


def test_a_window_is_the_filter_of_all_records(open_source: Callable[[], Source]) -> None:
    everything = records_of(open_source())
    dates = sorted(arrived(record) for record in everything)
    since, until = dates[len(dates) // 4], dates[3 * len(dates) // 4]
    assert since < until
    assert records_of(open_source(), Window(since=since, until=until)) == [
        record for record in everything if since <= arrived(record) < until
    ]
    assert records_of(open_source(), Window(since=since)) == [r for r in everything if since <= arrived(r)]
    assert records_of(open_source(), Window(until=until)) == [r for r in everything if arrived(r) < until]


def test_progress_rises_to_the_total(open_source: Callable[[], Source]) -> None:
    source = open_source()
    seen = [source.progress().bytes_done]
    seen.extend(source.progress().bytes_done for _ in source.records(Window(), None))
    end = source.progress()
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert end.bytes_done == end.bytes_total


def test_positions_are_unique_and_hold_no_content(open_source: Callable[[], Source]) -> None:
    positions = [record.position for record in records_of(open_source())]
    assert len(set(positions)) == len(positions)
    assert not any(CONTENT in position or "@" in position for position in positions)


def test_an_unknown_option_is_refused(kind: SourceType, case: Case, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="pth"):
        kind.options(**case.lay_out(tmp_path), pth="x")


def test_every_option_is_described(kind: SourceType) -> None:
    assert all(field.description for field in kind.options.model_fields.values())


def test_an_error_names_the_setting_and_no_content(kind: SourceType, case: Case, tmp_path: Path) -> None:
    source = kind.open(kind.options(**case.lay_out_broken(tmp_path)), SourceContext(base=tmp_path))
    with pytest.raises(SourceError, match=r"^path: ") as raised:
        list(source.records(Window(), None))
    assert raised.value.next_step
    assert CONTENT not in str(raised.value)
