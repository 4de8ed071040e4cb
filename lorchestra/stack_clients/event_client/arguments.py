"""Checks of the arguments that both functions take; errors begin with the argument's name."""

import sys
from typing import Any

from lorchestra.errors import ArgumentError
from lorchestra.stores.base import Store


def check_text(name: str, value: object) -> None:
    """A non-empty string that can be stored.

    Raises:
        ArgumentError: it is anything else.
    """
    if not isinstance(value, str) or not value.strip():
        raise ArgumentError(f"{name}: must be a non-empty string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{name}: is not valid Unicode") from None


def check_optional_text(name: str, value: object) -> None:
    """None, or what `check_text` accepts."""
    if value is not None:
        check_text(name, value)


def as_store(bq_client: Any) -> Store:
    """The store behind `bq_client`: a store, or a BigQuery client.

    A client's tables are `events_dev.event_log` and `events_dev.raw_objects` in its project, or what
    `EVENTS_BQ_DATASET`, `EVENT_LOG_TABLE` and `RAW_OBJECTS_TABLE` say.

    Raises:
        ArgumentError: it is neither.
    """
    if isinstance(bq_client, Store):
        return bq_client
    # Whoever has a client has imported its module; nobody else shall need the package.
    bigquery = sys.modules.get("google.cloud.bigquery")
    if bigquery is not None and isinstance(bq_client, bigquery.Client):
        return _store_of_client(bq_client)
    raise ArgumentError(
        "bq_client: must be a lorchestra store or a google.cloud.bigquery.Client",
        next_step='Pass lorchestra.stores.open_store("duckdb:///lorchestra.duckdb").',
    )


def _store_of_client(client: Any) -> Store:
    from lorchestra.config import tables_from_environment  # noqa: PLC0415 - takes long to load
    from lorchestra.stores.bigquery import store_of_client  # noqa: PLC0415 - only with the package

    return store_of_client(client, tables=tables_from_environment())
