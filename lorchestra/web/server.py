"""Serves the page until it is interrupted."""

import errno
import socket
from collections.abc import Callable

import uvicorn

from lorchestra.errors import ArgumentError
from lorchestra.web.access import Access, new_token
from lorchestra.web.app import make_app
from lorchestra.web.live import Changes
from lorchestra.web.reading import Reading
from lorchestra.web.run_page import Verify

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8420


def serve(reading: Reading, *, verify: Verify, host: str, port: int, say: Callable[[str], None]) -> None:
    """Listen, say the URL, and answer until a signal ends it. Port 0 is any that is free.

    Raises:
        ArgumentError: the port, or the address, cannot be had.
    """
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    token = new_token()
    changes = Changes(reading)
    app = make_app(reading, verify=verify, changes=changes)
    name = f"[{host}]" if ":" in host else host
    say(f"http://{name}:{port}/?token={token}")
    server = _Server(
        uvicorn.Config(
            # The outermost, so that not even a defect gets around it.
            Access(app, token=token, host=host, port=port),
            # Addresses hold keys of objects, and what an error holds is unknown: the page tells where it was.
            access_log=False,
            log_level="critical",
            server_header=False,
            timeout_graceful_shutdown=2,
        ),
        changes,
    )
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Looks at the store while it serves, and lets go of browsers before it waits for all to hang up."""

    def __init__(self, config: uvicorn.Config, changes: Changes) -> None:
        super().__init__(config)
        self._changes = changes

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._changes.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._changes.end()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise ArgumentError(
                f"--host: is no address of this machine: {reason}",
                next_step="Leave it out: lorchestra web. Then the page is served to this machine alone.",
            ) from None
        raise ArgumentError(
            f"--port: cannot be listened on: {reason}",
            next_step="Type: lorchestra web --port 0, which takes one that is free.",
        ) from None
    listening.listen(128)
    return listening
