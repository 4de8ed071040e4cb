"""The receipt of a run: what its events say, beside what the table, the spool and the source have.

Every check is a comparison of two accounts that were written apart: the counts in `ingestion.completed` come
from the records that passed through the run, the rows of `raw_objects` from the store.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lorchestra.errors import LorchestraError
from lorchestra.history import list_runs, run_events
from lorchestra.model import Window
from lorchestra.queries import internal_query
from lorchestra.rejects import rejects_of
from lorchestra.spool import JobSpool
from lorchestra.stores.base import Store

_COUNTED = (
    "records_extracted",
    "recovered",
    "inserted",
    "updated",
    "unchanged",
    "duplicates",
    "rejected",
)
# File systems take 255, and an ending comes after it.
_NAME_BYTES_MAX = 240
_ENDS = ("job.completed", "job.failed")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison. `ok` is None where it could not be made; `next_step` is what to type."""

    run_id: str
    check: str
    ok: bool | None
    expected: str
    found: str
    next_step: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ingestion:
    """What `ingestion.completed` says of one source in a run."""

    run_id: str
    job_name: str
    source_system: str
    object_type: str
    started_at: datetime
    #: Why it cannot be compared with its source; None where it can.
    partial: str | None
    #: Its payload: counts, seen_at, date_filter.
    said: Mapping[str, Any]

    @property
    def window(self) -> Window:
        """The window that was read."""
        bounds = {
            name: None if text is None else datetime.fromisoformat(text)
            for name, text in self.said["date_filter"].items()
        }
        return Window(since=bounds.get("since"), until=bounds.get("until"))


#: Gives counts of what the source of an ingestion had before it, as `jobs.compare` does.
SourceCounts = Callable[[Ingestion], Mapping[str, int]]


def verify_run(
    run_id: str, *, store: Store, spool: Path, ask_source: SourceCounts | None = None
) -> list[Check]:
    """All checks of one run; its source is asked where `ask_source` is given.

    Raises:
        StoreError: the store cannot be asked.
        SpoolError: the spool cannot be read.
    """
    events = run_events(store, run_id)
    checks = [_one_end(run_id, events)]
    for ingestion in _ingestions(run_id, events):
        if not _counts(ingestion.said) or not _names_a_file(run_id):
            checks.append(_not_counted(run_id))
            continue
        checks += _in_table(ingestion, store)
        checks.append(_rejects(ingestion, spool))
        if ask_source is not None:
            checks.append(_at_source(ingestion, ask_source))
    started = next((one for one in events if one["event_type"] == "job.started"), None)
    job_name = (started["payload"] or {}).get("job_name") if started is not None else None
    if isinstance(job_name, str) and _names_a_file(job_name):
        checks.append(_nothing_waits(run_id, job_name, store=store, spool=spool))
    return checks


def runs_to_verify(store: Store, job_name: str) -> list[str]:
    """The newest run of a job that has ended, and where that failed, the newest that succeeded."""
    ended = [
        row
        for state in ("succeeded", "failed")
        for row in list_runs(store, job=job_name, state=state, limit=1)
    ]
    ended.sort(key=lambda row: row["started_at"], reverse=True)
    return [row["run_id"] for row in (ended if ended and ended[0]["state"] == "failed" else ended[:1])]


def never_ran(job_name: str) -> Check:
    """The check of a job that left no run."""
    return _check(
        "-", job_name, ok=None, expected="a run", found="never ran", step=f"Type: lorchestra run {job_name}"
    )


def _one_end(run_id: str, events: Sequence[Mapping[str, Any]]) -> Check:
    kinds = [event["event_type"] for event in events]
    starts, ends = kinds.count("job.started"), [kind for kind in kinds if kind in _ENDS]
    found = f"{starts} job.started, {', '.join(ends) or 'no end'}"
    job = next((one["payload"]["job_name"] for one in events if "job_name" in (one["payload"] or {})), "JOB")
    if not ends and starts == 1:
        state, step = None, f"Wait for it to end; then type: lorchestra verify {run_id}"
    else:
        state = starts == 1 and ends == ["job.completed"]
        step = f"`lorchestra runs show {run_id}` says why it failed; `lorchestra run {job}` tries again."
    return _check(run_id, "log", ok=state, expected="1 job.started, job.completed", found=found, step=step)


def _ingestions(run_id: str, events: Sequence[Mapping[str, Any]]) -> Iterator[Ingestion]:
    started = next((one for one in events if one["event_type"] == "job.started"), None)
    for event in events:
        if event["event_type"] == "ingestion.completed" and started is not None:
            told = started["payload"] or {}
            yield Ingestion(
                run_id=run_id,
                job_name=told.get("job_name", "JOB"),
                source_system=event["source_system"],
                object_type=event["object_type"] or "",
                started_at=started["created_at"],
                partial=_part(told.get("parameters")),
                said=event["payload"] or {},
            )


def _counts(said: Mapping[str, Any]) -> bool:
    """Whether an ingestion tells what is compared: events may be somebody else's."""
    try:
        datetime.fromisoformat(said["seen_at"])
    except (KeyError, TypeError, ValueError):
        return False
    return all(isinstance(said.get(name), int) for name in _COUNTED)


def _names_a_file(name: str) -> bool:
    """Whether the spool may be asked for it: a name of somebody else's may lead out of it."""
    return Path(name).name == name and "\0" not in name and len(name.encode()) <= _NAME_BYTES_MAX


def _not_counted(run_id: str) -> Check:
    return _check(
        run_id, "records", ok=None, expected="counts in the log", found="other than lorchestra's", step=None
    )


def _part(parameters: Any) -> str | None:
    if not isinstance(parameters, dict):
        return None
    if parameters.get("limit") is not None:
        return "a run with a limit"
    return "a retry" if parameters.get("retry_of") is not None else None


def _in_table(one: Ingestion, store: Store) -> list[Check]:
    said = one.said
    read = said["records_extracted"] + said["recovered"]
    came = sum(said[name] for name in ("inserted", "updated", "unchanged", "duplicates", "rejected"))
    [row] = store.query(
        internal_query("run_objects", store.tables),
        {
            "source_system": one.source_system,
            "object_type": one.object_type,
            "seen_at": datetime.fromisoformat(said["seen_at"]),
        },
    ).to_pylist()
    again = f"Type: lorchestra run {one.job_name}"
    # Runs from before this was counted say nothing of it.
    objects = said.get("objects")
    return [
        _check(
            one.run_id,
            "records",
            ok=read == came,
            expected=f"{read:,} read",
            found=f"{came:,} stored, seen twice or rejected",
            step=again,
        ),
        _check(
            one.run_id,
            "new objects",
            ok=row["first_seen"] >= said["inserted"],
            expected=f"{said['inserted']:,} in the log",
            found=f"{row['first_seen']:,} in the table",
            step=again,
        ),
        _check(
            one.run_id,
            "all objects",
            ok=None if objects is None else row["seen"] >= objects,
            expected="not counted" if objects is None else f"{objects:,} in the log",
            found=f"{row['seen']:,} in the table",
            step=again,
        ),
        _check(
            one.run_id,
            "each once",
            ok=row["stored"] == row["idem_keys"],
            expected=f"{row['stored']:,} rows",
            found=f"{row['idem_keys']:,} keys",
            step="lorchestra makes no second row of a key: whatever else writes into the table did.",
        ),
    ]


def _rejects(one: Ingestion, spool: Path) -> Check:
    said, kept = one.said["rejected"], rejects_of(spool, one.run_id)
    expected = f"{said:,} rejected"
    if said and not kept:
        return _check(
            one.run_id,
            "rejects",
            ok=None,
            expected=expected,
            found="no file on this host",
            step="Ask where it ran.",
        )
    left = sum(not reject.resolved for reject in kept)
    return _check(
        one.run_id,
        "rejects",
        ok=not left,
        expected=expected,
        found=f"{left:,} not resolved",
        step=f"Type: lorchestra retry {one.run_id}",
    )


def _nothing_waits(run_id: str, job_name: str, *, store: Store, spool: Path) -> Check:
    job = JobSpool(spool, job_name)
    if job.waiting and list_runs(store, job=job_name, state="running", limit=1):
        return _check(
            run_id, "spool", ok=None, expected="nothing waits", found="the job is running", step=None
        )
    # Not what a run had there that has ended by now.
    waiting = job.waiting
    step = f"What was read is kept on this host. Type: lorchestra run {job_name}"
    return _check(
        run_id, "spool", ok=not waiting, expected="nothing waits", found=f"{waiting} segments wait", step=step
    )


def _at_source(one: Ingestion, ask: SourceCounts) -> Check:
    if one.partial is not None:
        return _check(
            one.run_id,
            "source",
            ok=None,
            expected="a run that reads all of its window",
            found=one.partial,
            step=None,
        )
    try:
        counts = ask(one)
    except LorchestraError as error:
        return _check(
            one.run_id, "source", ok=None, expected="an answer", found=error.message, step=error.next_step
        )
    return _check(
        one.run_id,
        "source",
        ok=not counts["new"],
        expected=f"{counts['records_extracted']:,} at the source",
        found=f"{counts['new']:,} of them not in the table",
        step=f"Type: lorchestra run {one.job_name}",
    )


def _check(run_id: str, name: str, *, ok: bool | None, expected: str, found: str, step: str | None) -> Check:
    return Check(
        run_id=run_id, check=name, ok=ok, expected=expected, found=found, next_step=None if ok else step
    )
