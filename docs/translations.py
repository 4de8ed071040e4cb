"""The project's own queries, translated to DuckDB's SQL: `make docs` writes them."""

from lorchestra.model import TableNames
from lorchestra.queries import internal_query, internal_query_names, named_query, query_names
from lorchestra.setup import without_comments
from lorchestra.setup.views import VIEWS, view_select
from lorchestra.stores.duckdb_translations import quoted
from lorchestra.stores.googlesql import translate

#: Names that stand nowhere else in a query, so that they can be found in its translation.
_MARKED = TableNames(dataset="the_dataset", event_log="the_event_log", raw_objects="the_raw_objects")


def translations() -> dict[str, str]:
    """Every translation by its name; tables are `{event_log}` and so on."""
    queries: list[str] = [named_query(name, _MARKED) for name in query_names()]
    names = list(query_names())
    for name in internal_query_names():
        names.append(f"internal/{name}")
        queries.append(internal_query(name, _MARKED))
    for name in VIEWS:
        names.append(f"views/{name}")
        queries.append(
            view_select(
                name,
                event_log=f"`{_MARKED.dataset}.{_MARKED.event_log}`",
                raw_objects=f"`{_MARKED.dataset}.{_MARKED.raw_objects}`",
            )
        )
    return {name: _template(query) for name, query in zip(names, queries, strict=True)}


def _template(query: str) -> str:
    text = translate(without_comments(query), dialect="duckdb")
    if "{" in text or "}" in text:
        raise SystemExit("a translated query has a brace, which str.format would take for a placeholder")
    for placeholder, name in quoted(_MARKED).items():
        text = text.replace(name, f"{{{placeholder}}}")
    if "the_" in text:
        raise SystemExit("a translated query names a table in another way than DuckDB's quotes")
    return text + "\n"
