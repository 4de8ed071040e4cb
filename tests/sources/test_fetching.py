"""Many ids and several threads: each id once, no more held than there is room for, and an end when wanted."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources import fetching
from lorchestra.sources.fetching import fetched

Value = tuple[dict[str, Any], int]


class GoneError(Exception):
    """Only one id meets it."""


class BrokenError(Exception):
    """Everything is broken."""


def comes_true(is_true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def small(one: str) -> Value:
    return {}, 1


def fetching_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("fetch-")}


@pytest.fixture
def others() -> set[threading.Thread]:
    """Threads of this module's name that are not the test's."""
    return fetching_threads()


@given(
    st.lists(st.tuples(st.text(max_size=4), st.booleans(), st.integers(0, 2)), max_size=60),
    st.integers(1, 16),
    st.integers(1, 50),
)
@settings(deadline=None, max_examples=60)
def test_each_id_comes_once_with_its_value_or_its_error(
    wanted: list[tuple[str, bool, int]], threads: int, room: int
) -> None:
    """Whatever the number of threads, the room, and how long each takes."""
    outcomes = {f"{number}{text}": (gone, pause) for number, (text, gone, pause) in enumerate(wanted)}

    def fetch(one: str) -> Value:
        gone, pause = outcomes[one]
        time.sleep(pause / 4_000)
        if gone:
            raise GoneError(one)
        return {"id": one}, 10

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "_HELD_BYTES", room)
        results = list(fetched(outcomes, fetch, threads=threads, single=(GoneError,)))
    assert sorted(result.id for result in results) == sorted(outcomes)
    for result in results:
        gone, _ = outcomes[result.id]
        assert (result.value is None, isinstance(result.error, GoneError)) == (gone, gone)
        assert gone or (result.value, result.size) == ({"id": result.id}, 10)


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt, SystemExit])
def test_any_other_error_ends_it(error: type[BaseException], others: set[threading.Thread]) -> None:
    """It is raised where the results are read, and no thread fetches on."""
    fetch_count = count()

    def fetch(one: str) -> Value:
        if next(fetch_count) == 20:
            raise error
        return {}, 1

    ids = map(str, count())
    with pytest.raises(error):
        list(fetched(ids, fetch, threads=4, single=(GoneError,)))
    assert comes_true(lambda: fetching_threads() <= others)


def test_an_error_of_the_ids_is_raised_as_well() -> None:
    def ids() -> Iterator[str]:
        yield "a"
        raise BrokenError

    with pytest.raises(BrokenError):
        list(fetched(ids(), small, threads=3, single=(GoneError,)))


def test_who_stops_reading_stops_the_threads(others: set[threading.Thread]) -> None:
    """Soon: they end after the call that they make."""
    made = count()

    def fetch(one: str) -> Value:
        next(made)
        time.sleep(0.001)
        return {}, 1

    results = fetched(map(str, count()), fetch, threads=8, single=())
    assert len(list(islice(results, 20))) == 20
    results.close()  # type: ignore[attr-defined]
    assert comes_true(lambda: fetching_threads() <= others)
    before = next(made)
    time.sleep(0.05)
    assert next(made) == before + 1


def test_threads_that_wait_for_room_are_stopped_too(
    monkeypatch: pytest.MonkeyPatch, others: set[threading.Thread]
) -> None:
    monkeypatch.setattr(fetching, "_HELD_BYTES", 1)
    results = fetched(map(str, count()), small, threads=8, single=())
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert comes_true(lambda: fetching_threads() <= others)


@pytest.mark.parametrize("threads", [1, 4, 16])
def test_a_slow_reader_bounds_what_is_held(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """There is never more than the room and one result for each thread; and all of it comes in the end."""
    monkeypatch.setattr(fetching, "_HELD_BYTES", 1_000)
    monkeypatch.setattr(fetching, "_REST_SECONDS", 0.005)
    lock = threading.Lock()
    held = most = 0

    def fetch(one: str) -> Value:
        nonlocal held, most
        with lock:
            held += 100
            most = max(most, held)
        return {}, 100

    def is_held(least: int) -> bool:
        return held >= least

    seen = 0
    for result in fetched(map(str, range(200)), fetch, threads=threads, single=()):
        seen += 1
        if seen % 40 == 1:
            # By now nothing more may be fetched, however long it takes.
            least = min(1_000, (201 - seen) * 100)
            assert comes_true(partial(is_held, least))
            time.sleep(0.03)
        with lock:
            held -= result.size
    assert seen == 200
    assert most <= 1_000 + 100 * threads + 100


@pytest.mark.parametrize("threads", [2, 8, 24])
def test_a_reader_that_is_slow_but_reads_has_little_before_it(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """A kill loses what waits; a reader that stops for a while does not stop the fetching."""
    asked: list[str] = []

    def fetch(one: str) -> Value:
        asked.append(one)
        return {}, 1

    most = 0
    with monkeypatch.context() as patch:
        # A busy machine does not make of it one that stops.
        patch.setattr(fetching, "_REST_SECONDS", 30)
        for seen, _ in enumerate(fetched(map(str, range(400)), fetch, threads=threads, single=())):
            most = max(most, len(asked) - seen)
            time.sleep(0.001)
    assert most <= 3 * threads

    asked.clear()
    results = fetched(map(str, count()), fetch, threads=threads, single=())
    next(results)
    assert comes_true(lambda: len(asked) > 10 * threads)
    results.close()  # type: ignore[attr-defined]


def test_ids_are_asked_for_when_their_turn_comes() -> None:
    """An endless listing is no matter, and none is asked for before the first result is."""
    asked = 0

    def ids() -> Iterator[str]:
        nonlocal asked
        for number in count():
            asked = number + 1
            yield str(number)

    gate = threading.Semaphore(0)

    def fetch(one: str) -> Value:
        gate.acquire()
        return {}, 1

    results = fetched(ids(), fetch, threads=3, single=())
    assert asked == 0
    gate.release()
    next(results)
    assert comes_true(lambda: asked == 4)
    time.sleep(0.02)
    assert asked == 4
    results.close()  # type: ignore[attr-defined]
    gate.release(10)


def test_no_ids_are_no_results() -> None:
    assert list(fetched([], small, threads=0, single=())) == []
    assert list(fetched([], small, threads=4, single=())) == []
