"""Named queries in GoogleSQL, one a file: the same text on every store.

The first comment line of a file says what the query answers. `{event_log}`, `{raw_objects}` and `{job_runs}`
stand for the configured tables, `@name` for a parameter.
"""

from importlib.resources import files

from lorchestra.model import TableNames


def query_names() -> list[str]:
    """The queries that users can name, sorted."""
    return sorted(
        path.name.removesuffix(".sql") for path in files(__name__).iterdir() if path.name.endswith(".sql")
    )


def named_query(name: str, tables: TableNames) -> str:
    """The text of a query that users can name, its tables filled in.

    Raises:
        FileNotFoundError: there is no such query.
    """
    return _filled(f"{name}.sql", tables)


def internal_query(name: str, tables: TableNames) -> str:
    """The text of a query of our own, its tables filled in."""
    return _filled(f"internal/{name}.sql", tables)


def _filled(path: str, tables: TableNames) -> str:
    text = files(__name__).joinpath(path).read_text(encoding="utf-8")
    return text.format(
        event_log=f"`{tables.dataset}.{tables.event_log}`",
        raw_objects=f"`{tables.dataset}.{tables.raw_objects}`",
        job_runs=f"`{tables.dataset}.job_runs`",
    )
