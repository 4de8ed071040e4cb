"""What stands between the client and the emulator: it makes up for the emulator's faults, and makes faults.

The service differs from the emulator in these points, and the front behaves like the service:

- insertAll takes a row with an insertId that the table was given in the last minute only once.
- insertAll answers unknown fields and missing required ones with `insertErrors`, and inserts nothing.
- A table in a dataset that is not there is answered with 404.
- A job id that is taken is answered with 409, and a load job is found by the id that the client gave it.
- tables.get shows what CREATE TABLE and ALTER TABLE did, JSON columns among them.

A test asks for faults with `fail`: an error in the service's form, a connection that is cut, an answer that
is lost after the work was done.
"""

import gzip
import http.client
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import sqlglot
from sqlglot import exp

_REMEMBERED_SECONDS = 60.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}
_INSERT_ALL = re.compile(r"/projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)/insertAll")
_NEW_TABLE = re.compile(r"/bigquery/v2(/projects/[^/]+/datasets/[^/]+)/tables(?:\?|$)")
_JOBS = re.compile(r"(?<!/upload/bigquery/v2)/projects/([^/]+)/jobs(?:\?|$)")
_ONE_JOB = re.compile(r"/projects/[^/]+/(?:jobs|queries)/([^/?]+)")
_UPLOAD = re.compile(r"^/(?:resumable/)?upload/")
_TYPES = {"INT64": "INTEGER", "BIGINT": "INTEGER", "TEXT": "STRING", "TIMESTAMPTZ": "TIMESTAMP"}


def service_error(status: int, reason: str, message: str = "What the service says.") -> dict[str, Any]:
    """An error as the service's REST interface gives it."""
    entry = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": status, "message": message, "errors": [entry], "status": reason.upper()}}


@dataclass(kw_only=True)
class Fault:
    """What shall go wrong with the requests that match, after `after` of them and `times` times."""

    method: str
    path: str
    body: str = ""
    after: int = 0
    times: int = 1
    #: Answer with this instead of asking the emulator.
    answer: tuple[int, Mapping[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Close the connection before the request is read to its end.
    cut: bool = False
    #: Let it happen, then close the connection without an answer.
    lose_answer: bool = False
    #: Let it happen, then change what is answered.
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    #: Do this first.
    before: Callable[[], object] | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request that arrived, and what it was answered; 0 is nothing."""

    method: str
    path: str
    body: Any
    status: int


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        body = self.body
        if ("content-encoding", "gzip") in [(name.lower(), value) for name, value in self.headers]:
            body = gzip.decompress(body)
        try:
            return json.loads(body)
        except ValueError:
            return None


def _json_answer(
    status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> _Answer:
    body = json.dumps(content).encode()
    return _Answer(status, [("Content-Type", "application/json"), *(headers or {}).items()], body)


class ServiceFront:
    """The front of one emulator."""

    def __init__(self, emulator: str) -> None:
        self._emulator = urlsplit(emulator)
        self._lock = threading.RLock()
        self._faults: list[Fault] = []
        self._inserted: dict[tuple[str, str], float] = {}
        self._job_ids: set[str] = set()
        self._load_jobs: dict[str, str] = {}
        self._uploads: dict[str, str] = {}
        self.requests: list[Seen] = []
        self.endpoint = ""

    def fail(self, fault: Fault) -> None:
        """Ask for a fault."""
        with self._lock:
            self._faults.append(fault)

    def reset(self) -> None:
        """No faults any more, and no memory of requests."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()

    def seen(self, method: str, path: str) -> list[Seen]:
        """The requests that match, oldest first."""
        with self._lock:
            return [one for one in self.requests if one.method == method and re.search(path, one.path)]

    # How a request is treated

    def fault_of(self, method: str, path: str, body: str | None) -> Fault | None:
        """The fault that this request meets; without a body only those that do not look at it."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or fault.method != method or not re.search(fault.path, path):
                    continue
                if (body is None) != (fault.cut and not fault.body) or not re.search(fault.body, body or ""):
                    continue
                if fault.after:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def record(self, method: str, path: str, body: Any, status: int) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(Seen(method=method, path=path, body=body, status=status))

    def serve(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes, content: Any
    ) -> _Answer:
        """What the service would answer."""
        if method == "POST" and (match := _INSERT_ALL.search(path)):
            return self._insert_all(match, path, headers, content)
        if method == "POST" and _UPLOAD.match(path):
            return self._begin_upload(path, headers, body, content)
        if method == "PUT" and path in self._uploads:
            return self._go_on_uploading(path, headers, body)
        if method == "POST" and _JOBS.search(path) and isinstance(content, dict):
            return self._insert_job(path, headers, body, content)
        if method == "POST" and (match := _NEW_TABLE.search(path)):
            dataset = self._call("GET", f"/bigquery/v2{match[1]}")
            if dataset.status != 200:
                return dataset
        if match := _ONE_JOB.search(path):
            return self._one_job(match[1], method, path, headers, body)
        return self._forward(method, path, headers, body)

    def _insert_all(
        self, match: re.Match[str], path: str, headers: list[tuple[str, str]], content: Any
    ) -> _Answer:
        table = "/projects/{}/datasets/{}/tables/{}".format(*match.groups())
        resource = self._call("GET", f"/bigquery/v2{table}")
        if resource.status != 200:
            return resource
        fields = {one["name"]: one for one in resource.json()["schema"]["fields"]}
        errors = []
        for number, row in enumerate(content["rows"]):
            entry = _fault_of_row(row["json"], fields)
            if entry is not None:
                errors.append({"index": number, "errors": [entry]})
        if errors:
            bad = {error["index"] for error in errors}
            errors += [
                {"index": number, "errors": [{"reason": "stopped", "location": "", "message": ""}]}
                for number in range(len(content["rows"]))
                if number not in bad
            ]
            return _json_answer(
                200,
                {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": sorted(errors, key=_index)},
            )
        with self._lock:
            now = time.monotonic()
            rows = [
                row
                for row in content["rows"]
                if now - self._inserted.get((table, row.get("insertId", "")), -1e9) > _REMEMBERED_SECONDS
            ]
            if not rows:
                return _json_answer(200, {"kind": "bigquery#tableDataInsertAllResponse"})
            answer = self._call("POST", path, {**content, "rows": rows})
            if answer.status == 200:
                self._inserted.update({(table, row.get("insertId", "")): now for row in rows})
        return answer

    def _insert_job(
        self, path: str, headers: list[tuple[str, str]], body: bytes, content: dict[str, Any]
    ) -> _Answer:
        name = content.get("jobReference", {}).get("jobId")
        if taken := self._taken(name):
            return taken
        answer = self._forward("POST", path, headers, body)
        configuration = content.get("configuration", {})
        if answer.status == 200 and not configuration.get("dryRun"):
            self._job_ids.add(name)
            sql = configuration.get("query", {}).get("query", "")
            project = _JOBS.search(path)
            if sql.lstrip().upper().startswith(("CREATE TABLE", "ALTER TABLE")) and project:
                self._tell_tables(project[1], sql)
        return answer

    def _begin_upload(self, path: str, headers: list[tuple[str, str]], body: bytes, content: Any) -> _Answer:
        name = (content or {}).get("jobReference", {}).get("jobId", "")
        if taken := self._taken(name):
            return taken
        answer = self._forward("POST", path, headers, body)
        at = next((value for key, value in answer.headers if key.lower() == "location"), "")
        parts = urlsplit(at)
        where = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._uploads[where] = name
        rest = [(key, value) for key, value in answer.headers if key.lower() != "location"]
        return _Answer(answer.status, [*rest, ("Location", f"{self.endpoint}{where}")], answer.body)

    def _go_on_uploading(self, path: str, headers: list[tuple[str, str]], body: bytes) -> _Answer:
        answer = self._forward("PUT", path, headers, body)
        job = answer.json()
        if answer.status != 200 or not isinstance(job, dict) or "jobReference" not in job:
            return answer
        name = self._uploads[path]
        self._job_ids.add(name)
        self._load_jobs[name] = job["jobReference"]["jobId"]
        return _json_answer(200, _renamed(job, name))

    def _one_job(
        self, name: str, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> _Answer:
        actual = self._load_jobs.get(name)
        if actual is None:
            return self._forward(method, path, headers, body)
        answer = self._forward(method, path.replace(name, actual), headers, body)
        job = answer.json()
        return _json_answer(answer.status, _renamed(job, name)) if isinstance(job, dict) else answer

    def _taken(self, name: str | None) -> _Answer | None:
        if name in self._job_ids:
            return _json_answer(409, service_error(409, "duplicate", f"Already Exists: Job {name}"))
        return None

    def _tell_tables(self, project: str, sql: str) -> None:
        """Make tables.get agree with what a statement did."""
        statement = sqlglot.parse_one(sql, read="bigquery")
        table = statement.find(exp.Table)
        assert table is not None
        path = f"/bigquery/v2/projects/{table.catalog or project}/datasets/{table.db}/tables/{table.name}"
        there = self._call("GET", path).json()
        fields = {one["name"]: one for one in there["schema"]["fields"]}
        if isinstance(statement, exp.Create):
            fields = {one.name: _field(one) for one in statement.find_all(exp.ColumnDef)}
        for action in statement.args.get("actions") or ():
            match action:
                case exp.ColumnDef():
                    fields.setdefault(action.name, _field(action))
                case exp.AlterColumn():
                    fields[action.name]["mode"] = "NULLABLE"
                case exp.Drop():
                    for column in action.find_all(exp.Column):
                        fields.pop(column.name, None)
        self._call("PATCH", path, {"schema": {"fields": list(fields.values())}})

    # The way to the emulator

    def _call(self, method: str, path: str, content: Any = None) -> _Answer:
        body = b"" if content is None else json.dumps(content).encode()
        return self._forward(method, path, [("Content-Type", "application/json")], body)

    def _forward(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(
            self._emulator.hostname or "", self._emulator.port, timeout=120
        )
        try:
            kept = {
                key: value
                for key, value in headers
                if key.lower() not in _HOP_BY_HOP and key.lower() != "content-length"
            }
            connection.request(method, path, body=body, headers={**kept, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
            return _Answer(
                answer.status,
                [
                    (key, value)
                    for key, value in answer.getheaders()
                    if key.lower() not in _HOP_BY_HOP and key.lower() != "content-length"
                ],
                content,
            )
        except (http.client.HTTPException, OSError):
            return _json_answer(500, service_error(500, "internalError", "The emulator hung up."))
        finally:
            connection.close()


def _index(error: Mapping[str, Any]) -> int:
    return int(error["index"])


def _fault_of_row(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any] | None:
    for name in row:
        if name not in fields:
            message = f"no such field: {name}."
            return {"reason": "invalid", "location": name, "debugInfo": "", "message": message}
    for name, one in fields.items():
        if one.get("mode") == "REQUIRED" and row.get(name) is None:
            message = f"Missing required field: {name}."
            return {"reason": "invalid", "location": name, "debugInfo": "", "message": message}
    return None


def _field(column: exp.ColumnDef) -> dict[str, Any]:
    kind = column.kind.sql("bigquery") if column.kind else "STRING"
    required = any(
        isinstance(constraint.kind, exp.NotNullColumnConstraint) for constraint in column.constraints
    )
    return {
        "name": column.name,
        "type": _TYPES.get(kind, kind),
        "mode": "REQUIRED" if required else "NULLABLE",
    }


def _renamed(job: dict[str, Any], name: str) -> dict[str, Any]:
    if "jobReference" not in job:
        return job
    reference = {**job["jobReference"], "jobId": name}
    return {**job, "jobReference": reference, "id": f"{reference.get('projectId')}:US.{name}"}


@contextmanager
def service_front(emulator: str) -> Iterator[ServiceFront]:
    """The front of an emulator, listening."""
    front = ServiceFront(emulator)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

        def _handle(self) -> None:
            early = front.fault_of(self.command, self.path, None)
            if early is not None:
                self.rfile.read(1000)
                self._hang_up()
                front.record(self.command, self.path, None, 0)
                return
            body = self._body()
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            try:
                content = json.loads(plain) if len(plain) < 10_000_000 else None
            except ValueError:
                content = None
            fault = front.fault_of(self.command, self.path, plain.decode(errors="replace")[:1_000_000])
            if fault is not None and fault.before is not None:
                fault.before()
            if fault is not None and fault.answer is not None:
                answer = _json_answer(*fault.answer, fault.headers)
            elif fault is not None and fault.cut:
                front.record(self.command, self.path, content, 0)
                self._hang_up()
                return
            else:
                answer = front.serve(self.command, self.path, self.headers.items(), body, content)
            if fault is not None and fault.rewrite is not None:
                answer = _json_answer(answer.status, fault.rewrite(answer.json()))
            lost = fault is not None and fault.lose_answer
            front.record(self.command, self.path, content, 0 if lost else answer.status)
            if lost:
                self._hang_up()
                return
            self.send_response(answer.status)
            for key, value in answer.headers:
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _hang_up(self) -> None:
            # A reset, as of a cable that was pulled out.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815

        def handle(self) -> None:
            """A client that hangs up, or was hung up on, is no error here."""
            try:
                super().handle()
            except (OSError, ValueError):
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    front.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
