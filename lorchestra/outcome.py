"""The line that tells how a run ended."""

from collections.abc import Mapping
from typing import Any

# The order in which counts are told, and the words for them; a count of 0 is told only for the first three.
_COUNT_WORDS = (
    ("inserted", "new"),
    ("updated", "changed"),
    ("unchanged", "unchanged"),
    ("new", "would be new"),
    ("known", "known already"),
    ("not_found", "gone meanwhile"),
    ("duplicates", "seen twice"),
    ("gone", "gone at the source"),
    ("recovered", "recovered from an earlier run"),
    ("resolved", "resolved"),
    ("rejected", "rejected"),
    ("events_deleted", "events deleted"),
    ("runs_deleted", "runs deleted"),
    ("checks", "checks"),
    ("missing", "missing"),
    ("unknown", "not to be compared"),
)
_ALWAYS_TOLD = frozenset({"inserted", "updated", "unchanged", "new", "known", "missing", "events_deleted"})
# What a run says of itself, or says first.
_NO_COUNTS = frozenset({"run_id", "job_name", "state", "duration_seconds", "error_code", "records_extracted"})


def outcome_line(outcome: Mapping[str, Any]) -> str:
    """`gmail-20251124143000 succeeded in 1.2 s: 220 records: 0 new, 0 changed, 220 unchanged`."""
    name = outcome["run_id"] or outcome["job_name"]
    seconds = f" in {outcome['duration_seconds']:.1f} s" if "duration_seconds" in outcome else ""
    counts = counts_text(outcome)
    return f"{name} {outcome['state']}{seconds}" + (f": {counts}" if counts else "")


def counts_text(counts: Mapping[str, Any]) -> str:
    """`220 records: 0 new, 0 changed, 220 unchanged`; an empty text where nothing was counted."""
    told = [
        f"{counts[name]:,} {word}"
        for name, word in _COUNT_WORDS
        if isinstance(counts.get(name), int) and (counts[name] or name in _ALWAYS_TOLD)
    ]
    own = counts.keys() - _NO_COUNTS - {name for name, _ in _COUNT_WORDS}
    told += [f"{counts[name]:,} {name}" for name in counts if name in own and isinstance(counts[name], int)]
    records = [f"{counts['records_extracted']:,} records"] if "records_extracted" in counts else []
    return ": ".join([*records, *([", ".join(told)] if told else [])])
