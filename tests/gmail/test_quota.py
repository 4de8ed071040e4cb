"""Quota is exact, in each way in which Google may count."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.gmail.client import Client, error_of, refresh
from tests.gmail.front import gmail_service
from tests.gmail.mailbox import made_messages
from tests.gmail.quota import Model, limit_of

MADE = list(made_messages(1))


@pytest.mark.parametrize(
    ("model", "at_once", "at_59_9", "at_60"),
    [("bucket", 100, 99, 100), ("window", 100, 0, 100), ("minute", 100, 0, 100)],
)
def test_a_minute_has_its_units_in_each_model(model: Model, at_once: int, at_59_9: int, at_60: int) -> None:
    def taken(now: float) -> int:
        return sum(limit.take(1, now) for _ in range(300))

    limit = limit_of(model, 100, 60.0, None)
    assert taken(0.0) == at_once
    assert taken(59.9) == at_59_9
    limit = limit_of(model, 100, 60.0, None)
    assert taken(0.0) == at_once
    assert taken(60.0) == at_60
    assert taken(60.0) == 0


def test_only_fixed_minutes_let_two_bursts_meet() -> None:
    for model, expected in (("bucket", 1), ("window", 0), ("minute", 100)):
        limit = limit_of(model, 100, 60.0, None)  # type: ignore[arg-type]
        assert sum(limit.take(1, 59.5) for _ in range(300)) == 100
        assert sum(limit.take(1, 60.2) for _ in range(300)) == expected


@pytest.mark.parametrize("model", ["bucket", "window", "minute"])
def test_quota_is_exact_over_many_connections(model: Model) -> None:
    with gmail_service(
        MADE, quota="new", user_units_per_minute=400, model=model, minute_seconds=600.0, retry_after=7
    ) as service:
        token = refresh(service).json()["access_token"]
        url = f"{service.endpoint}/gmail/v1/users/me/messages/{MADE[0].id}?format=minimal"

        def call(_: int) -> requests.Response:
            return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(call, range(60)))
        # A bucket gets a message's worth of units back in 30 s, which this does not take.
        assert (service.accepted, service.accepted_units, service.refused) == (20, 400, 40)
        refused = [response for response in answers if response.status_code != 200]
        reasons = {(r.status_code, error_of(r)["errors"][0]["reason"]) for r in refused}
        assert reasons == {
            (403, "rateLimitExceeded"),
            (403, "userRateLimitExceeded"),
            (429, "rateLimitExceeded"),
        }
        assert {response.headers["Retry-After"] for response in refused} == {"7"}
        assert all(error_of(r)["message"].startswith("Quota exceeded for quota metric") for r in refused)


def test_the_bucket_fills_up_again_and_old_costs_are_lower() -> None:
    with gmail_service(MADE, quota="old", user_units_per_minute=100, minute_seconds=1.0) as service:
        client = Client(service)
        service.reset_log()
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            client.get(f"/messages/{MADE[0].id}", format="minimal")
        assert service.first_call_at is not None
        assert service.last_call_at is not None
        allowed = 100 + 100 * (service.last_call_at - service.first_call_at)
        assert allowed - 5 < service.accepted_units <= allowed
        assert service.accepted_units == 5 * service.accepted


def test_too_many_calls_at_once_are_refused() -> None:
    with gmail_service(MADE, concurrent_limit=2, latency=0.3) as service:
        token = refresh(service).json()["access_token"]
        url = f"{service.endpoint}/gmail/v1/users/me/profile"

        def call(_: int) -> requests.Response:
            return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(call, range(6)))
        assert sorted(response.status_code for response in answers) == [200, 200, 429, 429, 429, 429]
        messages = {error_of(r)["message"] for r in answers if r.status_code == 429}
        assert messages == {"Too many concurrent requests for user"}
        assert (service.accepted, service.refused) == (2, 4)
