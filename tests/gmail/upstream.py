"""How the front talks to the server behind it."""

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from queue import Empty, LifoQueue
from urllib.parse import urlsplit

from tests.emulator.wire import HOP_BY_HOP, Answer, Json

_NOT_FORWARDED = HOP_BY_HOP | {"content-length", "date"}
_ITS_OWN = ("x-ratelimit-", "access-control-")


class Upstream:
    """The server, by connections that stay open, and by access tokens of its own in turn.

    In turn, because it answers no more than 5,000 calls an hour for one token.
    """

    def __init__(self, endpoint: str, tokens: Sequence[str]) -> None:
        self._address = urlsplit(endpoint)
        self._tokens = cycle(tokens)
        self._idle: LifoQueue[http.client.HTTPConnection] = LifoQueue()

    def send(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> Answer:
        """Send a request and give the whole answer.

        Raises:
            RuntimeError: the server has had enough calls for this hour.
        """
        headers = {"Authorization": f"Bearer {next(self._tokens)}"}
        if content_type:
            headers["Content-Type"] = content_type
        with self._connection() as connection:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status == 403:
            raise RuntimeError(f"The Gmail server answers no more: {content!r}")
        kept = [(name, value) for name, value in answer.getheaders() if _is_forwarded(name.lower())]
        return Answer(answer.status, kept, content)

    def json(self, method: str, path: str, content: Json | None = None) -> Json:
        """Send a request that succeeds, and give its answer, empty where it has none."""
        body = b"" if content is None else json.dumps(content).encode()
        answer = self.send(method, path, body, "application/json" if body else "")
        if answer.status >= 300:
            raise ValueError(f"{method} {path} was answered with {answer.status}: {answer.body!r}")
        return answer.json or {}

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            address = self._address
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)


def _is_forwarded(name: str) -> bool:
    return name not in _NOT_FORWARDED and not name.startswith(_ITS_OWN)
