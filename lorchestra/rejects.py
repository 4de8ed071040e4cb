"""Rejects: the records of a run that could not be stored, kept aside on this host until they are."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from lorchestra.spool import make_private_folder, open_private, spool_errors

# A word as a program would have it: what is longer may quote the record.
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_REASONS_MAX = 50


def rejects_path(root: Path, run_id: str) -> Path:
    """Where the rejected records of a run are."""
    return root / "rejects" / f"{run_id}.jsonl"


def open_positions(root: Path, run_id: str) -> list[str]:
    """Where the rejected records of a run stood at their source, those that are resolved left out.

    Raises:
        SpoolError: the file cannot be read.
    """
    return list(dict.fromkeys(line["position"] for line in _lines(root, run_id) if "resolved_by" not in line))


def note_resolved(root: Path, run_id: str, positions: Collection[str], *, by: str) -> None:
    """Note in the rejects of a run which of them another run has stored; they stay as evidence.

    Raises:
        SpoolError: the file cannot be written; it is as it was.
    """
    lines = _lines(root, run_id)
    for line in lines:
        if line["position"] in positions and "resolved_by" not in line:
            line["resolved_by"] = by
    path = rejects_path(root, run_id)
    new = path.with_suffix(".new")
    with spool_errors(path.parent):
        with open_private(new, "wb") as file:
            file.writelines(_encoded(line) for line in lines)
        new.replace(path)


def _lines(root: Path, run_id: str) -> list[dict[str, Any]]:
    path = rejects_path(root, run_id)
    with spool_errors(path.parent):
        texts = path.read_bytes().splitlines() if path.exists() else []
    # A line that was torn when a process died has lost its place.
    return [line for line in map(_line, texts) if line is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("position"), str) else None


class RejectFile:
    """The records of one run that could not be stored: reason, place, and the record where it is JSON."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.path = rejects_path(root, run_id)
        self.reasons: dict[str, int] = {}
        self.positions: set[str] = set()

    def add(self, *, reason: str, position: str, record: Any = None) -> None:
        """Keep one record.

        Raises:
            SpoolError: it cannot be written; a reject is never dropped in silence.
        """
        entry = {"reason": reason, "position": position}
        try:
            line = json.dumps({**entry, "record": record}, default=_unrepresentable, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            line = json.dumps({**entry, "record": _unrepresentable(record)})
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
            with open_private(self.path, "ab") as file:
                file.write(_bytes(line))
        self.positions.add(position)
        # Counts by reason go into an event, which is small and holds no data, whatever a source calls them.
        name = reason if _REASON.fullmatch(reason) else "other"
        if name not in self.reasons and len(self.reasons) >= _REASONS_MAX:
            name = "other"
        self.reasons[name] = self.reasons.get(name, 0) + 1


def _encoded(line: dict[str, Any]) -> bytes:
    return _bytes(json.dumps(line))


def _bytes(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"


def _unrepresentable(value: object) -> str:
    return f"<{type(value).__name__}>"
