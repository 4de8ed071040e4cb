"""The project's own queries in DuckDB's SQL, translated when they were written and not at each start.

`make docs` writes the files; a test compares them with what the translation gives.
"""

from importlib.resources import files

from lorchestra.model import TableNames
from lorchestra.queries import OwnQuery


def duckdb_sql(query: str, tables: TableNames) -> str:
    """A GoogleSQL query as DuckDB takes it. Only for a query that is not our own the translator is loaded.

    Raises:
        QueryError: it is not one statement, is no query, or uses what has no translation.
    """
    if isinstance(query, OwnQuery):
        return translated(query.name, tables)
    from lorchestra.stores.googlesql import translate  # noqa: PLC0415 - as large as all the rest

    return translate(query, dialect="duckdb")


def translated(name: str, tables: TableNames) -> str:
    """The translation of one of our own queries, or of a view (`views/job_runs`), its tables filled in."""
    folder = files("lorchestra.stores") / "sql" / "duckdb" / "translated"
    return folder.joinpath(f"{name}.sql").read_text(encoding="utf-8").format(**quoted(tables))


def quoted(tables: TableNames) -> dict[str, str]:
    """What the files' `{event_log}`, `{raw_objects}` and `{job_runs}` stand for."""
    names = {"event_log": tables.event_log, "raw_objects": tables.raw_objects, "job_runs": "job_runs"}
    return {placeholder: f'"{tables.dataset}"."{name}"' for placeholder, name in names.items()}
