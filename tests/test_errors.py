"""What all errors promise: a code, a sentence, a next command that exists, and never a stack trace."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import lorchestra
from lorchestra import errors
from lorchestra.cli import main
from lorchestra.cli_base import Commands
from lorchestra.errors import (
    AlreadyRunningError,
    ConfigError,
    LorchestraError,
    StoreReadOnlyError,
    UnknownKeyError,
)
from lorchestra.jobs.failure import error_code, explained
from lorchestra.store_url import parse_bigquery_url
from lorchestra.stores import open_store

CODE = Path(lorchestra.__file__).parent
PAGE = CODE.parent / "docs" / "reference" / "errors.md"
SECRET = "1//refresh-token me@example.com"


def classes(kind: type[LorchestraError] = LorchestraError) -> Iterator[type[LorchestraError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from classes(below)


ALL = list(classes())
each_class = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)


# The classes


def test_a_code_is_of_one_class() -> None:
    assert len({kind.code for kind in ALL}) == len(ALL)
    assert all("code" in vars(kind) for kind in ALL)


def test_the_codes_that_others_go_by_are_there() -> None:
    """SQL, alerts and scripts have these words in them."""
    assert {kind.code for kind in ALL} >= {
        "auth.expired",
        "quota.user_rate",
        "store.busy",
        "store.unreachable",
        "source.unreadable",
        "object.too_large",
        "config.unknown_key",
    }


@each_class
def test_a_class_says_what_it_means_and_what_can_be_done(kind: type[LorchestraError]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.code)
    assert kind.exit_code in {1, 2, 3}
    sentence = inspect.cleandoc(vars(kind)["__doc__"]).split("\n\n")[0]
    assert len(sentence) > 10
    assert sentence.endswith(".")
    assert not (kind.exit_code == 2 and kind.retryable)


def test_only_a_job_that_runs_already_has_an_exit_code_of_its_own() -> None:
    """A scheduler can tell it from a failure."""
    assert [kind for kind in ALL if kind.exit_code == 3] == [AlreadyRunningError]
    assert AlreadyRunningError.retryable


@each_class
def test_a_class_stands_in_the_reference(kind: type[LorchestraError]) -> None:
    """Whoever finds a code in a table can look it up."""
    assert f"| `{kind.code}` | `{kind.__name__}` | {kind.exit_code} |" in PAGE.read_text(encoding="utf-8")


# The next command


@each_class
def test_the_next_command_is_one_that_there_is(kind: type[LorchestraError]) -> None:
    commands = re.findall(r"lorchestra((?: [a-z]+| --?[a-z-]+| [A-Z_]+)+)", kind.next_step)
    assert commands or "the same command" in kind.next_step, kind.next_step
    for text in commands:
        command: click.Command = main
        for word in text.split():
            if word.startswith("-"):
                assert word in {name for one in command.params for name in one.opts} | {"--help"}, text
            elif isinstance(command, click.Group) and word.islower():
                assert word in command.commands or command.invoke_without_command, text
                command = command.commands.get(word, command)


@each_class
def test_an_error_of_a_run_names_its_job(kind: type[LorchestraError]) -> None:
    assert "JOB" not in explained(kind("x"), "gmail_acct1").next_step
    assert ("gmail_acct1" in explained(kind("x"), "gmail_acct1").next_step) == ("JOB" in kind.next_step)


def test_an_error_that_knows_better_says_so() -> None:
    assert ConfigError("x", next_step="Do this.").next_step == "Do this."
    assert ConfigError("x").next_step == ConfigError.next_step


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError(SECRET), "job.raised"),
        (SystemExit(SECRET), "job.exited"),
        (KeyboardInterrupt(SECRET), "run.interrupted"),
    ],
)
def test_what_a_job_raises_is_told_under_the_code_of_its_event(error: BaseException, code: str) -> None:
    told = explained(error, "gmail_acct1")
    assert told.code == error_code(error) == code
    assert "lorchestra run gmail_acct1" in told.next_step
    assert SECRET not in f"{told} {told.next_step}"


# The code


def test_ours_raise_what_can_be_told_apart() -> None:
    """A code `*.error` says that something is not classed; our own parts know what went wrong."""
    groups = {kind.__name__ for kind in ALL if kind.code.endswith(".error")}
    made = [
        f"{path.relative_to(CODE)}:{node.lineno}"
        for path in sorted(CODE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in groups
    ]
    assert made == []


def test_every_class_is_used_or_is_for_others() -> None:
    """A code that nothing raises is a promise that nobody keeps."""
    used = {
        node.id
        for path in CODE.rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name)
    }
    unused = {kind.code for kind in ALL if kind.__name__ not in used}
    assert {code for code in unused if not code.endswith(".error")} <= {"store.object_refused"}


# A defect


def broken(*, error: BaseException, arguments: list[str]) -> Result:
    """The command line with one more command, which raises this."""

    @click.command()
    def defect() -> None:
        raise error

    group = Commands("lorchestra", params=main.params, commands={"defect": defect})
    return CliRunner().invoke(group, [*arguments, "defect"])


def test_a_defect_is_told_in_a_line() -> None:
    told = broken(error=ValueError(SECRET), arguments=[])
    assert told.exit_code == 1
    assert told.stdout == ""
    first, *rest = told.stderr.splitlines()
    assert re.fullmatch(
        r"Error: lorchestra itself failed: ValueError in test_errors\.py:\d+ in defect", first
    )
    assert "--traceback" in " ".join(rest)
    assert "Traceback" not in told.stderr
    assert SECRET not in told.stderr


def test_a_defect_shows_more_when_asked() -> None:
    told = broken(error=ValueError(SECRET), arguments=["--traceback"])
    assert told.exit_code == 1
    assert "Traceback (most recent call last)" in told.stderr
    assert "lorchestra itself failed" in told.stderr


def test_ctrl_c_ends_a_command_in_a_line() -> None:
    told = broken(error=KeyboardInterrupt(), arguments=[])
    assert (told.exit_code, told.stdout, told.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize("error", [click.UsageError("x"), click.exceptions.Exit(2)])
def test_what_click_refuses_stays_its_own(error: Exception) -> None:
    assert broken(error=error, arguments=[]).exit_code == 2


@each_class
def test_each_error_ends_a_command_with_its_exit_code(kind: type[LorchestraError]) -> None:
    told = broken(error=kind("something is wrong", place="a/file"), arguments=[])
    assert told.exit_code == kind.exit_code
    assert told.stderr.splitlines() == ["Error: something is wrong", "  at a/file", kind.next_step]


# Codes of single errors


def test_an_option_of_a_store_url_that_is_unknown_is_an_unknown_key() -> None:
    with pytest.raises(UnknownKeyError, match="unknown option"):
        parse_bigquery_url("bigquery://project/dataset?locatoin=EU")


def test_a_store_where_nothing_can_be_written_is_read_only() -> None:
    """Nobody, not even root, can make a file there."""
    with pytest.raises(StoreReadOnlyError):
        open_store("duckdb:////sys/x.duckdb").create_tables()
