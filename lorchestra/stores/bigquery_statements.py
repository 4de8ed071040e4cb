"""What the BigQuery store sends: files of SQL, their tables filled in."""

from importlib.resources import files

from lorchestra.model import TableNames
from lorchestra.setup import setup_statement


def statement(name: str, **tables: str) -> str:
    """The text of `sql/bigquery/{name}.sql`; `tables` are names as `quoted` gives them."""
    text = (files("lorchestra.stores") / "sql" / "bigquery" / f"{name}.sql").read_text(encoding="utf-8")
    return text.format(**tables)


def quoted(*names: str) -> str:
    """The name of a table: the project, where it is not the client's, the dataset, the table."""
    return f"`{'.'.join(names)}`"


def view_statement(project: str, tables: TableNames) -> str:
    """What makes the view `job_runs`. It is read from other projects too, so it names its own."""
    select = setup_statement("job_runs").format(event_log=quoted(project, tables.dataset, tables.event_log))
    return f"CREATE VIEW IF NOT EXISTS {quoted(tables.dataset, 'job_runs')} AS\n{select}"
