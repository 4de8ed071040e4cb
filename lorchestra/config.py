"""Settings: `lorchestra.toml`, then the environment, then the options of the command; the later one wins.

A mistake is answered with its place, never with the value, which may be a secret.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import ValidationError

from lorchestra.config_file import (
    Position,
    broken_rules,
    kind_of_mistakes,
    read_config_file,
    read_text,
    unknown_key,
)
from lorchestra.config_store import absolute, check_one_dataset, settled, with_key_file
from lorchestra.config_tables import (
    JOB_NAME_RULE,
    ConfigFile,
    ConfigTable,
    JobSettings,
    NotifySettings,
    SpoolSettings,
    StoreSettings,
    is_job_name,
)
from lorchestra.environment import environment
from lorchestra.errors import ConfigError
from lorchestra.model import TableNames

__all__ = [
    "CONFIG_NAME",
    "CONFIG_VARIABLE",
    "JOB_NAME_RULE",
    "NOTIFY_VARIABLE",
    "STORE_VARIABLES",
    "ConfigFile",
    "JobSettings",
    "NotifySettings",
    "Overrides",
    "Settings",
    "SpoolSettings",
    "StoreSettings",
    "is_job_name",
    "kind_of_mistakes",
    "load_settings",
    "tables_from_environment",
    "trace_id_from_environment",
    "unknown_key",
]

CONFIG_NAME = "lorchestra.toml"
CONFIG_VARIABLE = "LORCHESTRA_CONFIG"

#: Environment variables, and the key of `[store]` that each replaces. An empty variable counts as unset.
STORE_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "LORCHESTRA_STORE_URL": "url",
        "EVENTS_BQ_DATASET": "dataset",
        "EVENT_LOG_TABLE": "event_log_table",
        "RAW_OBJECTS_TABLE": "raw_objects_table",
    }
)

#: Replaces `urls` of `[notify]`; URLs stand in it with white space between them.
NOTIFY_VARIABLE = "LORCHESTRA_NOTIFY_URLS"

# Keys of `[store]`, and the field of `Overrides` that replaces each.
_STORE_OPTIONS = (
    ("url", "store_url"),
    ("dataset", "dataset"),
    ("event_log_table", "event_log_table"),
    ("raw_objects_table", "raw_objects_table"),
    ("busy_timeout_seconds", "busy_timeout_seconds"),
)
_KEY_FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_TRACE_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")

TableT = TypeVar("TableT", bound=ConfigTable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Overrides:
    """Options of a command; None is "not given". Messages call them `--store-url`, `--dataset` and so on."""

    store_url: str | None = None
    dataset: str | None = None
    event_log_table: str | None = None
    raw_objects_table: str | None = None
    busy_timeout_seconds: float | None = None
    spool_path: str | Path | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a command works with. `spool.path` and the path in a DuckDB `store.url` are absolute.

    `base` is the folder that relative paths in job options start from: that of the file, else the working
    directory. `path` is the file that was read. `environment` is what jobs shall see: the environment of the
    process over that of `.env`.
    """

    store: StoreSettings
    spool: SpoolSettings
    notify: NotifySettings
    jobs: Mapping[str, JobSettings]
    base: Path
    path: Path | None
    environment: Mapping[str, str] = field(repr=False)
    position: Position = field(repr=False)

    def where(self, *keys: str) -> str:
        """Where a setting stands: `lorchestra.toml, line 9, jobs.gmail.path`.

        A key that is absent has the line of the table around it. Without a file there are only the keys.
        """
        return self.position.where(keys)


def load_settings(config: Path | None = None, *, overrides: Overrides | None = None) -> Settings:
    """The settings in force here.

    The file is `config`, else the one `LORCHESTRA_CONFIG` names, else the first `lorchestra.toml` in the
    working directory and the folders above it, else none. `.env` beside it (without a file: in the working
    directory) stands below the real environment. Relative paths start from the folder of the file that they
    stand in, those of the environment and of options from the working directory.

    Raises:
        ConfigError: a file that was named does not exist, or a setting is wrong.
    """
    cwd = _working_directory()
    path = _config_path(config, cwd)
    base = path.parent.resolve() if path else cwd
    file, position = ConfigFile(), Position()
    if path is not None:
        file, position = read_config_file(path, name=_display(path, cwd))
    options = overrides or Overrides()
    process, dotenv = environment(), _dotenv_variables(base / ".env")
    check_one_dataset(file.store, position)
    store = settled(file.store, changed="url", folder=base)
    for variable, key in STORE_VARIABLES.items():
        # An empty variable of the process hides that of .env, and then counts as unset.
        if value := process.get(variable, dotenv.get(variable)):
            folder, origin = (cwd, variable) if variable in process else (base, f".env, {variable}")
            store = settled(_replaced(store, key, value, origin), changed=key, folder=folder)
    for key, option in _STORE_OPTIONS:
        if (given := getattr(options, option)) is not None:
            origin = f"--{option.replace('_', '-')}"
            store = settled(_replaced(store, key, given, origin), changed=key, folder=cwd)
    notify = file.notify
    if urls := process.get(NOTIFY_VARIABLE, dotenv.get(NOTIFY_VARIABLE)):
        origin = NOTIFY_VARIABLE if NOTIFY_VARIABLE in process else f".env, {NOTIFY_VARIABLE}"
        notify = _replaced(notify, "urls", urls.split(), origin)
    # Google's own libraries look into the environment of the process, and there only.
    if _KEY_FILE_VARIABLE not in process and (key_file := dotenv.get(_KEY_FILE_VARIABLE)):
        store = with_key_file(store, absolute(key_file, base))
    return Settings(
        store=store,
        spool=_spool_settings(file.spool, options, base=base, cwd=cwd),
        notify=notify,
        jobs=MappingProxyType(dict(file.jobs)),
        base=base,
        path=path,
        environment=MappingProxyType({**dotenv, **process}),
        position=position,
    )


def tables_from_environment() -> TableNames:
    """The tables that the environment names, for callers without a configuration.

    Raises:
        ConfigError: a name cannot be one.
    """
    store, process = StoreSettings(), environment()
    for variable, key in STORE_VARIABLES.items():
        if key != "url" and (value := process.get(variable)):
            store = _replaced(store, key, value, variable)
    return TableNames(
        dataset=store.dataset, event_log=store.event_log_table, raw_objects=store.raw_objects_table
    )


def trace_id_from_environment(environment: Mapping[str, str]) -> str | None:
    """The trace id of the caller: the 32 hex digits in `TRACEPARENT`, read as W3C Trace Context prescribes.

    None when the variable is unset or invalid: the standard wants an invalid one to be ignored.
    """
    match = _TRACE_PARENT.fullmatch(environment.get("TRACEPARENT", ""))
    if match is None:
        return None
    version, trace_id, parent_id, later_fields = match.groups()
    # Later versions may append fields, version 00 may not, and version ff does not exist.
    if version == "ff" or (version == "00" and later_fields is not None):
        return None
    return trace_id if trace_id.strip("0") and parent_id.strip("0") else None


def _spool_settings(spool: SpoolSettings, options: Overrides, *, base: Path, cwd: Path) -> SpoolSettings:
    folder = base
    if options.spool_path is not None:
        spool, folder = _replaced(spool, "path", str(options.spool_path), "--spool-path"), cwd
    return spool.model_copy(update={"path": absolute(str(spool.path), folder)})


def _replaced(table: TableT, key: str, value: object, origin: str) -> TableT:
    try:
        return type(table).model_validate({**table.model_dump(), key: value})
    except ValidationError as error:
        rule = broken_rules(error)[(key,)]
    raise ConfigError(f"{origin}: {rule}", next_step=f"Correct {origin} and run the command again.")


def _dotenv_variables(path: Path) -> dict[str, str]:
    # A folder of this name is a common place for a virtual environment.
    if not _found(path) or path.is_dir():
        return {}
    from io import StringIO  # noqa: PLC0415 - only where there is such a file

    from dotenv import dotenv_values  # noqa: PLC0415
    from dotenv.parser import parse_stream  # noqa: PLC0415

    text = read_text(path, name=path.name)
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise ConfigError(
                f"{path.name}, line {binding.original.line}: not NAME=value",
                next_step=f"Correct {path} and run the command again.",
            )
    values = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in values.items() if value is not None}


def _config_path(config: Path | None, cwd: Path) -> Path | None:
    for given, origin in ((config, "--config"), (environment().get(CONFIG_VARIABLE), CONFIG_VARIABLE)):
        if given:
            try:
                path = cwd / Path(given).expanduser()
            except RuntimeError:
                path = cwd / given
            if not _found(path):
                raise ConfigError(
                    f"{origin}: no such file: {_display(path, cwd)}",
                    next_step=f"Correct {origin}, or leave it out to use the nearest {CONFIG_NAME}.",
                )
            return path
    for folder in (cwd, *cwd.parents):
        path = folder / CONFIG_NAME
        if _found(path) and path.is_file():
            if folder != cwd:
                _check_owner(path)
            return path
    return None


def _found(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"{path}: cannot be read: {reason}", next_step="Check the path and its rights."
        ) from None


def _check_owner(path: Path) -> None:
    """In a shared folder above, anyone could leave a file that names the commands we run."""
    if path.stat().st_uid not in {0, os.getuid()}:
        raise ConfigError(
            f"{path}: belongs to another user and is not taken from a folder above",
            next_step=f"If you trust it, name it: --config {path}",
        )


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("working directory: does not exist any more", next_step="cd to a folder.") from None


def _display(path: Path, cwd: Path) -> str:
    return str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
