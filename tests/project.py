"""A project in a folder of its own, and the command to work in it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from lorchestra.stores import Store, open_store
from tests.commands import COMMAND, Outcome, run_command

__all__ = ["COMMAND", "JOB", "SOURCE_SYSTEM", "Outcome", "Project"]

SOURCE_SYSTEM = "tap-gmail--acct1-personal"
JOB = "gmail_ingest_acct1"

_SETTINGS = {"EVENTS_BQ_DATASET", "EVENT_LOG_TABLE", "RAW_OBJECTS_TABLE", "TRACEPARENT", "PYTHONPATH"}
_PATIENCE_SECONDS = 30.0


@dataclass(kw_only=True)
class Project:
    """A folder with a `lorchestra.toml`; the environment of its commands holds no settings from outside."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    #: Another store than the DuckDB file of the folder.
    store_url: str | None = None

    @property
    def spool(self) -> Path:
        return self.folder / ".lorchestra" / "spool"

    @property
    def outbox(self) -> Path:
        return self.spool / "outbox.jsonl"

    @property
    def database(self) -> Path:
        return self.folder / "lorchestra.duckdb"

    def configure(self, *tables: str, store: str = "busy_timeout_seconds = 10") -> None:
        """Write `lorchestra.toml`: `[store]` and the tables given."""
        url = f'url = "{self.store_url}"\n' if self.store_url else ""
        text = "\n\n".join([f"[store]\n{url}{store}", *(dedent(table).strip() for table in tables)])
        (self.folder / "lorchestra.toml").write_text(text + "\n", encoding="utf-8")

    def mailbox(self, count: int, *, name: str = "takeout.mbox") -> None:
        (self.folder / name).write_bytes(takeout(range(count)))

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        outside = {
            name: value
            for name, value in os.environ.items()
            if name not in _SETTINGS and not name.startswith("LORCHESTRA_")
        }
        path = f"{COMMAND.parent}{os.pathsep}{outside.get('PATH', '')}"
        return {**outside, "PATH": path, "TZ": "UTC", **self.variables, **(variables or {})}

    def lorchestra(
        self, *arguments: str, code: int = 0, stdin: str | bytes = "", env: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run the command to its end, which must have this exit code and no traceback."""
        outcome = run_command(
            arguments,
            folder=self.folder,
            environment=self.environment(env),
            stdin=stdin if isinstance(stdin, bytes) else stdin.encode(),
        )
        assert outcome.code == code, f"{arguments}: {outcome}"
        assert "Traceback" not in outcome.stderr or "--traceback" in arguments, outcome.stderr
        return outcome

    def shell(self, script: str) -> str:
        """Run a script in bash, every command of which must succeed; its standard output."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            timeout=120,
            check=True,
            text=True,
        ).stdout

    def start(self, *arguments: str, prefix: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the installed command, and leave it running."""
        return subprocess.Popen(
            [*prefix, COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def store(self) -> Store:
        return open_store(self.store_url or f"duckdb:///{self.database}", busy_timeout_seconds=10)

    def table(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query, asked of the store itself; payloads as the values they hold."""
        with self.store() as store:
            rows: list[dict[str, Any]] = store.query(sql, parameters).to_pylist()
        for row in rows:
            for name in ("payload", "cursor"):
                if isinstance(row.get(name), str):
                    row[name] = json.loads(row[name])
        return rows

    def events(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """The event log, oldest first; of one run, or whole."""
        rows = self.table("SELECT * FROM `events_dev.event_log` ORDER BY created_at, event_id")
        return [row for row in rows if run_id in (None, row["correlation_id"])]

    def event_types(self, run_id: str | None = None) -> list[str]:
        return [event["event_type"] for event in self.events(run_id)]

    def objects(self) -> list[dict[str, Any]]:
        return self.table("SELECT * FROM `events_dev.raw_objects` ORDER BY idem_key")

    def waiting(self) -> list[dict[str, Any]]:
        """The events in the outbox."""
        if not self.outbox.exists():
            return []
        return [json.loads(line)["event"] for line in self.outbox.read_text(encoding="utf-8").splitlines()]

    def install(
        self, package: str, code: str, *, jobs: Sequence[str] = (), sources: Mapping[str, str] | None = None
    ) -> None:
        """Install a package of one module for the commands of this project: what `pip install` leaves."""
        site = self.folder / "site"
        module = package.replace("-", "_")
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        groups = {
            "lorchestra.jobs": {name: name for name in jobs},
            "lorchestra.sources": dict(sources or {}),
        }
        (about / "entry_points.txt").write_text(
            "".join(
                f"[{group}]\n" + "".join(f"{name} = {module}:{attr}\n" for name, attr in points.items())
                for group, points in groups.items()
                if points
            )
        )
        self.variables["PYTHONPATH"] = str(site)


def new_project(folder: Path, *, messages: int = 3, store_url: str | None = None) -> Project:
    """A project with the job `gmail_ingest_acct1` and a mailbox of so many messages."""
    project = Project(folder=folder, store_url=store_url)
    project.configure(
        f"""
        [jobs.{JOB}]
        source = "takeout"
        source_system = "{SOURCE_SYSTEM}"
        object_type = "email"
        path = "takeout.mbox"
        """
    )
    project.mailbox(messages)
    return project


def takeout(numbers: Sequence[int]) -> bytes:
    """Messages in the form of a Takeout export, one a number, of 21 November 2025."""
    return b"".join(_message(number) for number in numbers)


def message_text(number: int) -> str:
    """A sentence that only this message contains."""
    return f"The quick brown fox no. {number} jumps over the lazy dog."


def _message(number: int) -> bytes:
    body = "\n".join([message_text(number)] * (200 + 100 * (number % 2)))
    return (
        f"From {1_849_000_000_000_000_000 + number}@xxx Fri Nov 21 {number % 24:02}:00:00 +0000 2025\n"
        f"X-GM-THRID: {1_849_000_000_000_000_000 + number}\n"
        "X-Gmail-Labels: Inbox,Unread\n"
        f"Date: Fri, 21 Nov 2025 {number % 24:02}:00:00 +0000\n"
        f"From: Sender {number} <sender{number}@example.org>\n"
        "To: me@example.org\n"
        f"Subject: Message {number}\n"
        f"Message-ID: <{number}@example.org>\n"
        "Content-Type: text/plain; charset=utf-8\n"
        f"\n{body}\n\n"
    ).encode()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)
