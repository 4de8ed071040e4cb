"""Where the command `lorchestra` begins, and `python -m lorchestra`."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C while it is still being loaded ends the process, without a stack trace."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from lorchestra.cli import main as command_line  # noqa: PLC0415 - what takes the time

    signal.signal(signal.SIGINT, before)
    command_line()


if __name__ == "__main__":
    main()
