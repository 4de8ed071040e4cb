"""What of a file is in memory while it goes up, and what becomes of an upload that is disturbed."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from google.api_core import exceptions as api
from google.cloud import bigquery

from lorchestra.store_url import BigQueryUrl
from lorchestra.stores.bigquery_client import Repetitions, make_client
from lorchestra.stores.bigquery_upload import PIECE_BYTES, load_in_pieces
from tests.emulator.front import (
    Fault,
    ServiceFront,
    answer,
    cut_before,
    keep_part,
    lose_answer,
    service_error,
)

SCHEMA = [bigquery.SchemaField("n", "INT64"), bigquery.SchemaField("text", "STRING")]
LINE_BYTES = 1024
SECRET = "Paracelsus-4711"


class NumberedLines:
    """A file of lines of JSON that is nowhere: what is read of it is made."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (self._size if whence == io.SEEK_END else 0)
        return self._at

    def read(self, size: int) -> bytes:
        begin, end = self._at, min(self._at + size, self._size)
        first, last = begin // LINE_BYTES, -(-end // LINE_BYTES)
        lines = b"".join(line(number) for number in range(first, last))
        self._at = end
        return lines[begin - first * LINE_BYTES :][: end - begin]


def line(number: int) -> bytes:
    return (b'{"n": %d, "text": "' % number).ljust(LINE_BYTES - 3, b"x") + b'"}\n'


class Desk:
    """A client with a table of its own."""

    def __init__(self) -> None:
        project = f"p{uuid4().hex[:20]}"
        self.client = make_client(BigQueryUrl(project=project))
        self.client.create_dataset("d")
        self.table = self.client.create_table(bigquery.Table(f"{project}.d.t", schema=SCHEMA))

    def load(self, size: int, *, job_id: str = "load", seconds: float = 4) -> bigquery.LoadJob:
        config = bigquery.LoadJobConfig(
            source_format="NEWLINE_DELIMITED_JSON", schema=SCHEMA, write_disposition="WRITE_TRUNCATE"
        )
        new: Any = bigquery.LoadJob
        job = new(job_id, None, self.table.reference, self.client, config)
        file: Any = NumberedLines(size)
        return load_in_pieces(self.client, file, job, Repetitions(seconds))

    def rows(self) -> tuple[int, int]:
        """How many lines are in the table, and how many different ones."""
        found = self.client.query(
            f"SELECT COUNT(*) AS lines, COUNT(DISTINCT n) AS different FROM `{self.table.reference}`"
        )
        [row] = found.result()
        return row["lines"], row["different"]


@pytest.fixture
def desk(bigquery_service: ServiceFront) -> Iterator[Desk]:
    desk = Desk()
    bigquery_service.reset()
    yield desk
    desk.client.close()


def pieces(service: ServiceFront) -> list[tuple[int | None, int | None]]:
    """The status and the size of each request that sent a part of a file or asked how far it came."""
    return [(one.status, one.size) for one in service.seen("PUT", "^/upload/")]


def failing(status: int, reason: str) -> Any:
    return answer(status, service_error(status, reason, f"What the service says, {SECRET}."))


def second_piece(action: Any, **more: Any) -> Fault:
    return Fault(method="PUT", path="^/upload/", action=action, **({"after": 1} | more))


def test_a_file_goes_up_piece_by_piece(desk: Desk, bigquery_service: ServiceFront) -> None:
    """One request begins the job, each of the others carries a piece, and all lines arrive."""
    desk.load(2 * PIECE_BYTES + 5 * LINE_BYTES).result()
    assert len(bigquery_service.seen("POST", "^/upload/")) == 1
    assert pieces(bigquery_service) == [(308, PIECE_BYTES), (308, PIECE_BYTES), (200, 5 * LINE_BYTES)]
    lines = (2 * PIECE_BYTES) // LINE_BYTES + 5
    assert desk.rows() == (lines, lines)


@pytest.mark.parametrize("size", [LINE_BYTES, PIECE_BYTES, 2 * PIECE_BYTES])
def test_the_last_piece_may_be_the_first_or_a_full_one(
    desk: Desk, bigquery_service: ServiceFront, size: int
) -> None:
    """No empty piece follows, and none is missing."""
    desk.load(size).result()
    full_ones = [PIECE_BYTES] * (size // PIECE_BYTES)
    assert [sent for _, sent in pieces(bigquery_service)] == (full_ones or [size])
    assert desk.rows() == (size // LINE_BYTES,) * 2


def test_a_piece_is_all_that_is_in_memory(emulator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the file."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator)
    desk = Desk()
    desk.load(LINE_BYTES, job_id="warm").result()
    tracemalloc.start()
    try:
        job = desk.load(8 * PIECE_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    job.result()
    # Making a piece takes two more of its size in this test, before it is sent.
    assert peak < 4 * PIECE_BYTES
    desk.client.close()


DISTURBED = [
    ("it is cut", second_piece(cut_before())),
    ("its answer is lost", second_piece(lose_answer())),
    ("it is refused for a moment", second_piece(failing(503, "backendError"))),
    ("there are too many", second_piece(failing(429, "rateLimitExceeded"), times=2)),
    ("half of it is kept", second_piece(keep_part(PIECE_BYTES // 2))),
    ("nothing of the first is kept", second_piece(answer(308, {}), after=0)),
    ("the answer to the last is lost", second_piece(lose_answer(), after=2)),
]


@pytest.mark.parametrize("fault", [case[1] for case in DISTURBED], ids=[case[0] for case in DISTURBED])
def test_a_disturbed_upload_goes_on_where_it_was(
    desk: Desk, bigquery_service: ServiceFront, fault: Fault
) -> None:
    """It begins once, no more than a piece is sent twice, and each line arrives once."""
    bigquery_service.fail(fault)
    size = 2 * PIECE_BYTES + 5 * LINE_BYTES

    desk.load(size).result()

    assert len(bigquery_service.seen("POST", "^/upload/")) == 1
    sent = sum(bytes_ or 0 for status, bytes_ in pieces(bigquery_service))
    assert sent <= size + PIECE_BYTES * 2
    assert desk.rows() == (size // LINE_BYTES,) * 2


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_that_the_service_forgot_begins_anew(
    desk: Desk, bigquery_service: ServiceFront, status: int
) -> None:
    """The service may drop an upload in the middle; the file is there still, and nothing is loaded twice."""
    bigquery_service.fail(second_piece(failing(status, "notFound")))
    size = 2 * PIECE_BYTES
    desk.load(size).result()
    assert len(bigquery_service.seen("POST", "^/upload/")) == 2
    assert desk.rows() == (size // LINE_BYTES,) * 2


def test_a_piece_that_is_refused_for_good_is_one_error(desk: Desk, bigquery_service: ServiceFront) -> None:
    """What will not pass is not repeated."""
    bigquery_service.fail(second_piece(failing(403, "quotaExceeded"), times=1000))
    with pytest.raises(api.Forbidden):
        desk.load(2 * PIECE_BYTES)
    assert [status for status, _ in pieces(bigquery_service)] == [308, 403]


def test_an_upload_that_stands_still_comes_to_an_end(desk: Desk, bigquery_service: ServiceFront) -> None:
    """The service answers, and keeps nothing: there is an end to that."""
    bigquery_service.fail(second_piece(answer(308, {}), after=0, times=1000))
    with pytest.raises(ConnectionError):
        desk.load(PIECE_BYTES * 2, seconds=1)
    assert desk.rows() == (0, 0)
