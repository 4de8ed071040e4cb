"""Every statement that can be sent to BigQuery is one to the genuine GoogleSQL analyzer."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
from filelock import FileLock
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokens import TokenType

from lorchestra.queries import internal_query, named_query, query_names
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS, googlesql_statements, setup_statement
from lorchestra.setup.differences import described, differences
from lorchestra.setup.views import VIEWS
from lorchestra.stores.bigquery_statements import quoted, statement, view_statement
from tests.googlesql.analyzer import PROJECT, STAGED, STAGED_COPY, TABLES, Analyzer, Rejected
from tests.stores import test_conformance_queries as conformance

# One process is enough: the analyzer takes 250 MB. With pytest 9.2, xdist 3.8 does not group: its issue 1386.
pytestmark = pytest.mark.xdist_group("googlesql")

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

#: What the project's statements are given, by name.
PARAMETERS = {
    "after": "STRING",
    "before": "TIMESTAMP",
    "event_ids": "ARRAY<STRING>",
    "first": "TIMESTAMP",
    "hi": "STRING",
    "idem_key": "STRING",
    "job": "STRING",
    "keys": "ARRAY<STRING>",
    "last": "TIMESTAMP",
    "limit": "INT64",
    "lo": "STRING",
    "object_type": "STRING",
    "run_id": "STRING",
    "run_ids": "ARRAY<STRING>",
    "seconds": "FLOAT64",
    "seen_at": "TIMESTAMP",
    "seen_ats": "ARRAY<TIMESTAMP>",
    "source_system": "STRING",
}
#: Statements over rows that are copied; the others read the staging table of a merge.
COPYING = {"merge_copied_objects"}

EVENT_LOG = quoted(TABLES.dataset, TABLES.event_log)
RAW_OBJECTS = quoted(TABLES.dataset, TABLES.raw_objects)
JOB_RUNS = quoted(TABLES.dataset, "job_runs")
STAGED_OBJECTS = quoted(TABLES.dataset, STAGED)
MERGE = f"MERGE {RAW_OBJECTS} AS T USING {STAGED_OBJECTS} AS S ON T.idem_key = S.idem_key"

_FENCE = re.compile(r"^```sql\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r'^\$ lorchestra query "(SELECT .*?)"', re.DOTALL | re.MULTILINE)


def names_in(package: str, folder: str) -> list[str]:
    """The `.sql` files right in a folder, by name; none where there is no folder."""
    path = files(package) / folder
    entries = path.iterdir() if path.is_dir() else ()
    return sorted(entry.name.removesuffix(".sql") for entry in entries if entry.name.endswith(".sql"))


def statements_of(text: str) -> list[str]:
    """The statements of a script; a `;` in a text or a comment ends none."""
    statements: list[str] = []
    begin: int | None = None
    end = 0
    for token in BigQuery().tokenize(text):
        if token.token_type != TokenType.SEMICOLON:
            begin = token.start if begin is None else begin
            end = token.end + 1
        elif begin is not None:
            statements.append(text[begin:end])
            begin = None
    return statements if begin is None else [*statements, text[begin:end]]


def setup_statements() -> dict[str, str]:
    """All statements of `setup/sql/`, by file and number."""
    return {
        f"{name}-{number}": statement
        for name in names_in("lorchestra.setup", "sql")
        for number, statement in enumerate(statements_of(setup_statement(name)), start=1)
    }


def store_statement(name: str) -> str:
    """A statement of the store, as it sends it."""
    staged = STAGED_COPY if name in COPYING else STAGED
    return statement(
        name,
        raw_objects=RAW_OBJECTS,
        event_log=EVENT_LOG,
        staged=quoted(TABLES.dataset, staged),
        table=EVENT_LOG,
        runs_to_prune=internal_query("runs_to_prune", TABLES),
    )


def mends() -> list[str]:
    """What mends each column that may be NULL: it is missing, or must not be NULL."""
    return [
        difference.mend
        for table, columns in ((EVENT_LOG, EVENT_LOG_COLUMNS), (RAW_OBJECTS, RAW_OBJECTS_COLUMNS))
        for found in ({}, {name: described(kind, nullable=False) for name, kind, _ in columns})
        for difference in differences("", columns, found, types={}, quoted=table)
        if difference.mend is not None
    ]


def specified_queries() -> dict[str, str]:
    """The specification's queries, by the names of their constants."""
    return {
        name: value
        for name, value in vars(conformance).items()
        if name.isupper() and isinstance(value, str) and value.lstrip().startswith("SELECT")
    }


def documented_queries() -> dict[str, str]:
    """What the pages show as SQL or give to `lorchestra query`, by page and number."""
    return {
        f"{page.relative_to(ROOT)}-{number}": sql
        for page in PAGES
        for text in [page.read_text(encoding="utf-8")]
        for number, sql in enumerate([*_FENCE.findall(text), *_COMMAND.findall(text)], start=1)
    }


@pytest.fixture(scope="session")
def googlesql(tmp_path_factory: pytest.TempPathFactory) -> Analyzer:
    """The analyzer, ready. Of several processes one compiles it; the others wait and find what it kept."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "googlesql.lock"):
        return Analyzer()


# What the project sends


@pytest.mark.parametrize("name", query_names())
def test_named_queries(googlesql: Analyzer, name: str) -> None:
    """Queries that users can name are accepted."""
    googlesql.accepts(named_query(name, TABLES), PARAMETERS)


@pytest.mark.parametrize("name", names_in("lorchestra.queries", "internal"))
def test_internal_queries(googlesql: Analyzer, name: str) -> None:
    """Queries of our own are accepted."""
    googlesql.accepts(internal_query(name, TABLES), PARAMETERS)


@pytest.mark.parametrize("statement", setup_statements().values(), ids=setup_statements())
def test_setup(googlesql: Analyzer, statement: str) -> None:
    """Definitions and migrations are accepted as they stand in the files, one by one."""
    googlesql.accepts(statement.replace("{event_log}", EVENT_LOG))


@pytest.mark.parametrize("name", names_in("lorchestra.setup", "sql"))
def test_setup_sends_all_of_a_file(name: str) -> None:
    """The store sends each statement of a file, whole and alone."""
    assert googlesql_statements(name, TABLES) == statements_of(setup_statement(name))


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("name", VIEWS)
def test_views(googlesql: Analyzer, name: str, replace: bool) -> None:
    """The definitions of the views are accepted, the tables named with their project."""
    googlesql.accepts(view_statement(name, PROJECT, TABLES, replace=replace))


@pytest.mark.parametrize("mend", mends())
def test_mends(googlesql: Analyzer, mend: str) -> None:
    """What mends a column that is missing or must not be NULL is accepted."""
    googlesql.accepts(mend)


def test_every_column_that_may_be_null_has_two_mends() -> None:
    """There is something to look at in the test before."""
    assert len(mends()) == 2 * sum(nullable for _, _, nullable in (*EVENT_LOG_COLUMNS, *RAW_OBJECTS_COLUMNS))


def test_the_store_has_statements() -> None:
    """There is something to look at in the next test."""
    assert names_in("lorchestra.stores", "sql/bigquery")


@pytest.mark.parametrize("name", names_in("lorchestra.stores", "sql/bigquery"))
def test_statements_of_the_store(googlesql: Analyzer, name: str) -> None:
    """What the store itself sends is accepted."""
    googlesql.accepts(store_statement(name), PARAMETERS)


# What others ask


@pytest.mark.parametrize("query", specified_queries().values(), ids=specified_queries())
def test_queries_of_the_specification(googlesql: Analyzer, query: str) -> None:
    """The specification's queries are accepted as they stand there."""
    googlesql.accepts(query, PARAMETERS)


@pytest.mark.parametrize("query", documented_queries().values(), ids=documented_queries())
def test_queries_of_the_documentation(googlesql: Analyzer, query: str) -> None:
    """What the documentation shows is accepted."""
    googlesql.accepts(query, PARAMETERS)


def test_the_specification_and_the_documentation_have_queries() -> None:
    """There is something to look at in the two tests before."""
    assert len(specified_queries()) >= 11
    pages = {name.rpartition("-")[0] for name in documented_queries()}
    assert pages >= {"README.md", "docs/mail.md"}


# What the analyzer finds

_SELECTS = {
    "SELECT payloadx FROM {raw}": "Unrecognized name: payloadx",
    "SELECT 1 FROM `events_dev.raw_object`": "Table not found",
    "SELECT 1 FROM raw_objects": "Table not found",
    "SELECT COUNT(nothing) FROM {raw}": "Unrecognized name: nothing",
    "SELECT NOTHING_KNOWN(1)": "Function not found",
    "SELECT NOW()": "Function not found",
    "SELECT 1; SELECT 2": "Expected end of input",
    "-- nothing": "Unexpected end of statement",
    "SELECT idem_key, COUNT(*) FROM {raw}": "neither grouped nor aggregated",
    "SELECT 1 FROM {raw} WHERE COUNT(*) > 1": "not allowed in WHERE",
    "SELECT idem_key FROM {raw} AS a JOIN {raw} AS b ON a.idem_key = b.idem_key": "ambiguous",
    "SELECT first_seen FROM {staged}": "Unrecognized name: first_seen",
    "SELECT 1 FROM {runs} WHERE state = 1": "No matching signature",
    # JSON
    "SELECT 1 FROM {raw} AS a JOIN {raw} AS b ON a.payload = b.payload": "Equality is not defined",
    "SELECT payload, COUNT(*) FROM {raw} GROUP BY payload": "Grouping by expressions of type JSON",
    "SELECT DISTINCT payload FROM {raw}": "cannot be used in SELECT DISTINCT",
    "SELECT 1 FROM {raw} ORDER BY payload": "ORDER BY does not support",
    "SELECT LENGTH(payload) FROM {raw}": "No matching signature",
    # Other dialects
    "SELECT payload ->> '$.x' FROM {raw}": "Syntax error",
    "SELECT idem_key::STRING FROM {raw}": "Syntax error",
    "SELECT * EXCLUDE (payload) FROM {raw}": "Syntax error",
    "SELECT 1 FROM {raw} WHERE idem_key ILIKE 'x'": "Syntax error",
    "SELECT CAST(idem_key AS VARCHAR) FROM {raw}": "Type not found: VARCHAR",
    # Parameters
    "SELECT @nothing": "Query parameter 'nothing' not found",
    "SELECT 1 FROM {raw} WHERE idem_key = ?": "Positional parameters",
    "SELECT 1 FROM {raw} WHERE idem_key = $lo": "Syntax error",
    "SELECT 1 FROM {raw} WHERE idem_key = @seen_at": "No matching signature",
    "SELECT 1 FROM {raw} WHERE last_seen = @limit": "No matching signature",
    "SELECT 1 FROM {raw} WHERE last_seen = idem_key": "No matching signature",
    "SELECT 1 FROM {raw} WHERE idem_key IN UNNEST(@lo)": "must be an array",
    "SELECT 1 FROM {raw} LIMIT @lo": "expects INT64",
}
_CHANGES = {
    "INSERT INTO {raw} (idem_key, payload) VALUES ('a', @lo)": "cannot be inserted into column payload",
    "INSERT INTO {raw} (idem_key, payload) VALUES ('a')": "wrong column count",
    "INSERT INTO {raw} (idem_key) VALUES ('a') ON CONFLICT (idem_key) DO NOTHING": "ON CONFLICT",
    "INSERT INTO {raw} (idem_key) VALUES ('a') THEN RETURN idem_key": "THEN RETURN",
    "INSERT INTO {runs} (run_id) VALUES ('a')": "non-writable column",
    "UPDATE {raw} SET last_seen = @seen_at": "must have a WHERE",
    "UPDATE {raw} SET payload = TO_JSON_STRING(payload) WHERE TRUE": "cannot be assigned to payload",
    "UPDATE {raw} SET external_id = payload WHERE TRUE": "cannot be assigned to external_id",
    "DELETE FROM {raw}": "must have a WHERE",
    "{merge}": "Expected keyword WHEN",
    "{merge} WHEN MATCHED UPDATE SET last_seen = @seen_at": "Expected keyword AND or keyword THEN",
    "{merge} WHEN MATCHED THEN UPDATE SET nothing = 1": "Unrecognized name: nothing",
    "{merge} WHEN MATCHED THEN UPDATE SET last_seen = S.last_seen": "last_seen not found inside S",
    "{merge} WHEN MATCHED THEN UPDATE SET last_seen = @limit": "cannot be assigned to last_seen",
    "{merge} WHEN MATCHED THEN UPDATE SET external_id = idem_key": "ambiguous",
    "{merge} WHEN MATCHED AND T.payload != S.payload THEN DELETE": "Inequality is not defined",
    "{merge} WHEN NOT MATCHED THEN UPDATE SET last_seen = @seen_at": "not allowed for NOT MATCHED",
    "{merge} WHEN NOT MATCHED THEN INSERT (idem_key, payload) VALUES (S.idem_key)": "wrong column count",
    "{merge} WHEN NOT MATCHED THEN INSERT (payload) VALUES (S.idem_key)": "cannot be inserted",
    "{merge} WHEN NOT MATCHED THEN INSERT (idem_key) VALUES (T.idem_key)": "Unrecognized name: T",
}
_DEFINITIONS = {
    "ALTER TABLE {log} ADD COLUMN x VARCHAR": "Type not found: VARCHAR",
    "ALTER TABLE {log} ADD COLUMN payload JSON": "Column already exists",
    "ALTER TABLE {log} ALTER COLUMN nothing DROP NOT NULL": "Column not found",
    "ALTER TABLE `events_dev.nothing` ADD COLUMN x STRING": "Table not found",
    "CREATE TABLE `events_dev.x` (a STRING, a STRING)": "Duplicate column",
    "CREATE TABLE `events_dev.x` (a TIMESTAMP) PARTITION BY DATE(b)": "Unrecognized name: b",
    "CREATE TABLE `events_dev.x` (a JSON) CLUSTER BY a": "CLUSTER BY",
    "CREATE TABLE `events_dev.x` (a STRING) OPTIONS (descriptoin = 'x')": "Unknown option",
    "CREATE TABLE `events_dev.x` (a STRING) OPTIONS (description = 1)": "Option description",
    "CREATE VIEW `events_dev.x` AS SELECT nothing FROM {log}": "Unrecognized name: nothing",
}
WRONG = _SELECTS | _CHANGES | _DEFINITIONS


@pytest.mark.parametrize(("statement", "reason"), WRONG.items(), ids=WRONG)
def test_wrong_statements(googlesql: Analyzer, statement: str, reason: str) -> None:
    """What BigQuery would refuse is rejected, for that reason."""
    sql = statement.format(raw=RAW_OBJECTS, log=EVENT_LOG, runs=JOB_RUNS, staged=STAGED_OBJECTS, merge=MERGE)
    with pytest.raises(Rejected, match=re.escape(reason)):
        googlesql.accepts(sql, PARAMETERS)


@pytest.mark.parametrize(
    "name",
    [
        "events_dev.raw_objects",
        "`events_dev.raw_objects`",
        "`events_dev`.raw_objects",
        "my-project.events_dev.raw_objects",
        "`my-project.events_dev.raw_objects`",
        "`my-project`.events_dev.raw_objects",
    ],
)
def test_names_of_tables(googlesql: Analyzer, name: str) -> None:
    """A table is known by all the ways to write its name, to read it and to change it."""
    googlesql.accepts(f"SELECT idem_key FROM {name}")
    googlesql.accepts(f"DELETE FROM {name} WHERE idem_key = 'a'")


@pytest.mark.parametrize(
    "script",
    [
        "SELECT 1; -- one; two\nSELECT ';'",
        "-- a;\nSELECT 1\n;\n\nSELECT ';';\n-- b;\n",
        ";SELECT 1;; SELECT ';'",
    ],
)
def test_scripts_are_split_between_statements(script: str) -> None:
    """A `;` in a comment or a text ends no statement."""
    assert statements_of(script) == ["SELECT 1", "SELECT ';'"]
