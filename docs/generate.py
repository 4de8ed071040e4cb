"""Writes docs/reference/ from the code and from real runs: `make docs`. `--check` only compares.

The translations of our own queries to DuckDB's SQL are written with it.
"""

import argparse
import difflib
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from docs import meanings
from docs.picture import demo_picture
from docs.sample import ROOT, Sample, sample_project
from docs.translations import translations
from lorchestra import errors
from lorchestra.cli import main as command_line
from lorchestra.config import CONFIG_VARIABLE, NOTIFY_VARIABLE, STORE_VARIABLES
from lorchestra.config_tables import ConfigFile
from lorchestra.model import TableNames
from lorchestra.queries import named_query, query_names
from lorchestra.run_lock import Run, RunMarker
from lorchestra.runs import RunLog
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS
from lorchestra.setup.views import VIEWS
from lorchestra.sources.base import source_names, source_type
from lorchestra.store_url import OPTIONS
from lorchestra.stores import open_store
from lorchestra.stores.bigquery_client import EMULATOR_VARIABLE
from lorchestra.stores.bigquery_staging import USAGE

FOLDER = ROOT / "docs" / "reference"
TRANSLATED = ROOT / "lorchestra" / "stores" / "sql" / "duckdb" / "translated"
PICTURE = ROOT / "docs" / "images" / "demo.svg"

_NOTE = "<!-- Written by `make docs`; edit docs/generate.py or docs/meanings.py instead. -->"
# What a JSON object of an event holds is told key by key, but for these, whose keys are the user's.
_OPAQUE = {"parameters", "reject_reasons"}
_ARROW_TYPES = {
    "bool": "BOOL",
    "extension<arrow.json>": "JSON",
    "list<l: string>": "ARRAY<STRING>",
    "string": "STRING",
    "double": "FLOAT64",
    "int64": "INT64",
    "timestamp[us, tz=UTC]": "TIMESTAMP",
}
_JSON_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
}


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    with sample_project() as sample:
        events = _real_events(sample)
        views = _views(sample)
    return {
        "cli.md": _page("Commands", _cli()),
        "settings.md": _page("Settings", _settings()),
        "tables.md": _page("Tables", _tables(views)),
        "events.md": _page("Events", _events(events)),
        "queries.md": _page("Named queries", _queries()),
        "errors.md": _page("Errors", _errors()),
    }


def _page(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"# {title}", "", _NOTE, "", *lines]).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def _code(text: object) -> str:
    return f"`{text}`"


# Commands


def _cli() -> Iterator[str]:
    yield from [meanings.CLI, ""]
    yield from _command("lorchestra", command_line)


def _command(path: str, command: click.Command) -> Iterator[str]:
    if not command.help:
        raise SystemExit(f"{path}: has no help")
    yield f"## {path}"
    yield ""
    yield inspect.cleandoc(command.help)
    yield ""
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    words = [path, "[OPTIONS]", *((argument.name or "").upper() for argument in arguments)]
    if isinstance(command, click.Group):
        words.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
    yield from ["```text", " ".join(words), "```", ""]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    if options:
        yield from _table(("Option", "Meaning"), [_option(path, option) for option in options])
    if isinstance(command, click.Group):
        for name in command.commands:
            yield from _command(f"{path} {name}", command.commands[name])


def _option(path: str, option: click.Option) -> tuple[str, str]:
    if not option.help:
        raise SystemExit(f"{path} {option.opts[0]}: has no help")
    usage = ", ".join(option.opts)
    if isinstance(option.type, click.Choice):
        usage += f" {'|'.join(option.type.choices)}"
    elif not option.is_flag:
        usage += f" {option.metavar or option.type.name.split()[0].upper()}"
    default = f" Default: `{option.default}`." if option.show_default else ""
    return _code(usage), option.help + default


# Settings


def _settings() -> Iterator[str]:
    yield from [meanings.SETTINGS, ""]
    sections = {"store": "[store]", "spool": "[spool]", "notify": "[notify]", "jobs": "[jobs.NAME]"}
    definitions = ConfigFile.model_json_schema()["$defs"]
    for field, heading in sections.items():
        yield from [f"## {heading}", "", ConfigFile.model_fields[field].description or "", ""]
        yield from _keys(definitions[f"{field.removesuffix('s').title()}Settings"])
    yield from ["## BigQuery", "", meanings.BIGQUERY, ""]
    _same(OPTIONS, meanings.BIGQUERY_OPTIONS, "options of the URL")
    yield from _table(("Option", "Meaning"), [(_code(n), meanings.BIGQUERY_OPTIONS[n]) for n in OPTIONS])
    yield from ["## Environment", ""]
    rows = [(_code(CONFIG_VARIABLE), "The configuration file, when `--config` is not given.")]
    rows += [(_code(name), f"Replaces `{key}` of `[store]`.") for name, key in STORE_VARIABLES.items()]
    rows += [(_code(NOTIFY_VARIABLE), "Replaces `urls` of `[notify]`; white space between the URLs.")]
    rows += [(_code(EMULATOR_VARIABLE), "An emulator of BigQuery to use, such as `http://127.0.0.1:9050`.")]
    rows += [(_code(name), meaning) for name, meaning in meanings.LOGIN_VARIABLES.items()]
    rows += [(_code("TRACEPARENT"), "W3C trace context; its trace id goes on every event of a run.")]
    yield from _table(("Variable", "Meaning"), rows)
    yield from [meanings.ENVIRONMENT, ""]
    for name in source_names():
        kind = source_type(name)
        yield from [f'## source = "{name}"', "", kind.summary, ""]
        yield f"`object_type` is `{kind.object_type}` when it is not given. Keys of the job's table:"
        yield ""
        yield from _keys(kind.options.model_json_schema())


def _keys(schema: Mapping[str, Any]) -> list[str]:
    required = set(schema.get("required", ()))
    rows = []
    for key, field in schema["properties"].items():
        if not field.get("description"):
            raise SystemExit(f"{key}: has no description")
        name = "any other key" if key == "options" else _code(key)
        default = "required" if key in required else _default(field.get("default"))
        rows.append((name, _type(field), default, field["description"]))
    return _table(("Key", "Type", "Default", "Meaning"), rows)


def _default(value: object) -> str:
    return "-" if value is None or value == {} else _code(json.dumps(value))


def _type(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(_code(json.dumps(value)) for value in field["enum"])
    if "anyOf" in field:
        kinds = [_type(kind) for kind in field["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}s"
    return "-" if field["type"] == "object" else str(field["type"])


# Tables


def _tables(views: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield from [meanings.TABLES, ""]
    yield from ["## event_log", "", "Append-only. What happened, never what was read.", ""]
    yield from _columns(EVENT_LOG_COLUMNS, meanings.EVENT_LOG)
    yield from ["## raw_objects", "", "One row per object, in its latest state.", ""]
    yield from _columns(RAW_OBJECTS_COLUMNS, meanings.RAW_OBJECTS)
    yield from ["## Views", "", meanings.VIEWS_INTRODUCTION, ""]
    for name, view in views.items():
        yield from [f"### {name}", "", meanings.VIEW_SUMMARIES[name], ""]
        _same(view, meanings.VIEWS[name], name)
        rows = [(_code(column), kind, meanings.VIEWS[name][column]) for column, kind in view.items()]
        yield from _table(("Column", "Type", "Meaning"), rows)


def _columns(columns: Sequence[tuple[str, str, bool]], known: Mapping[str, str]) -> list[str]:
    _same([name for name, _, _ in columns], known, "table")
    rows = [(_code(n), kind, "yes" if nullable else "no", known[n]) for n, kind, nullable in columns]
    return _table(("Column", "Type", "NULL", "Meaning"), rows)


def _views(sample: Sample) -> dict[str, dict[str, str]]:
    """The columns that a store gives for each view, by a real query."""
    store = open_store(f"duckdb:///{sample.folder / 'lorchestra.duckdb'}")
    schemas = {
        name: store.query(f"SELECT * FROM `events_dev.{name}` LIMIT 0").schema  # noqa: S608 - names of ours
        for name in VIEWS
    }
    return {
        name: {field.name: _ARROW_TYPES[str(field.type)] for field in schema}
        for name, schema in schemas.items()
    }


def _same(found: Iterable[str], known: Mapping[str, str], what: str) -> None:
    missing, stale = set(found) - set(known), set(known) - set(found)
    if missing or stale:
        raise SystemExit(f"docs/meanings.py, {what}: without meaning {missing}, without a name {stale}")


# Events


@dataclass
class _EventType:
    keys: dict[str, set[str]]
    columns: dict[str, set[str]]


def _real_events(sample: Sample) -> dict[str, _EventType]:
    """The events of real runs: two that succeed, one that fails, and one that was found dead."""
    job = "gmail_ingest_acct1"
    for arguments in ((), ("--since=2002-10-01", "--until=2026-01-01")):
        if (done := sample.run("run", job, *arguments)).returncode:
            raise SystemExit(done.stderr)
    (sample.folder / "examples/mail/takeout.mbox").unlink()
    if sample.run("run", job).returncode != 1:
        raise SystemExit("a run without its mailbox did not fail")
    # What a killed process leaves: its start, and this marker, without anybody who holds its lock.
    dead = Run(
        run_id=f"{job}-20251124143000",
        job_name=job,
        package_name="lorchestra",
        started_at=datetime(2025, 11, 24, 14, 30, tzinfo=UTC),
    )
    spool = sample.folder / ".lorchestra" / "spool"
    with open_store(f"duckdb:///{sample.folder / 'lorchestra.duckdb'}") as store:
        RunLog(dead, {}, store=store, spool=spool).started()
    RunMarker(spool, job).write(dead)
    listed = sample.run("query", "SELECT * FROM `events_dev.event_log` ORDER BY event_id", "--format=json")
    found: dict[str, _EventType] = {}
    for event in json.loads(listed.stdout):
        kind = found.setdefault(event["event_type"], _EventType({}, {}))
        for key, value in _flat(event["payload"]):
            kind.keys.setdefault(key, set()).add(_JSON_TYPES[type(value)])
        for column in ("source_system", "object_type", "status"):
            kind.columns.setdefault(column, set()).add(event[column])
    return found


def _flat(payload: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in payload.items():
        if isinstance(value, dict) and key not in _OPAQUE:
            yield from ((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            yield key, value


def _events(found: Mapping[str, _EventType]) -> Iterator[str]:
    _same(found, meanings.EVENT_TYPES, "event types")
    yield from [meanings.EVENTS, ""]
    for event_type, when in meanings.EVENT_TYPES.items():
        kind, known = found[event_type], meanings.PAYLOADS[event_type]
        _same(kind.keys, known, event_type)
        columns = ", ".join(f"`{name}` {_code(*values)}" for name, values in kind.columns.items())
        yield from [f"## {event_type}", "", when, "", f"Here: {columns}.", ""]
        rows = [(_code(key), " or ".join(sorted(kind.keys[key])), known[key]) for key in known]
        yield from _table(("Key", "Type", "Meaning"), rows)
    yield from [
        "## On BigQuery",
        "",
        "`ingestion.completed` and `ingestion.failed` have these keys besides:",
        "",
    ]
    _same({*USAGE, "api_calls"}, meanings.USAGE, "usage")
    yield from _table(
        ("Key", "Type", "Meaning"), [(_code(n), "number", t) for n, t in meanings.USAGE.items()]
    )
    yield from ["## From Gmail", "", "Where the source is `gmail`, they have these:", ""]
    yield from _table(("Key", "Meaning"), [(_code(n), t) for n, t in meanings.GMAIL.items()])
    yield from ["## Of a retry", "", "In a run of `lorchestra retry`, `ingestion.completed` has besides:", ""]
    yield from _table(("Key", "Meaning"), [(_code(n), t) for n, t in meanings.RETRY.items()])
    yield from [
        "## Of an unusual run",
        "",
        "Where a run that succeeded was not like those before it, `job.completed` has besides:",
        "",
    ]
    yield from _table(("Key", "Meaning"), [(_code(n), t) for n, t in meanings.UNUSUAL.items()])
    yield from [
        "## Of a verification",
        "",
        "`lorchestra verify` is a run of a job `verify`. Its `job.completed` and `job.failed` have besides:",
        "",
    ]
    yield from _table(("Key", "Meaning"), [(_code(n), t) for n, t in meanings.VERIFY.items()])
    yield from ["## Of a pruning", "", "In a run of `lorchestra prune`, `job.completed` has besides:", ""]
    yield from _table(("Key", "Meaning"), [(_code(n), t) for n, t in meanings.PRUNE.items()])
    yield "A job of your own may write events of its own families, `family.verb` in lower case."


# Queries and errors


def _queries() -> Iterator[str]:
    yield from [meanings.QUERIES, ""]
    for name in query_names():
        text = named_query(name, TableNames()).strip()
        comment, _, statement = text.partition("\n")
        yield from [f"## {name}", "", comment.removeprefix("--").strip(), "", "```sql", statement, "```", ""]
        parameters = list(dict.fromkeys(re.findall(r"@(\w+)", statement)))
        if parameters:
            yield from ["Parameters: " + ", ".join(_code(name) for name in parameters) + ".", ""]


def _errors() -> Iterator[str]:
    yield from [meanings.ERRORS, ""]
    groups = {kind.__name__: kind for kind in _subclasses(errors.LorchestraError)}
    _same(groups, meanings.ERROR_GROUPS, "groups of errors")
    for name, title in meanings.ERROR_GROUPS.items():
        yield from [f"## {title}", ""]
        yield from _error_table(_error_classes(groups[name]))
    yield from ["## Anything else", ""]
    yield from _error_table([errors.LorchestraError])


def _error_table(kinds: Iterable[type[errors.LorchestraError]]) -> Iterator[str]:
    head = ("Code", "Class", "Exit code", "Retryable", "What it means", "What to type")
    yield from _table(
        head,
        [
            (
                _code(kind.code),
                _code(kind.__name__),
                str(kind.exit_code),
                "yes" if kind.retryable else "no",
                inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " "),
                kind.next_step,
            )
            for kind in kinds
        ],
    )


def _error_classes(kind: type[errors.LorchestraError]) -> Iterator[type[errors.LorchestraError]]:
    yield kind
    for below in _subclasses(kind):
        yield from _error_classes(below)


def _subclasses(kind: type[errors.LorchestraError]) -> list[type[errors.LorchestraError]]:
    return [below for below in kind.__subclasses__() if below.__module__ == errors.__name__]


def _write(written: Mapping[Path, str], check: bool) -> bool:  # noqa: FBT001 - as it was asked for
    """Write what differs, or only print how; whether anything does."""
    different = False
    for path, text in written.items():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present == text:
            continue
        different = True
        if check:
            lines = difflib.unified_diff(
                present.splitlines(keepends=True), text.splitlines(keepends=True), path.name, "generated"
            )
            sys.stdout.writelines(lines)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return different


def main() -> int:
    """Write the pages, or say how they differ."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page differs")
    check = parser.parse_args().check
    # The pages are made of real runs, which need the translations.
    different = _write({TRANSLATED / f"{name}.sql": text for name, text in translations().items()}, check)
    different |= _write({FOLDER / name: text for name, text in pages().items()}, check)
    if check:
        return 1 if different else 0
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(demo_picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
