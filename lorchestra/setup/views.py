"""The views beside the two tables: the public interface for dashboards of the user's own.

Each is one SELECT in GoogleSQL, `sql/views/{name}.sql`, whose tables the store fills in.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from lorchestra.model import Difference
from lorchestra.setup import SETUP_COMMAND, setup_statement, without_comments
from lorchestra.setup.differences import NO_SUCH_COLUMN

_COUNTS = ("records_extracted", "inserted", "updated", "unchanged", "known", "gone", "rejected")

#: The columns of each view. Their types are those that GoogleSQL gives.
VIEWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "job_runs": (
            "run_id",
            "job_name",
            "package_name",
            "host",
            "state",
            "started_at",
            "ended_at",
            "duration_seconds",
            *_COUNTS,
            "error_message",
            "error_code",
            "next_step",
            "trace_id",
            "is_partial",
        ),
        "ingestions": (
            "event_id",
            "run_id",
            "source_system",
            "object_type",
            "state",
            "ended_at",
            "duration_seconds",
            *_COUNTS,
            "duplicates",
            "recovered",
            "objects",
            "batches",
            "bytes",
            "since",
            "until",
            "seen_at",
            "cursor",
            "error_message",
            "error_code",
            "trace_id",
        ),
        "sources": (
            "source_system",
            "object_type",
            "objects",
            "newest_first_seen",
            "newest_last_seen",
            "last_good_run",
            "last_good_at",
        ),
        "emails": (
            "idem_key",
            "source_system",
            "external_id",
            "thread_id",
            "sender",
            "recipients",
            "subject",
            "date",
            "labels",
            "has_attachment",
            "size",
            "first_seen",
            "last_seen",
        ),
    }
)


def view_select(name: str, **tables: str) -> str:
    """The SELECT of a view; `event_log` and `raw_objects` are quoted names, or subqueries."""
    return without_comments(setup_statement(f"views/{name}")).format(**tables)


def view_differences(name: str, found: Collection[str] | None) -> Iterator[Difference]:
    """Compare a view with the columns that were `found`, None where there is no view.

    `lorchestra setup` makes a view anew that differs: it holds no rows.
    """
    if found is None:
        yield Difference(table=name, column=None, expected="a view", found=None, mend=SETUP_COMMAND)
        return
    for column in dict.fromkeys((*VIEWS[name], *found)):
        expected = "a column" if column in VIEWS[name] else NO_SUCH_COLUMN
        actual = "a column" if column in found else None
        if expected != (actual or NO_SUCH_COLUMN):
            yield Difference(table=name, column=column, expected=expected, found=actual, mend=SETUP_COMMAND)
