"""A few kills at random moments; `python -m tests.reliability.kill_loop` does as many as you like."""

import random
import sys

from tests.emulator.front import ServiceFront
from tests.reliability.kill_loop import kill_at_random, new_bigquery, new_duckdb


def test_a_command_killed_at_any_moment_leaves_nothing_wrong() -> None:
    seed = random.randrange(10**6)
    tally = kill_at_random(4, new_duckdb, chance=random.Random(seed), say=sys.stdout.write)
    assert not tally.complaints, f"seed {seed}: {tally.complaints}"


def test_the_same_on_bigquery(bigquery_service: ServiceFront) -> None:
    seed = random.randrange(10**6)
    tally = kill_at_random(2, new_bigquery, chance=random.Random(seed), say=sys.stdout.write)
    assert not tally.complaints, f"seed {seed}: {tally.complaints}"
