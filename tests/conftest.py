"""What all tests share: an environment without settings, and an empty store."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lorchestra.stores import Store, open_store
from tests.emulator.front import ServiceFront, service_front
from tests.emulator.process import running_emulator

_SETTINGS = {"EVENTS_BQ_DATASET", "EVENT_LOG_TABLE", "RAW_OBJECTS_TABLE", "TRACEPARENT"}
_SERVICE_SETTINGS = ("BIGQUERY_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT")

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are cores: who waits for a process, or for the next second, leaves a core idle."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _no_service_from_outside() -> Iterator[None]:
    """No test reaches a service that whoever runs it uses, but for those that were made for it."""
    with pytest.MonkeyPatch.context() as outside:
        if "LORCHESTRA_LIVE_PROJECT" not in os.environ:
            for name in _SERVICE_SETTINGS:
                outside.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the settings of whoever runs it; subprocesses of tests do not either."""
    for name in list(os.environ):
        if name.startswith("LORCHESTRA_") or name in _SETTINGS:
            monkeypatch.delenv(name)


@pytest.fixture
def open_file(tmp_path: Path) -> Callable[..., Store]:
    """Open a DuckDB store below `tmp_path`: `open_file("a.duckdb", busy_timeout_seconds=1)`."""

    def open_at(name: str = "lorchestra.duckdb", **options: str | float) -> Store:
        return open_store(f"duckdb:///{tmp_path / name}", **options)  # type: ignore[arg-type]

    return open_at


@pytest.fixture
def duckdb_store(open_file: Callable[..., Store]) -> Store:
    """An empty DuckDB store, for tests that need a store and do not care which."""
    return open_file()


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The endpoint of a BigQuery emulator."""
    with running_emulator() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def _front(emulator: str) -> Iterator[ServiceFront]:
    with service_front(emulator) as front:
        yield front


@pytest.fixture
def bigquery_service(_front: ServiceFront, monkeypatch: pytest.MonkeyPatch) -> ServiceFront:
    """The emulator behind its front, where this process and those it starts find it, without faults."""
    _front.reset()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", _front.endpoint)
    return _front
