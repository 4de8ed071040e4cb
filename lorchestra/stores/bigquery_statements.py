"""What the BigQuery store sends: files of SQL, their tables filled in."""

from importlib.resources import files

from lorchestra.model import TableNames
from lorchestra.setup.views import view_select


def statement(name: str, **tables: str) -> str:
    """The text of `sql/bigquery/{name}.sql`; `tables` are names as `quoted` gives them."""
    text = (files("lorchestra.stores") / "sql" / "bigquery" / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(**tables)


def quoted(*names: str) -> str:
    """The name of a table: the project, where it is not the client's, the dataset, the table."""
    return f"`{'.'.join(names)}`"


def view_statement(name: str, project: str, tables: TableNames, *, replace: bool = False) -> str:
    """What makes a view. It is read from other projects too, so it names its own."""
    select = view_select(
        name,
        event_log=quoted(project, tables.dataset, tables.event_log),
        raw_objects=quoted(project, tables.dataset, tables.raw_objects),
    )
    how, unless = ("CREATE OR REPLACE VIEW", "") if replace else ("CREATE VIEW", "IF NOT EXISTS ")
    return f"{how} {unless}{quoted(tables.dataset, name)} AS\n{select}"
