"""The picture of a terminal in the README: the real output of the demo, drawn by rich."""

import io
import os
import re
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from docs.sample import clean_environment, sample_project

WIDTH = 112

# What differs from run to run, and what stands for it, of the same width.
_VOLATILE = (
    (re.compile(r"(gmail_ingest_acct1)-\d{14}"), r"\1-20251124143000"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "2025-11-24 14:30:00"),
    (re.compile(r"\b20\d\d-\d\d…"), "2025-11…"),
    (re.compile(r"(?<![\d:])\d\d:\d\d:\d\d(?!:)"), "14:30:00"),
    (re.compile(r"(?<![\d:])\d:\d\d:\d\d(?!:)"), "0:00:00"),
    (re.compile(r"in \d\.\d s"), "in 0.3 s"),
    (re.compile(r"(?<= )0\.\d\d?\d?\b"), "0.3"),
)


def demo_picture() -> str:
    """The demo in a fresh copy of the project, as SVG."""
    with sample_project() as sample:
        output = _in_a_terminal([sys.executable, "-m", "examples.demo"], sample.folder)
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in _screen(output):
        for pattern, standing in _VOLATILE:
            line = pattern.sub(standing, line)  # noqa: PLW2901 - one line, step by step
        console.print(Text.from_ansi(line), soft_wrap=True)
    picture = console.export_svg(title="make demo", theme=MONOKAI, unique_id="demo")
    # A picture asks no other server for its font.
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)


def _in_a_terminal(command: list[str], folder: Path) -> str:
    """What the command writes when it stands in a terminal of this width."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (40, WIDTH))
    environment = {**clean_environment(), "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    with subprocess.Popen(  # noqa: S603 - our own demo
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other side has closed
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(ours)
    if process.returncode:
        raise SystemExit(f"the demo failed with {process.returncode}")
    return b"".join(pieces).decode()


def _screen(output: str) -> list[str]:
    """The lines as they stand in the end: what was erased is gone, what moves the cursor is left out."""
    lines = []
    for line in output.replace("\r\n", "\n").split("\n"):
        shown = line.rpartition("\x1b[2K")[2]
        lines.append(re.sub(r"\x1b\[\?25[lh]|\r", "", shown))
    return lines[:-1] if lines and not lines[-1] else lines
