"""Children of a process that has loaded much end without taking all of that apart."""

import atexit
import gc
import sys
from types import ModuleType

_NEEDED_TO_THE_END = {"__main__", "builtins", "sys"}


def keep_loaded_modules() -> None:
    """Keep what is loaded by now from Python's last clean-up, which costs a child more than a short command.

    What a child loads itself is cleaned up as ever, and threads and exit handlers end as ever before that.
    """
    loaded = {name: module for name, module in sys.modules.items() if name not in _NEEDED_TO_THE_END}
    # A circle that garbage collection is told to leave alone lives for ever.
    circle: list[object] = [*loaded.values()]
    circle.append(circle)
    gc.freeze()
    atexit.register(_forget, loaded)


def _forget(loaded: dict[str, ModuleType]) -> None:
    for name, module in loaded.items():
        if sys.modules.get(name) is module:
            del sys.modules[name]
