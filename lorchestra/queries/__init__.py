"""Named queries in GoogleSQL, one a file: the same text on every store.

The first comment line of a file says what the query answers. `{event_log}`, `{raw_objects}` and `{job_runs}`
stand for the configured tables, `@name` for a parameter.
"""

from importlib.resources import files

from lorchestra.model import TableNames
from lorchestra.setup import setup_statement


class OwnQuery(str):
    """The text of one of these queries.

    A store that does not speak GoogleSQL may know it by its `name`, and have its translation ready.
    """

    __slots__ = ("name",)

    name: str


def query_names() -> list[str]:
    """The queries that users can name, sorted."""
    return _names(".")


def internal_query_names() -> list[str]:
    """The queries of our own, sorted."""
    return _names("internal")


def named_query(name: str, tables: TableNames) -> OwnQuery:
    """The text of a query that users can name, its tables filled in.

    Raises:
        FileNotFoundError: there is no such query.
    """
    return _filled(name, tables)


def internal_query(name: str, tables: TableNames) -> OwnQuery:
    """The text of a query of our own, its tables filled in."""
    return _filled(f"internal/{name}", tables)


def _names(folder: str) -> list[str]:
    entries = files(__name__).joinpath(folder).iterdir()
    return sorted(entry.name.removesuffix(".sql") for entry in entries if entry.name.endswith(".sql"))


def _filled(name: str, tables: TableNames) -> OwnQuery:
    names = {
        "event_log": f"`{tables.dataset}.{tables.event_log}`",
        "raw_objects": f"`{tables.dataset}.{tables.raw_objects}`",
        "job_runs": f"`{tables.dataset}.job_runs`",
    }
    text = _text(name)
    if "{runs_to_prune}" in text:
        names["runs_to_prune"] = _text("internal/runs_to_prune").format(**names)
    if "{job_runs_of_events}" in text:
        # What the view says of runs, said of some of them without looking at the others.
        some = f"({_text('internal/events_of_runs').format(**names)})"
        names["job_runs_of_events"] = setup_statement("job_runs").format(event_log=some)
    query = OwnQuery(text.format(**names))
    query.name = name
    return query


def _text(name: str) -> str:
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
