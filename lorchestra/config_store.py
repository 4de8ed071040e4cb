"""The store's URL in the settings: its paths made absolute, the dataset it may name."""

import re
from dataclasses import replace
from pathlib import Path

from lorchestra.config_file import Position
from lorchestra.config_tables import StoreSettings
from lorchestra.errors import ConfigError
from lorchestra.store_url import dataset_in, is_bigquery, parse_bigquery_url

_DUCKDB_FILE = re.compile(r"(?i:duckdb):///(?!:memory:)([^?]+)(\?.*)?")


def check_one_dataset(store: StoreSettings, position: Position) -> None:
    """The dataset may stand in the URL of a file's store or beside it.

    Raises:
        ConfigError: both name one, and not the same.
    """
    named = dataset_in(store.url)
    if named is not None and "dataset" in store.model_fields_set and store.dataset != named:
        raise ConfigError(
            f"{position.where(('store', 'dataset'))}: is another than the dataset in store.url",
            next_step="Name the dataset in one of the two places only.",
        )


def settled(store: StoreSettings, *, changed: str, folder: Path) -> StoreSettings:
    """The store after one of its keys was given: paths in its URL absolute, one dataset in URL and `dataset`.

    Of both, that which was given last is meant.
    """
    if is_bigquery(store.url):
        target = parse_bigquery_url(store.url)
        if target.credentials is not None:
            target = replace(target, credentials=str(absolute(target.credentials, folder)))
        dataset = target.dataset if changed == "url" and target.dataset else store.dataset
        return store.model_copy(update={"url": str(replace(target, dataset=dataset)), "dataset": dataset})
    match = _DUCKDB_FILE.fullmatch(store.url)
    if match is None:
        return store
    path, query = match.groups(default="")
    return store.model_copy(update={"url": f"duckdb:///{absolute(path, folder)}{query}"})


def with_key_file(store: StoreSettings, path: Path) -> StoreSettings:
    """The store with what Google's libraries would take from the environment, taken from `.env`.

    A key file that the URL names goes before it.
    """
    if not is_bigquery(store.url):
        return store
    target = parse_bigquery_url(store.url)
    credentials = target.credentials or str(path)
    return store.model_copy(update={"url": str(replace(target, credentials=credentials))})


def absolute(path: str, folder: Path) -> Path:
    """A path that starts from a folder; links are followed, so that one file has one name.

    Raises:
        ConfigError: it cannot be followed.
    """
    try:
        return (folder / Path(path).expanduser()).resolve()
    except RuntimeError:
        raise ConfigError(
            "path: '~' has no home folder here, or links lead in a circle",
            next_step="Write the paths of store and spool in full.",
        ) from None
