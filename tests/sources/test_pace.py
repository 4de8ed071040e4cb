"""Calls go out as fast as a limit allows and no faster, whichever limit it is and however it is counted.

Everything here is virtual time: see `quota_simulation`.
"""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorchestra.sources.pace import CALLS_MAX, Pace, Quota
from tests.sources.quota_simulation import (
    GET,
    MODELS,
    REGIMES,
    Others,
    Provider,
    Simulation,
    limit_by,
    simulate,
)

LIMITS = {name: regime.user_units_per_minute for name, regime in REGIMES.items()}
#: What takes about 100 s and 40 s.
MESSAGES = {"new": 500, "old": 2_000}

latencies = st.floats(0.005, 0.4)
seeds = st.integers(0, 2**32)
models = st.sampled_from(MODELS)


@given(st.sampled_from([("new", "new"), ("old", "old"), ("old", "auto")]), models, latencies, seeds)
@settings(deadline=None, max_examples=20)
def test_a_known_limit_is_used_and_never_met(
    case: tuple[str, Quota], model: str, latency: float, seed: int
) -> None:
    """Nine tenths at least, of what so many calls under way can use; the larger limits are believed in."""
    regime, quota = case
    done = simulate(regime, quota, model, MESSAGES[regime], latency=latency, seed=seed)
    assert done.pace.refusals == 0
    assert done.used(LIMITS[regime]) >= 0.9 * done.possible(LIMITS[regime])
    assert done.most_sent() <= LIMITS[regime]
    assert done.most_under_way <= CALLS_MAX
    assert [name for _, name in done.regimes] == [regime]


@given(
    st.lists(st.sampled_from(sorted(REGIMES["new"].costs)), min_size=1, max_size=9),
    st.sampled_from(["new", "old"]),
    models,
    latencies,
)
@settings(deadline=None, max_examples=20)
def test_calls_of_different_costs_share_one_limit(
    methods: list[str], regime: Quota, model: str, latency: float
) -> None:
    """A listing between messages takes no more and no less than it costs."""
    provider = Provider(costs=REGIMES[regime], limit=limit_by(model, LIMITS[regime]))
    pace = Pace(REGIMES, now=0.0, quota=regime)
    done = Simulation(pace, provider, latency=latency).run(600, methods)
    assert done.pace.refusals == 0
    assert done.most_sent() <= LIMITS[regime]
    assert done.pace.units == sum(REGIMES[regime].costs[call.method] for call in done.calls)


@pytest.mark.parametrize("latency", [0.02, 0.4])
@pytest.mark.parametrize("model", MODELS)
def test_the_smaller_limits_are_recognised_at_the_first_refusal(model: str, latency: float) -> None:
    """Over 5,000 messages that costs no more than one call of a hundred, and a tenth of the time."""
    done = simulate("new", "auto", model, 5_000, latency=latency)
    first_refusal = done.left_alone[0][1]
    assert done.regimes[1] == (first_refusal, "new")
    assert done.used(LIMITS["new"], since=60.0) >= 0.9
    assert done.refused_share() <= 0.01


@pytest.mark.parametrize("model", MODELS)
def test_larger_limits_are_tried_after_twenty_minutes_and_then_more_seldom(model: str) -> None:
    """Each trial is over at its first refusal; the next one waits for twice as long."""
    done = simulate("new", "auto", model, 20_500)
    names = [name for _, name in done.regimes]
    assert names[:5] == ["old", "new", "old", "new", "old"]
    times = [time for time, _ in done.regimes]
    lasted = [later - earlier for earlier, later in pairwise(times)]
    for waited, minutes in zip(lasted[1::2], (20, 40), strict=False):
        assert minutes * 60 <= waited < minutes * 60 + 5
    assert all(tried < 10 for tried in lasted[0::2])
    assert done.refused_share() <= 0.01


@pytest.mark.parametrize("model", MODELS)
def test_smaller_limits_that_an_earlier_run_found_are_begun_with(model: str) -> None:
    done = simulate("new", "auto", model, 1_500, recognised="new")
    assert done.pace.refusals == 0
    assert done.pace.recognised == "new"


@pytest.mark.parametrize("recognised", ["new", None])
def test_limits_taken_for_the_smaller_ones_by_mistake_are_found_out(recognised: str | None) -> None:
    """Another process that leaves next to nothing looks like a smaller limit: for twenty minutes."""
    others = None if recognised else Others(units_per_minute=0.95 * LIMITS["old"], since=0.0, until=90.0)
    done = simulate("old", "auto", "bucket of a second", 9_000, others=others, recognised=recognised)
    assert [name for _, name in done.regimes][-2:] == ["new", "old"]
    assert 1_200 <= done.regimes[-1][0] < 1_300
    assert done.used(LIMITS["old"], since=done.regimes[-1][0] + 5) >= 0.9
    assert done.pace.recognised is None


@pytest.mark.parametrize(
    ("regime", "model", "quota"),
    [
        *(("new", model, quota) for model in MODELS for quota in ("new", "auto")),
        ("old", "sliding window", "auto"),
        ("old", "bucket of a second", "auto"),
    ],
)
def test_beside_another_process_the_rate_falls_and_recovers(regime: str, model: str, quota: Quota) -> None:
    """Half of the quota is used by someone else for a while; then it is all ours again, by itself."""
    limit = LIMITS[regime]
    begins, ends = (120.0, 420.0) if regime == "new" else (30.0, 150.0)
    others = Others(units_per_minute=0.5 * limit, since=begins, until=ends)
    done = simulate(regime, quota, model, 3_600 if regime == "new" else 20_000, others=others)
    recovered = ends + 260
    assert done.now > recovered + 30
    assert done.used(limit / 2, since=begins, until=ends) >= 0.85
    assert done.used(limit, since=recovered) >= 0.9
    assert done.refused_share() <= 0.03
    if regime == "old":
        assert [name for _, name in done.regimes] == ["old"]


@pytest.mark.parametrize("model", MODELS)
def test_a_lower_limit_than_believed_is_found_and_used(model: str) -> None:
    """Nobody says which limit it is: the rate gives way until it fits."""
    provider = Provider(costs=REGIMES["old"], limit=limit_by(model, 6_000))
    done = Simulation(Pace(REGIMES, now=0.0, quota="old"), provider).run(6_000)
    assert done.used(6_000, since=60.0) >= 0.9
    assert done.refused_share() <= 0.01


@given(st.integers(2_000, 15_000), st.sampled_from(["new", "old"]), models, latencies)
@settings(deadline=None, max_examples=20)
def test_a_limit_of_ones_own_replaces_that_of_the_user(
    limit: int, regime: Quota, model: str, latency: float
) -> None:
    """As where a proxy allows less, or more, than Google."""
    provider = Provider(costs=REGIMES[regime], limit=limit_by(model, limit))
    pace = Pace(REGIMES, now=0.0, quota=regime, units_per_minute=limit)
    messages = max(200, limit // REGIMES[regime].costs[GET] // 2)
    done = Simulation(pace, provider, latency=latency).run(messages)
    assert done.pace.refusals == 0
    assert done.used(limit) >= 0.9 * done.possible(limit)
    assert done.most_sent() <= limit


@given(st.floats(2.0, 90.0), models, latencies, seeds)
@settings(deadline=None, max_examples=20)
def test_nobody_calls_before_the_provider_wants_it(
    wait_seconds: float, model: str, latency: float, seed: int
) -> None:
    """Each refusal with a time counts, also that of a call that was long under way."""
    provider = Provider(costs=REGIMES["old"], limit=limit_by(model, 2_000), wait_seconds=wait_seconds)
    done = Simulation(Pace(REGIMES, now=0.0, quota="old"), provider, latency=latency, seed=seed).run(600)
    assert done.left_alone
    for until, heard in done.left_alone:
        assert not [call.sent for call in done.calls if heard < call.sent < until]


@pytest.mark.parametrize("at_once", [1, 3, 10, 15])
def test_a_limit_of_calls_at_once_is_found_without_slowing_down(at_once: int) -> None:
    """Fewer are under way, and the units of the minute are used by those as far as they can."""
    provider = Provider(
        costs=REGIMES["new"], limit=limit_by("sliding window", LIMITS["new"]), at_once=at_once
    )
    done = Simulation(Pace(REGIMES, now=0.0, quota="new"), provider, latency=0.1).run(1_500)
    assert done.refused_share() <= 0.03
    assert done.used(LIMITS["new"], since=30.0) >= 0.85
