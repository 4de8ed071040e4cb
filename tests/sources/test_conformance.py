"""What every source promises, asked of each registered one.

A source joins by a `Case`: how to lay out some records of it, in a folder or at a service. What an API source
promises beyond this is in test_api_conformance.py.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from lorchestra.errors import SourceError
from lorchestra.model import Record, Window
from lorchestra.sources.base import Source, SourceContext, SourceType, source_names, source_type
from lorchestra.sources.gmail import GMAIL
from lorchestra.sources.mbox import MBOX
from lorchestra.sources.takeout import TAKEOUT
from tests.gmail.front import gmail_service
from tests.gmail.mailbox import takeout_messages

SAMPLE = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
# A word of the sample's content, which no error may repeat.
CONTENT = "spamassassin"


SOURCE_SYSTEM = "tap-gmail--acct1-personal"


@dataclass(frozen=True, kw_only=True)
class Laid:
    """Records that are there to be read: the options and variables that a source finds them by."""

    options: dict[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    kind: SourceType
    lay_out: Callable[[Path], AbstractContextManager[Laid]]
    #: One that cannot be read to the end.
    lay_out_broken: Callable[[Path], AbstractContextManager[Laid]]
    #: What the error about the broken one names first.
    setting: str = "path"
    #: Whether records come in the same order each time.
    is_ordered: bool = True


def in_folder(write: Callable[[Path], dict[str, Any]]) -> Callable[[Path], AbstractContextManager[Laid]]:
    return lambda folder: nullcontext(Laid(options=write(folder)))


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


@contextmanager
def gmail_sample(folder: Path) -> Iterator[Laid]:
    with gmail_service(takeout_messages()[:100]) as service:
        # The real limits would take a minute.
        options = {"quota_units_per_minute": 1_000_000, "token_uri": service.token_uri}
        variables = service.variables(SOURCE_SYSTEM)
        yield Laid(options={"endpoint": service.endpoint, **options}, environment=variables)


@contextmanager
def gmail_without_consent(folder: Path) -> Iterator[Laid]:
    with gmail_service(takeout_messages()[:1]) as service:
        service.revoke()
        options = {"endpoint": service.endpoint, "token_uri": service.token_uri}
        yield Laid(options=options, environment=service.variables(SOURCE_SYSTEM))


SAMPLE_FILE, BROKEN_FILE = in_folder(takeout_sample), in_folder(not_an_mbox)
CASES = [
    pytest.param(Case(kind=TAKEOUT, lay_out=SAMPLE_FILE, lay_out_broken=BROKEN_FILE), id="takeout"),
    pytest.param(Case(kind=MBOX, lay_out=SAMPLE_FILE, lay_out_broken=BROKEN_FILE), id="mbox"),
    pytest.param(
        Case(kind=MBOX, lay_out=in_folder(maildir_sample), lay_out_broken=in_folder(not_a_maildir)),
        id="maildir",
    ),
    pytest.param(
        Case(
            kind=GMAIL,
            lay_out=gmail_sample,
            lay_out_broken=gmail_without_consent,
            setting="login",
            is_ordered=False,
        ),
        id="gmail",
    ),
]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def kind(case: Case) -> SourceType:
    return case.kind


@pytest.fixture
def laid(case: Case, tmp_path: Path) -> Iterator[Laid]:
    with case.lay_out(tmp_path) as laid:
        yield laid


@pytest.fixture
def open_source(kind: SourceType, laid: Laid, tmp_path: Path) -> Callable[[], Source]:
    return lambda: opened(kind, laid, tmp_path)


@pytest.fixture
def compared(case: Case) -> Callable[[list[Record]], list[Record]]:
    """Records so that two readings can be compared: where their order is chance, in another one."""

    def of(records: list[Record]) -> list[Record]:
        return records if case.is_ordered else sorted(records, key=lambda record: record.position)

    return of


def opened(kind: SourceType, laid: Laid, base: Path) -> Source:
    context = SourceContext(base=base, source_system=SOURCE_SYSTEM, environment=laid.environment)
    return kind.open(kind.options(**laid.options), context)


def records_of(source: Source, window: Window | None = None) -> list[Record]:
    return [item for item in source.records(window or Window(), None) if isinstance(item, Record)]


def done(source: Source) -> int:
    progress = source.progress()
    return progress.bytes_done or progress.records_done


def share_done(source: Source) -> float | None:
    """None where the source cannot know the whole."""
    progress = source.progress()
    total = progress.bytes_total if progress.records_total is None else progress.records_total
    return None if total is None else done(source) / total


def arrived(record: Record) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(record.data["internalDate"]))


def test_every_registered_source_is_here() -> None:
    cases = {id(case.values[0].kind) for case in CASES}
    assert [name for name in source_names() if id(source_type(name)) not in cases] == []


def test_the_first_record_comes_before_the_last_is_read(open_source: Callable[[], Source]) -> None:
    source = open_source()
    items = source.records(Window(), None)
    next(item for item in items if isinstance(item, Record))
    share = share_done(source)
    assert share is None or share < 0.5
    items.close()  # type: ignore[attr-defined]


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


def test_reading_twice_gives_the_same_records(
    open_source: Callable[[], Source], compared: Callable[[list[Record]], list[Record]]
) -> None:
    assert compared(records_of(open_source())) == compared(records_of(open_source()))


def test_a_window_is_the_filter_of_all_records(
    open_source: Callable[[], Source], compared: Callable[[list[Record]], list[Record]]
) -> None:
    everything = compared(records_of(open_source()))
    dates = sorted(arrived(record) for record in everything)
    since, until = dates[len(dates) // 4], dates[3 * len(dates) // 4]
    assert since < until

    def within(window: Window) -> list[Record]:
        return compared(records_of(open_source(), window))

    assert within(Window(since=since, until=until)) == [r for r in everything if since <= arrived(r) < until]
    assert within(Window(since=since)) == [r for r in everything if since <= arrived(r)]
    assert within(Window(until=until)) == [r for r in everything if arrived(r) < until]


def test_progress_rises_to_the_total(open_source: Callable[[], Source]) -> None:
    source = open_source()
    seen = [done(source)]
    seen.extend(done(source) for _ in source.records(Window(), None))
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert share_done(source) == 1


def test_positions_are_unique_and_hold_no_content(open_source: Callable[[], Source]) -> None:
    positions = [record.position for record in records_of(open_source())]
    assert len(set(positions)) == len(positions)
    assert not any(CONTENT in position or "@" in position for position in positions)


def test_an_unknown_option_is_refused(kind: SourceType, laid: Laid) -> None:
    with pytest.raises(ValidationError, match="pth"):
        kind.options(**laid.options, pth="x")


def test_every_option_is_described(kind: SourceType) -> None:
    assert all(field.description for field in kind.options.model_fields.values())


def test_an_error_names_the_setting_and_no_content(case: Case, kind: SourceType, tmp_path: Path) -> None:
    with case.lay_out_broken(tmp_path) as laid:
        source = opened(kind, laid, tmp_path)
        with pytest.raises(SourceError, match=f"^{case.setting}: ") as raised:
            list(source.records(Window(), None))
    assert raised.value.next_step
    assert CONTENT not in str(raised.value)
