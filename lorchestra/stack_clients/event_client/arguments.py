"""Checks of the arguments that both functions take; errors begin with the argument's name."""

from collections.abc import Mapping
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


def check_keys(value: object) -> None:
    """That every key in a JSON value is a string: `json.dumps` would quietly make one of 1 and None.

    Raises:
        TypeError: one is not.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError
            check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_keys(item)


def as_store(bq_client: Any) -> Store:
    """The store behind `bq_client`.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(bq_client, Store):
        return bq_client
    raise ArgumentError(
        "bq_client: must be a lorchestra store",
        next_step='Pass lorchestra.stores.open_store("duckdb:///lorchestra.duckdb").',
    )
