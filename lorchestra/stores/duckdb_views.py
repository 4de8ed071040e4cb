"""The views in a DuckDB file."""

from collections.abc import Collection, Iterable, Mapping

import duckdb

from lorchestra.model import Difference, TableNames
from lorchestra.setup.views import VIEWS, view_differences
from lorchestra.stores.duckdb_translations import translated


def missing_views(connection: duckdb.DuckDBPyConnection, tables: TableNames) -> list[str]:
    """Those that are not there."""
    statement = "SELECT view_name FROM duckdb_views() WHERE schema_name = $schema"
    # All rows: a result that is not read to its end keeps the connection busy.
    found = connection.execute(statement, {"schema": tables.dataset}).fetchall()
    return [name for name in VIEWS if (name,) not in found]


def create_views(connection: duckdb.DuckDBPyConnection, tables: TableNames, names: Iterable[str]) -> None:
    """Make these views, in the place of older ones."""
    for name in names:
        select = translated(f"views/{name}", tables)
        connection.execute(f'CREATE OR REPLACE VIEW "{tables.dataset}".{name} AS {select}')


def differences_of_views(found: Mapping[str, Collection[str]]) -> list[Difference]:
    """Compare all views with the columns that were found."""
    return [one for name in VIEWS for one in view_differences(name, found.get(name))]
