"""Batches are merged in a thread of their own, so that the next one is collected meanwhile."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lorchestra.model import MergeCounts, StagedBatch
from lorchestra.stores.base import Store, held

# Where the next batch comes sooner, the store is not let go of in between.
_LINGER_SECONDS = 0.02


class MergeThread:
    """One thread, one batch at a time. `counts` are those of all batches that were merged."""

    def __init__(self, store: Store, merge: Callable[[StagedBatch], MergeCounts]) -> None:
        self._store = store
        self._merge = merge
        self._handed: queue.SimpleQueue[StagedBatch | None] = queue.SimpleQueue()
        self._free = threading.Semaphore()
        self._failed: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="merge")
        self.counts: list[MergeCounts] = []

    def is_busy(self) -> bool:
        """Whether a batch that is handed over now would have to wait."""
        if self._free.acquire(blocking=False):
            self._free.release()
            return False
        return True

    def go_first(self) -> None:
        """Let a merge that is on go on.

        The interpreter is handed over every 5 ms at most, and a merge needs it a dozen times for a moment. It
        took half as long again while another thread computed without a pause.
        """
        if self.is_busy():
            time.sleep(0)

    def hand_over(self, batch: StagedBatch) -> None:
        """Wait until the batch before is merged, and begin with this one.

        Raises:
            The error of the batch before.
        """
        self._free.acquire()
        if self._failed is not None:
            self._free.release()
            raise self._failed
        self._handed.put(batch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is merged; raise the error of a batch unless another one is on its way."""
        self._handed.put(None)
        # Not by join(): when a signal ends it, the thread is taken for stopped (bpo-45274).
        try:
            self._ended.wait()
        except BaseException:
            # A signal ends the run, but not in the middle of a merge.
            self._ended.wait()
            raise
        if error is None and self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            with held(self._store) as let_go:
                while (batch := self._next(let_go)) is not None:
                    try:
                        self.counts.append(self._merge(batch))
                    except BaseException as error:  # noqa: BLE001 - it is raised where the batch came from
                        self._failed = error
                    finally:
                        del batch
                        self._free.release()
        finally:
            self._ended.set()

    def _next(self, let_go: Callable[[], None]) -> StagedBatch | None:
        try:
            return self._handed.get(timeout=_LINGER_SECONDS)
        except queue.Empty:
            let_go()
            return self._handed.get()
