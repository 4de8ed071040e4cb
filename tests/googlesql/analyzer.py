"""The genuine GoogleSQL analyzer over the project's tables.

PyPI `zetasql` is Google's analyzer compiled to WebAssembly, without BigQuery's own settings: what differs is
set here. It knows no rows, no NOT NULL and no limits of the service, and it takes a STRING parameter for any
time, as BigQuery does. Unlike BigQuery it gives a table that is quoted as a whole, as in
`events_dev.raw_objects`, no name of its own; a statement that needs one says AS.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

import pytest
import wasmtime
from zetasql.core import wasm_client
from zetasql.core.exceptions import ServerError, StatusCode
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import (
    AllowedHintsAndOptions,
    AnalyzerOptions,
    ArrayType,
    LanguageFeature,
    LanguageOptions,
    ProductMode,
    SimpleCatalog,
    SimpleColumn,
    SimpleTable,
    Type,
    TypeKind,
    ZetaSQLBuiltinFunctionOptions,
)

from lorchestra.model import TableNames
from lorchestra.setup import EVENT_LOG_COLUMNS, RAW_OBJECTS_COLUMNS
from lorchestra.setup.views import VIEWS, view_select
from lorchestra.stores.bigquery_objects import STAGED_COLUMNS
from lorchestra.stores.bigquery_statements import quoted

PROJECT = "my-project"
TABLES = TableNames()
#: Staging tables: of a merge, and of rows that are copied from another store.
STAGED = "temp_objects_x_0"
STAGED_COPY = "temp_objects_copy_0"

_KINDS = {
    "STRING": TypeKind.TYPE_STRING,
    "INT64": TypeKind.TYPE_INT64,
    "FLOAT64": TypeKind.TYPE_DOUBLE,
    "BOOL": TypeKind.TYPE_BOOL,
    "DATE": TypeKind.TYPE_DATE,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
    "JSON": TypeKind.TYPE_JSON,
}
# What GoogleSQL can and BigQuery cannot.
_NOT_IN_BIGQUERY = frozenset(
    {
        int(LanguageFeature.FEATURE_JSON_TYPE_COMPARISON),
        int(LanguageFeature.FEATURE_INSERT_ON_CONFLICT_CLAUSE),
        int(LanguageFeature.FEATURE_DML_RETURNING),
    }
)
# Of the options that BigQuery knows, those that a definition of ours could have.
_DDL_OPTIONS = {
    "description": "STRING",
    "friendly_name": "STRING",
    "expiration_timestamp": "TIMESTAMP",
    "partition_expiration_days": "FLOAT64",
    "require_partition_filter": "BOOL",
}


class Rejected(Exception):  # noqa: N818 - it is the answer, no failure
    """The analyzer's reason for refusing a statement."""


class Analyzer:
    """Analyzes statements over both tables, the view and the staging tables of the dataset `events_dev`."""

    def __init__(self) -> None:
        self._service = _service()
        self._language = _language()
        tables = [
            _table(TABLES.event_log, _columns(EVENT_LOG_COLUMNS)),
            _table(TABLES.raw_objects, _columns(RAW_OBJECTS_COLUMNS)),
            _table(STAGED, _columns(STAGED_COLUMNS)),
            _table(STAGED_COPY, _columns(RAW_OBJECTS_COLUMNS)),
        ]
        self._catalog_id = self._registered(tables)
        views = [_table(name, self._columns_of_view(name)) for name in VIEWS]
        self._catalog_id = self._registered([*tables, *views])

    def accepts(self, sql: str, parameters: Mapping[str, str] | None = None) -> None:
        """Analyze one statement; `parameters` are the types of what it writes as `@name`.

        Raises:
            Rejected: BigQuery would refuse it.
        """
        self._analyzed(sql, parameters or {})

    def _analyzed(self, sql: str, parameters: Mapping[str, str]) -> object:
        options = AnalyzerOptions(
            language_options=self._language,
            query_parameters=[
                AnalyzerOptions.QueryParameter(name=name, type=_type(kind))
                for name, kind in parameters.items()
            ],
            allowed_hints_and_options=AllowedHintsAndOptions(
                disallow_unknown_options=True,
                option=[
                    AllowedHintsAndOptions.Option(name=name, type=_type(kind))
                    for name, kind in _DDL_OPTIONS.items()
                ],
            ),
        )
        try:
            return self._service.analyze(
                sql_statement=sql, registered_catalog_id=self._catalog_id, options=options
            ).resolved_statement
        except ServerError as error:
            if error.code != StatusCode.INVALID_ARGUMENT:
                raise
            raise Rejected(error.message) from None

    def _columns_of_view(self, name: str) -> list[SimpleColumn]:
        """What the view's own SELECT gives; nothing is written through a view."""
        text = view_select(
            name,
            event_log=quoted(PROJECT, TABLES.dataset, TABLES.event_log),
            raw_objects=quoted(PROJECT, TABLES.dataset, TABLES.raw_objects),
        )
        select = self._analyzed(text, {})
        return [
            SimpleColumn(name=output.name, type=output.column.type, is_writable_column=False)
            for output in select.output_column_list
        ]

    def _registered(self, tables: Iterable[SimpleTable]) -> int:
        """A catalog that the service keeps, which knows each table under all the ways to write its name."""
        tables = list(tables)
        dataset = SimpleCatalog(name=TABLES.dataset, table=tables)
        catalog = SimpleCatalog(
            name="root",
            builtin_function_options=ZetaSQLBuiltinFunctionOptions(language_options=self._language),
            # As a path of names: events_dev.event_log, `my-project`.events_dev.event_log
            catalog=[dataset, SimpleCatalog(name=PROJECT, catalog=[dataset])],
            # Quoted as a whole it is one name to the analyzer: `my-project.events_dev.event_log`
            table=[
                _table(f"{prefix}.{table.name}", table.column)
                for table in tables
                for prefix in (TABLES.dataset, f"{PROJECT}.{TABLES.dataset}")
            ],
        )
        return self._service.register_catalog(simple_catalog=catalog).registered_id


class _CachedConfig(wasmtime.Config):
    """Settings under which what was compiled once is kept for other processes, in `~/.cache/wasmtime`.

    Where that cannot be written, each process compiles.
    """

    def __init__(self) -> None:
        super().__init__()
        with suppress(wasmtime.WasmtimeError):
            self.cache = True


def _service() -> ZetaSqlLocalService:
    # Compiling takes up to a minute and 1 GB, and the package has no setting for keeping the result.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wasm_client, "Config", _CachedConfig)
        return ZetaSqlLocalService.get_instance()


def _language() -> LanguageOptions:
    language = LanguageOptions.maximum_features()
    language.product_mode = ProductMode.PRODUCT_EXTERNAL
    # The list holds plain numbers.
    language.enabled_language_features = [
        feature for feature in language.enabled_language_features if int(feature) not in _NOT_IN_BIGQUERY
    ]
    language.reserved_keywords = ["QUALIFY"]
    return language


def _table(name: str, columns: list[SimpleColumn]) -> SimpleTable:
    return SimpleTable(name=name, column=columns)


def _columns(columns: Iterable[tuple[str, str, bool]]) -> list[SimpleColumn]:
    return [SimpleColumn(name=name, type=_type(kind), is_writable_column=True) for name, kind, _ in columns]


def _type(name: str) -> Type:
    if name.startswith("ARRAY<"):
        element = _type(name.removeprefix("ARRAY<").removesuffix(">"))
        return Type(type_kind=int(TypeKind.TYPE_ARRAY), array_type=ArrayType(element_type=element))
    return Type(type_kind=int(_KINDS[name]))
