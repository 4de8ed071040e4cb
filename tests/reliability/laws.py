"""What must hold of each cell of the matrix, and the words for what happened in it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from lorchestra.steps import Step
from tests.project import message_text
from tests.reliability.matrix import MESSAGES, Cell

_JOB_ENDS = ("job.completed", "job.failed")
_INGESTION_ENDS = ("ingestion.completed", "ingestion.failed")
_SECRET = "secret-marker"

#: Failures after which the end of what was extracted may be torn; the source is read again in any case.
TEARING = frozenset({"kill -9", "spool full", "one disk full"})


class Verdict:
    """One cell, looked at."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        assert cell.outcome is not None
        assert cell.next is not None
        self.outcome, self.next = cell.outcome, cell.next
        self.before, self.after = cell.before, cell.after

    @cached_property
    def next_run(self) -> dict[str, Any]:
        """What the next command said of its run."""
        run: dict[str, Any] = json.loads(self.next.stdout)[0]
        return run

    @cached_property
    def failed_run(self) -> list[dict[str, Any]]:
        """The events of the disturbed run, as they stand in the log after the next command."""
        return [row for row in self.after["events"] if row["correlation_id"] != self.next_run["run_id"]]

    @property
    def stored(self) -> list[str]:
        return [row["idem_key"] for row in self.before["objects"]]

    @property
    def kept(self) -> list[str]:
        return list(self.before["kept"])

    def word(self) -> str:
        """How the disturbed run ended: `fails`, `closed`, … and what of it is stored and kept."""
        ends = [row for row in self.failed_run if row["event_type"] in _JOB_ENDS]
        if not self.failed_run:
            return "never began"
        end = ends[0]
        told = {row["event_id"] for row in self.before["events"]}
        waited = {json.loads(line)["event"]["event_id"] for line in self.before["outbox"] if line}
        state = "succeeds" if end["event_type"] == "job.completed" else "fails"
        if end["event_id"] in waited:
            state += ", waits"
        elif end["event_id"] not in told:
            state = "closed"
        return f"{state}: {len(self.stored)} + {self._kept_word()}"

    def _kept_word(self) -> str:
        # How much of a torn segment is whole depends on buffers.
        torn = self.cell.point.step == Step.EXTRACTED and self.cell.failure in TEARING
        return "some" if torn or self.before["torn"] else str(len(self.kept))

    def code(self) -> str | None:
        """The error code of the disturbed run."""
        for row in self.failed_run:
            if row["event_type"] == "job.failed":
                return str(json.loads(row["payload"])["error_code"])
        return None

    def complaints(self) -> list[str]:
        """All that is not as it must be."""
        if self.next.code != 0:
            return [f"the next command fails: {self.next}"]
        return [
            *self._command(),
            *self._objects(),
            *self._recovery(),
            *self._account(),
            *self._counts(),
            *self._next_account(),
            *self._leftovers(),
        ]

    def _command(self) -> Iterator[str]:
        killed = self.cell.failure == "kill -9"
        succeeded = any(row["event_type"] == "job.completed" for row in self.failed_run)
        expected = -9 if killed else 0 if succeeded else 1
        if self.outcome.code != expected:
            yield f"exit code {self.outcome.code}, not {expected}"
        told = [line for line in self.outcome.stderr.splitlines() if line.startswith("Error: ")]
        if len(told) != (expected == 1):
            yield f"{len(told)} errors are told: {self.outcome.stderr!r}"
        for outcome in (self.outcome, self.next):
            if "Traceback" in outcome.stderr:
                yield "a traceback"
            if _SECRET in outcome.words:
                yield "data of an exception on the terminal"
        if self.next.stderr:
            yield f"the next command says: {self.next.stderr!r}"

    def _objects(self) -> Iterator[str]:
        seen_at = next(
            json.loads(row["payload"])["seen_at"]
            for row in self.after["events"]
            if row["event_type"] == "ingestion.completed" and row["correlation_id"] == self.next_run["run_id"]
        )
        counted = Counter(row["idem_key"] for row in self.after["objects"])
        if sorted(counted) != sorted(_keys(self.cell)) or set(counted.values()) != {1}:
            yield f"objects: {dict(counted)}"
        first_seen = {row["idem_key"]: row["first_seen"] for row in self.before["objects"]}
        for row in self.after["objects"]:
            key = row["idem_key"]
            if _number(key) != json.loads(row["payload"])["id"] or _text(key) not in row["payload"]:
                yield f"{key}: has another payload"
            if not _same(row["last_seen"], seen_at):
                yield f"{key}: last seen {row['last_seen']}, not {seen_at}"
            if not _same(row["first_seen"], first_seen.get(key, seen_at)):
                yield f"{key}: first seen {row['first_seen']}, not {first_seen.get(key, seen_at)}"

    def _recovery(self) -> Iterator[str]:
        """Stored and kept are the beginning of the source, and all that was extracted where nothing tears."""
        point, there = self.cell.point, {*self.stored, *self.kept}
        if there != set(_keys(self.cell)[: len(there)]):
            yield f"a gap: {sorted(there)}"
        if len(there) < point.extracted and self.cell.failure not in TEARING:
            yield f"of {point.extracted} extracted records {len(there)} are stored or kept"
        if self.next_run["recovered"] != len(self.kept):
            yield f"{self.next_run['recovered']} recovered, not {len(self.kept)}"

    def _account(self) -> Iterator[str]:
        """One start and one end a run; ingestion.completed only when all was merged."""
        types = Counter(row["event_type"] for row in self.failed_run)
        ids = Counter(row["event_id"] for row in self.after["events"])
        if max(ids.values()) > 1:
            yield f"an event is there twice: {ids}"
        if not self.failed_run:
            if self.cell.point.step != Step.STARTING:
                yield "no account of the run"
            return
        if len({row["correlation_id"] for row in self.failed_run}) != 1:
            yield "more runs than there were"
        if types["job.started"] != 1 or sum(types[one] for one in _JOB_ENDS) != 1:
            yield f"starts and ends: {dict(types)}"
        if sum(types[one] for one in _INGESTION_ENDS) > 1:
            yield f"two ends of an ingestion: {dict(types)}"
        if types["ingestion.completed"] and len(self.stored) != MESSAGES:
            yield "ingestion.completed, but not all was merged"
        if types["job.completed"] and not types["ingestion.completed"]:
            yield "job.completed without ingestion.completed"
        yield from self._order()

    def _order(self) -> Iterator[str]:
        times = [row["created_at"] for row in self.failed_run if row["event_type"].startswith("job.")]
        if times != sorted(times) or self.failed_run[0]["event_type"] != "job.started":
            yield "the events are not in their order"
        code = self.code()
        if self.cell.failure == "kill -9" and code != "run.interrupted":
            yield f"killed, but {code}"
        for row in self.failed_run:
            if (row["status"] == "failed") != row["event_type"].endswith(".failed"):
                yield f"{row['event_type']} has the status {row['status']}"
            if _SECRET in json.dumps(row):
                yield "data of an exception in an event"

    def _counts(self) -> Iterator[str]:
        """What the failed ingestion says of itself."""
        for row in self.failed_run:
            payload = json.loads(row["payload"])
            if row["event_type"] not in _INGESTION_ENDS or "records_extracted" not in payload:
                continue
            if payload["inserted"] > len(self.stored):
                yield f"{payload['inserted']} inserted, but {len(self.stored)} stored"
            if row["event_type"] == "ingestion.completed" and payload["inserted"] != MESSAGES:
                yield f"completed with {payload['inserted']} inserted"
            there = len({*self.stored, *self.kept})
            if payload["records_extracted"] != there and self.cell.failure not in TEARING:
                yield f"{payload['records_extracted']} counted as extracted, but {there} stored or kept"
            waiting = payload.get("resume", {}).get("segments_kept", self.before["segments"])
            if waiting != self.before["segments"]:
                yield f"segments_kept: {waiting}, not {self.before['segments']}"

    def _next_account(self) -> Iterator[str]:
        """The next run: three events, and counts that add up."""
        mine = [row for row in self.after["events"] if row["correlation_id"] == self.next_run["run_id"]]
        types = [row["event_type"] for row in mine]
        if types != ["job.started", "ingestion.completed", "job.completed"]:
            yield f"the next run: {types}"
        counts: Mapping[str, Any] = self.next_run
        if counts["records_extracted"] != MESSAGES:
            yield f"the next run extracted {counts['records_extracted']}"
        if counts["inserted"] != MESSAGES - len(self.stored) or counts["updated"]:
            yield f"the next run: {counts}"
        if counts["inserted"] + counts["unchanged"] + counts["duplicates"] != MESSAGES + len(self.kept):
            yield f"the next run: {counts}"

    def _leftovers(self) -> Iterator[str]:
        """No segment, outbox, marker, half-made file, staging table or lock."""
        if self.after["files"]:
            yield f"left in the spool: {self.after['files']}"
        if self.after["beside"] not in ([], ["lorchestra.duckdb"]):
            yield f"left beside the store: {self.after['beside']}"
        if self.after["staged"]:
            yield f"staging tables left: {self.after['staged']}"
        if held := [*self.before["held"], *self.after["held"]]:
            yield f"locks held: {held}"


def _keys(cell: Cell) -> list[str]:
    """The keys of the mailbox, in its order."""
    return [f"{cell.source_system}:email:{1_849_000_000_000_000_000 + n:x}" for n in range(MESSAGES)]


def _number(key: str) -> str:
    return key.rpartition(":")[2]


def _text(key: str) -> str:
    return message_text(int(_number(key), 16) - 1_849_000_000_000_000_000)


def _same(one: str, other: str) -> bool:
    def time(text: str) -> datetime:
        # Both stores give their own text of a time; `+00` alone is none of ISO 8601 for Python 3.11.
        return datetime.fromisoformat(text.replace(" ", "T") if text[-3] != "+" else f"{text}:00")

    return time(one) == time(other)
