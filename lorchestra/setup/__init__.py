"""Table definitions, migrations and views.

The files right in `sql/` are GoogleSQL. Those that make and alter tables can be given to `bq query` as they
are: they name the tables of the dataset `events_dev`. All others name tables as `{event_log}`; the store that
runs them fills in its own quoted names.
"""

from importlib.resources import files

from lorchestra.model import TableNames

#: The columns of both tables: name, GoogleSQL type, nullable. The specification fixes them.
EVENT_LOG_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("event_id", "STRING", False),
    ("event_type", "STRING", False),
    ("source_system", "STRING", False),
    ("object_type", "STRING", True),
    ("idem_key", "STRING", True),
    ("correlation_id", "STRING", False),
    ("trace_id", "STRING", True),
    ("created_at", "TIMESTAMP", False),
    ("status", "STRING", False),
    ("error_message", "STRING", True),
    ("payload", "JSON", True),
)
RAW_OBJECTS_COLUMNS: tuple[tuple[str, str, bool], ...] = (
    ("idem_key", "STRING", False),
    ("source_system", "STRING", False),
    ("object_type", "STRING", False),
    ("external_id", "STRING", True),
    ("payload", "JSON", False),
    ("first_seen", "TIMESTAMP", False),
    ("last_seen", "TIMESTAMP", False),
)

#: What makes a table that is missing.
SETUP_COMMAND = "lorchestra setup"
#: The names that the files use.
DEFAULTS = TableNames()


def setup_statement(name: str) -> str:
    """The text of `setup/sql/{name}.sql`, table names still to be filled in."""
    return (files("lorchestra.setup") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def without_comments(sql: str) -> str:
    """The lines that are no comment: a query that stands in another cannot have them."""
    return "\n".join(line for line in sql.splitlines() if not line.lstrip().startswith("--"))


def googlesql_statements(name: str, tables: TableNames) -> list[str]:
    """The statements of `setup/sql/{name}.sql`, on the tables of another dataset."""
    text = setup_statement(name)
    for table in ("event_log", "raw_objects"):
        default = f"`{DEFAULTS.dataset}.{getattr(DEFAULTS, table)}`"
        text = text.replace(default, f"`{tables.dataset}.{getattr(tables, table)}`")
    return [statement.strip() for statement in without_comments(text).split(";") if statement.strip()]
