"""The tables and keys of `lorchestra.toml`. The reference of settings is made from these models."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _matching(pattern: str, rule: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(rule)
        return value

    return check


_TableName = Annotated[
    str,
    AfterValidator(
        _matching(
            "[A-Za-z_][A-Za-z0-9_]{0,127}",
            "must be letters, digits and '_', not beginning with a digit, at most 128 characters",
        )
    ),
]
# Job names become part of run ids and of file names.
JOB_NAME_RULE = (
    "a job's name must be letters, digits, '_', '-' and '.', not beginning with '-' or '.', "
    "at most 128 characters"
)
_JOB_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_JobName = Annotated[str, AfterValidator(_matching(_JOB_NAME, JOB_NAME_RULE))]
# The parts of an object's key that stand before its natural id.
_KeyPart = Annotated[
    str,
    AfterValidator(
        _matching(r"[^:\x00-\x1f\x7f-\x9f]+", "must not be empty nor contain ':' or control characters")
    ),
]
_not_empty = _matching(r"[^\x00-\x1f\x7f]+", "must not be empty nor contain control characters")
_Text = Annotated[str, AfterValidator(_not_empty)]
_StoreUrl = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x1f\x7f\ud800-\udfff]+",
            "must be a URL such as duckdb:///lorchestra.duckdb or bigquery://project/dataset",
        )
    ),
]


_A_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x1f\x7f\ud800-\udfff]+")


def _notify_urls(value: object) -> object:
    # As a whole, so that the message can say which of them it is.
    if not isinstance(value, list):
        raise ValueError("must be a list of strings")
    for number, url in enumerate(value):
        if not isinstance(url, str) or not _A_URL.fullmatch(url):
            raise ValueError(f"urls[{number}] must be a URL such as mailto://… or json://…")
    return value


_NotifyUrls = Annotated[list[SecretStr], BeforeValidator(_notify_urls)]


def is_job_name(name: str) -> bool:
    """Whether a job can be called so."""
    return re.fullmatch(_JOB_NAME, name) is not None


def _path_text(value: object) -> object:
    # Path("") is the working directory, which nobody means by an empty string.
    return _not_empty(value) if isinstance(value, str) else value


_Folder = Annotated[Path, BeforeValidator(_path_text)]


class ConfigTable(BaseModel):
    """A table of the file. Its errors hold no values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _MaskedTable(ConfigTable):
    """A table of values; its `repr` masks those that may be secret."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Pydantic builds `repr` and `str` from these."""
        from lorchestra.redact import redact  # noqa: PLC0415 - its patterns take time to compile

        return redact({name: getattr(self, name) for name in type(self).model_fields}).items()


class StoreSettings(_MaskedTable):
    """`[store]`: where events and objects are kept."""

    url: _StoreUrl = Field(
        default="duckdb:///lorchestra.duckdb",
        description="The store: `duckdb:///FILE`, relative to the folder of the configuration, or "
        "`bigquery://PROJECT/DATASET`.",
    )
    dataset: _TableName = Field(
        default="events_dev",
        description="Dataset (BigQuery) or schema (DuckDB) of the tables. A BigQuery URL may name it.",
    )
    event_log_table: _TableName = Field(default="event_log", description="Name of the table of events.")
    raw_objects_table: _TableName = Field(default="raw_objects", description="Name of the table of objects.")
    busy_timeout_seconds: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="How long to wait, in seconds, while another process keeps the store's file, or while "
        "BigQuery answers with errors that pass.",
    )


class SpoolSettings(_MaskedTable):
    """`[spool]`: where extracted records wait on this host until they are merged."""

    path: _Folder = Field(
        default=Path(".lorchestra/spool"),
        strict=False,
        description="Folder of the spool, relative to the folder of the file.",
    )


class NotifySettings(ConfigTable):
    """`[notify]`: who is told when a job begins or ceases to fail, to be late or to be quiet."""

    urls: _NotifyUrls = Field(
        default_factory=list,
        description="Where messages go, each a URL of [apprise](https://appriseit.com/services/). They hold "
        "secrets: `LORCHESTRA_NOTIFY_URLS` in `.env` is the better place.",
    )


class JobSettings(_MaskedTable):
    """`[jobs.NAME]`: one job. Every key that is not listed here is an option of the job's source."""

    source: _Text | None = Field(
        default=None, description="The source to read, by the name it is registered under."
    )
    source_system: _KeyPart | None = Field(
        default=None, description="The account that is read; first part of every object's key, without ':'."
    )
    object_type: _KeyPart | None = Field(
        default=None,
        description="What is read (email, charge); second part of every object's key, without ':'.",
    )
    description: str | None = Field(default=None, description="What the job is for; shown in listings.")
    options: dict[str, Any] = Field(default_factory=dict, description="All other keys of the table.")


class ConfigFile(ConfigTable):
    """The whole of `lorchestra.toml`."""

    store: StoreSettings = Field(
        default_factory=StoreSettings, description="Where events and objects are kept."
    )
    spool: SpoolSettings = Field(
        default_factory=SpoolSettings, description="Where extracted records wait until they are merged."
    )
    notify: NotifySettings = Field(
        default_factory=NotifySettings,
        description="Who is told when the state of a job changes; see [notifications](../notifications.md).",
    )
    jobs: dict[_JobName, JobSettings] = Field(default_factory=dict, description="The jobs, by name.")
