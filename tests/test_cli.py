"""The command line: what each command prints, where, and how it ends."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from lorchestra.errors import ArgumentError
from lorchestra.history import typed_parameters
from tests.project import COMMAND, JOB, SOURCE_SYSTEM, Project, new_project

COMMANDS = (
    [],
    ["run"],
    ["runs"],
    ["runs", "show"],
    ["runs", "tail"],
    ["status"],
    ["jobs"],
    ["jobs", "list"],
    ["jobs", "show"],
    ["query"],
    ["retry"],
    ["verify"],
    ["setup"],
    ["prune"],
    ["init"],
    ["completion"],
)
HEAVY = {"duckdb", "google", "pyarrow", "pydantic", "rich", "sqlglot"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return new_project(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one run that succeeded and one that failed; tests only look at it."""
    project = new_project(tmp_path_factory.mktemp("ran"))
    project.lorchestra("run", JOB)
    config = project.folder / "lorchestra.toml"
    config.write_text(
        config.read_text()
        + '\n[jobs.gone]\nsource = "mbox"\nsource_system = "mbox--gone"\npath = "gone.mbox"\n'
        + '\n[jobs."with.dots"]\nsource = "mbox"\nsource_system = "x"\npath = "https://me:secret-4711@host/x"\n'
        + 'description = "Nothing yet."\n'
    )
    project.lorchestra("run", "gone", code=1)
    return project


def ask(project: Project, sql: str, *options: str) -> str:
    return project.lorchestra("query", sql, "--format", "csv", *options).stdout.rstrip("\n").split("\n", 1)[1]


# --- Help


def test_every_command_explains_itself_without_loading_what_it_does_not_use(tmp_path: Path) -> None:
    # In one process, because it is the text that counts.
    program = (
        "import sys, json\n"
        "from click.testing import CliRunner\n"
        "from lorchestra.cli import main\n"
        "helps = [CliRunner().invoke(main, [*args, '--help']) for args in json.loads(sys.argv[1])]\n"
        "print(json.dumps([[h.exit_code, h.stdout] for h in helps]))\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(COMMANDS)],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    helps, modules = (json.loads(line) for line in done.stdout.splitlines())

    for arguments, (code, text) in zip(COMMANDS, helps, strict=True):
        assert code == 0
        assert text.startswith("Usage: ")
        assert len(text.splitlines()[2]) > 20, f"{arguments} says nothing about itself"
    assert not HEAVY & set(modules)


def test_the_installed_command_answers_help_and_version_lightly(project: Project) -> None:
    env = {"PYTHONPROFILEIMPORTTIME": "1"}
    for option in ("--help", "-h", "--version"):
        told = project.lorchestra(option, env=env)
        imported = {line.rpartition("|")[2].strip().split(".")[0] for line in told.stderr.splitlines()}
        assert not HEAVY & imported
        assert "click" in imported
    assert told.stdout == "lorchestra, version 0.1.0\n"
    assert "Usage: " in project.lorchestra(code=2).words
    assert "No such command 'rnu'" in project.lorchestra("rnu", code=2).stderr


def test_commands_load_only_what_they_use(ran: Project, project: Project) -> None:
    """What takes long to load is left alone: SQL translation by a listing and a run, Arrow by a listing."""
    heavy = {"dotenv", "filelock", "google", "numpy", "pandas", "pyarrow", "sqlglot", "traceback"}
    ran.lorchestra("runs")
    for place, arguments, unused in (
        (ran, ["runs"], heavy),
        (ran, ["runs", "--json"], {*heavy, "rich"}),
        (ran, ["runs", "show", ran.events()[0]["correlation_id"]], heavy),
        (project, ["run", JOB], {"dotenv", "google", "pandas", "pyarrow.compute", "rich", "sqlglot"}),
    ):
        told = place.lorchestra(*arguments, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
        assert sorted(unused & imported) == []
        assert "duckdb" in imported


def test_plugins_of_other_packages_are_not_shown_the_configuration(ran: Project, tmp_path: Path) -> None:
    """Pydantic loads any package that asks for it, and shows it what is validated: passwords, too."""
    package = tmp_path / "plugins" / "spy-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[pydantic]\nspy = spy:plugin\n")
    (package.parent / "spy.py").write_text("print('loaded')\nplugin = None\n")
    loads = subprocess.run(
        [sys.executable, "-c", "import lorchestra.config"],
        env=ran.environment({"PYTHONPATH": str(package.parent)}),
        capture_output=True,
        check=False,
    )
    assert loads.stdout.startswith(b"loaded")
    assert "loaded" not in ran.lorchestra("jobs", "list", env={"PYTHONPATH": str(package.parent)}).words


# --- First steps


def test_init_writes_a_file_that_runs_and_never_overwrites(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    config = tmp_path / "lorchestra.toml"
    config.unlink()
    (tmp_path / "takeout.mbox").rename(tmp_path / 'all "my" mail.mbox')

    told = project.lorchestra("init", "--mailbox", 'all "my" mail.mbox')

    assert told.stdout == ""
    assert "lorchestra run gmail_ingest_acct1" in told.stderr
    assert "3 new" in project.lorchestra("run", JOB).stdout
    config.write_text("# mine\n")
    assert "lorchestra.toml: is there already" in project.lorchestra("init", code=2).stderr
    assert config.read_text() == "# mine\n"


def test_init_where_nothing_can_be_written_is_said_in_one_sentence(project: Project) -> None:
    nowhere = Project(folder=Path("/proc"))
    assert "lorchestra.toml: cannot be written" in nowhere.lorchestra("init", code=2).stderr


def test_setup_makes_the_tables_and_check_says_what_differs(project: Project) -> None:
    before = project.lorchestra("setup", "--check", code=2)
    assert before.stdout.split()[:4] == ["table", "column", "expected", "found"]
    assert "event_log" in before.stdout
    assert "raw_objects" in before.stdout
    assert "Run `lorchestra setup`" in before.stderr
    assert not project.database.exists()

    assert "both tables are as they should be" in project.lorchestra("setup").stderr
    assert project.lorchestra("setup", "--check").stdout == ""
    with duckdb.connect(project.database) as connection:
        # The event log of before: every event had a key, and none a payload.
        connection.execute("DROP VIEW events_dev.job_runs")
        connection.execute("ALTER TABLE events_dev.event_log ALTER COLUMN idem_key SET NOT NULL")
        connection.execute("ALTER TABLE events_dev.event_log DROP COLUMN payload")
        connection.execute("ALTER TABLE events_dev.event_log ADD COLUMN mine INTEGER")
    told = project.lorchestra("setup", "--check", code=2).stdout.splitlines()
    lines = [line.split() for line in told if "ALTER" not in line]
    assert sorted(lines[1:]) == [
        ["event_log", "idem_key", "VARCHAR", "VARCHAR", "NOT", "NULL"],
        ["event_log", "mine", "no", "such", "column", "INTEGER"],
        ["event_log", "payload", "JSON", "nothing"],
    ]
    mends = [
        'ALTER TABLE "events_dev"."event_log" ADD COLUMN IF NOT EXISTS payload JSON',
        'ALTER TABLE "events_dev"."event_log" ALTER COLUMN idem_key DROP NOT NULL',
    ]
    assert sorted(line for line in told if "ALTER" in line) == [f"{mend};" for mend in mends]
    rows = project.lorchestra("setup", "--check", "--json", code=2).rows
    assert {row["column"]: row["mend"] for row in rows} == {
        "payload": mends[0],
        "idem_key": mends[1],
        "mine": None,
    }
    # A run does not begin on such tables, and its account is not lost.
    assert "lorchestra setup --check" in project.lorchestra("run", JOB, code=1).stderr
    assert [event["event_type"] for event in project.waiting()] == ["job.started", "job.failed"]
    # What can be mended without loss is; a column of somebody else's stays.
    assert "by hand" in project.lorchestra("setup", code=2).stderr
    [left] = project.lorchestra("setup", "--check", "--json", code=2).rows
    assert left["column"] == "mine"


# --- Jobs and runs


def test_jobs_are_listed_and_shown(ran: Project) -> None:
    rows = ran.lorchestra("jobs", "list", "--json").rows
    assert [(row["name"], row["package_name"], row["description"]) for row in rows] == [
        (JOB, "lorchestra", "reads takeout"),
        ("gone", "lorchestra", "reads mbox"),
        ("with.dots", "lorchestra", "Nothing yet."),
    ]
    [row] = ran.lorchestra("jobs", "show", "with.dots", "--json").rows
    assert row["source_system"] == "x"
    assert row["options"] == {"path": "https://***@host/x"}
    table = ran.lorchestra("jobs", "list").stdout
    assert table.split()[:2] == ["name", "package_name"]
    assert SOURCE_SYSTEM in table
    shown = ran.lorchestra("jobs", "show", JOB).stdout
    assert "takeout.mbox" in shown
    assert "gmail_ingest_acct1?" in ran.lorchestra("jobs", "show", "gmail_ingest", code=2).stderr


def test_jobs_of_one_name_are_told_apart_by_their_package(project: Project) -> None:
    project.install("acme-jobs", "def nightly(context):\n    pass\n", jobs=["nightly"])
    other = Project(folder=project.folder / "other")
    other.install("better-jobs", "def nightly(context):\n    pass\n", jobs=["nightly"])
    paths = [project.variables["PYTHONPATH"], other.variables["PYTHONPATH"]]
    project.variables["PYTHONPATH"] = os.pathsep.join(paths)

    refused = project.lorchestra("run", "nightly", code=2).stderr
    assert "acme-jobs/nightly, better-jobs/nightly" in refused
    assert not project.database.exists()
    project.lorchestra("run", "better-jobs/nightly")
    assert {event["payload"]["package_name"] for event in project.events()} == {"better-jobs"}
    unknown = project.lorchestra("run", "worse-jobs/nightly", code=2).stderr
    assert "did you mean" in unknown
    assert (
        "only jobs with a source"
        in project.lorchestra("run", "acme-jobs/nightly", "--dry-run", code=2).stderr
    )


def test_runs_are_listed_newest_first_and_narrowed(ran: Project) -> None:
    rows = ran.lorchestra("runs", "--json").rows
    assert [(row["job_name"], row["state"]) for row in rows] == [("gone", "failed"), (JOB, "succeeded")]
    assert rows[0].keys() >= {"run_id", "package_name", "started_at", "ended_at", "error_code", "trace_id"}
    assert (rows[1]["records_extracted"], rows[1]["inserted"]) == (3, 3)
    for options, expected in (
        (["--job", "gone"], ["gone"]),
        (["--status", "succeeded"], [JOB]),
        (["--status", "running"], []),
        (["--limit", "1"], ["gone"]),
    ):
        found = ran.lorchestra("runs", "--json", *options).rows
        assert [row["job_name"] for row in found] == expected
    table = ran.lorchestra("runs").stdout.splitlines()
    assert len(table) == 3
    assert [line.split()[0] for line in table[1:]] == [row["run_id"] for row in rows]


def test_one_run_is_shown_with_its_events(ran: Project) -> None:
    run_id = ran.lorchestra("runs", "--json", "--job", JOB).rows[0]["run_id"]

    events = ran.lorchestra("runs", "show", run_id, "--json").rows

    assert [event["event_type"] for event in events] == [
        "job.started",
        "ingestion.completed",
        "job.completed",
    ]
    assert events[1]["payload"]["records_extracted"] == 3
    assert "there is none of this id" in ran.lorchestra("runs", "show", "nope", code=2).stderr
    misplaced = ran.lorchestra("runs", "--dataset", "other", "show", run_id, code=2).stderr
    assert "must stand after show" in misplaced


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(project: Project) -> None:
    [row] = project.lorchestra("run", JOB, "--dry-run", "--json").rows
    assert row == {
        "run_id": None,
        "job_name": JOB,
        "state": "dry run",
        "records_extracted": 3,
        "new": 3,
        "known": 0,
        "rejected": 0,
    }
    assert sorted(path.name for path in project.folder.iterdir()) == ["lorchestra.toml", "takeout.mbox"]

    project.lorchestra("run", JOB, "--limit", "2")
    before = project.events()
    told = project.lorchestra("run", JOB, "--dry-run").stdout
    assert told == f"{JOB} dry run: 3 records: 1 would be new, 2 known already\n"
    assert project.events() == before
    (project.folder / "takeout.mbox").unlink()
    assert "path: nothing matches it" in project.lorchestra("run", JOB, "--dry-run", code=1).stderr


# --- Queries


def test_a_query_prints_json_csv_or_a_table(ran: Project) -> None:
    sql = """
        SELECT
          'ü "quoted", \\x1b[31mred' AS text, 3 AS whole, TRUE AS yes,
          CAST('1234567.875' AS FLOAT64) AS part, CAST(NULL AS STRING) AS nothing, DATE '2025-11-20' AS day,
          TIMESTAMP '2025-11-20 14:30:00.123456+01:00' AS moment,
          [1, 2] AS list, JSON '{"a": [1, null]}' AS json
    """
    row = {
        "text": 'ü "quoted", \x1b[31mred',
        "whole": 3,
        "yes": True,
        "part": 1234567.875,
        "nothing": None,
        "day": "2025-11-20",
        "moment": "2025-11-20T13:30:00.123456+00:00",
        "list": [1, 2],
        "json": {"a": [1, None]},
    }
    assert ran.lorchestra("query", sql, "--format", "json").rows == [row]

    [header, values] = csv.reader(io.StringIO(ran.lorchestra("query", sql, "--format", "csv").stdout))
    assert header == list(row)
    assert values[:7] == [row["text"], "3", "True", "1234567.875", "", "2025-11-20", row["moment"]]
    assert [json.loads(value) for value in values[7:]] == [row["list"], row["json"]]

    table = ran.lorchestra("query", sql).stdout
    assert table.split()[: len(row)] == list(row)
    assert "1234567.875" in table
    assert "2025-11-20 13:30:00" in table
    # What a stored text holds must not command the terminal.
    assert "\x1b" not in table


def test_a_query_reads_standard_input_and_typed_parameters(ran: Project) -> None:
    assert (
        "job.started"
        in ran.lorchestra("query", "-", "--format", "csv", stdin="SELECT * FROM events_dev.event_log").stdout
    )
    types = (
        "s=a=b",
        "i:INT64=7",
        "f:FLOAT64=0.5",
        "b:BOOL=true",
        "d:DATE=2025-11-20",
        "t:timestamp=2025-11-20T01:00:00Z",
    )
    options = [word for text in types for word in ("--param", text)]
    sql = "SELECT @s, @i + 1, @f * 2, NOT @b, DATE_ADD(@d, INTERVAL 1 DAY), FORMAT_TIMESTAMP('%H', @t)"
    [value] = csv.reader([ask(ran, sql, *options)])
    assert value[:4] == ["a=b", "8", "1.0", "False"]
    assert value[4].startswith("2025-11-21")
    assert value[5] == "01"


def test_a_query_that_is_wrong_is_wrong_use(ran: Project) -> None:
    for arguments, complaint in (
        (["SELEC 1"], "not valid GoogleSQL"),
        (["SELECT x FROM"], "Expected table name but got the end. Line 1, Col: 13."),
        (["SELECT * FROM t WHERE"], "Required keyword: 'this' missing for WHERE. Line 1, Col: 21."),
        (["DROP TABLE events_dev.event_log"], "only SELECT statements are run here"),
        (["SELECT nope FROM events_dev.event_log"], "nope"),
        (["nope"], "there is none of this name; known: failed_jobs, job_health, job_history"),
        (["SELECT @day"], "day"),
        (["SELECT @i", "--param", "i:INT64=seven"], "--param i: the value is no INT64"),
    ):
        refused = ran.lorchestra("query", *arguments, code=2)
        assert complaint in refused.stderr, arguments
        assert refused.stdout == ""
    assert "not UTF-8" in ran.lorchestra("query", "-", stdin=b"SELECT '\xff'", code=2).stderr


@pytest.mark.parametrize(
    "text", ["i", "=7", "i:NUMBER=7", "i:BOOL=1", "i:DATE=x", "i:TIMESTAMP=x", "i:INT64="]
)
def test_a_parameter_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"^--param"):
        typed_parameters([text])


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(ran: Project) -> None:
    # Nobody reads at all: not even the first line can be written.
    for arguments in (["query", "SELECT 1"], ["jobs", "list", "--json"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=ran.folder,
            env=ran.environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert done.stderr == b"", arguments
        assert done.returncode in (0, 1)
    script = f"{COMMAND} query 'SELECT * FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS n' --format csv | head -1"
    assert (
        subprocess.run(
            ["bash", "-c", script], cwd=ran.folder, env=ran.environment(), capture_output=True, check=True
        ).stderr
        == b""
    )


# --- Configuration


def test_a_disk_that_takes_no_output_is_said_in_one_sentence(ran: Project) -> None:
    for arguments in (["runs"], ["query", "SELECT 1 AS one", "--format", "csv"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [COMMAND, *arguments],
                cwd=ran.folder,
                env=ran.environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr.startswith("Error: standard output: cannot be written: No space left on device")
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_ctrl_c_while_it_is_being_loaded_shows_no_stack_trace(ran: Project) -> None:
    # Wherever it hits: before Python runs a line of ours, that is up to Python.
    program = "import os, signal, sys; sys.addaudithook(lambda event, arguments: event == 'import' and "
    program += "arguments[0] == 'click.core' and os.kill(os.getpid(), signal.SIGINT)); "
    program += "from lorchestra.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=ran.environment()
    )
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ("", "")


def test_mistakes_in_the_configuration_are_named_by_file_line_and_key(project: Project) -> None:
    config = project.folder / "lorchestra.toml"
    for text, complaint in (
        ('[store]\nbusy_timeout_seconds = "a"\n', "line 2, store.busy_timeout_seconds: must be a number"),
        ("[store\n", "lorchestra.toml, line 1: not valid TOML"),
        ("[jobs.x]\npath = 1\n", "lorchestra.toml, line 1, jobs.x.source: needs a source"),
        ('[jobs.x]\nsorce = "mbox"\n', 'line 2, jobs.x.sorce: unknown key; did you mean "source"?'),
        ('[jobs."a b"]\nsource = "mbox"\n', "a job's name must be letters, digits"),
    ):
        config.write_text(text)
        refused = project.lorchestra("run", "x", code=2)
        assert complaint in refused.stderr
        assert refused.stdout == ""
    assert "--config: no such file" in project.lorchestra("runs", "--config", "none.toml", code=2).stderr
    wrong = {"LORCHESTRA_STORE_URL": "secret-4711"}
    refused = project.lorchestra("runs", "--config", "takeout.mbox", env=wrong, code=2)
    assert "takeout.mbox, line 1: not valid TOML" in refused.stderr
    config.write_text('[store]\nurl = "mysql://host/x"\n')
    assert "known: bigquery://, duckdb://" in project.lorchestra("runs", code=2).stderr
    config.write_text("")
    refused = project.lorchestra("runs", env=wrong, code=2)
    assert "LORCHESTRA_STORE_URL: must be a URL" in refused.stderr
    assert "secret-4711" not in refused.words


def test_options_win_over_the_environment_and_that_over_the_file(project: Project) -> None:
    env = {
        "LORCHESTRA_STORE_URL": "duckdb:///by_env.duckdb",
        "EVENTS_BQ_DATASET": "dataset_by_env",
        "EVENT_LOG_TABLE": "log_by_env",
        "RAW_OBJECTS_TABLE": "objects_by_env",
    }
    project.lorchestra("run", JOB, env=env)
    project.lorchestra("run", JOB, "--store-url", "duckdb:///by_option.duckdb", "--dataset", "given", env=env)

    assert not project.database.exists()
    for file, dataset in (("by_env", "dataset_by_env"), ("by_option", "given")):
        with duckdb.connect(project.folder / f"{file}.duckdb", read_only=True) as connection:
            assert connection.execute(f"SELECT COUNT(*) FROM {dataset}.log_by_env").fetchall() == [(3,)]
            assert connection.execute(f"SELECT COUNT(*) FROM {dataset}.objects_by_env").fetchall() == [(3,)]
    # Named queries, views and listings follow the names.
    assert len(project.lorchestra("runs", "--json", env=env).rows) == 1
    assert len(project.lorchestra("query", "latest_objects", "--format", "json", env=env).rows) == 3


def test_data_goes_to_standard_output_and_talk_to_standard_error(project: Project) -> None:
    (project.folder / "takeout.mbox").unlink()
    told = project.lorchestra("run", JOB, "--json", code=1)
    assert told.rows[0]["state"] == "failed"
    assert told.rows[0]["error_code"] == "source.unreadable"
    assert told.stderr.startswith("Error: ")
    fresh = project.lorchestra("query", "SELECT 1", "--store-url", "duckdb:///fresh.duckdb", code=1)
    assert "Run `lorchestra setup`" in fresh.stderr
    assert not (project.folder / "fresh.duckdb").exists()


def test_completion_prints_a_script_that_completes_jobs(ran: Project) -> None:
    script = ran.lorchestra("completion", "bash").stdout
    assert "_LORCHESTRA_COMPLETE=bash_complete" in script
    assert "#compdef lorchestra" in ran.lorchestra("completion", "zsh").stdout
    completing = {
        "_LORCHESTRA_COMPLETE": "bash_complete",
        "COMP_WORDS": "lorchestra run g",
        "COMP_CWORD": "2",
    }
    told = ran.lorchestra(env=completing).stdout
    assert sorted(line.partition(",")[2] for line in told.split()) == [JOB, "gone"]


def test_before_the_first_run_there_are_no_runs(project: Project) -> None:
    """An empty listing, not an error, and nothing is made by looking."""
    assert project.lorchestra("runs", "--json").rows == []
    assert not project.database.exists()


def test_a_table_is_bounded_and_says_so(ran: Project) -> None:
    """A table shows its first rows and how to get more; CSV and JSON have all unless told otherwise."""
    numbers = "SELECT n FROM UNNEST(GENERATE_ARRAY(1, 150)) AS n ORDER BY n"

    shown = ran.lorchestra("query", numbers)
    assert len(shown.stdout.splitlines()) == 1 + 100
    assert "--max-rows" in shown.stderr

    assert len(ran.lorchestra("query", numbers, "--format", "json").rows) == 150
    few = ran.lorchestra("query", numbers, "--format", "json", "--max-rows", "2")
    assert few.rows == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("columns", ["60", "100", "140"])
def test_a_table_on_a_terminal_keeps_its_first_column_whole(ran: Project, columns: str) -> None:
    """`runs show` needs the whole run id, however narrow the terminal is; one line a row."""
    script = f"stty cols {columns}; lorchestra runs"
    said = subprocess.run(
        ["script", "-qec", script, "/dev/null"],
        cwd=ran.folder,
        env=ran.environment({"TERM": "dumb", "COLUMNS": columns}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ids = [row["run_id"] for row in ran.lorchestra("runs", "--json").rows]
    lines = said.splitlines()
    assert len(lines) == 1 + len(ids)
    assert [line.split()[0] for line in lines[1:]] == ids
