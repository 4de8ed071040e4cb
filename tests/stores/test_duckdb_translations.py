"""The translations that are kept are those that the translator gives."""

from pathlib import Path

import pytest

from docs.translations import translations
from lorchestra.model import TableNames
from lorchestra.queries import internal_query, named_query
from lorchestra.stores import duckdb_translations
from lorchestra.stores.duckdb_translations import duckdb_sql
from lorchestra.stores.googlesql import translate

FOLDER = Path(duckdb_translations.__file__).parent / "sql" / "duckdb" / "translated"
CURRENT = translations()


def test_there_is_one_for_each_query_and_no_other() -> None:
    kept = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.sql")}
    assert kept == set(CURRENT)
    assert {"views/job_runs", "top_senders", "internal/runs"} <= kept


@pytest.mark.parametrize("name", CURRENT)
def test_what_is_kept_is_current(name: str) -> None:
    """Else `make docs` has to be run."""
    assert (FOLDER / f"{name}.sql").read_text(encoding="utf-8") == CURRENT[name]


@pytest.mark.parametrize("query", [named_query, internal_query], ids=["named", "internal"])
def test_names_of_tables_are_filled_in(query: type) -> None:
    """With whatever names the tables have, it is the translation of the query with these names."""
    tables = TableNames(dataset="mine", event_log="log", raw_objects="objects")
    name = {named_query: "top_senders", internal_query: "known_keys"}[query]
    own = query(name, tables)
    comments = ("--",)
    plain = "\n".join(line for line in own.splitlines() if not line.startswith(comments))
    assert duckdb_sql(own, tables).strip() == translate(plain, dialect="duckdb")
    assert duckdb_sql(str(plain), tables) == translate(plain, dialect="duckdb")
