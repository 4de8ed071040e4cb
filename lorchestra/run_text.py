"""A run as text for a terminal: what it was, its events one after the other, what it read and stored."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lorchestra.event_text import says
from lorchestra.model import TableNames
from lorchestra.run_details import IngestionDetails, RunDetails
from lorchestra.spans import span
from lorchestra.terminal import cell, one_line, table_lines

_WIDTH = 200
_WORDS = {"records_extracted": "read", "inserted": "new", "updated": "changed"}
_TOLD_IF_MET = {"duplicates", "recovered"}


def run_lines(
    run: RunDetails,
    touched: Sequence[Sequence[Mapping[str, Any]]],
    tables: TableNames,
    *,
    width: int,
) -> Iterator[str]:
    """The lines that `lorchestra runs show` prints; `touched` are some objects of each ingestion."""
    yield from _pairs(_header(run))
    yield ""
    yield from _timeline(run, width)
    for ingestion, objects in zip(run.ingestions, touched, strict=True):
        yield ""
        yield from _ingestion(ingestion, objects, tables)
    if run.parameters:
        yield ""
        yield "parameters"
        yield from (f"  {line}" for line in _pairs(_parameters(run.parameters)))


def _header(run: RunDetails) -> Iterator[tuple[str, str]]:
    yield "run", run.run_id
    if run.job_name is not None:
        yield "job", run.job_name + (f" ({run.package_name})" if run.package_name else "")
    yield "state", run.state
    yield "started", f"{cell(run.started_at)} UTC"
    if run.running is not None:
        ago = span((datetime.now(UTC) - run.started_at).total_seconds())
        yield "running", f"for {ago}: {run.running.seen:,} objects seen, {run.running.inserted:,} new"
    elif run.duration_seconds is not None:
        yield "duration", f"{run.duration_seconds:.3f} s"
    if run.host is not None:
        yield "host", run.host
    if run.trace_id is not None:
        yield "trace id", run.trace_id
    if run.state == "failed":
        code = f" [{run.error_code}]" if run.error_code else ""
        yield "error", (run.error_message or "it does not say why") + code
        if run.next_step is not None:
            yield "next", run.next_step


def _timeline(run: RunDetails, width: int) -> Iterator[str]:
    rows = [
        {
            "seconds": round((event["created_at"] - run.started_at).total_seconds(), 3),
            "event": event["event_type"],
            "source": event["source_system"],
            "says": says(event) or None,
        }
        for event in run.events
    ]
    yield from table_lines(("seconds", "event", "source", "says"), rows, width=width)


def _ingestion(
    one: IngestionDetails, objects: Sequence[Mapping[str, Any]], tables: TableNames
) -> Iterator[str]:
    yield one_line(f"{one.source_system}, {one.object_type}: {one.state}")
    yield from (f"  {line}" for line in _pairs(_told(one)))
    for row in objects:
        yield f"    {cell(row['idem_key'], width=_WIDTH)}"
    if one.first_seen or one.last_seen:
        yield f"  {one_line(_query(one, tables))}"


def _told(one: IngestionDetails) -> Iterator[tuple[str, str]]:
    if one.counts:
        told = [(name, count) for name, count in one.counts.items() if count or name not in _TOLD_IF_MET]
        yield "counts", ", ".join(f"{count:,} {_WORDS.get(name, name)}" for name, count in told)
    if one.cursor_before is not None or one.cursor_after is not None:
        yield "cursor before", _json(one.cursor_before)
        yield "cursor after", _json(one.cursor_after)
    yield "objects", f"{one.first_seen:,} first seen by this run, {one.last_seen:,} last seen by it"


def _query(one: IngestionDetails, tables: TableNames) -> str:
    """What to type to see all of them."""
    sql = (
        f"SELECT * FROM {tables.dataset}.{tables.raw_objects} "  # noqa: S608 - for the user to type; values bound
        "WHERE source_system = @source AND object_type = @type AND @seen IN (first_seen, last_seen)"
    )
    values = {
        "source": one.source_system,
        "type": one.object_type,
        "seen:TIMESTAMP": one.seen_at.isoformat() if one.seen_at else "",
    }
    given = " ".join(f"--param {shlex.quote(f'{name}={value}')}" for name, value in values.items())
    return f'lorchestra query "{sql}" {given}'


def _parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", _json(inner)) for key, inner in value.items())
        elif value is not None:
            yield name, _json(value)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def _pairs(pairs: Iterator[tuple[str, str]]) -> Iterator[str]:
    known = [(cell(name), cell(value, width=_WIDTH * 5)) for name, value in pairs]
    width = max(len(name) for name, _ in known)
    yield from (f"{name:<{width}}  {value}" for name, value in known)
