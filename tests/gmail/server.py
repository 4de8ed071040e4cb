"""A server of HTTP whose answers one function gives."""

import http.client
import socket
import struct
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

from tests.emulator.faults import CutBefore
from tests.emulator.wire import Answer, Request

#: What happens to a request: an answer, a connection that is reset, or None for a lost answer.
Outcome = Answer | CutBefore | None


class HttpServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1, and keeps connections open."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, serve: Callable[[Request], Outcome]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.serve = serve
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        #: What went wrong in `serve`.
        self.errors: list[Exception] = []
        self._connections: set[socket.socket] = set()
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Hang up on clients that are still connected, and wait for what is being answered."""
        self.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was quicker
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close without the orderly end that would hide a reset from the client."""
        self._connections.discard(request)
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Keep what went wrong; a client that hung up is none of our business."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.errors.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 64 * 1024

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _handle(self) -> None:
        request = Request(self.command, self.path, list(self.headers.items()), self._read_body)
        self._body_was_read = False
        outcome = cast(HttpServer, self.server).serve(request)
        if isinstance(outcome, Answer):
            request.body  # noqa: B018  (the next request of this connection stands behind it)
            self._write(outcome)
            return
        self.close_connection = True
        if isinstance(outcome, CutBefore):
            if not self._body_was_read:
                self.rfile.read(self._length() // 2)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _length(self) -> int:
        return int(self.headers.get("Content-Length", 0))

    def _read_body(self) -> bytes:
        self._body_was_read = True
        return self.rfile.read(self._length())

    def _write(self, answer: Answer) -> None:
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if answer.status != 204:
            lines.append(f"Content-Length: {len(answer.body)}")
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
