"""Table definitions and views, one statement a file.

A statement names its tables as `{event_log}`; the store that runs it fills in its own quoted names.
"""

from importlib.resources import files

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


def setup_statement(name: str) -> str:
    """The text of `setup/sql/{name}.sql`, table names still to be filled in."""
    return (files("lorchestra.setup") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
