"""tabledata.insertAll as the service checks it."""

import time

from tests.emulator.wire import Answer, Emulator, Json, Request, json_answer

_REMEMBERED_SECONDS = 60
_KIND = {"kind": "bigquery#tableDataInsertAllResponse"}


class Streaming:
    """Rows on their way into tables, and the insertIds that were there in the last minute."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        #: The table's path: insertId: when it was taken.
        self._taken: dict[str, dict[str, float]] = {}

    def forget(self, path: str) -> None:
        """A table that is made anew has no rows behind it."""
        self._taken.pop(path, None)

    def insert_all(self, request: Request) -> Answer:
        """Check the rows, drop those whose insertId was taken, and forward the rest."""
        path = request.route.removesuffix("/insertAll")
        table, body = self._emulator.table(path), request.json
        if table is None or body is None:
            return self._emulator.forward(request)
        rows: list[Json] = body.get("rows", [])
        errors = _errors(rows, table, ignore_unknown=bool(body.get("ignoreUnknownValues")))
        if errors and not body.get("skipInvalidRows"):
            stopped = [_row_error(i, "stopped", "", "") for i in range(len(rows)) if i not in errors]
            return _answer([*errors.values(), *stopped])
        taken = self._remembered(path)
        fresh, ids = [], set()
        for index, row in enumerate(rows):
            known = row.get("insertId")
            if index in errors or (known and (known in taken or known in ids)):
                continue
            ids |= {known} if known else set()
            fresh.append(row)
        if not fresh:
            return _answer(list(errors.values()))
        answer = self._emulator.send_json("POST", request.path, body | {"rows": fresh})
        if answer.status != 200 or (answer.json or {}).get("insertErrors"):
            return answer
        taken.update(dict.fromkeys(ids, time.monotonic()))
        return _answer(list(errors.values()))

    def _remembered(self, path: str) -> dict[str, float]:
        taken = self._taken.setdefault(path, {})
        now = time.monotonic()
        for key in [key for key, since in taken.items() if now - since > _REMEMBERED_SECONDS]:
            del taken[key]
        return taken


def _answer(errors: list[Json]) -> Answer:
    errors = sorted(errors, key=lambda error: error["index"])
    return json_answer(200, _KIND | ({"insertErrors": errors} if errors else {}))


def _errors(rows: list[Json], table: Json, *, ignore_unknown: bool) -> dict[int, Json]:
    """The first thing wrong with each bad row, by the row's index. Columns within records are not checked."""
    fields = {field["name"].lower(): field for field in table.get("schema", {}).get("fields", [])}
    errors = {}
    for index, row in enumerate(rows):
        values = {name.lower(): value for name, value in row["json"].items()}
        for name in row["json"]:
            if name.lower() not in fields and not ignore_unknown:
                errors.setdefault(index, _row_error(index, "invalid", name, f"no such field: {name}."))
        for key, field in fields.items():
            name = field["name"]
            if field["mode"] == "REQUIRED" and values.get(key) is None:
                message = f"Missing required field: {name}."
                errors.setdefault(index, _row_error(index, "invalid", "", message))
            if field["type"] == "JSON" and isinstance(values.get(key), dict | list):
                message = f"This field: {name} is not a record."
                errors.setdefault(index, _row_error(index, "invalid", name, message))
    return errors


def _row_error(index: int, reason: str, location: str, message: str) -> Json:
    detail = {"reason": reason, "location": location, "debugInfo": "", "message": message}
    return {"index": index, "errors": [detail]}
