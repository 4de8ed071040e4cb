"""Whatever happens to calls, the rules of a `Pace` hold, and some later moment lets a call go out."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from lorchestra.sources.pace import CALLS_MAX, Pace, Permit, Quota, Refusal
from tests.sources.quota_simulation import GET, REGIMES

MINUTES = [0.0, 10.0, 59.0, 3_600.0]


def next_moment(pace: Pace, method: str, now: float) -> float:
    """When the next call may go out, if nothing else happens."""
    for _ in range(100):
        wait = pace.seconds_until(method, now)
        assert wait is not None, "a call waits for an answer, and none is under way"
        if wait == 0:
            return now
        now += max(wait, 1e-6)
    raise AssertionError("the moment moves away")


class Calls(RuleBasedStateMachine):
    """Calls that go out when they may, and end in any way and order."""

    under_way = Bundle("under_way")

    @initialize(
        quota=st.sampled_from(["auto", "new", "old"]),
        units_per_minute=st.none() | st.integers(1, 100_000),
        recognised=st.sampled_from([None, "new"]),
    )
    def begin(self, quota: Quota, units_per_minute: int | None, recognised: str | None) -> None:
        self.now = 1_000_000.0
        self.pace = Pace(
            REGIMES, now=self.now, quota=quota, units_per_minute=units_per_minute, recognised=recognised
        )
        self.permits: list[Permit] = []
        self.left_alone_until = 0.0
        self.refused = 0

    @rule(target=under_way, method=st.sampled_from([GET, "history.list", "getProfile"]))
    def send(self, method: str) -> Permit | None:
        if self.pace.seconds_until(method, self.now) != 0:
            return None
        assert self.now >= self.left_alone_until
        was_throttled = self.pace.refused_for(self.now) > 0
        permit = self.pace.permit(method, self.now)
        assert permit.probes or not was_throttled
        self.permits.append(permit)
        return permit

    @rule(target=under_way)
    def send_at_the_next_moment(self) -> Permit | None:
        if not self.permits:
            self.now = next_moment(self.pace, GET, self.now)
        return self.send(GET)

    @rule(seconds=st.floats(0, 900) | st.sampled_from(MINUTES))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(permit=consumes(under_way))
    def accept(self, permit: Permit | None) -> None:
        if self._ends(permit):
            self.pace.accepted(permit, self.now)

    @rule(permit=consumes(under_way))
    def lose(self, permit: Permit | None) -> None:
        if self._ends(permit):
            self.pace.ended(permit)

    @rule(
        permit=consumes(under_way),
        refusal=st.sampled_from(list(Refusal)),
        seconds=st.just(0.0) | st.floats(0, 900),
    )
    def refuse(self, permit: Permit | None, refusal: Refusal, seconds: float) -> None:
        if self._ends(permit):
            self.pace.refused(permit, refusal, self.now, wait_seconds=seconds)
            self.left_alone_until = max(self.left_alone_until, self.now + seconds)
            self.refused += 1

    def _ends(self, permit: Permit | None) -> bool:
        if permit is None:
            return False
        self.permits.remove(permit)
        return True

    @invariant()
    def no_more_are_under_way_than_may_be(self) -> None:
        assert len(self.permits) <= CALLS_MAX

    @invariant()
    def one_call_at_most_sees_whether_the_door_is_open(self) -> None:
        if self.pace.refused_for(self.now) > 0:
            present = max((permit.episode for permit in self.permits), default=0)
            assert sum(permit.probes and permit.episode == present for permit in self.permits) <= 1

    @invariant()
    def what_is_told_adds_up(self) -> None:
        assert self.pace.refusals == self.refused
        assert 0 <= self.pace.refused_for(self.now) <= self.pace.throttled_seconds(self.now)

    def teardown(self) -> None:
        """No deadlock: once what is under way has ended, a moment comes, in an hour at most or when asked."""
        if not hasattr(self, "pace"):
            return
        for permit in self.permits:
            self.pace.ended(permit)
        moment = next_moment(self.pace, GET, self.now)
        # A call of 20 units under one unit a minute, slowed down to a fiftieth, owed by sixteen calls.
        assert moment <= max(self.now, self.left_alone_until) + 17 * 20 * 60 * 50 * 1.1 + 60


Calls.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
test_no_order_of_events_breaks_a_rule = Calls.TestCase


def permits_at_once(pace: Pace, now: float) -> list[Permit]:
    """As many calls as may be under way."""
    permits = []
    while pace.seconds_until(GET, now) is not None:
        now = next_moment(pace, GET, now)
        permits.append(pace.permit(GET, now))
    return permits


def test_calls_at_once_are_halved_by_a_refusal_and_come_back_one_by_one() -> None:
    """Each fifty calls that are let in are followed by one more at a time."""
    pace = Pace(REGIMES, now=0.0, quota="new")
    first, *others = permits_at_once(pace, 0.0)
    assert 1 + len(others) == CALLS_MAX
    pace.refused(first, Refusal.CONCURRENCY, 100.0)
    for permit in others:
        pace.refused(permit, Refusal.CONCURRENCY, 100.0)
    now, found = 200.0, []
    for _ in range(CALLS_MAX):
        probe = pace.permit(GET, next_moment(pace, GET, now))
        pace.accepted(probe, now)
        permits = permits_at_once(pace, now)
        found.append(len(permits))
        for permit in permits:
            pace.accepted(permit, now)
        while pace.units // REGIMES["new"].costs[GET] % 50:
            now = next_moment(pace, GET, now + 1.0)
            pace.accepted(pace.permit(GET, now), now)
    half = CALLS_MAX // 2
    assert found == [*range(half, CALLS_MAX), *[CALLS_MAX] * half]


@pytest.mark.parametrize("refusal", [Refusal.PROJECT, Refusal.CONCURRENCY])
def test_only_the_limit_of_the_user_shows_the_regime(refusal: Refusal) -> None:
    """What a project or a number of calls meets says nothing of what a user may use."""
    pace = Pace(REGIMES, now=0.0)
    assert not pace.refused(pace.permit(GET, 0.0), refusal, 0.1)
    assert pace.regime.name == "old"
    pace = Pace(REGIMES, now=0.0)
    assert pace.refused(pace.permit(GET, 0.0), Refusal.USER, 0.1)
    assert (pace.regime.name, pace.recognised) == ("new", "new")


@pytest.mark.parametrize("quota", ["old", "new"])
def test_a_regime_that_was_set_is_never_left(quota: Quota) -> None:
    pace = Pace(REGIMES, now=0.0, quota=quota, recognised="new")
    assert not pace.refused(pace.permit(GET, 0.0), Refusal.USER, 0.1)
    assert pace.seconds_until(GET, 10_000.0) == 0
    assert pace.recognised == pace.regime.name == quota


def test_more_than_two_minutes_units_in_a_minute_are_no_sign_of_the_smaller_limits() -> None:
    """However a provider counts, the smaller limits never let in more than that."""
    for messages, recognised in ((600, True), (601, False)):
        pace = Pace(REGIMES, now=0.0)
        for number in range(messages):
            at = number * 59 / messages
            pace.accepted(pace.permit(GET, at), at)
        assert pace.refused(pace.permit(GET, 59.5), Refusal.USER, 59.5) is recognised


def test_a_late_refusal_is_obeyed_as_well() -> None:
    """A call that went out before the others were refused may be answered when calls go out again."""
    pace = Pace(REGIMES, now=0.0)
    early, late = pace.permit(GET, 0.0), pace.permit(GET, 0.0)
    pace.refused(early, Refusal.USER, 0.1)
    pace.accepted(pace.permit(GET, 5.0), 5.1)
    pace.refused(late, Refusal.USER, 6.0, wait_seconds=30.0)
    assert next_moment(pace, GET, 6.0) >= 36.0
