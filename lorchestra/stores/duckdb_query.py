"""Queries of a DuckDB file: what comes back, as every store gives it."""

import re
from typing import TYPE_CHECKING, Any

import duckdb

from lorchestra.errors import QueryError
from lorchestra.stores.duckdb_file import cause, first_line

if TYPE_CHECKING:
    import pyarrow as pa

# Only these: others of the same type quote rows, whatever words they have.
_OF_PARAMETERS = re.compile(
    r"Invalid Input Error: (?:Values were not provided for the following (?:prepared statement )?parameters"
    r"|Parameter argument/count mismatch, identifiers of the excess parameters): [\w, ]+"
)


def select(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any], max_rows: int | None
) -> "pa.Table":
    """Run one SELECT of DuckDB's own SQL, and fetch its first `max_rows` rows or all.

    Raises:
        QueryError: two columns have the same name.
    """
    relation = connection.sql(sql, params=parameters)
    _check_names(relation.columns)
    if max_rows is not None:
        relation = relation.limit(max_rows)
    columns = [duckdb.ColumnExpression(name) for name in relation.columns]
    kinds = [str(kind) for kind in relation.types]
    if "HUGEINT" in kinds:
        # GoogleSQL has one integer type; DuckDB widens sums.
        columns = [
            column.cast("BIGINT").alias(name) if kind == "HUGEINT" else column
            for column, name, kind in zip(columns, relation.columns, kinds, strict=True)
        ]
        relation = relation.select(*columns)
    return _with_plain_booleans(relation.to_arrow_table())


def select_rows(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    """Run one SELECT of DuckDB's own SQL, and fetch its rows as plain values.

    Raises:
        QueryError: two columns have the same name.
    """
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    _check_names(names)
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _check_names(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise QueryError(
            "query: two columns of the result have the same name", next_step="Name them with AS."
        )


def _with_plain_booleans(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - loaded by the conversion

    # Without loss DuckDB gives booleans as bytes; no other store does.
    for number, field in enumerate(table.schema):
        if str(field.type) == "extension<arrow.bool8>":
            column = table.column(number).cast(pa.bool_())
            table = table.set_column(number, pa.field(field.name, pa.bool_()), column)
    return table


def failed_query(error: duckdb.Error) -> QueryError:
    """What can be told of a query that failed over its rows."""
    if _OF_PARAMETERS.fullmatch(first_line(error)):
        return QueryError(f"query: {first_line(error)}")
    # What fails while rows are read may quote them.
    return QueryError(
        f"query: {type(error).__name__} while reading rows{cause(error)}",
        next_step="Where a value cannot be converted, SAFE_CAST gives NULL instead.",
    )
