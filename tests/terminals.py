"""Commands as a person sees them: on a terminal of their own."""

import os
import pty
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread

from tests.project import COMMAND, Project


@dataclass
class OnTerminal:
    """A command that writes to a terminal, and what stands there by now."""

    process: "subprocess.Popen[bytes]"
    shown: str = ""

    def end(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(60)


def on_terminal(
    project: Project,
    *arguments: str,
    columns: int = 80,
    env: Mapping[str, str] | None = None,
    seen: Callable[[OnTerminal], object] = lambda _: None,
) -> OnTerminal:
    """Run a command to its end; `seen` is called whenever more is shown, and may send it a signal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        cwd=project.folder,
        env=project.environment(
            {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40", **(env or {})}
        ),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    terminal = OnTerminal(process)
    watchdog = Thread(target=lambda: _kill_late(process), daemon=True)
    watchdog.start()
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Nobody writes there any more.
            break
        terminal.shown += piece.decode(errors="replace")
        seen(terminal)
    os.close(ours)
    terminal.end()
    return terminal


def _kill_late(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
