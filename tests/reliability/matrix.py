"""The matrix: each point of a run by each failure by each store, and what a cell of it goes through.

A column (one store, one failure) is run as a whole: first all its runs fail, each at its point, then the next
command comes to each. So no command waits for a second of its own, which its run id needs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from lorchestra.steps import Step
from tests.emulator.front import Fault, ServiceFront, answer, cut_before, lose_answer, service_error
from tests.project import Outcome, Project
from tests.reliability.host import Host

MESSAGES = 10
#: Segments of 4, 4 and 2 records; what is disturbed is the second of them, in its midst.
SEGMENT_RECORDS = 4
DISK_BYTES = 4 * 1024 * 1024

STORES = ("duckdb", "bigquery")


@dataclass(frozen=True)
class Point:
    """A point of a run: the pass at which it is disturbed, and how many records were extracted by then."""

    step: Step
    passes: int
    extracted: int


POINTS = (
    Point(Step.STARTING, 1, 0),
    Point(Step.STARTED, 1, 0),
    Point(Step.EXTRACTED, 6, 6),
    Point(Step.SEGMENT_WRITTEN, 2, 8),
    Point(Step.BATCH_STAGED, 2, 8),
    Point(Step.BATCH_MERGING, 2, 8),
    Point(Step.SEGMENT_MERGED, 2, 8),
    Point(Step.INGESTION_ENDING, 1, 10),
    Point(Step.ENDING, 1, 10),
)

#: Failures in the order of the page; the last two are of one store only.
FAILURES = (
    "kill -9",
    "SIGTERM",
    "Ctrl-C",
    "exception",
    "spool full",
    "store full",
    "store gone",
    "store read-only",
    "one disk full",
    "answer lost",
)
_OF_ONE_STORE = {"one disk full": "duckdb", "answer lost": "bigquery"}
_OF_THE_PROCESS = {"kill -9": "sigkill", "SIGTERM": "sigterm", "Ctrl-C": "sigint", "exception": "exception"}

#: Cells that cannot be, and why.
IMPOSSIBLE = {
    (
        "duckdb",
        "store read-only",
        step,
    ): "the kernel makes no file system read-only while a file is open there"
    for step in (Step.BATCH_STAGED, Step.BATCH_MERGING)
}


def columns() -> list[tuple[str, str]]:
    """All columns, as store and failure."""
    return [(s, f) for s in STORES for f in FAILURES if _OF_ONE_STORE.get(f, s) == s]


@dataclass
class Cell:
    """One project whose run is disturbed at one point."""

    store: str
    failure: str
    point: Point
    project: Project
    job: str
    #: Where spool and store are; one disk for both where that is what fills up.
    spool_disk: Path
    store_disk: Path
    url: str
    outcome: Outcome | None = None
    #: What was there when the run had ended, and after the next one.
    before: Mapping[str, Any] = field(default_factory=dict)
    next: Outcome | None = None
    after: Mapping[str, Any] = field(default_factory=dict)
    installed: bool = False

    @property
    def name(self) -> str:
        """What to call it in a complaint."""
        how = ", the installed command" if self.installed else ""
        return f"{self.store}, {self.failure}, at {self.point.step}{how}"

    @property
    def spool(self) -> Path:
        return self.spool_disk / "spool"

    @property
    def source_system(self) -> str:
        return f"crash--{self.job}"

    @property
    def disks(self) -> list[Path]:
        return list(dict.fromkeys((self.spool_disk, self.store_disk)))

    @property
    def crash_at(self) -> str:
        """What the hook in the command is told."""
        step = f"{self.point.step}:{self.point.passes}"
        if self.failure in _OF_THE_PROCESS:
            return f"{step}:{_OF_THE_PROCESS[self.failure]}:"
        if self.failure == "spool full":
            return f"{step}:disk_full:{self.spool_disk}"
        if self.store == "bigquery":
            return f"{step}:{self.failure}:"
        return {
            "store full": f"{step}:disk_full:{self.store_disk}",
            "one disk full": f"{step}:disk_full:{self.store_disk}",
            "store gone": f"{step}:folder_away:{self.store_disk / 'store'}",
            "store read-only": f"{step}:read_only:{self.store_disk}",
        }[self.failure]


def run_column(
    host: Host,
    store: str,
    failure: str,
    folder: Path,
    front: ServiceFront,
    *,
    points: Sequence[Point] = POINTS,
    installed: Step | None = None,
    without_source: bool = False,
    small: bool = False,
) -> list[Cell]:
    """Let the runs of a column fail, each at its point, and the next command come to each.

    The run that fails at the point `installed` is the installed command itself. `without_source` takes the
    mailbox away before the next command comes; the messages of a `small` one fit into a buffer of the spool.
    """
    project = f"bigquery://p{uuid4().hex[:20]}/events_dev"
    cells = [
        _cell(host, store, failure, point, folder=folder, bigquery=project)
        for point in points
        if (store, failure, point.step) not in IMPOSSIBLE
    ]
    if small:
        for cell in cells:
            _make_small(cell.project.folder / "takeout.mbox")
    if store == "bigquery":
        done = host.command(
            "setup", folder=cells[0].project.folder, environment=_environment(cells[0], front)
        )
        assert done.code == 0, done
    for cell in cells:
        cell.installed = cell.point.step == installed
        cell.outcome = _run(host, cell, front, installed=cell.installed, CRASH_AT=cell.crash_at)
        front.reset()
        host.mend(cell.disks)
    _look(host, cells, front, lambda cell, found: setattr(cell, "before", found))
    for cell in cells:
        if without_source:
            (cell.project.folder / "takeout.mbox").unlink()
        cell.next = _run(host, cell, front)
    _look(host, cells, front, lambda cell, found: setattr(cell, "after", found))
    return cells


def _cell(host: Host, store: str, failure: str, point: Point, *, folder: Path, bigquery: str) -> Cell:
    job = f"job_{point.step}"
    project = Project(folder=folder / point.step)
    project.folder.mkdir()
    spool_disk = project.folder / "spool-disk"
    store_disk = project.folder / "store-disk" if store == "duckdb" else spool_disk
    if failure == "one disk full":
        store_disk = spool_disk
    database = store_disk / "store" / "lorchestra.duckdb"
    cell = Cell(
        store=store,
        failure=failure,
        point=point,
        project=project,
        job=job,
        spool_disk=spool_disk,
        store_disk=store_disk,
        url=f"duckdb:///{database}" if store == "duckdb" else bigquery,
    )
    for disk in cell.disks:
        host.mount(disk, DISK_BYTES)
    if store == "duckdb":
        host.make_folder(database.parent)
    project.store_url = cell.url
    project.configure(
        f'[spool]\npath = "{cell.spool}"',
        f"""
        [jobs.{job}]
        source = "takeout"
        source_system = "{cell.source_system}"
        object_type = "email"
        path = "takeout.mbox"
        """,
        store="busy_timeout_seconds = 0.3",
    )
    project.mailbox(MESSAGES)
    return cell


def _make_small(mailbox: Path) -> None:
    """One line a message."""
    lines = mailbox.read_text().splitlines(keepends=True)
    mailbox.write_text("".join(line for line, after in pairwise([*lines, ""]) if line != after))


def _environment(cell: Cell, front: ServiceFront, **more: str) -> dict[str, str]:
    return cell.project.environment({"BIGQUERY_EMULATOR_HOST": front.endpoint, **more})


def _run(
    host: Host, cell: Cell, front: ServiceFront, *, installed: bool = False, **disturbed: str
) -> Outcome:
    small = {"CRASH_SEGMENT_RECORDS": str(SEGMENT_RECORDS)} if disturbed else {}
    return host.command(
        "run",
        cell.job,
        "--json",
        folder=cell.project.folder,
        environment=_environment(cell, front, **small, **disturbed),
        installed=installed,
        fail=lambda failure: fail_service(front, failure),
    )


def _look(
    host: Host, cells: Sequence[Cell], front: ServiceFront, keep: Callable[[Cell, Mapping[str, Any]], None]
) -> None:
    """One process looks at all the cells; in one dataset, all of them are looked at together."""
    wanted = [
        {"spool": str(cell.spool), "url": cell.url, "job": cell.job, "source_system": cell.source_system}
        for cell in cells
    ]
    environment = _environment(cells[0], front)
    found = host.facts("of_all", folder=cells[0].project.folder, environment=environment, wanted=wanted)
    for cell, one in zip(cells, found, strict=True):
        keep(cell, one)


# What the service does when it fails

_ANY = 10**6
_WRITES = (
    ("POST", r"/insertAll", None),
    ("POST", r"/tables(\?|$)", None),
    ("POST", r"/upload/", None),
    ("POST", r"/(jobs|queries)(\?|$)", r"MERGE "),
)


def fail_service(front: ServiceFront, failure: str) -> None:
    """From now on the service is gone, or takes nothing more, or may not be written."""
    match failure:
        case "answer lost" | "store gone":
            if failure == "answer lost":
                # The next request still arrives; its sender never hears of it.
                front.fail(Fault(method="POST", path="", action=lose_answer()))
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                front.fail(Fault(method=method, path="", action=cut_before(), times=_ANY))
        case "store full":
            _refuse_writes(front, "quotaExceeded")
        case "store read-only":
            _refuse_writes(front, "accessDenied")
            front.fail(_refusal("DELETE", r"/tables/", None, "accessDenied"))


def _refuse_writes(front: ServiceFront, reason: str) -> None:
    for method, path, body in _WRITES:
        front.fail(_refusal(method, path, body, reason))


def _refusal(method: str, path: str, body: str | None, reason: str) -> Fault:
    refused = answer(403, service_error(403, reason, "No."))
    return Fault(method=method, path=path, body=body, action=refused, times=_ANY)
