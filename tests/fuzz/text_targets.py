"""Texts that people type: configuration, .env, URLs, SQL, parameters, points in time."""

import json
import tomllib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from lorchestra.config import Overrides, load_settings
from lorchestra.config_tables import StoreSettings
from lorchestra.errors import ArgumentError, ConfigError, LorchestraError, QueryError, UsageError
from lorchestra.history import query_text, typed_parameters
from lorchestra.jobs.registry import all_jobs, find_job, job_function
from lorchestra.model import TableNames
from lorchestra.sources.gmail_cursor import read_cursor
from lorchestra.store_url import is_bigquery, parse_bigquery_url
from lorchestra.stores import open_store
from lorchestra.stores.googlesql import translate
from lorchestra.timespan import parse_moment

_NOW = datetime(2025, 11, 24, 14, 30, tzinfo=UTC)
_ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia"))


def text_of(data: bytes) -> str:
    """As the arguments of a command are decoded."""
    return data.decode(errors="surrogateescape").replace("\0", "")


def toml(data: bytes) -> None:
    """A configuration is taken as tomllib reads it, or refused with file and line."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lorchestra.toml"
        path.write_bytes(data)
        try:
            settings = load_settings(path)
        except ConfigError:
            return
        document = tomllib.loads(data.decode("utf-8-sig"))
        assert set(settings.jobs) == set(document.get("jobs", {}))
        for job in all_jobs(settings):
            job.shown_options()
            repr(job)
            with suppress(UsageError):
                job_function(find_job(job.name, settings), settings)


def dotenv(data: bytes) -> None:
    """`.env` is taken, or refused with a line."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "lorchestra.toml").write_text("")
        (Path(folder) / ".env").write_bytes(data)
        with suppress(ConfigError):
            settings = load_settings(Path(folder) / "lorchestra.toml")
            assert all(isinstance(value, str) for value in settings.environment.values())


def store_url(data: bytes) -> None:
    """A URL opens a store or is refused; taken apart and put together it is the same."""
    url = text_of(data)
    with TemporaryDirectory() as folder:
        (Path(folder) / "lorchestra.toml").write_text("")
        try:
            settings = load_settings(Path(folder) / "lorchestra.toml", overrides=Overrides(store_url=url))
        except ConfigError:
            return
        if is_bigquery(url):
            parsed = parse_bigquery_url(settings.store.url)
            assert parse_bigquery_url(str(parsed)) == parsed
            return
        with suppress(ConfigError):
            open_store(settings.store.url, dataset=settings.store.dataset)


def names(data: bytes) -> None:
    """Names of tables reach SQL as identifiers or not at all."""
    name = text_of(data)
    for key in ("dataset", "event_log_table", "raw_objects_table"):
        try:
            StoreSettings.model_validate({key: name})
            allowed = True
        except ValidationError:
            allowed = False
        opened = True
        try:
            open_store("duckdb:///x.duckdb", **{key: name})
        except ConfigError:
            opened = False
        assert not (opened and not allowed)
        if allowed:
            assert name.isascii()
            assert name.isidentifier()


def sql(data: bytes) -> None:
    """A query is translated, or refused as a query."""
    text = text_of(data)
    try:
        translated = translate(query_text(text, TableNames()), dialect="duckdb")
    except (QueryError, UsageError):
        return
    translated.encode()


def parameter(data: bytes) -> None:
    """A parameter has its type and can be sent, or is refused without its value."""
    text = text_of(data)
    try:
        values = typed_parameters([text])
    except ArgumentError:
        return
    for name, value in values.items():
        assert name.isidentifier()
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, datetime):
            assert value.utcoffset() == timedelta(0)
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63


def moment(data: bytes) -> None:
    """A text is a moment in UTC, or refused."""
    for zone in _ZONES:
        with suppress(ArgumentError):
            found = parse_moment(text_of(data), now=_NOW, zone=zone)
            assert found.utcoffset() == timedelta(0)


def cursor(data: bytes) -> None:
    """What an event says of where to go on is understood or refused."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        with suppress(LorchestraError):
            found = read_cursor(value)
            assert found is not None
            assert read_cursor(found.as_mapping(quota=found.quota)) == found
