"""Bad input and whole commands: what can be kept is, the rest is told, nothing else is lost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lorchestra.cli import main
from lorchestra.history import typed_parameters
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import Store
from tests.project import JOB, Project, new_project

HOSTILE = '''
import json
import math
import resource
from datetime import datetime
from pathlib import Path

from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import Progress, Record, Rejection
from lorchestra.sources.base import SourceOptions, SourceType


def deep(levels):
    value = "bottom"
    for _ in range(levels - 1):
        value = [value]
    return value


def circle():
    value = []
    value.append(value)
    return value


def good():
    return {
        "plain": {"id": "plain"},
        "number": {"id": 2**64 - 1, "n": [2**63, -(2**63), 2**53 + 1, 0.1, 1e308, -0.0]},
        "nul": {"id": "a\\0b", "text": "\\0"},
        "unicode": {"id": "\\U0001f600", "\\u2028": "\\ufeff\\uffff"},
        "sql": {"id": "'; DROP TABLE raw_objects; --", "`": '"$1"'},
        "path": {"id": "../../etc/passwd", "a\\nb": "]\\n[\\"k\\",{"},
        "dates": {"id": "dates", "year": ["0000-01-01", "10000-01-01T00:00:00Z"]},
        "keyish": {"id": 'x",{"y', "n": None},
        "deep 400": {"id": "400", "deep": deep(400)},
        "deep 500": {"id": "500", "deep": deep(500)},
        "large": {"id": "large", "text": "x" * 2_000_000},
    }


def wide():
    return {"wide": {"id": "wide", "n": [2**64, -(2**63) - 1, 10**400]}}


def bad():
    return {
        "no id": {"name": "x"},
        "null id": {"id": None},
        "empty id": {"id": ""},
        "true id": {"id": True},
        "wide id": {"id": 2**64},
        "long id": {"id": 10**5000},
        "float id": {"id": 1.0},
        "list id": {"id": ["1"]},
        "surrogate id": {"id": "\\ud800"},
        "NaN": {"id": "1", "n": math.nan},
        "1e400": {"id": "1", "n": json.loads("1e400")},
        "digits": {"id": "1", "n": 10**5000},
        "surrogate": {"id": "1", "text": "\\udc00"},
        "surrogate name": {"id": "1", "\\ud800": 1},
        "number name": {"id": "1", 7: 1},
        "bytes": {"id": "1", "b": b"x"},
        "set": {"id": "1", "s": {1}},
        "object": {"id": "1", "o": object()},
        "circle": {"id": "1", "c": circle()},
        "deep 501": {"id": "1", "deep": deep(501)},
        "deep 600": {"id": "1", "deep": deep(600)},
        "deep 10000": {"id": "1", "deep": deep(10_000)},
        "text": "text",
        "list": [{"id": "1"}],
        "nothing": None,
    }


class Hostile:
    """Every good record has bad ones around it."""

    def __init__(self, options, context):
        self._peak = context.base / "peak"

    def records(self, window, cursor):
        good_ones = list((good() | wide()).items())
        for number, (position, data) in enumerate(bad().items()):
            yield Record(data=data, position=position)
            if number < len(good_ones):
                yield Record(data=good_ones[number][1], position=good_ones[number][0])
        yield Rejection(reason="bad\\ud800 reason\\n" * 50, position="\\udcff\\0")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield Record(data={"id": "huge", "text": "x" * (97 * 1024 * 1024)}, position="huge")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self._peak.write_text(str((after - before) // 1024))
        yield Record(data={"id": "last"}, position="last")

    def next_cursor(self):
        return None

    def progress(self):
        return Progress()


SOURCE = SourceType(
    summary="x", object_type="thing", options=SourceOptions, open=Hostile, idem_key_fn=gmail_idem_key
)
'''


@pytest.fixture(params=["duckdb", "bigquery"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project on each kind of store, with a source that yields every kind of record."""
    project = new_project(tmp_path, messages=0)
    if request.param == "bigquery":
        service = request.getfixturevalue("bigquery_service")
        project.store_url = f"bigquery://p{uuid4().hex[:20]}/events_dev"
        project.variables["BIGQUERY_EMULATOR_HOST"] = service.endpoint
        with project.store() as store:
            store.create_tables()
    project.install("hostile", HOSTILE, sources={"hostile": "SOURCE"})
    project.configure('[jobs.things]\nsource = "hostile"\nsource_system = "acme"\nobject_type = "email"')
    return project


def test_among_bad_records_the_good_ones_are_stored_exactly(hostile: Project) -> None:
    """Stored as given, or rejected with reason and place; the counts add up; memory is bounded."""
    made: dict[str, Any] = {}
    exec(HOSTILE, made)
    good, bad, wide = made["good"](), made["bad"](), made["wide"]()
    keeps_wide = hostile.store_url is None

    [ran] = hostile.lorchestra("run", "things", "--json").rows

    stored = [row["payload"] for row in hostile.objects()]
    expected = [*good.values(), {"id": "last"}, *(wide.values() if keeps_wide else ())]
    assert sorted(stored, key=lambda one: str(one["id"])) == sorted(expected, key=lambda one: str(one["id"]))
    [rejects] = (hostile.spool / "rejects").iterdir()
    lines = [json.loads(line) for line in rejects.read_bytes().splitlines()]
    refused = [*bad, "\udcff\0", "huge", *(() if keeps_wide else wide)]
    assert sorted(line["position"] for line in lines) == sorted(refused)
    assert all(line["reason"] for line in lines)
    assert {line["position"]: line.get("detail", "") for line in lines}["deep 501"].startswith(
        "nested deeper"
    )
    assert ran["rejected"] == len(refused)
    assert ran["inserted"] == len(expected)
    assert ran["records_extracted"] == len(refused) + len(expected)
    [ended] = [event for event in hostile.events() if event["event_type"] == "ingestion.completed"]
    assert sum(ended["payload"]["reject_reasons"].values()) == len(refused)
    # The object itself, its JSON twice.
    assert int((hostile.folder / "peak").read_text()) < 450


# The spool


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project, whose folder is the working directory of this process."""
    monkeypatch.chdir(tmp_path)
    return new_project(tmp_path)


def invoke(*arguments: str, code: int = 0) -> Result:
    """A command in this process: nothing but its exit code gets out."""
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.output
    return result


def test_garbage_in_the_spool_stops_no_command(here: Project) -> None:
    """It is kept aside and told; what stands beside it is delivered, merged and closed."""
    segments = here.spool / "segments" / JOB
    segments.mkdir(parents=True)
    header = b'{"source_system":"acme","object_type":"page"}\n'
    damaged = (
        header
        + b'["a",{"n":1}]\n["b",{"n":\0\0}]\ngarbage]\n["c",{"n":2}]\n\xff\xfe\n["d",{"n":3}]\n["e",{"torn'
    )
    (segments / "x.000001.jsonl").write_bytes(damaged)
    (segments / "x.000002.jsonl").write_bytes(b"no header\n" + damaged)
    (segments / "x.000003.jsonl").write_bytes(b'{"source_system":7}\n')
    (segments / "x.000004.jsonl.part").write_bytes(b"")
    (segments / "x.000005.jsonl").mkdir()
    (segments / "x.000006.jsonl.part").write_bytes(header + b'["f",{"n":4}]\n["g",{"n":')
    runs = here.spool / "runs"
    runs.mkdir()
    for number, text in enumerate(
        (b"[]", b"7", b"{}", b'"x"', b"\xff", b'{"run_id":7}', b'{"run_id":"../x"}')
    ):
        (runs / f"job{number}.json").write_bytes(text)
    (runs / "folder.json").mkdir()
    (runs / f"{JOB}.json").write_bytes(b"[1]")
    waiting = (
        b'{"store":"duckdb:///lorchestra.duckdb#events_dev.event_log","event":{"event_id":"a","event_type":"job.failed","source_system":"x","correlation_id":"r","created_at":'
        b'"2025-01-01T00:00:00+00:00","status":"failed","object_type":null,"idem_key":null,"trace_id":null,'
        b'"error_message":"x","payload":null}}\n'
    )
    bad_lines = [
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"event_id":"b"}',
        waiting.replace(b"2025", b"0000").strip(),
    ]
    here.outbox.write_bytes(b"\n".join([*bad_lines, waiting]))

    invoke("runs")
    [event] = here.events()
    assert event["event_id"] == "a"
    assert not here.outbox.exists()
    assert (here.spool / "outbox.unreadable.jsonl").read_bytes().splitlines() == bad_lines
    assert sorted(path.name for path in runs.glob("*.json")) == ["folder.json"]

    [ran] = json.loads(invoke("run", JOB, "--json").stdout)
    assert {
        row["idem_key"]: row["payload"]["n"] for row in here.objects() if row["source_system"] == "acme"
    } == {
        "a": 1,
        "c": 2,
        "d": 3,
        "f": 4,
    }
    assert (ran["records_extracted"], ran["rejected"], ran["recovered"]) == (3, 5, 9)
    assert ran["inserted"] + ran["rejected"] == ran["records_extracted"] + ran["recovered"]
    assert sorted(path.name for path in segments.iterdir()) == [
        "x.000001.jsonl.unreadable",
        "x.000002.jsonl.unreadable",
        "x.000003.jsonl.unreadable",
        "x.000005.jsonl",
    ]
    assert (segments / "x.000001.jsonl.unreadable").read_bytes() == damaged
    [rejects] = (here.spool / "rejects").iterdir()
    places = [json.loads(line)["position"] for line in rejects.read_bytes().splitlines()]
    assert places[:3] == [f"x.000001.jsonl.unreadable:line {number}" for number in (3, 4, 6)]
    # Nobody can be asked for them again.
    assert "not resolved" in invoke("retry", ran["run_id"], code=2).output


# Names, ids, parameters

NASTY = [
    "../../x",
    "/etc/passwd",
    "..",
    "a\nb",
    "x\"'; DROP TABLE events_dev.event_log; --",
    "`x`$(touch pwned)",
    "a" * 300,
    "\udcff",
    "~nobody-here/x",
    "-rf",
]


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "site" not in path.parts}


def test_a_name_that_is_typed_is_a_name_and_nothing_else(here: Project) -> None:
    """As a job, run id, dataset or store it is unknown or refused; no file is made of it."""
    here.store().create_tables()
    before = files(here.folder.parent)
    for name in NASTY:
        for command in (("run",), ("jobs", "show"), ("runs", "show"), ("retry",)):
            invoke(*command, "--", name, code=2)
        for option in ("dataset", "store-url", "config"):
            invoke("jobs", "list", f"--{option}={name}", code=2)
        invoke("copy", f"--to={name}", code=2)
        for option in ("since", "until", "limit"):
            invoke("run", JOB, f"--{option}={name}", code=2)
        assert json.loads(invoke("runs", f"--job={name}", "--json").stdout) == []
        if any("\ud800" <= char <= "\udfff" for char in name):
            invoke("runs", "tail", f"--job={name}", code=2)
        if name.isprintable():
            [row] = json.loads(invoke("query", f"--param=n={name}", "--format=json", "SELECT @n AS n").stdout)
            assert row["n"] == name
    assert files(here.folder.parent) == before


def test_a_job_of_a_package_cannot_be_called_as_it_likes(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name becomes part of file names; what cannot be one is not run."""
    names = [name for name in NASTY if name.isprintable() and name.isascii() and name != "-rf"]
    here.install("nasty", "def run(context): ...\n" + "fine = run\n", jobs=["fine"])
    points = here.folder / "site" / "nasty-1.0.dist-info" / "entry_points.txt"
    points.write_text("[lorchestra.jobs]\n" + "".join(f"{name} = nasty:run\n" for name in ("fine", *names)))
    monkeypatch.syspath_prepend(here.folder / "site")

    invoke("jobs", "list")
    invoke("run", "fine")
    before = files(here.folder.parent)
    for name in names:
        invoke("run", "--", f"nasty/{name}", code=2)
        invoke("run", "--", name, code=2)
    assert files(here.folder.parent) == before


@pytest.fixture(scope="module")
def known_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Store]:
    """One store for all examples of a law."""
    from lorchestra.stores import open_store

    store = open_store(f"duckdb:///{tmp_path_factory.mktemp('laws') / 'x.duckdb'}")
    store.create_tables()
    return lambda: store


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    st.sampled_from("'\"`;\\%$@{}()-/.\n\0 xé"), min_size=1, max_size=12
)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts.filter(lambda text: bool(text.strip())))
@example("x'; DELETE FROM events_dev.event_log; --")
@example("{raw_objects}")
@example("$run_id")
def test_no_value_reaches_the_statement(known_store: Callable[[], Store], text: str) -> None:
    """Whatever is written into a column, asked for by a parameter or by a run id comes back as it was."""
    store = known_store()
    event_id = log_event(
        event_type="job.started",
        source_system=text,
        object_type=text,
        idem_key=text,
        correlation_id=text,
        trace_id=text,
        error_message=text,
        payload={text: text},
        bq_client=store,
    )
    parameters = typed_parameters([f"p={text}", f"id={event_id}"])
    [row] = store.query(
        "SELECT *, @p AS p FROM events_dev.event_log WHERE event_id = @id AND correlation_id = @p", parameters
    ).to_pylist()
    assert json.loads(row["payload"]) == {text: text}
    names = ("source_system", "object_type", "idem_key", "correlation_id", "trace_id", "error_message", "p")
    assert {row[name] for name in names} == {text}
    part = text.replace(":", ".")
    result = upsert_objects(
        objects=[{"id": text}],
        source_system=part,
        object_type=part,
        correlation_id=text,
        idem_key_fn=lambda obj: f"{part}:{part}:{obj['id']}",
        bq_client=store,
    )
    assert result.inserted + result.unchanged == 1


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT DATE '0000-01-01' AS d", "0000-01-01"),
        ("SELECT CAST('10000-01-01' AS DATE) AS d", "10000-01-01"),
        ("SELECT TIMESTAMP '9999-12-31' + INTERVAL 10 DAY AS d", "10000-01-10"),
        ("SELECT '[bold]' AS `[/x]`", "[bold]"),
        ("SELECT JSON '{\"n\": 1e400}' AS j", "Infinity"),
        ("SELECT 1 AS `a\nb`", "1"),
    ],
)
def test_a_result_that_python_cannot_hold_is_printed_all_the_same(
    here: Project, sql: str, shown: str
) -> None:
    """In all forms."""
    here.store().create_tables()
    for form in ("table", "csv", "json"):
        assert shown in invoke("query", "--format", form, sql).stdout


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 2000 + "1" + ")" * 2000,
        "SELECT [DATE '0000-01-01'] AS d",
        "SELECT '\udcff'",
        "SELECT \0",
        "",
        "SELECT 1; DROP TABLE events_dev.event_log",
        "DELETE FROM events_dev.event_log WHERE TRUE",
        "COPY (SELECT 1) TO 'pwned'",
    ],
)
def test_a_query_that_is_none_is_wrong_use(here: Project, sql: str) -> None:
    here.store().create_tables()
    invoke("query", sql, code=2)
    assert not (here.folder / "pwned").exists()
    assert here.events() == []


def test_a_terminal_without_the_letters_shows_their_numbers(here: Project) -> None:
    here.store().create_tables()
    for form, shown in (("table", "\\xe9\\U0001f600"), ("json", "\\u00e9\\ud83d\\ude00")):
        variables = {"PYTHONIOENCODING": "ascii"}
        told = here.lorchestra("query", "--format", form, "-", stdin="SELECT 'é😀' AS x", env=variables)
        assert shown in told.stdout


def test_a_folder_that_duckdb_cannot_be_told_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for command in (("runs",), ("setup",), ("query", "SELECT 1")):
        assert "UTF-8" in invoke(*command, code=2).output
