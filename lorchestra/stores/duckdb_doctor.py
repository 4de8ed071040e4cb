"""Whether a DuckDB file can be worked with."""

import os
from collections.abc import Callable
from pathlib import Path

from lorchestra.file_modes import open_to_others
from lorchestra.model import Difference, Finding
from lorchestra.stores.doctor import tables_finding


def diagnose(path: Path, dataset: str, check_tables: Callable[[], list[Difference]]) -> list[Finding]:
    """The store, its file, its tables, and whether it may be written."""
    findings = [Finding(check="store", ok=True, found=f"DuckDB, {path}, dataset {dataset}")]
    try:
        there = path.exists()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        fix = f"ls -ld '{path.parent}'"
        return [*findings, Finding(check="file", ok=False, found=f"cannot be looked at: {reason}", fix=fix)]
    if there:
        findings.append(Finding(check="file", ok=True, found=f"{path.stat().st_size:,} bytes"))
        findings.extend(open_to_others("file", path, path.with_name(f"{path.name}.wal")))
        findings.append(tables_finding(check_tables))
    else:
        findings.append(Finding(check="file", ok=True, found="not there; the first run or setup makes it"))
    target = path if there else path.parent
    writable = os.access(target, os.W_OK)
    return [
        *findings,
        Finding(
            check="write",
            ok=writable,
            found="may be written" if writable else "may not be written",
            fix=None if writable else f"chmod u+w '{target}'",
        ),
    ]
