"""What an event says, in a few words."""

from collections.abc import Mapping
from typing import Any

from lorchestra.outcome import counts_text
from lorchestra.run_details import counts_of
from lorchestra.spans import span
from lorchestra.terminal import cell, one_line

#: Numbers in the payload of `job.*` that count nothing.
_NO_COUNTS = {"pid", "duration_seconds"}


def job_of(event: Mapping[str, Any]) -> str:
    """The job of an event's run: a run id is its job, a hyphen and 14 digits."""
    run_id: str = event["correlation_id"]
    job, _, time = run_id.rpartition("-")
    return job if len(time) == 14 and time.isdigit() and job else run_id


def event_line(event: Mapping[str, Any]) -> str:
    """An event on a line: when, of which job, what happened, and what it says."""
    words = (event["created_at"], job_of(event), event["event_type"])
    return "  ".join([*(cell(word) for word in words), says(event)]).rstrip()


def says(event: Mapping[str, Any]) -> str:
    """An error, or counts, or how long it took, on one line; empty where it says none of them."""
    payload = event["payload"] if isinstance(event["payload"], dict) else {}
    if event["status"] == "failed":
        code = payload.get("error_code")
        reason = event["error_message"] or "failed"
        return one_line(f"{reason} [{code}]" if isinstance(code, str) else reason)
    if event["event_type"] == "job.started":
        return one_line(f"on {payload['host']}") if isinstance(payload.get("host"), str) else ""
    seconds = payload.get("duration_seconds")
    took = f"in {span(seconds)}" if isinstance(seconds, int | float) else ""
    return one_line(": ".join(part for part in (took, counts_text(_counts(event, payload))) if part))


def _counts(event: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, int]:
    if event["event_type"].startswith("ingestion."):
        # What a source was not asked for is not worth a word.
        return {name: count for name, count in counts_of(payload).items() if count or name != "known"}
    return {
        name: value
        for name, value in payload.items()
        if isinstance(value, int) and not isinstance(value, bool) and name not in _NO_COUNTS
    }
