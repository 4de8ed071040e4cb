"""Requests and answers as the front handles them."""

import gzip
import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

#: Headers that concern one connection only, and so are not forwarded (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_RECOMPUTED = frozenset({"host", "content-length", "accept-encoding", "expect"})
Json = dict[str, Any]
Headers = list[tuple[str, str]]


@dataclass
class Request:
    """A request; its body is read from the connection when it is first asked for."""

    method: str
    #: With the query string.
    path: str
    headers: Headers
    read_body: Callable[[], bytes] = field(repr=False)

    @cached_property
    def body(self) -> bytes:
        return self.read_body()

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @cached_property
    def decoded(self) -> bytes:
        """The body without its compression."""
        return gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body

    @cached_property
    def json(self) -> Json | None:
        """The body, where it is a JSON object."""
        return _object(self.decoded)

    @property
    def route(self) -> str:
        """The path without the query string."""
        return self.path.partition("?")[0]

    def with_text(self, text: str, other: str) -> "Request":
        """The same request with another text in place of one that stands in its JSON."""
        old, new = (json.dumps(one).encode() for one in (text, other))
        plain = json.dumps(self.json).encode()
        headers = [(key, value) for key, value in self.headers if key.lower() != "content-encoding"]
        return Request(self.method, self.path, headers, lambda: plain.replace(old, new))

    def beginning(self, size: int) -> "Request":
        """The same request as if only the first bytes of its piece of a file had been sent."""
        body = self.body[:size]
        start = int(self.header("content-range").removeprefix("bytes ").partition("-")[0])
        total = self.header("content-range").partition("/")[2]
        kept = [(key, value) for key, value in self.headers if key.lower() != "content-range"]
        place = ("Content-Range", f"bytes {start}-{start + len(body) - 1}/{total}")
        return Request(self.method, self.path, [*kept, place], lambda: body)


@dataclass
class Answer:
    """An answer, whole."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Json | None:
        return _object(self.body)

    def with_json(self, content: Json) -> "Answer":
        """The same answer with another body."""
        kept = [(key, value) for key, value in self.headers if key.lower() != "content-type"]
        return Answer(
            self.status, [*kept, ("Content-Type", "application/json")], json.dumps(content).encode()
        )


def json_answer(status: int, content: Json, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, list((headers or {}).items()), b"").with_json(content)


def service_error(status: int, reason: str, message: str) -> Json:
    """An error as the service words it: `service_error(403, "rateLimitExceeded", "Exceeded rate limits")`."""
    codes = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ALREADY_EXISTS",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    }
    details = [{"message": message, "domain": "global", "reason": reason}]
    error = {"code": status, "message": message, "errors": details, "status": codes.get(status, "UNKNOWN")}
    return {"error": error}


@dataclass(frozen=True)
class Emulator:
    """How the front talks to the emulator: one connection per request."""

    endpoint: str

    def send(self, method: str, path: str, body: bytes = b"", headers: Headers | None = None) -> Answer:
        """Forward a request."""
        address = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=600)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for key, value in headers or []:
                if key.lower() not in HOP_BY_HOP | _RECOMPUTED:
                    connection.putheader(key, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP | {"content-length"}]
        return Answer(answer.status, kept, content)

    def forward(self, request: Request, path: str | None = None) -> Answer:
        """Forward a request as it came, but uncompressed: the emulator reads no gzip."""
        headers = [(k, v) for k, v in request.headers if k.lower() != "content-encoding"]
        return self.send(request.method, path or request.path, request.decoded, headers)

    def send_json(self, method: str, path: str, content: Json) -> Answer:
        return self.send(method, path, json.dumps(content).encode(), [("Content-Type", "application/json")])

    def table(self, path: str) -> Json | None:
        """A table's resource, None where there is no table."""
        answer = self.send("GET", path)
        return answer.json if answer.status == 200 else None


def matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _object(content: bytes) -> Json | None:
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(content)
    except ValueError:  # newline-delimited JSON, or a part of a file
        return None
    return found if isinstance(found, dict) else None
