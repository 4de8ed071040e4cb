"""A proxy in front of the emulator that behaves more like the service, and fails when a test asks for it.

(a) It makes up for what the emulator gets wrong:

- insertAll drops a row whose insertId the table took within the last minute. Unknown fields, missing
  required columns and objects in place of JSON text are `insertErrors`, and then nothing is inserted.
- A table that is made in a dataset that is not there is answered with 404.
- A client's id names one job: used again it is 409 `duplicate`, and load jobs are known by it too. A dry
  run takes no id. A load into no table fails with `notFound`. A finished upload that is sent again answers
  with its job again. Uploads in one request (multipart) work.
- A table made or altered by SQL has the columns, modes, descriptions, partitioning, clustering and labels
  in `tables.get` that the statement gave it. `ADD COLUMN`, `DROP COLUMN` and `DROP NOT NULL` are known;
  `IF NOT EXISTS` changes nothing of a table or view that is there. Statements within `BEGIN` or `IF` are not
  seen.
- Compressed requests are understood.

Left as the emulator has it: dmlStats and labels of jobs are absent, totalBytesProcessed is 0 and
maximumBytesBilled is ignored; a test rewrites answers where that matters.

(b) It injects the faults that a test names with `ServiceFront.fail`.
"""

import re
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, RLock, Thread
from typing import Any, cast

from tests.emulator.catalogue import TableChange, table_changes, view_made_unless_there
from tests.emulator.faults import (
    Answered,
    CutBefore,
    Delayed,
    Fault,
    KeptInPart,
    LoseAnswer,
    Rewritten,
    answer,
    cut_before,
    delay,
    keep_part,
    lose_answer,
    rewrite,
)
from tests.emulator.jobs import Jobs
from tests.emulator.streaming import Streaming
from tests.emulator.wire import Answer, Emulator, Json, Request, matches, service_error

__all__ = [
    "Fault",
    "Recorded",
    "ServiceFront",
    "answer",
    "cut_before",
    "delay",
    "keep_part",
    "lose_answer",
    "rewrite",
    "service_error",
    "service_front",
]

_SQL_JOBS = re.compile(r"/bigquery/v2/projects/([^/]+)/(?:jobs|queries)")


@dataclass(frozen=True)
class Recorded:
    """A request that arrived; `status` is None where no answer was given, `size` counts its body's bytes."""

    method: str
    path: str
    json: Json | None
    status: int | None
    size: int | None


class ServiceFront:
    """The proxy: where it listens, what arrived, and the faults to come."""

    def __init__(self, emulator_endpoint: str) -> None:
        self._emulator = Emulator(emulator_endpoint)
        self._server = _Server(self)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._jobs = Jobs(self._emulator, self.endpoint)
        self._streaming = Streaming(self._emulator)
        #: What checks a table and then changes it happens one by one.
        self._tables = RLock()
        self._lock = Lock()
        self._closing = Event()
        self._faults: list[Fault] = []
        self._requests: list[Recorded] = []

    @property
    def requests(self) -> list[Recorded]:
        """What arrived since the last `reset`, in the order in which it was answered."""
        with self._lock:
            return list(self._requests)

    def seen(self, method: str, path_regex: str) -> list[Recorded]:
        """The recorded requests with this method whose path, with its query string, matches."""
        return [r for r in self.requests if r.method == method and matches(path_regex, r.path)]

    def fail(self, fault: Fault) -> None:
        """Let a fault happen. Of several that match a request, the first that has not happened yet does."""
        with self._lock:
            self._faults.append(fault)

    def reset(self) -> None:
        """Forget faults and recorded requests."""
        with self._lock:
            self._faults.clear()
            self._requests.clear()

    def _serve(self, request: Request) -> Answer | CutBefore | None:
        """What happens to a request: an answer, a connection that is cut, or None for a lost answer."""
        action = self._take_fault(request)
        match action:
            case Answered(answer=given):
                result: Answer | CutBefore | None = given
            case CutBefore():
                result = action
            case _:
                if isinstance(action, Delayed):
                    self._closing.wait(action.seconds)
                cut = request.beginning(action.size) if isinstance(action, KeptInPart) else request
                result = self._correct(cut)
                if isinstance(action, Rewritten):
                    result = result.with_json(action.change(result.json or {}))
                elif isinstance(action, LoseAnswer):
                    result = None
        status = result.status if isinstance(result, Answer) else None
        whole = not isinstance(action, CutBefore)
        content, size = (request.json, len(request.body)) if whole else (None, None)
        with self._lock:
            self._requests.append(Recorded(request.method, request.path, content, status, size))
        return result

    def _take_fault(self, request: Request) -> Any:
        with self._lock:
            waiting = list(self._faults)
        matching = [fault for fault in waiting if fault.matches(request)]  # may wait for the body
        with self._lock:
            for fault in matching:
                if fault.times > 0 and fault.claims():
                    return fault.action
        return None

    def _correct(self, request: Request) -> Answer:
        if request.method == "POST" and request.route.endswith("/tables"):
            dataset = self._emulator.send("GET", request.route.removesuffix("/tables"))
            return self._emulator.forward(request) if dataset.status == 200 else dataset
        if "/tables/" in request.route:
            with self._tables:
                if request.method == "POST" and request.route.endswith("/insertAll"):
                    return self._streaming.insert_all(request)
                if request.method == "DELETE":
                    self._streaming.forget(request.route)
                return self._emulator.forward(request)
        request = self._sparing_views(request)
        changes = self._changes(request)
        if not changes:
            return self._jobs.handle(request) or self._emulator.forward(request)
        with self._tables:
            known = {change.path: self._emulator.table(change.path) for change in changes}
            result = self._jobs.handle(request) or self._emulator.forward(request)
            content = result.json or {}
            failed = content.get("errors") or content.get("status", {}).get("errorResult")
            if result.status == 200 and not failed:
                for change in changes:
                    self._apply(change, known)
            return result

    def _sparing_views(self, request: Request) -> Request:
        """The emulator makes a view anew that is to be made only if it is not there."""
        project, query = _sql_of(request)
        path = view_made_unless_there(query.get("query", ""), project)
        if path is None or self._emulator.table(path) is None:
            return request
        return request.with_text(query["query"], "SELECT 1")

    @staticmethod
    def _changes(request: Request) -> list[TableChange]:
        """The tables that a request is going to change by SQL."""
        project, query = _sql_of(request)
        dataset = query.get("defaultDataset", {}).get("datasetId")
        return table_changes(query.get("query", ""), project, dataset)

    def _apply(self, change: TableChange, known: dict[str, Json | None]) -> None:
        resource = self._emulator.table(change.path)
        if resource is None:
            return
        if change.makes_table and not known[change.path]:
            self._streaming.forget(change.path)
        patch = change.patch(known[change.path], resource)
        answer = self._emulator.send_json("PATCH", change.path, patch)
        if answer.status != 200:
            raise RuntimeError(
                f"The emulator did not take a table's resource: {answer.status} {answer.body!r}"
            )
        known[change.path] = answer.json


def _sql_of(request: Request) -> tuple[str, Json]:
    """The project and the query that a request wants to be run; of a dry run none."""
    jobs = _SQL_JOBS.fullmatch(request.route)
    if not jobs or request.method != "POST" or request.json is None:
        return "", {}
    configuration = request.json.get("configuration", {})
    query = configuration.get("query", {}) if configuration else request.json
    dry = configuration.get("dryRun") or query.get("dryRun")
    return jobs[1], {} if dry else query


@contextmanager
def service_front(emulator_endpoint: str) -> Iterator[ServiceFront]:
    """Start a front; at the end, stop it and raise what went wrong inside it."""
    front = ServiceFront(emulator_endpoint)
    server = front._server
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield front
    finally:
        front._closing.set()
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()
    if server.errors:
        raise ExceptionGroup("The front went wrong.", server.errors)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, front: ServiceFront) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.front = front
        self.errors: list[Exception] = []
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly end that would hide a reset from the client."""
        self._connections.discard(request)
        self.close_request(request)

    def hang_up(self) -> None:
        """End what waits for the next request of a client that is still connected."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was quicker

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Keep what went wrong; a client that hung up is none of our business."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: `ServiceFront.requests` tells."""

    def _handle(self) -> None:
        request = Request(self.command, self.path, list(self.headers.items()), self._read_body)
        self._body_was_read = False
        result = cast(_Server, self.server).front._serve(request)
        if isinstance(result, Answer):
            request.body  # noqa: B018  (the next request of this connection stands behind it)
            self._write(result)
            return
        self.close_connection = True
        if isinstance(result, CutBefore):
            if not self._body_was_read:
                self.rfile.read(self._length() // 2)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _length(self) -> int:
        return int(self.headers.get("Content-Length", 0))

    def _read_body(self) -> bytes:
        self._body_was_read = True
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(self._length())
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return bytes(body)

    def _write(self, result: Answer) -> None:
        self.send_response_only(result.status)
        for key, value in result.headers:
            self.send_header(key, value)
        if result.status != 204:
            self.send_header("Content-Length", str(len(result.body)))
        self.end_headers()
        self.wfile.write(result.body)
