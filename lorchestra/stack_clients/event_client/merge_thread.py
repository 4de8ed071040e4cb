"""Batches are merged in a thread of their own, so that the next one is collected meanwhile."""

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lorchestra.model import MergeCounts
from lorchestra.stack_clients.event_client.batches import Batch
from lorchestra.stores.base import Store, held

# Where the next batch comes sooner, the store is not let go of in between.
_LINGER_SECONDS = 0.02


class MergeThread:
    """One thread, one batch at a time. `counts` are those of all batches that were merged.

    Where the store wants small batches joined, one batch waits, and those after it join it.
    """

    # A signal may end the collecting thread between any two instructions. So it uses what is locked and
    # unlocked in C, and nothing of which the other thread could find half: no Condition, Event or Semaphore.
    # Each queue only says that something changed; what, is read under the lock or is a flag set before.

    def __init__(self, store: Store, merge: Callable[[Batch], MergeCounts]) -> None:
        self._store = store
        self._merge = merge
        self._lock = threading.Lock()
        self._waiting: Batch | None = None
        self._is_busy = self._no_more = self._has_ended = self._is_awaited = False
        self._failed: BaseException | None = None
        self._handed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._freed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="merge")
        self.counts: list[MergeCounts] = []

    def go_first(self) -> None:
        """Let a merge that is on go on.

        The interpreter is handed over every 5 ms at most, and a merge needs it a dozen times for a moment. It
        took half as long again while another thread computed without a pause.
        """
        if self._is_busy:
            time.sleep(0)

    def hand_over(self, batch: Batch) -> None:
        """Leave a batch to be merged. Waits where one waits already that it cannot join.

        Raises:
            The error of a batch before; nothing more is merged.
        """
        while not self._left(batch):
            self._freed.get()

    def _left(self, batch: Batch) -> bool:
        bounds = self._store.batch_bounds
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._waiting is None and (bounds.join or not self._is_busy):
                self._waiting = batch
                self._handed.put(None)
                return True
            if (
                self._waiting is not None
                and bounds.join
                and self._waiting.join(batch, most_bytes=bounds.bytes)
            ):
                return True
            self._is_awaited = True
            return False

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except BaseException:
            self._say_no_more()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is merged; raise the error of a batch unless another one is on its way."""
        try:
            self._wait_for_end()
        except BaseException:
            # A signal ends the run, but not in the middle of a merge.
            self._wait_for_end()
            raise
        if error is None and self._failed is not None:
            raise self._failed

    def _wait_for_end(self) -> None:
        self._say_no_more()
        # Not by join(): when a signal ends it, the thread is taken for stopped (bpo-45274).
        while not self._has_ended:
            self._ended.get()

    def _say_no_more(self) -> None:
        self._no_more = True
        self._handed.put(None)

    def _run(self) -> None:
        try:
            with held(self._store) as let_go:
                while (batch := self._next(let_go)) is not None:
                    self.counts.append(self._merge(batch))
                    del batch
                    self._free()
        except BaseException as error:  # noqa: BLE001 - it is raised where the batch came from
            self._failed = error
        finally:
            self._free()
            self._has_ended = True
            self._ended.put(None)

    def _free(self) -> None:
        with self._lock:
            self._is_busy = False
            self._tell()

    def _tell(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._freed.put(None)

    def _next(self, let_go: Callable[[], None]) -> Batch | None:
        lingers: float | None = _LINGER_SECONDS
        while True:
            was_the_last = self._no_more
            with self._lock:
                if (batch := self._waiting) is not None:
                    self._waiting = None
                    self._is_busy = True
                    self._tell()
                    return batch
            if was_the_last:
                return None
            try:
                self._handed.get(timeout=lingers)
            except queue.Empty:
                self._is_busy = True
                let_go()
                self._free()
                lingers = None
