"""Fetches many things by several threads, while their results are used."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

# Results that wait to be used are held in memory, up to so many bytes; then nothing more is fetched.
_HELD_BYTES = 32 * 1024 * 1024
# Where the processor is what is short, many threads that fetch would leave nothing for the one that uses what
# they fetched, and a kill would lose all that waits. So when more results wait than there are threads, each
# lets the reader go first, for a moment: a merge that holds it up for seconds does not stop the fetching.
_REST_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """What came of one id: a value, or the error that only this id met."""

    id: str
    value: dict[str, Any] | None = None
    error: Exception | None = None
    size: int = 0


def fetched(
    ids: Iterable[str],
    fetch: Callable[[str], tuple[dict[str, Any], int]],
    *,
    threads: int,
    single: tuple[type[Exception], ...],
) -> Iterator[Fetched]:
    """Yield what `fetch` gives for each id, as it comes: roughly in the order of the ids.

    `fetch` gives a value and its size in bytes. An error of the types in `single` is yielded; any other ends
    the iteration. Whoever stops reading must stop `fetch`, too: threads are not waited for.
    """
    return _Fetching(ids, fetch, threads=threads, single=single).results()


class _Fetching:
    def __init__(
        self,
        ids: Iterable[str],
        fetch: Callable[[str], tuple[dict[str, Any], int]],
        *,
        threads: int,
        single: tuple[type[Exception], ...],
    ) -> None:
        self._ids = iter(ids)
        self._fetch = fetch
        self._threads = threads
        self._single = single
        self._results: SimpleQueue[Fetched | BaseException | None] = SimpleQueue()
        self._room = threading.Condition()
        self._held = 0
        self._closed = False

    def results(self) -> Iterator[Fetched]:
        working = self._threads
        # They are daemons so that a process that was told to end need not wait for an answer.
        for number in range(working):
            threading.Thread(target=self._work, name=f"fetch-{number}", daemon=True).start()
        try:
            while working:
                result = self._results.get()
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    working -= 1
                    continue
                yield result
                with self._room:
                    self._held -= result.size
                    self._room.notify_all()
        finally:
            with self._room:
                self._closed = True
                self._room.notify_all()

    def _work(self) -> None:
        try:
            while (one := self._next_id()) is not None:
                self._results.put(self._result(one))
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are read
            self._results.put(error)
        self._results.put(None)

    def _next_id(self) -> str | None:
        with self._room:
            while self._held >= _HELD_BYTES and not self._closed:
                self._room.wait()
            if self._results.qsize() > self._threads:
                self._room.wait_for(self._reader_keeps_up, timeout=_REST_SECONDS)
            return None if self._closed else next(self._ids, None)

    def _reader_keeps_up(self) -> bool:
        return self._closed or self._results.qsize() <= self._threads

    def _result(self, one: str) -> Fetched:
        try:
            value, size = self._fetch(one)
        except self._single as error:
            return Fetched(id=one, error=error)
        with self._room:
            self._held += size
        return Fetched(id=one, value=value, size=size)
