"""Settings: who wins, where relative paths start, and how mistakes are answered."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from lorchestra.config import (
    CONFIG_VARIABLE,
    NOTIFY_VARIABLE,
    STORE_VARIABLES,
    ConfigFile,
    JobSettings,
    Overrides,
    SpoolSettings,
    StoreSettings,
    environment,
    load_settings,
    tables_from_environment,
    trace_id_from_environment,
)
from lorchestra.errors import ConfigError
from lorchestra.model import TableNames

EXAMPLE = """\
[store]
url = "duckdb:///lorchestra.duckdb"
dataset = "events_dev"

[jobs.gmail_ingest_acct1]
source = "takeout"
source_system = "tap-gmail--acct1-personal"
object_type = "email"
path = "examples/mail/takeout.mbox"
"""
KEY_PART_RULE = "must not be empty nor contain ':' or control characters"
URL_RULE = "must be a URL such as duckdb:///lorchestra.duckdb or bigquery://project/dataset"
JOB_NAME_RULE = (
    "a job's name must be letters, digits, '_', '-' and '.', not beginning with '-' or '.', "
    "at most 128 characters"
)
SECRET = "hunter2-7f3a"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and none of the variables that settings come from."""
    for variable in (CONFIG_VARIABLE, *STORE_VARIABLES):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path.resolve() / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def write(home: Path) -> Write:
    def write_file(text: str | bytes, name: str = "lorchestra.toml") -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_file


def refused(text: str, write: Write) -> list[str]:
    write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert caught.value.next_step
    return caught.value.message.splitlines()


def test_the_example(home: Path, write: Write) -> None:
    path = write(EXAMPLE)

    settings = load_settings()

    assert settings.path == path
    assert settings.base == home
    assert settings.store == StoreSettings(url=f"duckdb:///{home}/lorchestra.duckdb", dataset="events_dev")
    assert settings.spool == SpoolSettings(path=home / ".lorchestra/spool")
    assert settings.jobs == {
        "gmail_ingest_acct1": JobSettings(
            source="takeout",
            source_system="tap-gmail--acct1-personal",
            object_type="email",
            options={"path": "examples/mail/takeout.mbox"},
        )
    }


def test_defaults_without_a_file(home: Path) -> None:
    settings = load_settings()

    assert settings.path is None
    assert settings.base == home
    assert settings.jobs == {}
    assert settings.store.url == f"duckdb:///{home}/lorchestra.duckdb"
    assert settings.store.dataset == "events_dev"
    assert settings.store.event_log_table == "event_log"
    assert settings.store.raw_objects_table == "raw_objects"
    assert settings.store.busy_timeout_seconds == 30
    assert settings.where("jobs", "a.b", "path") == 'jobs."a.b".path'


def test_an_empty_file_gives_the_defaults(write: Write) -> None:
    write("")

    assert load_settings().store == StoreSettings(url=load_settings().store.url)


def test_a_file_with_byte_order_mark_and_crlf(write: Write) -> None:
    write(b"\xef\xbb\xbf" + EXAMPLE.replace("\n", "\r\n").encode())

    settings = load_settings()

    assert settings.jobs["gmail_ingest_acct1"].options == {"path": "examples/mail/takeout.mbox"}
    assert settings.where("jobs", "gmail_ingest_acct1", "path").startswith("lorchestra.toml, line 9, ")


# Finding the file


def test_the_file_is_found_in_a_folder_above(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(EXAMPLE)
    (home / "a/b").mkdir(parents=True)
    monkeypatch.chdir(home / "a/b")

    settings = load_settings()

    assert settings.base == home
    assert settings.store.url == f"duckdb:///{home}/lorchestra.duckdb"
    assert settings.where("store") == f"{home}/lorchestra.toml, line 1, store"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_above_is_not_taken(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(EXAMPLE)
    os.chown(path, 12345, -1)
    assert load_settings().path == path

    (home / "a").mkdir()
    monkeypatch.chdir(home / "a")
    with pytest.raises(ConfigError, match="belongs to another user") as caught:
        load_settings()
    assert caught.value.next_step is not None
    assert f"--config {path}" in caught.value.next_step
    assert load_settings(path).path == path


def test_the_option_beats_the_variable_beats_the_search(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched, named, given = (write("", name) for name in ("lorchestra.toml", "n/named.toml", "g/given.toml"))

    assert load_settings().path == searched
    monkeypatch.setenv(CONFIG_VARIABLE, "n/named.toml")
    assert load_settings().path == named
    assert load_settings(Path("g/given.toml")).path == given
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    assert load_settings().path == searched


def test_a_named_file_must_exist(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(EXAMPLE)

    with pytest.raises(ConfigError, match=r"^--config: no such file: absent.toml$") as caught:
        load_settings(Path("absent.toml"))
    assert caught.value.next_step
    monkeypatch.setenv(CONFIG_VARIABLE, "absent.toml")
    with pytest.raises(ConfigError, match=r"^LORCHESTRA_CONFIG: no such file: absent.toml$"):
        load_settings()


def test_a_folder_is_not_a_file(home: Path) -> None:
    (home / "conf").mkdir()

    with pytest.raises(ConfigError, match=r"^conf: is a folder"):
        load_settings(Path("conf"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_without_rights(write: Write) -> None:
    write(EXAMPLE).chmod(stat.S_IWUSR)

    with pytest.raises(ConfigError, match=r"^lorchestra.toml: cannot be read: "):
        load_settings()


def test_a_name_no_file_system_takes() -> None:
    with pytest.raises(ConfigError, match="cannot be read: "):
        load_settings(Path("x" * 300))


def test_a_working_directory_that_is_gone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "gone").mkdir()
    monkeypatch.chdir(home / "gone")
    (home / "gone").rmdir()

    with pytest.raises(ConfigError, match=r"^working directory: "):
        load_settings()


# Precedence


@pytest.mark.parametrize("with_option", [False, True])
@pytest.mark.parametrize("with_process", [False, True])
@pytest.mark.parametrize("with_dotenv", [False, True])
@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize(
    ("variable", "key", "option"),
    [
        ("EVENTS_BQ_DATASET", "dataset", "dataset"),
        ("EVENT_LOG_TABLE", "event_log_table", "event_log_table"),
        ("RAW_OBJECTS_TABLE", "raw_objects_table", "raw_objects_table"),
        ("LORCHESTRA_STORE_URL", "url", "store_url"),
    ],
)
def test_precedence(
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
    *,
    variable: str,
    key: str,
    option: str,
    with_file: bool,
    with_dotenv: bool,
    with_process: bool,
    with_option: bool,
) -> None:
    prefix = "bigquery://project/" if key == "url" else ""
    expected = None
    if with_file:
        expected = f"{prefix}from_file"
        write(f'[store]\n{key} = "{expected}"')
    if with_dotenv:
        expected = f"{prefix}from_dotenv"
        write(f"{variable}={expected}", ".env")
    if with_process:
        expected = f"{prefix}from_process"
        monkeypatch.setenv(variable, expected)
    overrides = None
    if with_option:
        expected = f"{prefix}from_option"
        overrides = Overrides(**{option: expected})  # type: ignore[arg-type]

    store = load_settings(overrides=overrides).store

    if expected is None:
        assert store == load_settings().store
    else:
        assert getattr(store, key) == expected


def test_an_empty_variable_is_unset_and_hides_that_of_dotenv(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[store]\ndataset = "from_file"')
    write("EVENTS_BQ_DATASET=from_dotenv\nEVENT_LOG_TABLE=", ".env")
    monkeypatch.setenv("EVENTS_BQ_DATASET", "")

    assert load_settings().store.dataset == "from_file"
    assert load_settings().store.event_log_table == "event_log"


def test_options_without_variables() -> None:
    settings = load_settings(overrides=Overrides(busy_timeout_seconds=0.5))

    assert settings.store.busy_timeout_seconds == 0.5


def test_mistakes_in_variables_and_options_are_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^--dataset: must be letters") as caught:
        load_settings(overrides=Overrides(dataset=f"x;{SECRET}"))
    assert SECRET not in caught.value.message
    with pytest.raises(ConfigError, match=r"^--store-url: must be a URL"):
        load_settings(overrides=Overrides(store_url="lorchestra.duckdb"))
    with pytest.raises(ConfigError, match=r"^--busy-timeout-seconds: must not be negative$"):
        load_settings(overrides=Overrides(busy_timeout_seconds=-1))
    with pytest.raises(ConfigError, match=r"^--spool-path: must not be empty"):
        load_settings(overrides=Overrides(spool_path=""))
    write("EVENT_LOG_TABLE='a b'", ".env")
    with pytest.raises(ConfigError, match=r"^\.env, EVENT_LOG_TABLE: must be letters"):
        load_settings()
    monkeypatch.setenv("EVENT_LOG_TABLE", "a-b")
    with pytest.raises(ConfigError, match=r"^EVENT_LOG_TABLE: must be letters"):
        load_settings()


# .env


def test_dotenv_stands_beside_the_file_and_below_the_environment(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("", "conf/lorchestra.toml")
    write("X_WHERE=cwd", ".env")
    write("# c\nexport X_WHERE='beside it'\nX_BOTH=dotenv\nX_QUOTED=\"a b\" # c\r\nX_BARE\n", "conf/.env")
    monkeypatch.setenv("X_BOTH", "process")

    settings = load_settings(path)

    assert settings.environment["X_WHERE"] == "beside it"
    assert settings.environment["X_QUOTED"] == "a b"
    assert settings.environment["X_BOTH"] == "process"
    assert "X_BARE" not in settings.environment
    assert "X_WHERE" not in os.environ
    assert "X_WHERE" not in environment()
    assert load_settings().environment["X_WHERE"] == "cwd"
    assert home == Path.cwd()


def test_a_virtual_environment_called_dotenv_is_let_be(home: Path) -> None:
    (home / ".env").mkdir()

    assert load_settings().environment == environment()


def test_a_broken_dotenv_is_refused(write: Write) -> None:
    write(f"A=1\n\nB='{SECRET}\n", ".env")

    with pytest.raises(ConfigError, match=r"^\.env, line [23]: not NAME=value$"):
        load_settings()


def test_a_dotenv_in_another_encoding_is_refused(write: Write) -> None:
    write(b"A=1\nB=\xe4\n", ".env")

    with pytest.raises(ConfigError, match=r"^\.env, line 2: not UTF-8 text$"):
        load_settings()


# Paths


def test_relative_paths_start_where_they_stand(
    home: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('[store]\nurl = "duckdb:///data/../a.duckdb"\n[spool]\npath = "s"', "conf/lorchestra.toml")

    assert load_settings(path).store.url == f"duckdb:///{home}/conf/a.duckdb"
    assert load_settings(path).spool.path == home / "conf/s"
    write("LORCHESTRA_STORE_URL=duckdb:///b.duckdb", "conf/.env")
    assert load_settings(path).store.url == f"duckdb:///{home}/conf/b.duckdb"
    monkeypatch.setenv("LORCHESTRA_STORE_URL", "duckdb:///c.duckdb")
    assert load_settings(path).store.url == f"duckdb:///{home}/c.duckdb"
    options = Overrides(store_url="duckdb:///d/e.duckdb", spool_path="t", dataset="other")
    assert load_settings(path, overrides=options).store.url == f"duckdb:///{home}/d/e.duckdb"
    assert load_settings(path, overrides=options).spool.path == home / "t"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("duckdb:////data/a.duckdb", "duckdb:////data/a.duckdb"),
        ("DuckDB:///a.duckdb", "duckdb:///{home}/a.duckdb"),
        ("duckdb:///~/a.duckdb", "duckdb:///{home}/a.duckdb"),
        ("duckdb:///a b.duckdb?x=y/z", "duckdb:///{home}/a b.duckdb?x=y/z"),
        ("duckdb:///:memory:", "duckdb:///:memory:"),
        ("duckdb://a.duckdb", "duckdb://a.duckdb"),
        ("bigquery://project/dataset", "bigquery://project/dataset"),
        ("motherduck:///a.duckdb", "motherduck:///a.duckdb"),
    ],
)
def test_store_urls(home: Path, monkeypatch: pytest.MonkeyPatch, url: str, absolute: str) -> None:
    monkeypatch.setenv("HOME", str(home))

    store = load_settings(overrides=Overrides(store_url=url)).store

    assert store.url == absolute.format(home=home)


def test_a_file_has_one_name_whichever_link_leads_to_it(home: Path, write: Write) -> None:
    write(EXAMPLE, "real/lorchestra.toml")
    (home / "link").symlink_to("real")

    assert (
        load_settings(Path("link/lorchestra.toml")).store == load_settings(Path("real/lorchestra.toml")).store
    )


def test_links_in_a_circle_are_refused(home: Path, write: Write) -> None:
    (home / "loop").symlink_to("loop")
    write('[spool]\npath = "loop/x"')

    with pytest.raises(ConfigError, match="circle"):
        load_settings()


# Mistakes


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (
            '[store]\nurl = "duckdb:///a"\ndatset = "x"',
            ['lorchestra.toml, line 3, store.datset: unknown key; did you mean "dataset"?'],
        ),
        (
            "[stores]\n[job.x]\n[zzz]",
            [
                'lorchestra.toml, line 1, stores: unknown key; did you mean "store"?',
                'lorchestra.toml, line 2, job: unknown key; did you mean "jobs"?',
                "lorchestra.toml, line 3, zzz: unknown key; known: jobs, notify, spool, store",
            ],
        ),
        ("[spool]\n\nfolder = 1", ["lorchestra.toml, line 3, spool.folder: unknown key; known: path"]),
        ("[store]\ndataset = 7", ["lorchestra.toml, line 2, store.dataset: must be a string"]),
        ("# c\nstore = { dataset = 7 }", ["lorchestra.toml, line 2, store.dataset: must be a string"]),
        ("store = 7", ["lorchestra.toml, line 1, store: must be a table"]),
        ("[[store]]", ["lorchestra.toml, line 1, store: must be a table"]),
        ("jobs = []", ["lorchestra.toml, line 1, jobs: must be a table"]),
        ('[jobs]\nsource = "x"', ["lorchestra.toml, line 2, jobs.source: must be a table"]),
        (
            '[store]\nbusy_timeout_seconds = "30"',
            ["lorchestra.toml, line 2, store.busy_timeout_seconds: must be a number"],
        ),
        (
            "[store]\nbusy_timeout_seconds = true",
            ["lorchestra.toml, line 2, store.busy_timeout_seconds: must be a number"],
        ),
        (
            "[store]\nbusy_timeout_seconds = nan",
            ["lorchestra.toml, line 2, store.busy_timeout_seconds: must be a finite number"],
        ),
        (
            "[store]\nbusy_timeout_seconds = -1",
            ["lorchestra.toml, line 2, store.busy_timeout_seconds: must not be negative"],
        ),
        (
            '[store]\nurl = "lorchestra.duckdb"',
            [f"lorchestra.toml, line 2, store.url: {URL_RULE}"],
        ),
        ("[spool]\npath = 1", ["lorchestra.toml, line 2, spool.path: must be a string"]),
        (
            '[spool]\npath = ""',
            ["lorchestra.toml, line 2, spool.path: must not be empty nor contain control characters"],
        ),
        (
            '[spool]\npath = "a\\u0000"',
            ["lorchestra.toml, line 2, spool.path: must not be empty nor contain control characters"],
        ),
        ("[jobs.x]\nsource = 1", ["lorchestra.toml, line 2, jobs.x.source: must be a string"]),
        (
            '[jobs.x]\nsource_system = "a:b"\nobject_type = ""\ndescription = 1',
            [
                f"lorchestra.toml, line 2, jobs.x.source_system: {KEY_PART_RULE}",
                f"lorchestra.toml, line 3, jobs.x.object_type: {KEY_PART_RULE}",
                "lorchestra.toml, line 4, jobs.x.description: must be a string",
            ],
        ),
        (
            '\n[jobs."a/b"]',
            [
                f'lorchestra.toml, line 2, jobs."a/b": {JOB_NAME_RULE}',
            ],
        ),
    ],
)
def test_mistakes_have_line_key_and_rule(write: Write, text: str, mistakes: list[str]) -> None:
    assert refused(text, write) == mistakes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[store]\ndatset = 7", "config.unknown_key"),
        ("[stores]\n[zzz]", "config.unknown_key"),
        ("[store]\ndataset = 7", "config.invalid"),
        ("[store]\ndatset = 7\ndataset = 7", "config.invalid"),
    ],
)
def test_unknown_keys_have_a_code(write: Write, text: str, code: str) -> None:
    write(text)
    with pytest.raises(ConfigError) as raised:
        load_settings()
    assert raised.value.code == code


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "ä", "a\\n", "x" * 129])
def test_job_names_that_cannot_name_a_file(write: Write, name: str) -> None:
    assert len(refused(f'[jobs."{name}"]', write)) == 1


@pytest.mark.parametrize("name", ["a", "_a", "9", "gmail_ingest_acct1", "a.b-c", "x" * 128])
def test_job_names(write: Write, name: str) -> None:
    write(f'[jobs."{name}"]')

    assert load_settings().jobs == {name: JobSettings()}


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a.b", "a b", "a`b", "ä", "a\n", "x" * 129])
def test_table_names_that_are_no_identifiers(name: str) -> None:
    for option in ("dataset", "event_log_table", "raw_objects_table"):
        with pytest.raises(ConfigError, match="must be letters"):
            load_settings(overrides=Overrides(**{option: name}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[store]\nurl = duckdb", "line 2: not valid TOML: "),
        ("[store]\nurl = 'a", "line 2: not valid TOML: "),
        ('a = """\n\n', "line 3: not valid TOML: "),
        ("[store]\n[store]", "line 2: not valid TOML: "),
        ("a = 1\na = 2", "line 2: not valid TOML: "),
        ("a = 2025-13-01", "line 1: not valid TOML: "),
        ("a = " + "1" * 5000, "line 1: not valid TOML: invalid number"),
        ("a = " + "[" * 5000, "line 1: not valid TOML: nested too deeply"),
    ],
)
def test_syntax_errors_have_a_line(write: Write, text: str, place: str) -> None:
    (message,) = refused(text, write)

    assert message.startswith(f"lorchestra.toml, {place}")
    assert "(at " not in message


def test_another_encoding_is_refused(home: Path, write: Write) -> None:
    write("[store]\n# für\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"^lorchestra.toml, line 2: not UTF-8 text$"):
        load_settings()
    write(EXAMPLE.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"^lorchestra.toml, line 1: not UTF-8 text$"):
        load_settings()


@pytest.mark.parametrize(
    "text",
    [
        f'[store]\nurl = "{SECRET}"',
        f'[store]\ndataset = "a {SECRET}"',
        f'[store]\npassword = "{SECRET}"',
        f'[store]\nbusy_timeout_seconds = "{SECRET}"',
        f'store = "{SECRET}"',
        f'[jobs]\nx = "{SECRET}"',
        f'[jobs.x]\nsource_system = "{SECRET}:"',
        f'[jobs.x]\nsource = ["{SECRET}"]',
        f'[jobs.x]\ntoken = "{SECRET}',
        f"[jobs.x]\ntoken = {SECRET}",
        f'[jobs.x]\ntoken = "{SECRET}" {SECRET}',
        f'[jobs.x]\ntoken = "\\q{SECRET}"',
    ],
)
def test_mistakes_never_tell_a_value(write: Write, text: str) -> None:
    write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert SECRET not in f"{caught.value.message} {caught.value.next_step}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# What later layers get


def test_where(write: Write) -> None:
    write(EXAMPLE)
    settings = load_settings()

    assert settings.where("jobs", "gmail_ingest_acct1", "path") == (
        "lorchestra.toml, line 9, jobs.gmail_ingest_acct1.path"
    )
    assert settings.where("jobs", "gmail_ingest_acct1", "absent") == (
        "lorchestra.toml, line 5, jobs.gmail_ingest_acct1.absent"
    )
    assert settings.where("spool", "path") == "lorchestra.toml, line 1, spool.path"


def test_options_are_all_other_keys(write: Write) -> None:
    write("[jobs.x]\nsource = 'y'\nn = 1\noptions = [2]\n[jobs.x.more]\nday = 2025-11-20")
    options = load_settings().jobs["x"].options

    assert {key: str(value) for key, value in options.items()} == {
        "n": "1",
        "options": "[2]",
        "more": "{'day': datetime.date(2025, 11, 20)}",
    }


def test_no_repr_tells_a_secret(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        f'[store]\nurl = "postgres://me:{SECRET}@host/db"\n'
        f'[jobs.x]\npath = "seen"\nrefresh_token = "{SECRET}"\nheaders = {{ Authorization = "{SECRET}" }}\n'
    )
    write(f"A={SECRET}", ".env")
    monkeypatch.setenv("B", SECRET)

    settings = load_settings()

    for part in (
        settings,
        settings.store,
        settings.jobs,
        settings.jobs["x"],
        ConfigFile(jobs=dict(settings.jobs)),
    ):
        assert SECRET not in f"{part!r} {part}"
    assert "seen" in repr(settings)
    assert settings.jobs["x"].options["refresh_token"] == SECRET
    assert settings.environment["A"] == settings.environment["B"] == SECRET


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()

    with pytest.raises(ValidationError):
        settings.store.dataset = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        settings.base = Path()  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.jobs["x"] = JobSettings()  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.environment["x"] = "y"  # type: ignore[index]


def test_every_key_is_described() -> None:
    for model in (ConfigFile, StoreSettings, SpoolSettings, JobSettings):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01", TRACE_ID),
        (f"00-{TRACE_ID}-00f067aa0ba902b7-00", TRACE_ID),
        (f"01-{TRACE_ID}-00f067aa0ba902b7-01", TRACE_ID),
        (f"cc-{TRACE_ID}-00f067aa0ba902b7-01-what-comes", TRACE_ID),
        (f"cc-{TRACE_ID}-00f067aa0ba902b7-01what", None),
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01-what-comes", None),
        (f"ff-{TRACE_ID}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE_ID.upper()}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE_ID}-{'0' * 16}-01", None),
        (f"00-{TRACE_ID}-00f067aa0ba902b7-1", None),
        (f"00-{TRACE_ID}-00f067aa0ba902b7-01\n", None),
        (f"0-{TRACE_ID}-00f067aa0ba902b7-01", None),
        (TRACE_ID, None),
        ("", None),
    ],
)
def test_trace_id(header: str, trace_id: str | None) -> None:
    assert trace_id_from_environment({"TRACEPARENT": header}) == trace_id


def test_no_trace_id_without_the_variable() -> None:
    assert trace_id_from_environment({}) is None


# The dataset in a BigQuery URL


def test_a_url_may_name_the_dataset(write: Write) -> None:
    write('[store]\nurl = "bigquery://project/mail"')
    store = load_settings().store
    assert (store.url, store.dataset) == ("bigquery://project/mail", "mail")


def test_a_url_without_a_dataset_takes_that_beside_it(write: Write) -> None:
    write('[store]\nurl = "bigquery://project?location=EU"\ndataset = "mail"')
    store = load_settings().store
    assert (store.url, store.dataset) == ("bigquery://project/mail?location=EU", "mail")


def test_two_datasets_in_one_file_are_a_mistake(write: Write) -> None:
    write('[store]\nurl = "bigquery://project/mail"\ndataset = "events_dev"')
    with pytest.raises(ConfigError, match=r"^lorchestra.toml, line 3, store.dataset: ") as caught:
        load_settings()
    assert "one of the two" in str(caught.value.next_step)


def test_the_dataset_that_is_given_last_is_meant(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('[store]\nurl = "bigquery://project/mail"')
    monkeypatch.setenv("EVENTS_BQ_DATASET", "from_process")
    store = load_settings().store
    assert (store.url, store.dataset) == ("bigquery://project/from_process", "from_process")
    store = load_settings(overrides=Overrides(store_url="bigquery://other/from_url")).store
    assert (store.url, store.dataset) == ("bigquery://other/from_url", "from_url")
    store = load_settings(overrides=Overrides(store_url="bigquery://other/from_url", dataset="given")).store
    assert (store.url, store.dataset) == ("bigquery://other/given", "given")


def test_a_key_file_is_relative_to_the_configuration(home: Path, write: Write) -> None:
    write('[store]\nurl = "bigquery://project/mail?credentials=keys/a.json&location=EU"')
    path = home / "keys" / "a.json"
    assert load_settings().store.url == f"bigquery://project/mail?location=EU&credentials={path}"


def test_a_key_file_may_be_named_in_dotenv(home: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('[store]\nurl = "bigquery://project/mail"')
    write("GOOGLE_APPLICATION_CREDENTIALS=a.json", ".env")
    assert load_settings().store.url == f"bigquery://project/mail?credentials={home / 'a.json'}"
    # Also for a store that is named by an option; its own key file goes before it.
    write('[store]\nurl = "duckdb:///a.duckdb"')
    url = "bigquery://other/mail"
    assert (
        load_settings(overrides=Overrides(store_url=url)).store.url == f"{url}?credentials={home / 'a.json'}"
    )
    url = "bigquery://other/mail?credentials=/c.json"
    assert load_settings(overrides=Overrides(store_url=url)).store.url == url
    write('[store]\nurl = "bigquery://project/mail"')
    # Google's own library reads the real environment.
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/b.json")
    assert load_settings().store.url == "bigquery://project/mail"


def test_an_empty_key_file_in_dotenv_is_none(write: Write) -> None:
    write('[store]\nurl = "bigquery://project/mail"')
    write("GOOGLE_APPLICATION_CREDENTIALS=", ".env")
    assert load_settings().store.url == "bigquery://project/mail"


def test_tables_are_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """For callers with a client and no configuration; a name that cannot be one is said."""
    monkeypatch.setenv("EVENTS_BQ_DATASET", "crm")
    monkeypatch.setenv("RAW_OBJECTS_TABLE", "")
    assert tables_from_environment() == TableNames(dataset="crm")
    monkeypatch.setenv("EVENT_LOG_TABLE", "no-name")
    with pytest.raises(ConfigError, match="EVENT_LOG_TABLE: ") as caught:
        tables_from_environment()
    assert "no-name" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "bigquery:///mail",
        "bigquery://[x",
        "bigquery://Project With Space/mail",
        "bigquery://project/a/b",
        "bigquery://project/a-b",
        "bigquery://project/mail?loc=EU",
        "bigquery://project/mail?location=",
    ],
)
def test_a_bigquery_url_that_is_none_is_said_without_its_value(write: Write, url: str) -> None:
    write(f'[store]\nurl = "{url}"')
    with pytest.raises(ConfigError, match=r"store.url") as caught:
        load_settings()
    assert url not in str(caught.value)


# Notifications


def test_urls_of_notifications(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable goes before `.env`, and that before the file; an empty one is unset."""

    def urls() -> list[str]:
        return [url.get_secret_value() for url in load_settings().notify.urls]

    monkeypatch.delenv(NOTIFY_VARIABLE, raising=False)
    assert urls() == []
    write('[notify]\nurls = ["json://file/a b"]')
    assert urls() == ["json://file/a b"]
    write(f"{NOTIFY_VARIABLE}='json://dotenv  slack://b'", ".env")
    assert urls() == ["json://dotenv", "slack://b"]
    monkeypatch.setenv(NOTIFY_VARIABLE, " json://process\tjson://c\n")
    assert urls() == ["json://process", "json://c"]
    monkeypatch.setenv(NOTIFY_VARIABLE, "")
    assert urls() == ["json://file/a b"]


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        (f'"json://{SECRET}"', "must be a list of strings"),
        (f'["json://a", "{SECRET}"]', "urls[1] must be a URL such as mailto://… or json://…"),
        (f'[["json://{SECRET}"]]', "urls[0] must be a URL such as mailto://… or json://…"),
        (f'["json://{SECRET}\\n"]', "urls[0] must be a URL such as mailto://… or json://…"),
    ],
)
def test_a_mistake_in_urls_of_notifications_has_its_place(write: Write, value: str, mistake: str) -> None:
    assert refused(f"[notify]\nurls = {value}", write) == [f"lorchestra.toml, line 2, notify.urls: {mistake}"]


def test_urls_of_notifications_are_not_shown(write: Write) -> None:
    """Whatever prints the settings."""
    write(f'[notify]\nurls = ["json://{SECRET}"]')
    settings = load_settings()
    assert SECRET not in f"{settings!r} {settings.notify!r} {settings.notify} {settings.notify.model_dump()}"
