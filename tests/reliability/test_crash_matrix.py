"""The crash matrix: a run fails at each of its points, in each way, on each store."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorchestra.steps import Step
from tests.emulator.front import ServiceFront
from tests.reliability import page
from tests.reliability.host import Host, running_host
from tests.reliability.laws import Verdict
from tests.reliability.matrix import POINTS, SEGMENT_RECORDS, STORES, Point, columns, run_column


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with running_host() as host:
        yield host


def points_of(store: str, failure: str) -> list[Point]:
    """All points, or of BigQuery every third: the emulator takes its time. Neighbours take the others."""
    if store == "duckdb":
        return list(POINTS)
    return list(POINTS[columns().index((store, failure)) % 3 :: 3])


@pytest.mark.parametrize(("store", "failure"), columns())
def test_the_next_command_finds_its_way(
    host: Host, store: str, failure: str, tmp_path: Path, bigquery_service: ServiceFront
) -> None:
    points = points_of(store, failure)
    # One run of a column is the installed command: what is seen of the others holds of it too.
    installed = random.choice(points).step if store == "duckdb" else None
    cells = run_column(host, store, failure, tmp_path, bigquery_service, points=points, installed=installed)

    wrong = [f"{cell.name}: {one}" for cell in cells for one in page.complaints(cell)]
    assert not wrong, "\n".join(wrong)
    words, codes = page.column_of(cells)
    told, told_codes = page.parse(page.PAGE.read_text(encoding="utf-8"))[store, failure]
    assert {point: told[point] for point in words} == words, page.__doc__
    if len(points) == len(POINTS):
        assert told_codes == codes, page.__doc__


def test_the_page_is_its_text_and_its_tables() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.render(page.parse(text)) == text, page.__doc__
    assert set(page.parse(text)) == set(columns())


def test_what_the_disk_does_not_take_when_a_segment_is_closed_is_read_again(
    host: Host, tmp_path: Path, bigquery_service: ServiceFront
) -> None:
    """Small records are in a buffer until then; the disk is full when the last of them is."""
    last = Point(Step.EXTRACTED, 2 * SEGMENT_RECORDS, 2 * SEGMENT_RECORDS)
    [cell] = run_column(host, "duckdb", "spool full", tmp_path, bigquery_service, points=[last], small=True)

    assert Verdict(cell).complaints() == []
    assert cell.before["torn"]
    assert len(cell.before["objects"]) == SEGMENT_RECORDS
    assert cell.before["kept"] == []
    ended = next(e for e in cell.before["events"] if e["event_type"] == "ingestion.failed")
    assert json.loads(ended["payload"])["records_extracted"] == last.extracted


@pytest.mark.parametrize("store", STORES)
def test_what_was_extracted_outlives_its_source(
    host: Host, store: str, tmp_path: Path, bigquery_service: ServiceFront
) -> None:
    """The source is gone when the next command comes: it fails, and stores what was kept all the same."""
    [cell] = run_column(
        host,
        store,
        "exception",
        tmp_path,
        bigquery_service,
        points=[point for point in POINTS if point.step == Step.EXTRACTED],
        without_source=True,
    )

    assert cell.next is not None
    assert cell.next.code == 1
    assert (len(cell.before["objects"]), len(cell.before["kept"])) == (4, 2)
    assert [row["idem_key"] for row in cell.after["objects"]] == sorted(
        [*(row["idem_key"] for row in cell.before["objects"]), *cell.before["kept"]]
    )
    assert cell.after["files"] == []
