"""The ids of jobs: a client's own id names one job, for ever."""

import json
import re
from collections.abc import Callable
from email.parser import BytesParser
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from tests.emulator.wire import Answer, Emulator, Json, Request, json_answer, service_error

_ONE_JOB = re.compile(r"(/bigquery/v2/projects/([^/]+)/(?:jobs|queries)/)([^/?]+)(.*)")
_NEW_JOB = re.compile(r"/(?:upload/)?bigquery/v2/projects/([^/]+)/jobs")
_NO_TABLE = re.compile(r"Table with name .* does not exist")
_MEDIA_TYPE = re.compile(rb"content-type: \*/\*", re.IGNORECASE)


class Jobs:
    """The jobs that clients named, and how the emulator calls them."""

    def __init__(self, emulator: Emulator, endpoint: str) -> None:
        self._emulator = emulator
        self._endpoint = endpoint
        self._lock = Lock()
        #: (project, the client's id): the emulator's id, or None while the job is being made.
        self._names: dict[tuple[str, str], str | None] = {}
        self._uploads: dict[str, Json] = {}
        self._finished_uploads: dict[str, Answer] = {}

    def handle(self, request: Request) -> Answer | None:
        """Answer a request that concerns jobs; None for another request."""
        new = _NEW_JOB.fullmatch(request.route)
        if new and request.method == "POST":
            kind = _query(request).get("uploadType")
            if kind == "resumable":
                return self._begin_upload(request, new[1])
            return self._create(request, new[1], self._multipart(request) if kind == "multipart" else None)
        if new and request.method == "PUT":
            return self._continue_upload(request, new[1])
        if one := _ONE_JOB.fullmatch(request.path):
            with self._lock:
                named = self._names.get((one[2], one[3])) or one[3]
            return _renamed(self._emulator.forward(request, f"{one[1]}{named}{one[4]}"), named, one[3])
        return None

    def _create(self, request: Request, project: str, multipart: tuple[Json, bytes] | None) -> Answer:
        job, body = multipart or (request.json or {}, request.decoded)
        name = _client_id(job)
        if job.get("configuration", {}).get("dryRun"):
            name = None
        if name and not self._reserve(project, name):
            return _taken(project, name)
        headers = [(key, value) for key, value in request.headers if key.lower() != "content-encoding"]
        return self._made(project, name, lambda: self._emulator.send("POST", request.path, body, headers))

    @staticmethod
    def _multipart(request: Request) -> tuple[Json, bytes]:
        """The job of a multipart upload, and the body with a type that the emulator takes for the file."""
        body = _MEDIA_TYPE.sub(b"content-type: application/octet-stream", request.decoded, count=1)
        head = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        return json.loads(parts[0].get_payload(decode=True)), body  # type: ignore[index,union-attr,arg-type]

    def _begin_upload(self, request: Request, project: str) -> Answer:
        job = request.json or {}
        name = _client_id(job)
        if name and self._is_taken(project, name):
            return _taken(project, name)
        answer = self._emulator.forward(request)
        headers = []
        for key, value in answer.headers:
            if key.lower() == "location":
                location = urlsplit(value)
                self._uploads[parse_qs(location.query)["upload_id"][0]] = job
                headers.append((key, location._replace(scheme="http", netloc=self._endpoint[7:]).geturl()))
            else:
                headers.append((key, value))
        return Answer(answer.status, headers, answer.body)

    def _continue_upload(self, request: Request, project: str) -> Answer:
        upload = _query(request).get("upload_id", "")
        if upload in self._finished_uploads:
            return self._finished_uploads[upload]
        name = _client_id(self._uploads.get(upload, {}))
        if name and not self._reserve(project, name):
            return _taken(project, name)
        answer = self._made(project, name, lambda: self._emulator.forward(request))
        if answer.status == 200:
            self._finished_uploads[upload] = answer
        return answer

    def _reserve(self, project: str, name: str) -> bool:
        with self._lock:
            if (project, name) in self._names:
                return False
            self._names[project, name] = None
            return True

    def _is_taken(self, project: str, name: str) -> bool:
        with self._lock:
            return (project, name) in self._names

    def _made(self, project: str, name: str | None, send: Callable[[], Answer]) -> Answer:
        """Send what makes the job, and keep its name when there is a job afterwards."""
        made = None
        try:
            answer = send()
            if answer.status == 200 and answer.json:
                made = _client_id(answer.json)
        finally:
            if name:
                with self._lock:
                    if made:
                        self._names[project, name] = made
                    else:
                        del self._names[project, name]
        return _renamed(answer, made, name) if made and name else answer


def _query(request: Request) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(request.path).query).items()}


def _client_id(job: Json) -> str | None:
    return job.get("jobReference", {}).get("jobId")


def _renamed(answer: Answer, old: str, new: str) -> Answer:
    """The answer with the client's id of the job in place of the emulator's, and the right failure."""
    content = answer.json
    if content is None:
        return answer
    for resource in (content, content.get("job", {})):
        _say_what_is_missing(resource)
        if old != new and _client_id(resource) == old:
            resource["jobReference"]["jobId"] = new
            if "id" in resource:
                resource["id"] = f"{resource['jobReference']['projectId']}:US.{new}"
    return answer.with_json(content)


def _say_what_is_missing(job: Json) -> None:
    """A load into no table fails with `notFound`; the emulator says `invalid`."""
    status = job.get("status", {})
    failure = status.get("errorResult") if isinstance(status, dict) else None
    if failure and "load" in job["configuration"] and _NO_TABLE.search(failure["message"]):
        table = "{projectId}:{datasetId}.{tableId}".format(**job["configuration"]["load"]["destinationTable"])
        status["errorResult"] = {"reason": "notFound", "message": f"Not found: Table {table}"}
        status["errors"] = [status["errorResult"]]


def _taken(project: str, name: str) -> Answer:
    return json_answer(409, service_error(409, "duplicate", f"Already Exists: Job {project}:US.{name}"))
