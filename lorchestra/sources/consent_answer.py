"""The answer to a request for consent, which a browser brings to an address on this machine."""

import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from lorchestra.errors import AuthConsentError
from lorchestra.sources.google_refusals import LoginFacts, token_refusal

_CODE = re.compile(r"[A-Za-z0-9/_.~-]{8,512}")
_DONE = "lorchestra has the answer. You can close this page, and go back to the terminal."
_NOT_OURS = "This is not the answer that lorchestra waits for. Open the address that it printed last."


class Listener:
    """Waits on a port of 127.0.0.1 for the browser to come back."""

    def __init__(self, server: ThreadingHTTPServer, answers: "queue.Queue[str]", expected: list[str]) -> None:
        self.redirect_uri = f"http://127.0.0.1:{server.server_address[1]}/"
        self._answers = answers
        self._expected = expected

    def answer(self, state: str, *, seconds: float) -> str | None:
        """The query of the answer that carries this state; None when none came in time."""
        self._expected.append(state)
        try:
            return self._answers.get(timeout=seconds)
        except queue.Empty:
            return None


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port, until the block is left.

    Raises:
        AuthConsentError: there is no port to be had.
    """
    answers: queue.Queue[str] = queue.Queue()
    expected: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = urlsplit(self.path).query
            ours = parse_qs(query).get("state", [""])[0] in expected
            if ours:
                answers.put(query)
            self.send_response(200 if ours else 400)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write((_DONE if ours else _NOT_OURS).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the parent's
            """Say nothing: the address holds the code."""

    try:
        # Threads: browsers open connections ahead that they may never use.
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    except OSError as error:
        raise AuthConsentError(
            f"login: no port of 127.0.0.1 can be listened on: {error.strerror or type(error).__name__}",
            next_step="Use --no-browser, which needs none.",
        ) from None
    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield Listener(server, answers, expected)
        finally:
            server.shutdown()


def code_in(answer: str, *, state: str, facts: LoginFacts) -> str:
    """The code in an answer: the address of the page that the browser was sent to, its query, or the code.

    Raises:
        AuthConsentError: consent was refused, or this is the answer to something else.
    """
    text = answer.strip().strip("\"'")
    if "=" not in text:
        code = unquote(text)
        if _CODE.fullmatch(code):
            return code
        raise _no_answer(facts)
    fields = parse_qs(urlsplit(text).query if "?" in text else text)
    if fields.get("state", [""])[0] != state:
        raise AuthConsentError(
            "login: this is the answer to another attempt",
            next_step=f"{facts.renew}. Open the address that it prints, and no older one.",
        )
    if "error" in fields:
        raise token_refusal(fields["error"][0], "", facts=facts)
    if "code" not in fields:
        raise _no_answer(facts)
    return fields["code"][0]


def _no_answer(facts: LoginFacts) -> AuthConsentError:
    return AuthConsentError(
        "login: this is neither a code nor the address of a page that has one",
        next_step=f"{facts.renew}. Paste the whole address that begins with http://127.0.0.1, from the "
        "browser's address bar.",
    )
