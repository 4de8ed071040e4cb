"""Reading `lorchestra.toml`, and telling where in it something stands."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lorchestra.config_tables import (
    ConfigFile,
    ConfigTable,
    JobSettings,
    NotifySettings,
    SpoolSettings,
    StoreSettings,
)
from lorchestra.errors import ConfigError, MissingKeyError, UnknownKeyError
from lorchestra.toml_position import KeyLines, KeyPath, dotted, key_lines

_JOB_KEYS = frozenset(JobSettings.model_fields) - {"options"}
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Names places in a file; when there is no file, only the keys."""

    file: str | None = None
    keys: KeyLines = field(default_factory=lambda: KeyLines(lines={}))

    def where(self, keys: Sequence[str]) -> str:
        """`lorchestra.toml, line 9, jobs.gmail.path`; an absent key has the line of the table around it."""
        return f"{self.file}, line {self.keys.line(keys)}, {dotted(keys)}" if self.file else dotted(keys)


def read_config_file(path: Path, *, name: str) -> tuple[ConfigFile, Position]:
    """The settings of the file, and where each stands; `name` is what messages call the file.

    Raises:
        ConfigError: the file cannot be read or has mistakes; the message has a line for each of them.
    """
    text = read_text(path, name=name)
    document, keys = _parsed(text, name)
    position = Position(file=name, keys=keys)
    try:
        return ConfigFile.model_validate(_with_options(document)), position
    except ValidationError as error:
        rules, kind = broken_rules(error), kind_of_mistakes(error)
    raise kind(
        "\n".join(
            f"{position.where(at)}: {rules[at]}" for at in sorted(rules, key=lambda at: (keys.line(at), at))
        ),
        next_step=f"Correct {name} and run the command again.",
    )


def read_text(path: Path, *, name: str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        ConfigError: the file is missing, a folder, not readable or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{name}: no such file", next_step="Check the path.") from None
    except IsADirectoryError:
        raise ConfigError(f"{name}: is a folder, not a file", next_step="Name the file in it.") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"{name}: cannot be read: {reason}", next_step="Check the path and its rights."
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    raise ConfigError(f"{name}, line {line}: not UTF-8 text", next_step=f"Save {name} as UTF-8.")


def broken_rules(error: ValidationError) -> dict[KeyPath, str]:
    """For every key that a validation refused, the rule it breaks; never its value."""
    rules: dict[KeyPath, str] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        at = tuple(str(key) for key in detail["loc"] if key != "[key]")
        if detail["type"] == "extra_forbidden":
            rule = unknown_key(at[-1], _known_keys(at[:-1]))
        else:
            rule = _rule(detail["type"], detail["msg"])
        rules.setdefault(at, rule)
    return rules


def kind_of_mistakes(error: ValidationError) -> type[ConfigError]:
    """The error for what a validation refused; mistakes of several kinds share the general one."""
    kinds = {detail["type"] for detail in error.errors(include_context=False, include_input=False)}
    if kinds == {"missing"}:
        return MissingKeyError
    # A key that is misspelt is one that is missing as well.
    return UnknownKeyError if kinds - {"missing"} == {"extra_forbidden"} else ConfigError


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What to say of a key that no table knows: the name probably meant, else all there are."""
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1)
    return f'unknown key; did you mean "{close[0]}"?' if close else f"unknown key; known: {', '.join(names)}"


def _known_keys(table: KeyPath) -> Iterable[str]:
    models: Mapping[KeyPath, type[ConfigTable]] = {
        ("store",): StoreSettings,
        ("spool",): SpoolSettings,
        ("notify",): NotifySettings,
    }
    return models.get(table, ConfigFile).model_fields


def _rule(kind: str, message: str) -> str:
    # What pydantic says is about Python; this is about TOML.
    match kind:
        case "string_type" | "path_type":
            return "must be a string"
        case "float_type":
            return "must be a number"
        case "finite_number":
            return "must be a finite number"
        case "greater_than_equal":
            return "must not be negative"
        case "model_type" | "dict_type":
            return "must be a table"
        case _:
            return message.removeprefix("Value error, ")


def _parsed(text: str, name: str) -> tuple[dict[str, Any], KeyLines]:
    try:
        return tomllib.loads(text), key_lines(text)
    except RecursionError:
        reason, line = "nested too deeply", 1
    except ValueError as error:
        # Also raised for integers of thousands of digits, then without a place.
        message = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "invalid number"
        place = _TOML_PLACE.search(message)
        reason = _TOML_PLACE.sub("", message)
        at_end = text.count("\n") + 1
        line = int(place[1] or at_end) if place else 1
    raise ConfigError(
        f"{name}, line {line}: not valid TOML: {reason}",
        next_step=f"Correct {name} and run the command again. Strings need quotes.",
    )


def _with_options(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the keys that belong to a job's source gathered under `options`."""
    jobs = document.get("jobs")
    if not isinstance(jobs, dict):
        return document
    return {**document, "jobs": {name: _job(table) for name, table in jobs.items()}}


def _job(table: object) -> object:
    if not isinstance(table, dict):
        return table
    settings = {key: value for key, value in table.items() if key in _JOB_KEYS}
    return {**settings, "options": {key: value for key, value in table.items() if key not in _JOB_KEYS}}
