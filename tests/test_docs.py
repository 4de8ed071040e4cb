"""The documentation tells the truth: what is generated is current, what is shown is executed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner

from lorchestra.cli import main as command_line
from tests.emulator.front import ServiceFront
from tests.gmail.front import GmailService, gmail_service
from tests.gmail.mailbox import takeout_messages

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
JOB = "gmail_ingest_acct1"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

# Commands that make a checkout or an environment: they need a network, and what they make is here already.
# Logging in needs a person; tests/test_cli_auth.py does it over HTTP. So does the page: tests/web.
SKIPPED = ("make ", "git clone ", "pip install ", "lorchestra auth ", "lorchestra web")

_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>\w+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block, its language, and the word of a comment before it."""

    kind: str
    text: str
    mark: str | None


def blocks(page: str, *kinds: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [Block(match["kind"], match["text"], match["mark"]) for match in _BLOCK.finditer(text)]
    return [block for block in found if block.kind in kinds]


@dataclass
class Shell:
    """The sample project in a folder of its own. Ids of runs stand for those that the page shows."""

    folder: Path
    run_ids: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "TZ": "UTC", "LC_ALL": "C.UTF-8", **self.variables}

    @property
    def mailbox(self) -> Path:
        return self.folder / "examples" / "mail" / "takeout.mbox"

    def run(self, command: str) -> tuple[int, str]:
        """Exit code, and what stood on the screen."""
        for shown, real in self.run_ids.items():
            command = command.replace(shown, real)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            text=True,
        )
        return done.returncode, done.stdout

    def follow(self, transcript: str) -> None:
        """Run the commands of a transcript, and compare what they say with what is shown."""
        for command, shown in commands(transcript):
            if command.startswith(SKIPPED):
                continue
            code, said = self.run(command)
            if shown.startswith("Error:"):
                assert code in {1, 2}, f"{command} should have failed:\n{said}"
            else:
                assert code == 0, f"{command}:\n{said}"
            if shown:
                self.compare(shown, said, command)

    def compare(self, shown: str, said: str, command: str) -> None:
        match = re.fullmatch(_pattern(shown), _plain(said))
        assert match, f"{command}\n--- shown\n{shown}\n--- said\n{said}"
        for shown_id, real in zip(re.findall(_RUN_ID, shown), match.groups(), strict=True):
            assert self.run_ids.setdefault(shown_id, real) == real, f"{command}: {shown_id} is another run"


_RUN_ID = rf"{JOB}-\d{{14}}"
# What differs from run to run: times of day, and seconds that something took.
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_SECONDS = r"\d+(?:\.\d+)?"


def _plain(text: str) -> str:
    """Columns are as wide as their widest cell, so white space is made alike."""
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


def _pattern(shown: str) -> str:
    """`…` stands for anything in a line, and alone on a line for any lines."""
    lines = []
    for line in _plain(shown).splitlines():
        if line == "…":
            lines.append(r"[\s\S]*")
            continue
        pattern = re.escape(line).replace("…", ".*")
        pattern = re.sub(rf"{JOB}\\-\d{{14}}", lambda _: f"({_RUN_ID})", pattern)
        pattern = re.sub(r"\d{4}\\-\d\d\\-\d\d\\ \d\d:\d\d:\d\d", lambda _: _TIME, pattern)
        pattern = re.sub(r"(?<=\\ )\d+\\\.\d{1,3}(?=\\ )", lambda _: _SECONDS, pattern)
        lines.append(pattern)
    return "\n".join(lines)


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command with the output that is shown below it. Without `$ `, every line is a command."""
    if "$ " not in transcript:
        yield from ((line, "") for line in transcript.splitlines() if line.strip())
        return
    lines = transcript.splitlines()
    while lines:
        command = lines.pop(0).removeprefix("$ ")
        if heredoc := re.search(r"<<'(\w+)'", command):
            end = lines.index(heredoc[1]) + 1
            command, lines = "\n".join([command, *lines[:end]]), lines[end:]
        shown: list[str] = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0))
        yield command, "\n".join(shown)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A fresh copy of the sample project."""
    shutil.copy(ROOT / "lorchestra.toml", tmp_path)
    shutil.copytree(ROOT / "examples" / "mail", tmp_path / "examples" / "mail")
    return Shell(tmp_path)


def test_generated_pages_are_current() -> None:
    """`make docs` would write nothing new; every command and option has help, every name its meaning."""
    done = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make docs`:\n{done.stdout}{done.stderr}"


def _all_commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _all_commands(f"{path} {name}", below)


@pytest.mark.parametrize("path", [path for path, _ in _all_commands("lorchestra", command_line)])
def test_a_command_has_help_and_stands_in_the_reference(path: str) -> None:
    """No command is without a sentence on what it does."""
    command = dict(_all_commands("lorchestra", command_line))[path]
    assert command.help
    assert f"## {path}\n" in (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist, and headings that those files have."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        if heading:
            assert heading in _anchors(linked), target


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_shows_the_configuration_of_this_repository() -> None:
    """The TOML block is the file, byte for byte."""
    [shown] = blocks("README.md", "toml")
    assert shown.text == (ROOT / "lorchestra.toml").read_text(encoding="utf-8")


def test_the_readme_does_what_it_shows(shell: Shell) -> None:
    """All commands of the README, in order, in one copy of the project."""
    shell.follow("".join(block.text for block in blocks("README.md", "console")))
    for block in blocks("README.md", "bash"):
        shell.follow(block.text)


def test_watching_goes_as_shown(shell: Shell) -> None:
    """All commands of the guide to watching, in order, in one copy of the project."""
    transcripts = blocks("docs/watching.md", "console")
    assert len(transcripts) >= 5
    for transcript in transcripts:
        shell.follow(transcript.text)


def test_moving_to_bigquery_goes_as_shown(shell: Shell, bigquery_service: ServiceFront) -> None:
    """Doctor, copy and the first run of the guide, against an emulator."""
    shell.variables["BIGQUERY_EMULATOR_HOST"] = bigquery_service.endpoint
    assert shell.run(f"lorchestra run {JOB}")[0] == 0
    # Another test may have used the guide's names on this emulator.
    project = f"p{uuid4().hex[:20]}"
    for block in blocks("docs/bigquery.md", "console"):
        shell.follow(block.text.replace("my-project", project))


@pytest.fixture
def mailbox_service() -> Iterator[GmailService]:
    """The sample mailbox over the Gmail API."""
    with gmail_service(takeout_messages()) as service:
        yield service


@pytest.mark.parametrize("mark", ["configuration", "takeout"])
def test_the_guide_to_gmail_does_what_it_shows(
    shell: Shell, mailbox_service: GmailService, mark: str
) -> None:
    """The first sync, and the one after a Takeout import, against a stand-in for Gmail."""
    service = mailbox_service
    shell.variables |= service.variables("tap-gmail--acct1-personal")
    tables = [one.text for one in blocks("docs/gmail.md", "toml") if one.mark in ("configuration", mark)]
    tables[0] += f'endpoint = "{service.endpoint}"\ntoken_uri = "{service.token_uri}"\n'
    (shell.folder / "lorchestra.toml").write_text("\n".join(tables))
    for block in blocks("docs/gmail.md", "console"):
        if (block.mark == "takeout") == (mark == "takeout"):
            shell.follow(block.text)
    for block in blocks("docs/gmail.md", "sql"):
        shell.follow(f"$ lorchestra query - <<'SQL'\n{block.text}SQL")


def test_a_killed_run_leaves_what_the_readme_says(shell: Shell) -> None:
    """`kill -9` in the middle: the next command records it, the next run stores what it had read."""
    [transcript] = [block for block in blocks("README.md", "text") if block.mark == "killed"]
    [(run, shown), *rest] = commands(transcript.text)
    assert shown == "Killed"
    content = shell.mailbox.read_bytes()
    shell.mailbox.unlink()
    # A pipe in the mailbox's place: the run reads all there is, and waits for more.
    os.mkfifo(shell.mailbox)
    with subprocess.Popen(run.split(), cwd=shell.folder, env=shell.environment) as process:
        with os.fdopen(_until(lambda: _opened(shell.mailbox), "the mailbox is being read"), "wb") as writer:
            writer.write(content)
            writer.flush()
            _until(lambda: _spooled(shell.folder) > 1_000_000, "most of it is in the spool")
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL
    shell.mailbox.unlink()
    shell.mailbox.write_bytes(content)
    for command, output in rest:
        code, said = shell.run(command)
        assert code == 0, said
        shell.compare(_counts_of_lines(output), _counts_of_lines(said), command)
    _, said = shell.run("lorchestra query 'SELECT COUNT(*) AS n FROM events_dev.raw_objects' --format csv")
    assert said.split() == ["n", "220"]


def _counts_of_lines(text: str) -> str:
    """How much had reached the disk depends on the size of buffers."""
    return re.sub(r"\d+ (new|unchanged|recovered)", r"N \1", text)


T = TypeVar("T")


def _until(ask: Callable[[], T | None], what: str) -> T:
    deadline = time.monotonic() + 30
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)
    return answer


def _opened(pipe: Path) -> int | None:
    """The pipe, once somebody reads it; opening it before would wait for ever."""
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None
    os.set_blocking(descriptor, True)
    return descriptor


def _spooled(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(".lorchestra/spool/segments/*/*"))


def test_the_queries_over_mail_give_what_is_shown(shell: Shell) -> None:
    """Every SQL block of docs/mail.md runs on the sample mailbox, with the result that stands below it."""
    code, said = shell.run(f"lorchestra run {JOB}")
    assert code == 0, said
    found = blocks("docs/mail.md", "sql", "text")
    queries = [(sql, result) for sql, result in pairwise(found) if sql.kind == "sql"]
    assert len(queries) >= 4
    configuration = shell.folder / "lorchestra.toml"
    for sql, result in [*queries, *((sql, None) for sql in blocks("docs/troubleshooting.md", "sql"))]:
        done = CliRunner().invoke(command_line, ["query", "-", f"--config={configuration}"], input=sql.text)
        assert done.exit_code == 0, done.output
        if result is not None:
            shell.compare(result.text, done.output, sql.text)


def test_every_dependency_has_its_reason() -> None:
    """Each line of pyproject.toml has a page, and no page is left over."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["dependency-groups"]["fuzz"],
        *project["dependency-groups"]["bench"],
        *project["build-system"]["requires"],
    ]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in wanted}
    folder = ROOT / "docs/decisions/dependencies"
    assert {page.stem for page in folder.glob("*.md")} == names
    index = (ROOT / "docs/decisions/dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(dependencies/(.+)\.md\)", index)) == names


def test_the_examples_of_contributing_work(shell: Shell) -> None:
    """The job, the source and the store of CONTRIBUTING.md, installed as one package, do what is shown."""
    site = shell.folder / "site"
    about = site / "example-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n", encoding="utf-8")
    points: list[str] = []
    for block in blocks("CONTRIBUTING.md", "python", "toml", "csv"):
        if block.kind == "python":
            (site / f"{block.mark}.py").write_text(block.text, encoding="utf-8")
        elif block.kind == "csv":
            (shell.folder / f"{block.mark}.csv").write_text(block.text, encoding="utf-8")
        elif block.mark == "configuration":
            with (shell.folder / "lorchestra.toml").open("a", encoding="utf-8") as file:
                file.write(f"\n{block.text}")
        else:
            for group, names in tomllib.loads(block.text)["project"]["entry-points"].items():
                points += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (about / "entry_points.txt").write_text("\n".join(points), encoding="utf-8")
    shell.variables.update(PYTHONPATH=str(site), EXAMPLE_DISK=str(shell.folder))
    transcripts = [block for block in blocks("CONTRIBUTING.md", "console") if block.mark == "example"]
    assert len(transcripts) == 3
    for transcript in transcripts:
        shell.follow(transcript.text)
