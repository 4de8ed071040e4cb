"""The peak of a process's memory.

Not `ru_maxrss`: that of a child begins with what its parent had when it was forked.
"""

import re
from pathlib import Path

_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


def peak_bytes() -> int:
    """The most memory that this process has held, in bytes. Linux only."""
    found = _PEAK.search(Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
