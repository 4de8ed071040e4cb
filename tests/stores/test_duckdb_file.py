"""What holds for the DuckDB store alone: one file that processes share, on a disk that may fill up."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lorchestra.errors import (
    ConfigError,
    QueryError,
    StoreBusyError,
    StoreError,
    StoreSchemaError,
    StoreUnreachableError,
)
from lorchestra.history import list_runs
from lorchestra.idem_keys import gmail_idem_key
from lorchestra.model import UpsertResult
from lorchestra.setup.views import VIEWS
from lorchestra.stack_clients.event_client import log_event, upsert_objects
from lorchestra.stores import Store, open_store
from lorchestra.stores.base import Diagnoses, snapshot
from lorchestra.stores.duckdb_file import DuckDBFile
from lorchestra.stores.duckdb_interrupt import interrupted_by_signals
from lorchestra.stores.file_queue import FileQueue
from tests.project import wait_until

OpenFile = Callable[..., Store]

# Runs in a process of its own. It prints one line after each call that came back, and the error's class and
# text when one did not.
MERGER = """
import json, random, resource, sys
from lorchestra.errors import StoreError
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store

url, name, calls, size, file_limit = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
if file_limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
store, texts = open_store(url), random.Random(name)
print("ready", flush=True)
try:
    for call in range(calls):
        shared = [{"id": f"shared-{n}", "by": name, "call": call} for n in range(5)]
        own = [{"id": f"{name}-{call}-{n}", "x": texts.randbytes(300).hex()} for n in range(size - 5)]
        upsert_objects(objects=[*shared, *own], source_system="s", object_type="t", correlation_id="c",
                       idem_key_fn=lambda obj: f"s:t:{obj['id']}", bq_client=store)
        print("merged", call, flush=True)
except StoreError as error:
    print(json.dumps([type(error).__name__, str(error)]), flush=True)
"""
SHARED = 5

# It does not stand in the queue: it tries until the file is free.
HOLDER = """
import sys, time, duckdb
gives_up_at = time.monotonic() + 30
while True:
    try:
        connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
        break
    except duckdb.IOException:
        if time.monotonic() > gives_up_at:
            raise
with connection:
    connection.execute("SELECT 1").fetchall()
    print("holding", flush=True)
    time.sleep(float(sys.argv[3]))
"""


FORKER = """
import os, sys
from lorchestra.stack_clients.event_client import log_event
from lorchestra.stores import open_store

store = open_store(f"duckdb:///{sys.argv[1]}")

def log():
    log_event(event_type="job.started", source_system="s", correlation_id="c", bq_client=store)

def forked(work):
    if (process := os.fork()) == 0:
        work()
        sys.exit()
    return os.waitpid(process, 0)[1]

log()
store.query("SELECT 1")
statuses = forked(lambda: None), forked(log)
log()
print(*statuses, store.query("SELECT COUNT(*) AS n FROM `events_dev.event_log`").to_pylist())
"""


def merger(path: Path, name: str, *, calls: int, size: int, file_limit: int = 0) -> subprocess.Popen[str]:
    arguments = [f"duckdb:///{path}", name, str(calls), str(size), str(file_limit)]
    return subprocess.Popen([sys.executable, "-c", MERGER, *arguments], stdout=subprocess.PIPE, text=True)


@contextmanager
def held(path: Path, mode: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), mode, str(seconds)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def upsert(store: Store, ids: Iterator[Any] | list[Any] | range, **fields: Any) -> UpsertResult:
    return upsert_objects(
        objects=({"id": str(natural_id), **fields} for natural_id in ids),
        source_system="s",
        object_type="t",
        correlation_id="c",
        idem_key_fn=lambda obj: f"s:t:{obj['id']}",
        bq_client=store,
    )


def count(store: Store) -> int:
    table = store.query("SELECT COUNT(*) AS n, COUNT(DISTINCT idem_key) AS d FROM `events_dev.raw_objects`")
    [row] = table.to_pylist()
    assert row["n"] == row["d"], "a key is there twice"
    return int(row["n"])


# Tables and names


def test_tables_are_made_on_first_use_in_the_schema_of_the_dataset(
    open_file: OpenFile, tmp_path: Path
) -> None:
    """Opening makes no file; the first event makes `events_dev` with both tables and the views."""
    store = open_file("a.duckdb")
    assert list(tmp_path.iterdir()) == []

    log_event(event_type="job.started", source_system="lorchestra", correlation_id="r", bq_client=store)

    assert [path.name for path in tmp_path.iterdir()] == ["a.duckdb"]
    with duckdb.connect(tmp_path / "a.duckdb", read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'events_dev' ORDER BY 1"
        ).fetchall()
    assert {name for (name,) in tables} == {"event_log", "raw_objects", *VIEWS}


def test_dataset_and_tables_can_have_other_names(open_file: OpenFile) -> None:
    """Several datasets live in one file without seeing each other."""
    names = {"dataset": "Select", "event_log_table": "Order", "raw_objects_table": "group_"}
    custom, default = open_file(**names), open_file()

    upsert(custom, range(3))
    upsert(default, range(5))
    log_event(event_type="job.started", source_system="lorchestra", correlation_id="r", bq_client=custom)

    assert custom.check_tables() == default.check_tables() == []
    assert custom.query("SELECT COUNT(*) AS n FROM `Select.group_`").to_pylist() == [{"n": 3}]
    assert custom.query("SELECT COUNT(*) AS n FROM `Select.Order`").to_pylist() == [{"n": 1}]
    assert custom.query("SELECT state FROM `Select.job_runs`").to_pylist() == [{"state": "running"}]
    assert count(default) == 5


@pytest.mark.parametrize(
    "options",
    [
        {"dataset": "a b"},
        {"dataset": 'x"; DROP SCHEMA y'},
        {"dataset": ""},
        {"event_log_table": "1a"},
        {"raw_objects_table": "ä"},
        {"raw_objects_table": "x" * 129},
        {"event_log_table": "same", "raw_objects_table": "Same"},
        {"event_log_table": "job_runs"},
    ],
    ids=str,
)
def test_a_name_that_cannot_be_one_is_refused(open_file: OpenFile, options: dict[str, str]) -> None:
    """Names are plain identifiers and each is given once; the error says which setting is wrong."""
    with pytest.raises(ConfigError, match=r"^store\.(dataset|event_log|raw_objects): "):
        open_file(**options)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "lorchestra.duckdb",
        "/data/lorchestra.duckdb",
        "duckdb:lorchestra.duckdb",
        "duckdb://lorchestra.duckdb",
        "duckdb:///",
        "duckdb:///:memory:",
        "sqlite:///x.db",
        "http://[::1",
    ],
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    """A URL that cannot be a store is a ConfigError that shows how one looks."""
    with pytest.raises(ConfigError, match=r"^store\.url: ") as caught:
        open_store(url)
    assert caught.value.exit_code == 2


# Not a store


def use(store: Store) -> list[StoreError]:
    errors: list[StoreError] = []
    for work in (lambda: upsert(store, [1]), lambda: store.query("SELECT 1 AS a"), store.create_tables):
        with pytest.raises(StoreError) as caught:
            work()
        errors.append(caught.value)
    return errors


@pytest.mark.parametrize("content", [b"", b"x", b"{}\n" * 5000], ids=["empty", "one byte", "JSON"])
def test_a_file_of_something_else_is_left_alone(open_file: OpenFile, tmp_path: Path, content: bytes) -> None:
    """A file that is no DuckDB file is an error that says so, and is not written to."""
    # The name has "lock" in it: it must not be taken for a file that is busy.
    path = tmp_path / "clock.duckdb"
    path.write_bytes(content)
    for error in use(open_file("clock.duckdb")):
        assert error.code == "store.unreadable"
        assert "not a valid DuckDB database file" in str(error)
    assert path.read_bytes() == content


def test_a_directory_is_no_file(open_file: OpenFile, tmp_path: Path) -> None:
    """A directory in the file's place is named as such."""
    (tmp_path / "dir.duckdb").mkdir()
    for error in use(open_file("dir.duckdb")):
        assert "Is a directory" in str(error)


@pytest.mark.parametrize("folder", ["missing", "block"], ids=str)
def test_a_missing_folder_is_said_at_once(open_file: OpenFile, tmp_path: Path, folder: str) -> None:
    """Nothing is waited for and no folder is made, whatever the folder's name."""
    started = time.monotonic()
    first, *_ = use(open_file(f"{folder}/x.duckdb"))
    assert "No such file or directory" in str(first)
    assert first.next_step is not None
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(open_file: OpenFile, tmp_path: Path) -> None:
    """No rights are an error of the store, not a traceback."""
    (tmp_path / "mine").mkdir(mode=0o500)
    first, *_ = use(open_file("mine/x.duckdb"))
    assert "Permission denied" in str(first)


# Held by others


def test_a_file_held_by_another_process_is_waited_for(open_file: OpenFile, tmp_path: Path) -> None:
    """A busy file is tried again until it is free; the work is then done as if nothing had been."""
    store = open_file(busy_timeout_seconds=30)
    upsert(store, [1])
    with held(tmp_path / "lorchestra.duckdb", "rw", 3.0):
        started = time.monotonic()
        assert upsert(store, [1, 2]).inserted == 1
        assert 0.5 < time.monotonic() - started < 10
    with held(tmp_path / "lorchestra.duckdb", "rw", 0.5):
        assert count(store) == 2


def test_a_file_held_too_long_names_its_holder(open_file: OpenFile, tmp_path: Path) -> None:
    """When waiting is over the error names process id and program, and the file is as it was."""
    store = open_file(busy_timeout_seconds=0.3)
    upsert(store, [1])
    program = Path(sys.executable).resolve().name
    with held(tmp_path / "lorchestra.duckdb", "rw", 60) as holder:
        for work in (lambda: upsert(store, [2]), lambda: count(store)):
            with pytest.raises(StoreBusyError) as caught:
                work()
            assert f"process {holder.pid} ({program})" in str(caught.value)
            assert "waited 0.3 s" in str(caught.value)
            assert caught.value.retryable
    assert count(store) == 1


def test_readers_do_not_keep_readers_out(open_file: OpenFile, tmp_path: Path) -> None:
    """Queries run while others read; only writing waits."""
    store = open_file(busy_timeout_seconds=0.2)
    upsert(store, [1])
    with held(tmp_path / "lorchestra.duckdb", "ro", 60):
        assert count(store) == 1
        with pytest.raises(StoreBusyError):
            upsert(store, [2])


def test_the_same_process_may_have_the_file_open(open_file: OpenFile, tmp_path: Path) -> None:
    """With the file open for writing in this process, merging works; reading says who is in the way."""
    store = open_file(busy_timeout_seconds=0.2)
    upsert(store, [1])
    with duckdb.connect(tmp_path / "lorchestra.duckdb") as connection:
        assert upsert(store, [1, 2]).inserted == 1
        with pytest.raises(StoreBusyError, match="this very process"):
            count(store)
        assert connection.execute("SELECT count(*) FROM events_dev.raw_objects").fetchall() == [(2,)]
    assert count(store) == 2


def test_queries_of_a_snapshot_see_one_state_and_a_writer_comes_after_them(open_file: OpenFile) -> None:
    """Also where one stands in another; another thread reads by a connection of its own."""
    store = open_file()
    with pytest.raises(StoreSchemaError), snapshot(store):
        pytest.fail("there is no file")
    upsert(store, [1])
    with ThreadPoolExecutor() as pool:
        with snapshot(store):
            with snapshot(store):
                assert count(store) == 1
            assert pool.submit(count, store).result() == 1
            written = pool.submit(upsert, store, [2])
            time.sleep(0.1)
            assert count(store) == 1
            assert not written.done()
        assert written.result().inserted == 1
    assert count(store) == 2


def test_no_lock_is_held_between_batches(open_file: OpenFile, tmp_path: Path) -> None:
    """While the source is being read, another process can open the file, even for writing."""
    store = open_file()

    def source() -> Iterator[str]:
        for number in range(6):
            if number in {0, 3}:
                with held(tmp_path / "lorchestra.duckdb", "rw", 0):
                    pass
            yield str(number)

    store.create_tables()
    result = upsert_objects(
        objects=({"id": natural_id} for natural_id in source()),
        source_system="s",
        object_type="t",
        correlation_id="c",
        idem_key_fn=lambda obj: f"s:t:{obj['id']}",
        bq_client=store,
        batch_size=2,
    )
    assert result.inserted == 6


def test_who_forks_can_go_on_and_so_can_the_other(tmp_path: Path) -> None:
    """With a store that was used before: nothing of the engine stays behind in the new process."""
    done = subprocess.run(
        [sys.executable, "-c", FORKER, str(tmp_path / "lorchestra.duckdb")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("0 0 [{'n': 3}]\n", "", 0)


def test_two_processes_lose_and_double_nothing(open_file: OpenFile, tmp_path: Path) -> None:
    """Two processes that make and fill one file at the same time leave every object once."""
    path = tmp_path / "lorchestra.duckdb"
    both = [merger(path, name, calls=15, size=25) for name in ("left", "right")]

    outputs = [process.communicate(timeout=60)[0] for process in both]

    assert [output.count("merged") for output in outputs] == [15, 15], outputs
    store = open_file()
    assert count(store) == 2 * 15 * (25 - SHARED) + SHARED
    shared = store.query(
        """SELECT JSON_VALUE(payload, '$.by') AS by_, JSON_VALUE(payload, '$.call') AS call_
           FROM `events_dev.raw_objects` WHERE external_id LIKE 'shared-%'"""
    ).to_pylist()
    # Merges are one after the other: all of what both wrote is from the one that came last.
    assert len(shared) == SHARED
    assert len({(row["by_"], row["call_"]) for row in shared}) == 1
    assert {row["call_"] for row in shared} == {"14"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["lorchestra.duckdb"]


# Cut short


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.08, 0.15, 0.3])
def test_a_killed_process_leaves_whole_batches(open_file: OpenFile, tmp_path: Path, seconds: float) -> None:
    """After SIGKILL at any moment the file opens, holds every batch reported, and no part of one."""
    # Given a process that merges batch after batch
    path = tmp_path / "lorchestra.duckdb"
    process = merger(path, "killed", calls=1000, size=500)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if seconds:
        assert process.stdout.readline() == "merged 0\n"
    time.sleep(seconds)

    # When it is killed
    process.send_signal(signal.SIGKILL)
    reported = process.communicate()[0].count("merged") + bool(seconds)

    # Then what it reported is there, and whatever else is there is whole
    store = open_file()
    if not path.exists():
        assert reported == 0
    elif store.check_tables() == []:
        found = count(store)
        whole, rest = divmod(found - SHARED, 500 - SHARED) if found else (0, 0)
        assert rest == 0
        assert whole in {reported, reported + 1}
    else:
        assert reported == 0
    # And the next run goes on
    before = count(store) if reported else 0
    assert upsert(store, ["next"]).inserted == 1
    assert count(store) >= before + 1
    assert not path.with_suffix(".duckdb.wal").exists()


def test_a_log_that_was_left_over_is_read(open_file: OpenFile, tmp_path: Path) -> None:
    """What a dead process had committed but not folded into the file is seen, by readers too."""
    # Given a process that dies right after a commit, with its write-ahead log beside the file
    path = tmp_path / "lorchestra.duckdb"
    store = open_file()
    upsert(store, range(10))
    code = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("INSERT INTO events_dev.raw_objects SELECT 's:t:x', 's', 't', 'x', '{}', now(), now()")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    log = tmp_path / "lorchestra.duckdb.wal"
    assert log.exists()

    # Then reading sees the row and leaves the log; writing folds it in
    assert count(store) == 11
    assert log.exists()
    assert upsert(store, range(10)).unchanged == 10
    assert count(store) == 11
    assert not log.exists()


@pytest.mark.parametrize("limit", [5_000, 60_000, 300_000, 700_000])
def test_a_full_disk_keeps_what_was_stored(open_file: OpenFile, tmp_path: Path, limit: int) -> None:
    """No space is StoreFullError with the reason; reported batches stay, and it goes on with space."""
    # A limit on the size of files is the full disk that needs no privileges.
    path = tmp_path / "lorchestra.duckdb"
    process = merger(path, "full", calls=400, size=100, file_limit=limit)

    *lines, last = process.communicate(timeout=60)[0].splitlines()

    name, message = json.loads(last)
    assert name == "StoreFullError"
    assert "File too large" in message
    reported = sum(line.startswith("merged") for line in lines)
    assert reported < 400
    store = open_file()
    expected = SHARED + reported * (100 - SHARED) if reported else 0
    kept = count(store) if reported else 0
    # The disk may have filled up just after the last batch was safe: it is there, whole, and will be known.
    assert kept in (expected, expected + 100 - SHARED)
    assert upsert(store, ["next"]).inserted == 1
    assert count(store) == kept + 1


# Size


def test_small_runs_do_not_bloat_the_file(open_file: OpenFile, tmp_path: Path) -> None:
    """Fifty runs of ten objects take a few megabytes, not fifty times a block."""
    store = open_file()
    for run in range(50):
        upsert(store, [f"{run}-{n}" for n in range(10)], body="x" * 2000)
    assert count(store) == 500
    assert (tmp_path / "lorchestra.duckdb").stat().st_size < 10_000_000


def test_seeing_the_same_again_hardly_grows_the_file(open_file: OpenFile, tmp_path: Path) -> None:
    """A run in which nothing changed rewrites no payload."""
    store = open_file()
    bodies = os.urandom(1000).hex()
    upsert(store, range(3000), body=bodies)
    before = (tmp_path / "lorchestra.duckdb").stat().st_size
    for _ in range(5):
        assert upsert(store, range(3000), body=bodies).unchanged == 3000
    assert (tmp_path / "lorchestra.duckdb").stat().st_size < before + 2_000_000


LOADER = """
import random, sys
from lorchestra.stack_clients.event_client import upsert_objects
from lorchestra.stores import open_store
from tests.peak_memory import peak_bytes

texts = random.Random(1)
result = upsert_objects(
    objects=({"id": f"{n:08}", "body": texts.randbytes(2500).hex()} for n in range(40_000)),
    source_system="s", object_type="t", correlation_id="c", idem_key_fn=lambda obj: f"s:t:{obj['id']}",
    bq_client=open_store(sys.argv[1]),
)
print(result.bytes, result.inserted, peak_bytes())
"""


def test_memory_does_not_grow_with_what_is_loaded(tmp_path: Path) -> None:
    """200 MB in objects of 5 KB are loaded within 500 MB of memory, Python and engine included."""
    url = f"duckdb:///{tmp_path / 'lorchestra.duckdb'}"
    done = subprocess.run(
        [sys.executable, "-c", LOADER, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    size, inserted, peak = map(int, done.stdout.split())
    assert inserted == 40_000
    assert size > 200_000_000
    assert peak < 500_000_000


def test_a_file_named_like_the_dataset_is_refused(open_file: OpenFile, tmp_path: Path) -> None:
    """DuckDB would take the dataset for the file; the error says what to do instead."""
    with pytest.raises(ConfigError, match="same name") as raised:
        open_store(f"duckdb:///{tmp_path}/events_dev.duckdb")
    assert "another name" in (raised.value.next_step or "")


def test_only_its_owner_may_read_what_the_engine_writes(tmp_path: Path, open_file: OpenFile) -> None:
    """The file, its log, and the folder for what does not fit into memory, whatever the umask."""
    old_umask = os.umask(0)
    try:
        open_file("lorchestra.duckdb").create_tables()
        (tmp_path / "link").mkdir(mode=0o777)
        (tmp_path / "link" / "mail.duckdb").symlink_to(tmp_path / "lorchestra.duckdb")
        for path in (tmp_path / "lorchestra.duckdb", tmp_path / "link" / "mail.duckdb"):
            with DuckDBFile(path, busy_timeout_seconds=1).open_for_writing() as connection:
                connection.execute("CREATE OR REPLACE TABLE small AS SELECT 'mail' AS x")
                [(spilled,)] = connection.execute("SELECT current_setting('temp_directory')").fetchall()
                made = {made: made.lstat() for made in tmp_path.rglob("lorchestra.duckdb*")}
                assert made[tmp_path / "lorchestra.duckdb.wal"].st_size > 0
                assert Path(spilled) in made
                for one, status in made.items():
                    assert stat.S_IMODE(status.st_mode) & 0o077 == 0, one
            assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "lorchestra.duckdb"]
            assert [one.name for one in (tmp_path / "link").iterdir()] == ["mail.duckdb"]
    finally:
        os.umask(old_umask)


def test_doctor_says_what_others_may_read(duckdb_store: Store, tmp_path: Path) -> None:
    duckdb_store.create_tables()
    [path] = tmp_path.glob("*.duckdb")
    assert isinstance(duckdb_store, Diagnoses)
    assert all(finding.ok for finding in duckdb_store.diagnose())
    path.chmod(0o640)
    [finding] = [finding for finding in duckdb_store.diagnose() if not finding.ok]
    assert "640" in finding.found
    subprocess.run(["sh", "-c", finding.fix or ""], check=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert all(finding.ok for finding in duckdb_store.diagnose())


def test_an_object_larger_than_the_usual_memory_is_merged(duckdb_store: Store) -> None:
    """A mail of 60 MB is one row like any other."""
    huge = [{"id": "huge", "raw": "QUJD" * (15 * 1024 * 1024)}]

    for expected in ((1, 0), (0, 1)):
        result = upsert_objects(
            objects=huge,
            source_system="mbox--huge",
            object_type="email",
            correlation_id="huge-20251124143000",
            idem_key_fn=gmail_idem_key("mbox--huge"),
            bq_client=duckdb_store,
        )
        assert (result.inserted, result.unchanged) == expected


def test_ctrl_c_during_a_query_is_ctrl_c(duckdb_store: Store) -> None:
    """The engine makes an error of its own of a signal; whoever waits for the query gets the signal's."""
    duckdb_store.create_tables()
    long = (
        "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
        "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE a * b = 7"
    )
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        duckdb_store.query(long)
    timer.join()
    assert duckdb_store.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_a_signal_that_finds_the_connection_closed_says_nothing() -> None:
    """A second signal ends every wait at once; the thread that hears of signals must not fail for it."""
    heard = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    connection = duckdb.connect()
    try:
        with interrupted_by_signals(connection):
            connection.close()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert heard.wait(5)
    finally:
        signal.signal(signal.SIGUSR1, before)


# The first time, and the last


DIES_MAKING = """
import os, sys, duckdb
from pathlib import Path
from lorchestra.stores.duckdb_file import DuckDBFile
connect = duckdb.connect

def dies(*args, **options):
    connect(*args, **options)
    os.kill(os.getpid(), 9)

duckdb.connect = dies
with DuckDBFile(Path(sys.argv[1]), busy_timeout_seconds=1).open_for_writing():
    pass
"""


def test_what_a_killed_maker_leaves_is_removed_by_the_next(open_file: OpenFile, tmp_path: Path) -> None:
    """What one left that was killed is removed; what a live one is making stays."""
    path = tmp_path / "lorchestra.duckdb"
    queue = tmp_path / ".lorchestra.duckdb.queue"
    subprocess.run([sys.executable, "-c", DIES_MAKING, str(path)], check=False)
    assert not path.exists()
    assert list(queue.iterdir()) != []

    with FileQueue(path).place() as live:
        made = live.take()
        made.touch()
        DuckDBFile(path, busy_timeout_seconds=1).remove_half_made()
        assert sorted(queue.iterdir()) == [made.with_suffix(""), made]
        assert upsert(open_file(), [1]).inserted == 1
        assert sorted(queue.iterdir()) == [made.with_suffix(""), made]
    assert [entry.name for entry in tmp_path.iterdir()] == ["lorchestra.duckdb"]


def test_a_file_that_is_gone_is_not_made_anew(open_file: OpenFile, tmp_path: Path) -> None:
    """A disk that was unplugged during a run is an error, to write and to read; once back, it goes on."""
    store = open_file()
    upsert(store, [1])
    away = tmp_path / "away"
    (tmp_path / "lorchestra.duckdb").rename(away)
    for work in (lambda: upsert(store, [2]), lambda: count(store), store.check_tables, store.create_tables):
        with pytest.raises(StoreUnreachableError, match="the file is gone"):
            work()
    assert list(tmp_path.iterdir()) == [away]
    away.rename(tmp_path / "lorchestra.duckdb")
    assert upsert(store, [2]).inserted == 1
    assert count(store) == 2


def test_a_file_that_goes_while_it_is_waited_for_is_not_made_anew(
    open_file: OpenFile, tmp_path: Path
) -> None:
    path = tmp_path / "lorchestra.duckdb"
    store = open_file()
    upsert(store, [1])
    with held(path, "rw", 60), ThreadPoolExecutor() as pool:
        writing = pool.submit(upsert, store, [2])
        wait_until(lambda: not FileQueue(path).is_empty(), "somebody waits")
        path.rename(tmp_path / "away")
        with pytest.raises(StoreUnreachableError, match="the file is gone"):
            writing.result(timeout=30)
    assert not path.exists()


def test_a_log_that_was_torn_at_any_place_is_read(open_file: OpenFile, tmp_path: Path) -> None:
    """A process that was killed while it wrote the log leaves a part: readers see all or nothing of it."""
    path, log = tmp_path / "lorchestra.duckdb", tmp_path / "lorchestra.duckdb.wal"
    upsert(open_file(), range(10))
    code = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("SET wal_autocheckpoint = '1GB'")
connection.execute("BEGIN; INSERT INTO events_dev.raw_objects "
                   "SELECT concat('s:t:x', i), 's', 't', 'x', '{}', now(), now() FROM range(90) r(i); COMMIT")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    whole, before = log.read_bytes(), path.read_bytes()
    for part in (0, 1, 4, 11, 12):
        path.write_bytes(before)
        log.write_bytes(whole[: len(whole) * part // 12])
        assert count(open_file()) == (100 if part == 12 else 10)
    assert upsert(open_file(), range(10)).unchanged == 10
    assert count(open_file()) == 100


def test_a_file_without_tables_is_a_store_without_tables(open_file: OpenFile, tmp_path: Path) -> None:
    """Somebody's shell made it, or a process that is about to make the tables: there are no runs yet."""
    duckdb.connect(tmp_path / "lorchestra.duckdb").close()
    store = open_file()
    assert list_runs(store) == []
    with pytest.raises(StoreSchemaError, match="no tables yet"):
        count(store)
    store.create_tables()
    assert list_runs(store) == []
    with pytest.raises(QueryError, match="does not exist"):
        store.query("SELECT 1 FROM `events_dev.other`")


# Who waits


def test_who_came_first_is_first_and_the_dead_and_the_silent_are_passed(tmp_path: Path) -> None:
    """A place is kept in the order of coming; one whose process died or was stopped holds nobody up."""
    queue = FileQueue(tmp_path / "x.duckdb")
    assert queue.is_empty()
    with queue.place() as first, queue.place() as second, queue.place() as third:
        assert [place.is_first() for place in (first, second, third)] == [True, False, False]
        assert not queue.is_empty()
        # One that died has no lock any more
        dead = first.take().with_suffix("")
        first.leave()
        dead.touch()
        assert (second.is_first(), third.is_first()) == (True, False)
        assert not dead.exists()
        # One that was stopped does not look
        os.utime(second.take().with_suffix(""), (1, 1))
        assert third.is_first()
        assert second.is_first()
        assert not third.is_first()
    assert list(tmp_path.iterdir()) == []


def test_where_no_queue_can_be_kept_everyone_is_first(tmp_path: Path) -> None:
    queue = FileQueue(tmp_path / "missing" / "x.duckdb")
    with queue.place() as one, queue.place() as other:
        assert one.is_first()
        assert other.is_first()
    queue.remove_dead()


READER = """
import sys, time
from pathlib import Path
from lorchestra.stores.duckdb_file import DuckDBFile
file = DuckDBFile(Path(sys.argv[1]), busy_timeout_seconds=30)
while True:
    with file.open_for_reading():
        print("reading", flush=True)
        time.sleep(0.3)
"""


def test_readers_that_come_all_the_time_do_not_keep_a_writer_out(open_file: OpenFile, tmp_path: Path) -> None:
    """There is always one of three that reads; whoever writes gets in between."""
    store = open_file(busy_timeout_seconds=25)
    upsert(store, [1])
    command = [sys.executable, "-c", READER, str(tmp_path / "lorchestra.duckdb")]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
        assert [upsert(store, [number]).inserted for number in range(2, 6)] == [1] * 4
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
