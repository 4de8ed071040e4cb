"""Named queries in GoogleSQL, one a file: the same text on every store.

The first comment line of a file says what the query answers. `{event_log}`, `{raw_objects}` and `{job_runs}`
stand for the configured tables, `@name` for a parameter.

Our own queries read no view of the store: what a view says of runs stands in them, said of the runs that are
asked for and without looking at the others, whatever view an older version made.
"""

from collections.abc import Callable, Mapping
from importlib.resources import files

from lorchestra.model import TableNames
from lorchestra.setup import without_comments
from lorchestra.setup.views import view_select


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
    for part, made in _PARTS.items():
        if f"{{{part}}}" in text:
            names[part] = made(names)
    query = OwnQuery(text.format(**names))
    query.name = name
    return query


def _runs_of(events: str, names: Mapping[str, str]) -> str:
    """What `job_runs` says of the events that a query of our own gives."""
    some = without_comments(_text(f"internal/{events}").format(**names))
    return "(" + view_select("job_runs", event_log=f"({some})") + ")"


def _view(name: str, names: Mapping[str, str]) -> str:
    return "(" + view_select(name, event_log=names["event_log"], raw_objects=names["raw_objects"]) + ")"


def _subquery(name: str, names: Mapping[str, str]) -> str:
    text = without_comments(_text(f"internal/{name}"))
    return "(" + text.format(runs_of_job=_runs_of("events_of_job", names)) + ")"


def _health(runs: str) -> str:
    """What `job_health` says of some runs: a table, or a subquery."""
    return without_comments(_text("job_health")).format(recent_runs=runs)


def _text(name: str) -> str:
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


#: What stands in several queries, by the name of its placeholder.
_PARTS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "runs_to_prune": lambda names: _text("internal/runs_to_prune").format(**names),
    "job_runs_of_events": lambda names: _runs_of("events_of_runs", names),
    "recent_runs": lambda names: _runs_of("recent_runs", names),
    "runs_of_span": lambda names: _runs_of("events_between", names),
    "runs_of_job_since": lambda names: _runs_of("events_of_job_since", names),
    "sources_now": lambda names: _view("sources", names),
    "ingestions_now": lambda names: _view("ingestions", names),
    "health_of_recent": lambda _: _health("recent"),
    "runs_of_job": lambda names: _runs_of("events_of_job", names),
    "health_of_ending_run": lambda names: _health(_subquery("runs_with_ending", names)),
}
