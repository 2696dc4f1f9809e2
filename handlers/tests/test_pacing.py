"""How fast a fan-out posts: a token bucket, and a slower rate while throttling is general. The clock is a number."""

from __future__ import annotations

import pytest
from roomcast.judge import Census
from roomcast.pacing import Bucket, Retries, Throttle
from roomcast.shares import Refusals

START = 1_000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets are made at ``START``."""
    monkeypatch.setattr("time.monotonic", lambda: START)


def posts(bucket: Bucket, seconds: float, begin: float = START) -> list[float]:
    """When posts go out if each is sent as soon as the bucket allows."""
    now, sent = begin, []
    while now <= begin + seconds:
        if wait := bucket.wait(now):
            assert wait > 0
            now += max(wait, 1e-6)  # as a clock does, however little is missing
        else:
            bucket.take()
            sent.append(now - begin)
            assert len(sent) < 100_000, "there is no limit"
    return sent


class TestBucket:
    """Posts per second."""

    @pytest.mark.parametrize("pace", [0.25, 1, 2.5, 10, 300])
    def test_after_a_burst_of_a_second_posts_keep_the_pace(self, pace: float) -> None:
        sent = posts(Bucket(pace), 20)

        burst = sum(at < 0.001 for at in sent)
        assert burst == max(1, int(pace))
        assert len(sent) == pytest.approx(max(1, pace) + 20 * pace, abs=1.5)

    @pytest.mark.parametrize("pace", [0.25, 1, 10])
    def test_idle_time_saves_no_more_than_a_second(self, pace: float) -> None:
        bucket = Bucket(pace)
        posts(bucket, 20)

        assert sum(at < 0.001 for at in posts(bucket, 5, START + 1_000)) == max(1, int(pace))

    def test_without_a_pace_nothing_waits(self) -> None:
        bucket = Bucket(0)

        assert not bucket.limited
        assert [bucket.wait(START + number / 1_000) for number in range(100)] == [0.0] * 100

    def test_an_unlimited_bucket_that_is_slowed_down_allows_no_burst(self) -> None:
        bucket = Bucket(0)
        bucket.set_rate(40.0, START + 7)

        assert bucket.wait(START + 7) == pytest.approx(1 / 40)
        assert len(posts(bucket, 5, START + 7)) == pytest.approx(5 * 40, abs=1.5)

    def test_a_limited_bucket_keeps_its_tokens_when_its_rate_changes(self) -> None:
        """Setting the rate ten times a second must not hold up posts."""
        bucket = Bucket(100)
        posts(bucket, 1)
        now, sent = START + 1, 0
        for check in range(1, 101):
            bucket.set_rate(50.0, now)
            sent += len(posts(bucket, 0.1, now))
            now = START + 1 + check / 10
        assert sent == pytest.approx(10 * 50, rel=0.1)

    def test_a_limit_can_end(self) -> None:
        bucket = Bucket(0)
        bucket.set_rate(20.0, START)
        bucket.set_rate(float("inf"), START + 1)

        assert not bucket.limited
        assert bucket.wait(START + 1) == 0.0


class Answers:
    """Answers to a fan-out's posts, and the throttle that sees them.

    Args:
        pace: As of ``Bucket``.
    """

    def __init__(self, pace: float = 0) -> None:
        self.bucket = Bucket(pace)
        self.throttle = Throttle(self.bucket, START)
        self.now = START
        self.delivered = self.throttled = 0
        self.retries = Retries()

    def come(
        self,
        delivered: int,
        throttled: int,
        seconds: float = 1.0,
        *,
        again: int = 0,
        passed: int = 0,
        recovered: int = 0,
    ) -> float:
        """Some more answers, after so many seconds; gives the rate."""
        self.now += seconds
        self.delivered += delivered
        self.throttled += throttled
        come = (again, passed, recovered)
        self.retries = Retries(*(before + more for before, more in zip(self.retries, come, strict=True)))
        self.throttle.adapt(self.delivered, self.throttled, self.now, self.retries)
        return self.bucket.rate


class TestThrottle:
    """A slower rate while throttling is general."""

    @pytest.mark.parametrize(("delivered", "throttled"), [(1_000, 0), (900, 100), (700, 300), (100, 50)])
    def test_with_a_third_refused_at_most_the_pace_stays(self, delivered: int, throttled: int) -> None:
        answers = Answers()

        assert answers.come(delivered, throttled) == float("inf")
        assert not answers.throttle.general

    @pytest.mark.parametrize(("delivered", "throttled"), [(600, 400), (60, 40), (0, 200), (99, 51)])
    def test_with_more_refused_posts_go_out_slower_than_they_were_answered(
        self, delivered: int, throttled: int
    ) -> None:
        answers = Answers()
        rate = answers.come(delivered, throttled, seconds=0.5)

        assert answers.throttle.general
        achieved = (delivered + throttled) / 0.5
        assert 0.5 * achieved <= rate <= 0.9 * achieved

    @pytest.mark.parametrize("delivered", [0, 40])
    @pytest.mark.parametrize("recovered", [0, 3])
    def test_retries_of_members_that_do_not_read_say_nothing(self, delivered: int, recovered: int) -> None:
        answers = Answers()
        answers.come(100, 40)

        assert answers.come(delivered, 100, again=100, passed=90, recovered=min(delivered, recovered)) == float("inf")
        assert not answers.throttle.general

    def test_retries_that_end_a_guess_are_enough(self) -> None:
        """At first, sixty of a hundred that do not read look like throttling."""
        answers = Answers()
        answers.come(40, 60, seconds=0.1)
        assert answers.throttle.general
        answers.come(0, 60, seconds=0.1, again=60, passed=60)
        assert not answers.throttle.general

    @pytest.mark.parametrize(("delivered", "throttled", "again"), [(10, 90, 90), (6, 94, 60), (50, 50, 30), (0, 99, 0)])
    def test_retries_that_get_through_at_times_are_refused_as_any_post(
        self, delivered: int, throttled: int, again: int
    ) -> None:
        answers = Answers()
        answers.come(1_000, 0)
        answers.come(delivered, throttled, again=again, passed=again, recovered=delivered)
        assert answers.throttle.general

    def test_while_nobody_is_reached_retries_count(self) -> None:
        answers = Answers()
        answers.come(0, 100, again=90)
        assert answers.throttle.general

    def test_when_all_are_refused_since_a_moment_retries_count(self) -> None:
        """The account's quota is used up: posts that were under way then were passed by a few others."""
        answers = Answers()
        answers.come(500, 450)
        rates = [answers.come(0, 450, again=450, passed=50) for _ in range(5)]
        assert answers.throttle.general
        assert rates[-1] < 100

    def test_a_refusal_is_passed_when_others_were_reached_since_the_first_one(self) -> None:
        census, before, after = Census(), Refusals(), Refusals()
        census.count(before, 4, presumed=False)
        census.count(after, 5, presumed=False)
        for _ in range(3):
            census.count(before, 5, presumed=False)
            census.count(after, 5, presumed=False)
        assert census.retries == Retries(again=6, passed=3)

    def test_a_few_answers_say_nothing(self) -> None:
        answers = Answers()

        assert answers.come(0, 30) == float("inf")
        assert not answers.throttle.general
        # Together with the next ones they do.
        answers.come(0, 40)
        assert answers.throttle.general

    def test_what_was_answered_before_does_not_count_again(self) -> None:
        answers = Answers()
        answers.come(100_000, 0)
        answers.come(0, 100)
        assert answers.throttle.general
        answers.come(100, 0)
        assert not answers.throttle.general
        answers.come(60, 40)
        assert answers.throttle.general

    def test_each_further_observation_slows_down_but_never_to_a_standstill(self) -> None:
        answers = Answers(pace=1_000)
        rates = [answers.come(0, 60, seconds=60 / max(answers.bucket.rate, 1)) for _ in range(40)]

        assert rates == sorted(rates, reverse=True)
        assert rates[1] < rates[0] < 1_000
        assert 10 <= rates[-1] <= 50

    def test_the_rate_never_rises_while_posts_are_refused(self) -> None:
        """Ten answers a millisecond were possible before: that is no rate to go back to."""
        answers = Answers()
        slow = answers.come(0, 100, seconds=1.0)

        assert answers.come(0, 100, seconds=0.01) < slow

    @pytest.mark.parametrize("seconds", [0.25, 0.5, 1.0, 2.0])
    def test_it_rises_with_time_and_not_with_each_look(self, seconds: float) -> None:
        one, many = Answers(pace=100_000), Answers(pace=100_000)
        for each in (one, many):
            each.come(0, 1_000)
        slow = one.bucket.rate
        one.come(1_000, 0, seconds=seconds)
        for _ in range(5):
            many.come(200, 0, seconds=seconds / 5)

        assert one.bucket.rate == pytest.approx(many.bucket.rate)
        # From a standstill to the usual quota of 10,000 a second within an invocation.
        assert 350 * seconds <= one.bucket.rate - slow <= 2_000 * seconds

    @pytest.mark.parametrize("pace", [30, 500])
    def test_it_never_exceeds_the_pace(self, pace: float) -> None:
        answers = Answers(pace=pace)
        assert answers.come(0, 10_000) < pace or pace <= 30
        for _ in range(60):
            assert answers.come(100, 0) <= pace
        assert answers.bucket.rate == pace

    def test_a_pace_below_the_slowest_rate_stays(self) -> None:
        answers = Answers(pace=2)

        assert answers.come(0, 100) == 2

    def test_what_was_seen_long_ago_says_nothing_about_now(self) -> None:
        answers = Answers()
        answers.come(0, 100)
        answers.come(0, 1, seconds=1.0)
        assert answers.throttle.general
        answers.come(0, 1, seconds=2.0)
        assert not answers.throttle.general

    def test_a_new_fan_out_starts_at_full_pace(self) -> None:
        answers = Answers(pace=500)
        assert answers.come(0, 100) < 500
        throttle = Throttle(answers.bucket, answers.now)

        assert (answers.bucket.rate, throttle.general) == (500, False)
