"""Paces and shares of time broken on purpose."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

PACING = "handlers/roomcast/pacing.py"
WORKER = "handlers/fanout_worker.py"
PACING_TESTS = "handlers/tests/test_pacing.py"
DEADLINES = "handlers/tests/test_deadlines.py"
BUCKET = f"{PACING_TESTS}::TestBucket"
THROTTLE = f"{PACING_TESTS}::TestThrottle"

MUTANTS = (
    Mutant(
        "counts the refusals of the whole fan-out in each share",
        (Edit(PACING, "refused = throttled - self._throttled", "refused = throttled"),),
        units=(f"{THROTTLE}::test_what_was_answered_before_does_not_count_again",),
    ),
    Mutant(
        "raises the rate with each look instead of with time",
        (Edit(PACING, "self.INCREASE * (now - self._since)", "self.INCREASE"),),
        units=(f"{THROTTLE}::test_it_rises_with_time_and_not_with_each_look",),
    ),
    Mutant(
        "goes back to an earlier rate while posts are refused",
        (Edit(PACING, "min(bucket.rate, achieved) * self.DECREASE", "achieved * self.DECREASE"),),
        units=(f"{THROTTLE}::test_the_rate_never_rises_while_posts_are_refused",),
    ),
    Mutant(
        "saves idle time for a burst",
        (
            Edit(
                PACING,
                "min(max(1.0, self.rate), self._tokens + (now - self._filled_at) * self.rate)",
                "self._tokens + (now - self._filled_at) * self.rate",
            ),
        ),
        units=(f"{BUCKET}::test_idle_time_saves_no_more_than_a_second",),
    ),
    Mutant(
        "reads a backlog until the end of the invocation",
        (Edit(WORKER, "invocation.take_until + TAKING_RESERVE_SECONDS)", "invocation.deadline)"),),
        units=(f"{DEADLINES}::test_of_a_task_of_an_order",),
    ),
    Mutant(
        "posts until the end of the invocation",
        (Edit(WORKER, "deadline = self.take_until + TAKING_RESERVE_SECONDS\n", "deadline = self.deadline\n"),),
        units=(f"{DEADLINES}::test_of_a_task", f"{DEADLINES}::test_of_a_straggler"),
    ),
    Mutant(
        "deletes a departed member with half of the time",
        (
            Edit(
                "handlers/disconnect.py",
                "events.deadline(context))",
                "events.deadline(context) - context.get_remaining_time_in_millis() / 2_000)",
            ),
        ),
        units=(f"{DEADLINES}::test_of_a_departure",),
    ),
)
