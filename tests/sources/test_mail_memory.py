"""A mailbox ten times as large needs no more memory."""

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "examples" / "mail" / "takeout.mbox"
MIB = 1024 * 1024

# Prints the messages read and how far, in bytes, reading them raised the process's peak.
PROGRAM = """
import sys
from pathlib import Path
from lorchestra.model import Window
from lorchestra.sources.base import SourceContext
from lorchestra.sources.mbox import MBOX
from tests.peak_memory import peak_bytes

source = MBOX.open(MBOX.options(path=sys.argv[1], format=sys.argv[2]), SourceContext(base=Path(".")))
before = peak_bytes()
count = sum(1 for _ in source.records(Window(), None))
print(count, peak_bytes() - before)
"""


def read_in_process(path: Path, message_format: str) -> tuple[int, int]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROGRAM, str(path), message_format]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    count, growth = done.stdout.split()
    return int(count), int(growth)


@pytest.mark.parametrize(("message_format", "sizes"), [("raw", (20, 200)), ("full", (4, 16))])
def test_memory_does_not_grow_with_the_mailbox(
    tmp_path: Path, message_format: str, sizes: tuple[int, int]
) -> None:
    # Messages of about 100 KB for the raw format, so that it is the bytes that are many.
    message = SAMPLE.read_bytes()
    if message_format == "raw":
        body = (b"x" * 76 + b"\n") * 1300
        message = b"From a@example.com Thu Aug 22 12:00:00 2002\nSubject: x\n\n" + body + b"\n"
    growth = []
    for size in sizes:
        path = tmp_path / f"{size}.mbox"
        with path.open("wb") as file:
            copies = size * MIB // len(message)
            for _ in range(copies):
                file.write(message)
        count, grown = read_in_process(path, message_format)
        assert count == copies * (1 if message_format == "raw" else 220)
        growth.append(grown)
        path.unlink()
    assert growth[1] < growth[0] + 4 * MIB
    assert max(growth) < 40 * MIB
