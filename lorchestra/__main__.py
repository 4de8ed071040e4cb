"""Where the command `lorchestra` begins, and `python -m lorchestra`."""

import gc
import os
import signal

# A short command loads some thousand objects, all of which stay: collecting among them, while they are made
# and again when the process ends, is an eighth of its time.
_OBJECTS_UNTIL_COLLECTED = 100_000


def main() -> None:
    """Run the command line. Ctrl-C while it is still being loaded ends the process, without a stack trace."""
    # Plugins of other packages would be shown the configuration, and looking for them takes time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # noqa: TID251 - nothing is read
    gc.set_threshold(_OBJECTS_UNTIL_COLLECTED, *gc.get_threshold()[1:])
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lorchestra.cli import main as command_line  # noqa: PLC0415 - what takes the time

    signal.signal(signal.SIGINT, before)
    try:
        command_line()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
