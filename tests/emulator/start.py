"""What runs in the emulator's own environment: `python start.py PARENT COMMAND...`.

On Linux the emulator is killed with its parent, so that killed tests leave none behind. It parses a statement
anew for each look at it, which is most of its work; here that is done once, and each look gets a copy.
"""

import ctypes
import os
import signal
import sys
from functools import lru_cache
from typing import Any

from bqemulator.cli import main
from sqlglot.dialects.dialect import Dialect

_parse = Dialect.parse


@lru_cache(maxsize=64)
def _parsed(kind: type[Dialect], text: str) -> list[Any]:
    return _parse(kind(), text)


def _copies(self: Dialect, text: str, **options: Any) -> list[Any]:
    if any(value is not None for value in options.values()):
        return _parse(self, text, **options)
    return [tree and tree.copy() for tree in _parsed(type(self), text)]


if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):
            sys.exit("the parent is gone")
    Dialect.parse = _copies  # type: ignore[method-assign]
    sys.argv[:2] = ["bqemulator"]
    main()
