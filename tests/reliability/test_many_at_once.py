"""Many processes on one store; `python -m tests.reliability.many 180` goes on for minutes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorchestra.stores import open_store
from tests.emulator.front import ServiceFront
from tests.reliability.many import check_account, many_at_once, project_of, shell
from tests.reliability.racer import Racer, running_racer

JOBS, RECORDS = 8, 5100


@pytest.fixture(scope="module")
def racer() -> Iterator[Racer]:
    with running_racer() as started:
        yield started


def test_eight_jobs_two_readers_and_a_shell_share_one_file(racer: Racer, tmp_path: Path) -> None:
    """All end with 0 and exact counts, each run has one start and one end, and nobody waits in vain."""
    project = project_of(tmp_path, jobs=JOBS, records=RECORDS)
    with shell(project.database, longest=0.4):
        did = many_at_once(racer, project, jobs=JOBS, records=RECORDS, passes=lambda number: number < 1)
    assert did["looks"] >= 2
    check_account(project, jobs=JOBS, records=RECORDS, runs=did["runs"])


def test_three_jobs_share_one_dataset(racer: Racer, bigquery_service: ServiceFront, tmp_path: Path) -> None:
    """Merges that conflict in BigQuery are tried again; the counts are exact all the same."""
    url = "bigquery://many-at-once/events_dev"
    with open_store(url) as store:
        store.create_tables()
    project = project_of(tmp_path, jobs=3, records=200, store_url=url)
    did = many_at_once(racer, project, jobs=3, records=200, passes=lambda number: number < 2)
    check_account(project, jobs=3, records=200, runs=did["runs"])
