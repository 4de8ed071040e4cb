"""What `make demo` runs: ingest the sample mailbox, then look at what is there."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LORCHESTRA = Path(sys.executable).with_name("lorchestra")

COMMANDS = (
    ("run", "gmail_ingest_acct1"),
    ("query", "top_senders"),
    ("runs", "--limit", "3"),
)
NEXT = """
The mail is in lorchestra.duckdb. Next, type:
  source .venv/bin/activate
  lorchestra run gmail_ingest_acct1        # again: nothing is stored twice
  lorchestra query 'SELECT COUNT(*) AS mails FROM `events_dev.raw_objects`'
  lorchestra --help"""


def main() -> int:
    """Run the commands in the project's folder; the exit code is that of the first that fails."""
    for arguments in COMMANDS:
        _say(f"$ lorchestra {' '.join(arguments)}")
        done = subprocess.run([LORCHESTRA, *arguments], cwd=ROOT, check=False)  # noqa: S603 - our own command
        code = done.returncode
        if code:
            return code
        _say("")
    _say(NEXT.strip("\n"))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    # The commands write to the same terminal; what was said before must stand before it.
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
