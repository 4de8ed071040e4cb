"""What every store promises about its views: which there are, when they are made anew, and what they say."""

import json
import mailbox
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lorchestra.model import Difference, Event
from lorchestra.queries import named_query
from lorchestra.setup import SETUP_COMMAND
from lorchestra.setup.views import VIEWS
from lorchestra.stack_clients.event_client.events import make_event
from lorchestra.stores.base import query_rows
from tests.project import SOURCE_SYSTEM, Project
from tests.stores.conftest import SOURCE, Bench

laws = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mail" / "takeout.mbox"


# Made, compared, made anew


def columns(bench: Bench, view: str) -> list[str]:
    names: list[str] = bench.store.query(f"SELECT * FROM `events_dev.{view}` LIMIT 0").column_names
    return names


def views_missing(*names: str) -> list[Difference]:
    return [
        Difference(table=name, column=None, expected="a view", found=None, mend=SETUP_COMMAND)
        for name in VIEWS
        if name in names
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_its_columns(empty_bench: Bench, view: str) -> None:
    """Those that are promised, in their order, and no others."""
    assert tuple(columns(empty_bench, view)) == VIEWS[view]


def test_missing_views_are_named_and_made(bench: Bench) -> None:
    """A view that is gone is a difference; create_tables makes it, and only it."""
    bench.store.create_tables()
    for view in VIEWS:
        bench.run_sql(f"DROP VIEW events_dev.{view}")
        assert bench.store.check_tables() == views_missing(view)

        bench.reopened().create_tables()

        assert bench.store.check_tables() == []
        assert tuple(columns(bench, view)) == VIEWS[view]


def test_outdated_views_are_named_and_made_anew(bench: Bench) -> None:
    """A view that an older version left is a difference; create_tables leaves it alone, migrate does not."""
    bench.store.create_tables()
    kept = {view: VIEWS[view][0] for view in VIEWS}
    for view in VIEWS:
        bench.run_sql(f"DROP VIEW events_dev.{view}")
        bench.run_sql(f"CREATE VIEW events_dev.{view} AS SELECT 'mine' AS {kept[view]}, 1 AS older")
    before = bench.store.check_tables()
    assert {(one.table, one.column, one.mend) for one in before} == {
        (view, column, SETUP_COMMAND) for view in VIEWS for column in (*VIEWS[view][1:], "older")
    }

    bench.reopened().create_tables()
    assert bench.store.check_tables() == before
    assert all(columns(bench, view) == [kept[view], "older"] for view in VIEWS)

    bench.reopened().migrate()
    assert bench.store.check_tables() == []
    assert all(tuple(columns(bench, view)) == VIEWS[view] for view in VIEWS)
    bench.store.migrate()
    assert bench.store.check_tables() == []


def test_a_view_of_the_users_own_is_never_replaced(bench: Bench) -> None:
    """What has the right columns is taken as it is, by create_tables and by migrate."""
    bench.store.create_tables()
    name = "sources"
    texts = ", ".join(f"'mine' AS {column}" for column in VIEWS[name])
    bench.run_sql(f"DROP VIEW events_dev.{name}")
    bench.run_sql(f"CREATE VIEW events_dev.{name} AS SELECT {texts}")
    again = bench.reopened()
    again.create_tables()
    again.migrate()
    assert bench.rows(f"SELECT DISTINCT source_system FROM `events_dev.{name}`") == [
        {"source_system": "mine"}
    ]


def test_migrate_leaves_a_missing_view_to_create_tables(bench: Bench) -> None:
    """It mends what is there; both together bring everything."""
    bench.store.create_tables()
    bench.run_sql("DROP VIEW events_dev.emails")
    bench.store.migrate()
    assert bench.store.check_tables() == views_missing("emails")


def test_tables_with_columns_of_the_users_own_have_views(bench: Bench) -> None:
    """A column too many is told of, and keeps nobody from having the views, or those of today."""
    bench.store.create_tables()
    for table in ("event_log", "raw_objects"):
        bench.run_sql(f"ALTER TABLE {{{table}}} ADD COLUMN note {{STRING}}")
    for name in VIEWS:
        bench.run_sql(f"DROP VIEW events_dev.{name}")
    assert [one for one in bench.store.check_tables() if one.table in VIEWS] == views_missing(*VIEWS)

    bench.reopened().create_tables()

    assert {name: tuple(columns(bench, name)) for name in VIEWS} == dict(VIEWS)
    assert [(one.table, one.column) for one in bench.store.check_tables()] == [
        ("event_log", "note"),
        ("raw_objects", "note"),
    ]
    bench.run_sql("DROP VIEW events_dev.sources")
    bench.run_sql("CREATE VIEW events_dev.sources AS SELECT 1 AS objects")
    bench.reopened().migrate()
    assert tuple(columns(bench, "sources")) == VIEWS["sources"]
    assert "note" in bench.store.query("SELECT * FROM `events_dev.event_log` LIMIT 0").column_names


# ingestions and sources

COUNTS = (
    "records_extracted",
    "inserted",
    "updated",
    "unchanged",
    "known",
    "gone",
    "rejected",
    "duplicates",
    "recovered",
    "objects",
    "batches",
    "bytes",
)


@dataclass(frozen=True, kw_only=True)
class Ingestion:
    """An ingestion's end as it is logged."""

    source: str
    kind: str
    minutes: int
    completed: bool
    counts: dict[str, int]
    cursor: Any
    since: datetime | None
    trace_id: str | None

    def event(self, number: int) -> Event:
        cursor = {"cursor": self.cursor} if self.completed else {"resume": {"cursor": self.cursor}}
        said = {} if self.completed else {"error_code": "source.unavailable", "error_type": "SomeError"}
        event = make_event(
            event_type="ingestion.completed" if self.completed else "ingestion.failed",
            source_system=self.source,
            object_type=self.kind,
            correlation_id=f"job-{number}",
            trace_id=self.trace_id,
            status="ok" if self.completed else "failed",
            error_message=None if self.completed else "The source hung up.",
            payload={
                **self.counts,
                **cursor,
                **said,
                "duration_seconds": self.minutes / 8,
                "date_filter": {"since": self.since.isoformat() if self.since else None, "until": None},
                "seen_at": self.at.isoformat(),
            },
        )
        return replace(event, created_at=self.at)

    @property
    def at(self) -> datetime:
        return NOW - timedelta(minutes=self.minutes, microseconds=7)

    def row(self, event: Event) -> dict[str, Any]:
        """What the view has to say."""
        return {
            "event_id": event.event_id,
            "run_id": event.correlation_id,
            "source_system": self.source,
            "object_type": self.kind,
            "state": "succeeded" if self.completed else "failed",
            "ended_at": self.at,
            "duration_seconds": self.minutes / 8,
            **{name: self.counts.get(name) for name in COUNTS},
            "since": self.since,
            "until": None,
            "seen_at": self.at,
            "cursor": self.cursor,
            "error_message": None if self.completed else "The source hung up.",
            "error_code": None if self.completed else "source.unavailable",
            "trace_id": self.trace_id,
        }


instants = st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ingestions = st.lists(
    st.builds(
        Ingestion,
        source=st.sampled_from(["acct1", "acct2"]),
        kind=st.sampled_from(["email", "event"]),
        minutes=st.integers(0, 500),
        completed=st.booleans(),
        counts=st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 2**40)),
        cursor=st.none() | st.fixed_dictionaries({"history_id": st.text("0123456789", max_size=5)}),
        since=st.none() | instants,
        trace_id=st.none() | st.just("0af7651916cd43dd8448eb211c80319c"),
    ),
    max_size=6,
    # Of two at one instant nobody can say which was the last.
    unique_by=lambda one: one.minutes,
)


def logged(bench: Bench, given_ones: Iterable[Ingestion]) -> list[tuple[Ingestion, Event]]:
    pairs = [(one, one.event(number)) for number, one in enumerate(given_ones)]
    bench.store.create_tables()
    bench.log(object_type="job_run", payload={"job_name": "job"})
    bench.store.append_events([event for _, event in pairs])
    return pairs


@laws
@given(ones=ingestions)
def test_the_view_of_ingestions(new_bench: Callable[[], Bench], ones: list[Ingestion]) -> None:
    """One row for each end of an ingestion, with what its event says; other events have none."""
    bench = new_bench()
    pairs = logged(bench, ones)
    found = bench.rows("SELECT * FROM `events_dev.ingestions`")
    for row in found:
        row["cursor"] = None if row["cursor"] is None else json.loads(row["cursor"])
    assert {row["event_id"]: row for row in found} == {event.event_id: one.row(event) for one, event in pairs}
    assert len(found) == len(pairs)


@laws
@given(ones=ingestions, merges=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=4))
def test_the_view_of_sources(
    new_bench: Callable[[], Bench], ones: list[Ingestion], merges: list[tuple[str, str]]
) -> None:
    """One row for each source and kind that has objects or was ever read to its end."""
    bench = new_bench()
    pairs = logged(bench, ones)
    expected: dict[tuple[str, str], dict[str, Any]] = {}

    def of(source: str, kind: str) -> dict[str, Any]:
        nothing = dict.fromkeys(VIEWS["sources"], None)
        known = {"source_system": source, "object_type": kind, "objects": 0}
        return expected.setdefault((source, kind), nothing | known)

    first: dict[str, datetime] = {}
    for letter, external_id in merges:
        # "a" is a source that may have been read, too.
        source = "acct1" if letter == "a" else SOURCE
        key = f"{source}:email:{external_id}"
        seen = bench.upsert(
            [{"id": external_id}], source_system=source, idem_key_fn=lambda _, key=key: key
        ).seen_at
        row = of(source, "email")
        row["objects"] += key not in first
        first.setdefault(key, seen)
        row["newest_first_seen"] = max(
            moment for known, moment in first.items() if known.startswith(f"{source}:")
        )
        row["newest_last_seen"] = seen
    for one, event in sorted(pairs, key=lambda pair: pair[0].at):
        if one.completed:
            of(one.source, one.kind).update(last_good_run=event.correlation_id, last_good_at=one.at)

    found = bench.rows("SELECT * FROM `events_dev.sources`")
    assert {(row["source_system"], row["object_type"]): row for row in found} == expected
    assert len(found) == len(expected)


def test_counts_of_somebody_elses_events_break_nothing(bench: Bench) -> None:
    """What is no number, no time or not there is NULL."""
    bench.store.create_tables()
    strange = {"records_extracted": "many", "inserted": [1], "seen_at": "yesterday", "date_filter": "none"}
    bench.log(event_type="ingestion.completed", object_type="email", payload=strange)
    bench.log(event_type="ingestion.failed", source_system="other", status="failed", error_message="x")
    found = bench.rows("SELECT * FROM `events_dev.ingestions` ORDER BY source_system")
    assert [row["state"] for row in found] == ["succeeded", "failed"]
    told = {"event_id", "run_id", "source_system", "object_type", "state", "ended_at", "error_message"}
    assert {row[name] for row in found for name in row if name not in told} == {None}
    # Whoever names no kind of object is one source of its own.
    assert bench.rows("SELECT object_type, objects FROM `events_dev.sources`") == [
        {"object_type": "email", "objects": 0}
    ]
    assert bench.rows("SELECT inserted FROM `events_dev.job_runs`") == [{"inserted": None}]


# emails


def emails(bench: Bench) -> dict[str, dict[str, Any]]:
    """The rows of the view by the message's id."""
    return {row["external_id"]: row for row in bench.rows("SELECT * FROM `events_dev.emails`")}


def test_the_sample_mailbox_reads_as_python_reads_it(bench: Bench, tmp_path: Path) -> None:
    """After a real run each message's row says what the standard library finds in the same file."""
    bench.store.create_tables()
    project = Project(folder=tmp_path, store_url=bench.url)
    project.configure(
        f"""
        [jobs.mail]
        source = "takeout"
        source_system = "{SOURCE_SYSTEM}"
        path = "{SAMPLE}"
        """
    )
    project.lorchestra("run", "mail")

    with closing(mailbox.mbox(SAMPLE, create=False)) as box:
        rows = [as_python_reads_it(box, key) for key in box.keys()]  # noqa: SIM118 - it gives its messages
    expected = {row["external_id"]: row for row in rows}
    found = emails(bench)

    assert {key: {name: row[name] for name in expected[key]} for key, row in found.items()} == expected
    assert {row["source_system"] for row in found.values()} == {SOURCE_SYSTEM}
    assert all(row["first_seen"] == row["last_seen"] for row in found.values())
    # There is something to compare.
    assert len(found) > 100
    assert {row["has_attachment"] for row in found.values()} == {True, False}


def as_python_reads_it(box: mailbox.mbox, key: str) -> dict[str, Any]:
    message = box[key]
    # The class does not take back what keeps a line of the text from beginning a message.
    content = re.sub(rb"^>(>*From )", rb"\1", box.get_bytes(key), flags=re.MULTILINE)
    number, _, arrived = message.get_from().partition("@xxx ")
    _, month, day, time, zone, year = arrived.split()
    return {
        "external_id": format(int(number), "x"),
        "thread_id": format(int(message["X-GM-THRID"]), "x"),
        "sender": header(message, "From"),
        "recipients": header(message, "To"),
        "subject": header(message, "Subject"),
        "date": parsedate_to_datetime(f"{day} {month} {year} {time} {zone}").astimezone(UTC),
        "labels": LABELS[message["X-Gmail-Labels"]],
        "has_attachment": any(part.get_filename() for part in message.walk()),
        "size": len(content),
    }


def header(message: Message, name: str) -> str | None:
    values = [value for key, value in message.raw_items() if key.lower() == name.lower()]
    if not values:
        return None
    raw = values[0].replace("\n", "").encode("utf-8", "surrogateescape")
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        value = raw.decode("cp1252")
    if "=?" not in value:
        return value
    words = decode_header(value)
    return "".join(w if isinstance(w, str) else w.decode(charset or "ascii") for w, charset in words)


#: The labels of the sample, as Takeout writes them and as Gmail's API knows them.
LABELS = {
    "=?UTF-8?Q?Entw=C3=BCrfe?=": ["DRAFT"],
    "=?UTF-8?Q?Re=C3=A7us,Inbox?=": ["Reçus", "INBOX", "UNREAD"],
    "Archived,Important,Opened": ["IMPORTANT"],
    'Archived,Opened,"Lists, old"': ["Lists, old"],
    "Inbox,Category Updates,Unread": ["INBOX", "CATEGORY_UPDATES", "UNREAD"],
    "Inbox,Opened": ["INBOX"],
    "Inbox,Opened,Lists/Exmh": ["INBOX", "Lists/Exmh"],
    "Inbox,Starred,Category Forums,Opened": ["INBOX", "STARRED", "CATEGORY_FORUMS"],
    "Inbox,Unread": ["INBOX", "UNREAD"],
    "Sent": ["SENT"],
    "Spam": ["SPAM", "UNREAD"],
}

A_FROM = {"name": "From", "value": "a@example.org"}

#: Payloads that no mail service sends, and what their rows say beside NULL.
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "no payload": ({"raw": "QQ"}, {}),
    "payload is a text": ({"payload": "text"}, {"has_attachment": False}),
    "payload is null": ({"payload": None}, {"has_attachment": False}),
    "payload is a list": ({"payload": [{"filename": "x"}]}, {"has_attachment": True}),
    "no headers": ({"payload": {}}, {"has_attachment": False}),
    "headers are an object": ({"payload": {"headers": A_FROM}}, {"has_attachment": False}),
    "headers are a text": ({"payload": {"headers": '[{"name": "From"}]'}}, {"has_attachment": False}),
    "headers are a number": ({"payload": {"headers": 7}}, {"has_attachment": False}),
    "headers are null": ({"payload": {"headers": None}}, {"has_attachment": False}),
    "headers are empty": ({"payload": {"headers": []}}, {"has_attachment": False}),
    "headers are odd": (
        {"payload": {"headers": [None, 1, "From", [A_FROM], {}, {"value": "x"}, {"name": 1}, A_FROM]}},
        {"sender": "a@example.org", "has_attachment": False},
    ),
    "a name that is an object": (
        {"payload": {"headers": [{"name": {"name": "From"}, "value": "x"}]}},
        {"has_attachment": False},
    ),
    "a header without a value": ({"payload": {"headers": [{"name": "From"}]}}, {"has_attachment": False}),
    "a value that is an object": (
        {"payload": {"headers": [{"name": "To", "value": {"a": 1}}]}},
        {"has_attachment": False},
    ),
    "several senders": (
        {"payload": {"headers": [{"name": n, "value": str(i)} for i, n in enumerate(["from", "FROM"] * 20)]}},
        {"sender": "0", "has_attachment": False},
    ),
    "labels are a text": ({"labelIds": "INBOX"}, {}),
    "labels are an object": ({"labelIds": {"INBOX": True}}, {}),
    "labels are null": ({"labelIds": None}, {}),
    "labels are odd": ({"labelIds": ["A", None, {"a": 1}, ["B"], "C"]}, {"labels": ["A", "C"]}),
    "a date that is a word": ({"internalDate": "yesterday"}, {}),
    "a date that is a number": ({"internalDate": 1000}, {"date": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)}),
    "a date before 1970": (
        {"internalDate": "-1"},
        {"date": datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1)},
    ),
    "the first date": ({"internalDate": "-62135596800000"}, {"date": datetime(1, 1, 1, tzinfo=UTC)}),
    "the last second": (
        {"internalDate": "253402300799000"},
        {"date": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)},
    ),
    "a date too early": ({"internalDate": "-62135596800001"}, {}),
    "a date too late": ({"internalDate": "253402300800000"}, {}),
    "a date far too late": ({"internalDate": "9223372036854775807"}, {}),
    "a date of no number's size": ({"internalDate": "9" * 40}, {}),
    "a date that is an object": ({"internalDate": {"ms": 1}}, {}),
    "a size that is a word": ({"sizeEstimate": "large"}, {}),
    "a size that is a text": ({"sizeEstimate": "12"}, {"size": 12}),
    "a thread that is an object": ({"threadId": {"a": 1}}, {}),
    "a file name in a part of a part": (
        {"payload": {"filename": "", "parts": [{"filename": "", "parts": [{"filename": "a.pdf"}]}]}},
        {"has_attachment": True},
    ),
    "a file name that begins with a quote": ({"payload": {"filename": '"a"'}}, {"has_attachment": True}),
    "no file name but a text that tells of one": (
        {"payload": {"filename": "", "body": {"data": '{"filename": "a.pdf"} "filename":"b"'}}},
        {"has_attachment": False},
    ),
}


def hostile_mail(bench: Bench) -> None:
    bench.upsert([{"id": str(number), **payload} for number, (payload, _) in enumerate(HOSTILE.values())])
    bench.upsert([{"id": "1"}], object_type="event", idem_key_fn=lambda _: "no mail")


@cache
def hostile_rows(bench: Bench) -> dict[str, dict[str, Any]]:
    return emails(bench)


@pytest.mark.parametrize("name", HOSTILE)
def test_mail_that_is_none_is_a_row(
    shared_bench: Callable[[Callable[[Bench], None]], Bench], name: str
) -> None:
    """A payload that is not as Gmail's has NULL where nothing can be said, and never breaks the view."""
    row = hostile_rows(shared_bench(hostile_mail))[str(list(HOSTILE).index(name))]
    told = ("thread_id", "sender", "recipients", "subject", "date", "labels", "has_attachment", "size")
    nothing = dict.fromkeys(told, None) | {"labels": []}
    assert {column: row[column] for column in told} == nothing | HOSTILE[name][1]


def test_every_object_of_mail_is_one_row(
    shared_bench: Callable[[Callable[[Bench], None]], Bench],
) -> None:
    """No fewer, no more; other kinds of objects are none."""
    bench = shared_bench(hostile_mail)
    assert bench.count("emails") == len(HOSTILE) == bench.count("raw_objects") - 1


def test_strange_mail_has_senders_too(shared_bench: Callable[[Callable[[Bench], None]], Bench]) -> None:
    """What is no list of headers names nobody, and hides none of the others."""
    bench = shared_bench(hostile_mail)
    senders = sorted([A_FROM["value"], *map(str, range(40))])
    assert query_rows(bench.store, named_query("top_senders", bench.store.tables)) == [
        {"sender": sender, "messages": 1} for sender in senders[:10]
    ]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
keys = ("threadId", "payload", "internalDate", "labelIds", "sizeEstimate")
odd_mail = st.dictionaries(st.sampled_from(keys), anything, max_size=5)


@laws
@example(payloads=[{"payload": {"headers": [A_FROM]}}])
@given(payloads=st.lists(odd_mail, max_size=10))
def test_no_payload_breaks_the_view(new_bench: Callable[[], Bench], payloads: list[dict[str, Any]]) -> None:
    """Whatever JSON stands where Gmail has ids, labels, dates and parts, there is a row for each object."""
    bench = new_bench()
    bench.store.create_tables()
    bench.upsert([{**payload, "id": str(number)} for number, payload in enumerate(payloads)])
    assert len(emails(bench)) == len(payloads)
