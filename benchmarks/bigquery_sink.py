"""What takes the client's requests in BigQuery's place, and does as little with them as it can.

It answers as the service does where an upload and the statements of one batch need it, throws files away, and
only counts their lines. So what is measured is the client. It checks nothing: the tests have an emulator.
`python -m benchmarks.bigquery_sink` prints where it listens, and stays until it is terminated.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

_PIECE = 1 << 18
_COUNTS = ("inserted", "updated", "unchanged")

Json = dict[str, Any]


class _Sink(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jobs: dict[str, Json] = {}
        #: Of each upload the job that it is for, and the lines that came.
        self.uploads: dict[str, tuple[Json, int]] = {}
        self.staged = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def sink(self) -> _Sink:
        return cast(_Sink, self.server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        name = urlsplit(self.path).path.rpartition("/")[2]
        if "/queries/" in self.path:
            self._answer(200, _rows_of(self.sink.jobs[name], self.sink.staged))
        elif "/jobs/" in self.path:
            self._answer(200, self.sink.jobs[name])
        else:
            self._answer(404, {"error": {"code": 404, "message": "Not found"}})

    def do_DELETE(self) -> None:
        self._answer(204, None)

    def do_POST(self) -> None:
        content = json.loads(self._body() or b"{}")
        if "uploadType=resumable" in self.path:
            upload = str(len(self.sink.uploads))
            self.sink.uploads[upload] = (content, 0)
            host = f"http://{self.headers['Host']}"
            place = f"{host}{urlsplit(self.path).path}?uploadType=resumable&upload_id={upload}"
            self._answer(200, {}, {"Location": place})
        elif self.path.partition("?")[0].endswith("/jobs"):
            self._answer(200, self._done(content))
        else:
            self._answer(200, content)

    def do_PUT(self) -> None:
        [upload] = parse_qs(urlsplit(self.path).query)["upload_id"]
        job, lines = self.sink.uploads[upload]
        lines += self._lines()
        self.sink.uploads[upload] = (job, lines)
        place, _, total = self.headers["Content-Range"].removeprefix("bytes ").partition("/")
        last = place.rpartition("-")[2]
        if total == "*" or int(last) + 1 < int(total):
            self._answer(308, None, {"Range": f"bytes=0-{last}"})
            return
        self.sink.staged = lines
        self._answer(200, self._done(job))

    def _done(self, job: Json) -> Json:
        """The job as one that has ended well."""
        reference = {"location": "US", **job["jobReference"]}
        statistics = {"load": {"outputRows": str(self.sink.staged)}, "totalBytesProcessed": "0"}
        if "query" in job["configuration"]:
            merges = "MERGE" in job["configuration"]["query"]["query"]
            rows = {"numDmlAffectedRows": str(self.sink.staged)} if merges else {}
            kind = "MERGE" if merges else "SELECT"
            statistics = {"query": {"statementType": kind, "totalBytesProcessed": "0", **rows}}
        done = {**job, "jobReference": reference, "status": {"state": "DONE"}, "statistics": statistics}
        self.sink.jobs[reference.get("jobId", "")] = done
        return done

    def _lines(self) -> int:
        """How many lines end in a piece of a file, which is not kept."""
        buffer = bytearray(_PIECE)
        left, lines = int(self.headers["Content-Length"]), 0
        while left:
            came = self.rfile.readinto(memoryview(buffer)[: min(_PIECE, left)])
            lines += buffer.count(b"\n", 0, came)
            left -= came
        return lines

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, content: Json | None, headers: dict[str, str] | None = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _rows_of(job: Json, staged: int) -> Json:
    """The result of a statement: of the one SELECT there is, that all is new."""
    result: Json = {"kind": "bigquery#getQueryResultsResponse", "jobComplete": True}
    result["jobReference"] = job["jobReference"]
    if re.search(r"\bMERGE\b", job["configuration"]["query"]["query"]):
        return {**result, "numDmlAffectedRows": str(staged), "totalRows": "0"}
    fields = [{"name": name, "type": "INTEGER", "mode": "NULLABLE"} for name in _COUNTS]
    row = {"f": [{"v": str(staged)}, {"v": "0"}, {"v": "0"}]}
    return {**result, "schema": {"fields": fields}, "rows": [row], "totalRows": "1"}


if __name__ == "__main__":
    server = _Sink()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
