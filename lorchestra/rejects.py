"""Rejects: the records of a run that could not be stored, kept aside on this host until they are."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorchestra.errors import UsageError
from lorchestra.private_files import make_private_folder, open_private, replace_file
from lorchestra.spool import spool_errors

# A word as a program would have it: what is longer may quote the record.
_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_REASONS_MAX = 50

#: The reason of what stood in the spool and could not be read; no source can be asked for it again.
UNREADABLE = "unreadable_in_spool"


def rejects_path(root: Path, run_id: str) -> Path:
    """Where the rejected records of a run are.

    Raises:
        UsageError: no run has such an id: it would lead out of the folder.
    """
    if "/" in run_id or "\0" in run_id:
        raise UsageError("run: an id has no '/' in it", next_step="`lorchestra runs` shows their ids.")
    return root / "rejects" / f"{run_id}.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reject:
    """A rejected record: where it stood at its source, and what it was, where that could be kept whole."""

    position: str
    record: dict[str, Any] | None = field(default=None, repr=False)
    resolved: bool = False


def rejects_of(root: Path, run_id: str) -> list[Reject]:
    """The rejected records of a run, one for each position.

    Raises:
        SpoolError: the file cannot be read.
    """
    found: dict[str, Reject] = {}
    for _, line in _lines(root, run_id):
        if line is None:
            continue
        record = line.get("record")
        found[line["position"]] = Reject(
            position=line["position"],
            record=record if isinstance(record, dict) else None,
            resolved=not _is_open(line),
        )
    return list(found.values())


def open_rejects(root: Path, run_id: str) -> list[Reject]:
    """Those that no run has stored since.

    Raises:
        SpoolError: the file cannot be read.
    """
    return [one for one in rejects_of(root, run_id) if not one.resolved]


def note_resolved(root: Path, run_id: str, positions: Collection[str], *, by: str) -> None:
    """Note in the rejects of a run which of them another run has stored; they stay as evidence.

    Raises:
        SpoolError: the file cannot be written; it is as it was.
    """
    path = rejects_path(root, run_id)
    texts = []
    for text, line in _lines(root, run_id):
        if line is not None and _is_open(line) and line["position"] in positions:
            texts.append(_bytes(json.dumps({**line, "resolved_by": by})))
        else:
            texts.append(text + b"\n")
    with spool_errors(path.parent):
        replace_file(path, texts)


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

    def add(
        self,
        *,
        reason: str,
        position: str,
        record: Any = None,
        payload: bytes | None = None,
        detail: str | None = None,
    ) -> None:
        """Keep one record, as a value or as JSON text; `detail` says more of the reason only.

        Only a record that JSON gives back as it was stands under `record`, from where it can be tried again;
        of any other, `excerpt` shows what can be shown.

        Raises:
            SpoolError: it cannot be written; a reject is never dropped in silence.
        """
        entry = {"reason": reason, "position": position}
        if detail is not None:
            entry["detail"] = detail
        line = _bytes(json.dumps(entry)) if payload is None else _with_payload(entry, payload)
        if record is not None:
            line = _bytes(_with_record(entry, record))
        with spool_errors(self.path.parent):
            make_private_folder(self.path.parent)
            with open_private(self.path, "ab") as file:
                file.write(line)
        self.positions.add(position)
        # Counts by reason go into an event, which is small and holds no data, whatever a source calls them.
        name = reason if _REASON.fullmatch(reason) else "other"
        if name not in self.reasons and len(self.reasons) >= _REASONS_MAX:
            name = "other"
        self.reasons[name] = self.reasons.get(name, 0) + 1


def _bytes(line: str) -> bytes:
    return line.encode(errors="backslashreplace") + b"\n"


def _with_payload(entry: dict[str, str], payload: bytes) -> bytes:
    return json.dumps(entry)[:-1].encode() + b',"record":' + payload + b"}\n"


def _with_record(entry: dict[str, str], record: Any) -> str:
    try:
        line = json.dumps({**entry, "record": record}, allow_nan=False)
        if json.loads(line)["record"] == record:
            return line
    except (TypeError, ValueError, RecursionError):
        pass
    try:
        return json.dumps({**entry, "excerpt": record}, default=_unrepresentable, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({**entry, "excerpt": _unrepresentable(record)})


def _unrepresentable(value: object) -> str:
    return f"<{type(value).__name__}>"
