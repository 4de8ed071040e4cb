"""Server-sent events: the browser is told that something changed, and fetches the page anew.

One thread looks at the store for all browsers, and makes the overview anew, so that nobody waits for it. A
store that bills what it reads is looked at only while a browser is there.
"""

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from lorchestra.errors import LorchestraError
from lorchestra.web.overview import overview
from lorchestra.web.reading import Pulse, Reading

#: How often a file is looked at while no browser is there.
_IDLE_SECONDS = 3.0
#: A line that says nothing keeps the connection, and finds one that is gone.
_QUIET_SECONDS = 15.0


class Changes:
    """Numbers the changes of the store."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._number = 0
        self._changed = asyncio.Condition()
        self._watching: asyncio.Task[None] | None = None
        self._listeners = 0
        self._ended = False

    def begin(self) -> None:
        """Look at the store from now on."""
        if not self._reading.is_billed:
            self._start()

    async def stream(self, request: Request) -> StreamingResponse:
        """The events of one browser."""
        return StreamingResponse(self._events(request), media_type="text/event-stream")

    async def end(self) -> None:
        """Let go of every browser: the server stops."""
        self._ended = True
        async with self._changed:
            self._changed.notify_all()
        if self._watching is not None:
            self._watching.cancel()

    async def _events(self, request: Request) -> AsyncIterator[str]:
        self._listeners += 1
        if self._watching is None or self._watching.done():
            self._start()
        try:
            seen = self._number
            yield "retry: 2000\n\n"
            while not self._ended and not await request.is_disconnected():
                try:
                    async with asyncio.timeout(_QUIET_SECONDS), self._changed:
                        await self._changed.wait_for(lambda: self._ended or self._number != seen)  # noqa: B023
                except TimeoutError:
                    yield ": nothing new\n\n"
                    continue
                seen = self._number
                yield f"event: changed\nid: {seen}\ndata: {seen}\n\n"
        finally:
            self._listeners -= 1

    def _start(self) -> None:
        self._watching = asyncio.create_task(self._watch())
        # A defect is told by the page, without data; asyncio would write all of it to standard error.
        self._watching.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _watch(self) -> None:
        before: Pulse | None = None
        while not self._ended and (self._listeners or not self._reading.is_billed):
            try:
                await run_in_threadpool(self._reading.settle)
                now = await run_in_threadpool(self._reading.pulse)
                running = (await run_in_threadpool(overview, self._reading))["running"]
                if now != before or running:
                    before = now
                    async with self._changed:
                        self._number += 1
                        self._changed.notify_all()
            except LorchestraError:
                # The store is busy or away, or the spool is: the next look tells.
                pass
            await asyncio.sleep(self._reading.poll_seconds if self._listeners else _IDLE_SECONDS)
