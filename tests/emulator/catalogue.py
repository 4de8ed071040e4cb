"""What DDL says of tables, as resources of the REST API: the emulator's own catalogue misses parts of it."""

import re
from collections.abc import Iterable
from typing import Any, cast

import sqlglot
from sqlglot import exp

from tests.emulator.wire import Json

#: What a statement says of a table, by its name in the resource.
_STATED = ("schema", "description", "labels", "timePartitioning", "clustering")
_VIEW_UNLESS_THERE = re.compile(r"\s*CREATE\s+VIEW\s+IF\s+NOT\s+EXISTS\s+`(\w+)\.(\w+)`", re.IGNORECASE)
_REST_TYPES = {
    "INT64": "INTEGER",
    "FLOAT64": "FLOAT",
    "BOOL": "BOOLEAN",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}


class TableChange:
    """What one `CREATE TABLE` or `ALTER TABLE` does to a table's resource."""

    def __init__(self, statement: exp.Create | exp.Alter, project: str, dataset: str | None) -> None:
        self.statement = statement
        table = cast(exp.Table, statement.find(exp.Table))
        names = [name for part in table.parts for name in part.name.split(".")]
        full = [project, *([dataset] if dataset and len(names) == 1 else []), *names][-3:]
        if len(full) != 3:
            raise ValueError(f"The table of {statement.sql('bigquery')} has no dataset.")
        #: The path of the table's resource.
        self.path = "/bigquery/v2/projects/{}/datasets/{}/tables/{}".format(*full)

    @property
    def makes_table(self) -> bool:
        return isinstance(self.statement, exp.Create)

    def patch(self, before: Json | None, after: Json) -> Json:
        """What makes the table's resource right, given as it is before and after the statement.

        `CREATE TABLE IF NOT EXISTS` does nothing to a table that is there, but the emulator then forgets
        parts of its resource.
        """
        if isinstance(self.statement, exp.Create):
            if before is None or self.statement.args.get("replace"):
                return _created(self.statement)
            return {key: before[key] for key in _STATED if key in before}
        fields = after["schema"]["fields"]
        for action in self.statement.args["actions"]:
            fields = _altered(fields, action)
        return {"schema": {"fields": fields}}


def table_changes(sql: str, project: str, dataset: str | None) -> list[TableChange]:
    """The statements that make a table with a list of columns or alter one; none within `BEGIN` or `IF`."""
    words = sql.upper().split()
    if "TABLE" not in words or not {"CREATE", "ALTER"} & {word.rpartition(";")[2] for word in words}:
        return []
    changes = []
    for statement in sqlglot.parse(sql, read="bigquery"):
        if isinstance(statement, exp.Create):
            concerned = statement.args["kind"] == "TABLE" and isinstance(statement.this, exp.Schema)
            temporary = any(isinstance(p, exp.TemporaryProperty) for p in _properties(statement))
            if not concerned or temporary:
                continue
        elif not isinstance(statement, exp.Alter) or statement.args["kind"] != "TABLE":
            continue
        changes.append(TableChange(statement, project, dataset))
    return changes


def view_made_unless_there(sql: str, project: str) -> str | None:
    """The path of the resource of the view that `CREATE VIEW IF NOT EXISTS` names with its dataset."""
    named = _VIEW_UNLESS_THERE.match(sql)
    if named is None:
        return None
    return "/bigquery/v2/projects/{}/datasets/{}/tables/{}".format(project, *named.groups())


def _properties(node: exp.Expression) -> list[Any]:
    properties = node.args.get("properties")
    return properties.expressions if properties else []


def _created(statement: exp.Create) -> Json:
    columns = [c for c in statement.this.expressions if isinstance(c, exp.ColumnDef)]
    patch: Json = {"schema": {"fields": [_field(column) for column in columns]}}
    options = _options(_properties(statement))
    for item in _properties(statement):
        if isinstance(item, exp.PartitionedByProperty):
            column, unit = item.this.find(exp.Column, exp.Identifier), item.this.args.get("unit")
            filtered = {"requirePartitionFilter": True} if "require_partition_filter" in options else {}
            by_time = {"type": unit.name.upper() if unit else "DAY", "field": column.name}
            patch["timePartitioning"] = by_time | filtered
        elif isinstance(item, exp.Cluster | exp.ClusterProperty):
            patch["clustering"] = {"fields": [column.name for column in item.expressions]}
    if "description" in options:
        patch["description"] = options["description"].name
    if "labels" in options:
        pairs = [pair.expressions for pair in options["labels"].expressions]
        patch["labels"] = {key.name: value.name for key, value in pairs}
    return patch


def _options(items: Iterable[Any]) -> dict[str, Any]:
    return {item.name.lower(): item.args["value"] for item in items if type(item) is exp.Property}


def _field(column: exp.ColumnDef) -> Json:
    field = _typed(column.name, cast(exp.DataType, column.kind))
    for constraint in column.constraints:
        if isinstance(constraint.kind, exp.NotNullColumnConstraint):
            field["mode"] = "REQUIRED"
        elif isinstance(constraint.kind, exp.Properties):
            description = _options(constraint.kind.expressions).get("description")
            if description is not None:
                field["description"] = description.name
    return field


def _typed(name: str, kind: exp.DataType) -> Json:
    if kind.is_type(exp.DataType.Type.ARRAY):
        return _typed(name, kind.expressions[0]) | {"mode": "REPEATED"}
    if kind.is_type(exp.DataType.Type.STRUCT):
        inner = [_field(member) for member in kind.expressions]
        return {"name": name, "type": "RECORD", "mode": "NULLABLE", "fields": inner}
    standard = kind.sql("bigquery").partition("(")[0]
    return {"name": name, "type": _REST_TYPES.get(standard, standard), "mode": "NULLABLE"}


def _altered(fields: list[Json], action: exp.Expression) -> list[Json]:
    if isinstance(action, exp.ColumnDef):
        known = {field["name"].lower() for field in fields}
        return fields if action.name.lower() in known else [*fields, _field(action)]
    if isinstance(action, exp.Drop) and action.args["kind"] == "COLUMN":
        gone = {column.name.lower() for column in action.find_all(exp.Column)}
        return [field for field in fields if field["name"].lower() not in gone]
    if isinstance(action, exp.AlterColumn) and action.args.get("drop") and action.args.get("allow_null"):
        name = action.name.lower()
        return [field | {"mode": "NULLABLE"} if field["name"].lower() == name else field for field in fields]
    raise NotImplementedError(f"The front does not know this change of a table: {action.sql('bigquery')}")
