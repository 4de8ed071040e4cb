"""Rejects: the records of a run that could not be stored, kept aside on this host until they are."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lorchestra.errors import UsageError
from lorchestra.redact import redact_text
from lorchestra.spool import make_private_folder, open_private, spool_errors

_REASON_LENGTH = 100
_REASONS_MAX = 50

#: The reason of what stood in the spool and could not be read; no source can be asked for it again.
UNREADABLE = "unreadable"


def rejects_path(root: Path, run_id: str) -> Path:
    """Where the rejected records of a run are.

    Raises:
        UsageError: no run has such an id: it would lead out of the folder.
    """
    if "/" in run_id or "\0" in run_id:
        raise UsageError("run: an id has no '/' in it", next_step="`lorchestra runs` shows their ids.")
    return root / "rejects" / f"{run_id}.jsonl"


def open_positions(root: Path, run_id: str) -> list[str]:
    """Where the rejected records of a run stood at their source, those that are resolved left out.

    Raises:
        SpoolError: the file cannot be read.
    """
    lines = [line for _, line in _lines(root, run_id) if line is not None]
    return list(dict.fromkeys(line["position"] for line in lines if _is_open(line)))


def note_resolved(root: Path, run_id: str, positions: Collection[str], *, by: str) -> None:
    """Note in the rejects of a run which of them another run has stored; they stay as evidence.

    Raises:
        SpoolError: the file cannot be written; it is as it was.
    """
    path = rejects_path(root, run_id)
    new = path.with_suffix(".new")
    texts = []
    for text, line in _lines(root, run_id):
        if line is not None and _is_open(line) and line["position"] in positions:
            texts.append(_bytes(json.dumps({**line, "resolved_by": by})))
        else:
            texts.append(text + b"\n")
    with spool_errors(path.parent):
        with open_private(new, "wb") as file:
            file.writelines(texts)
        new.replace(path)


def _lines(root: Path, run_id: str) -> list[tuple[bytes, dict[str, Any] | None]]:
    """Each line, and what it says; None for one that was torn when a process died."""
    path = rejects_path(root, run_id)
    with spool_errors(path.parent):
        texts = path.read_bytes().split(b"\n") if path.exists() else []
    return [(text, _line(text)) for text in texts if text]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and isinstance(line.get("position"), str) else None


def _is_open(line: dict[str, Any]) -> bool:
    return "resolved_by" not in line and line.get("reason") != UNREADABLE


class RejectFile:
    """The records of one run that could not be stored: reason, place, and the record where it is JSON."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.path = rejects_path(root, run_id)
        self.reasons: dict[str, int] = {}
        self.positions: set[str] = set()

    def add(self, *, reason: str, position: str, record: Any = None, detail: str | None = None) -> None:
        """Keep one record; `detail` says more of the reason, and nothing of the record.

        Raises:
            SpoolError: it cannot be written; a reject is never dropped in silence.
        """
        entry = {"reason": reason, "position": position}
        if detail is not None:
            entry["detail"] = detail
        try:
            line = json.dumps({**entry, "record": record}, default=_unrepresentable, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            line = json.dumps({**entry, "record": _unrepresentable(record)})
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
            with open_private(self.path, "ab") as file:
                file.write(_bytes(line))
        self.positions.add(position)
        # Counts by reason go into an event, which is small, whatever a source calls its reasons.
        name = redact_text(reason)[:_REASON_LENGTH]
        if name not in self.reasons and len(self.reasons) >= _REASONS_MAX:
            name = "other"
        self.reasons[name] = self.reasons.get(name, 0) + 1


def _bytes(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"


def _unrepresentable(value: object) -> str:
    return f"<{type(value).__name__}>"
