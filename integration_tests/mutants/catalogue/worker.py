"""The worker of queued delivery broken on purpose."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

BACKLOG = "handlers/roomcast/backlog.py"
WORKER = "handlers/fanout_worker.py"
FIFO_TESTS = "handlers/tests/test_fanout_fifo.py"
WORKER_TESTS = "handlers/tests/test_fanout_worker.py"

MUTANTS = (
    Mutant(
        "serves new messages before waiting ones",
        (Edit(BACKLOG, "if (entry.item is None and not self._is_whole) or not may_begin():", "if not may_begin():"),),
        units=(f"{FIFO_TESTS}::test_a_backlog_of_many_pages_keeps_the_order",),
    ),
    Mutant(
        "sends no wake-up for the backlog",
        (
            Edit(
                BACKLOG,
                "        return [tasks.WakeUp(self._room, self._shard)] if is_left else []\n",
                "        return []\n",
            ),
        ),
        units=(f"{FIFO_TESTS}::test_a_burst_larger_than_an_invocation_arrives_in_order_without_a_pause",),
    ),
    Mutant(
        "deletes waiting messages before a straggler's task is in the queue",
        (
            Edit(
                "handlers/fanout_worker.py",
                "        waiting.mark(invocation.deadline)\n",
                "        waiting.mark(invocation.deadline)\n"
                "        waiting.write(invocation.deadline, is_stuck=not is_moving)\n",
            ),
        ),
        units=(f"{FIFO_TESTS}::TestOrderOfWhatAWorkerDoes::test_nor_is_a_message_that_is_given_up",),
    ),
    Mutant(
        "never gives up a task on which workers fail",
        (Edit(BACKLOG, "if task.retries >= tasks.MAXIMUM_RECEIVES:", "if False:"),),
        units=(
            f"{FIFO_TESTS}::TestTroubleWithTableAndQueue::test_a_task_that_kills_every_worker_is_given_up_and_the_others_arrive",
        ),
    ),
    Mutant(
        "sends a straggler its messages by two tasks",
        (Edit(BACKLOG, "        self._puts = [each for each in self._puts if each.key != mark.key] + [mark]\n", ""),),
        units=(f"{FIFO_TESTS}::TestStragglers::test_it_holds_up_nobody_and_gets_its_messages_in_order",),
    ),
    Mutant(
        "sorts waiting messages as texts of different lengths",
        (Edit(BACKLOG, "{int(sequence_number):0{SEQUENCE_DIGITS}}", "{int(sequence_number)}"),),
        units=(f"{FIFO_TESTS}::test_keys_sort_as_sequence_numbers_do",),
    ),
    Mutant(
        "waits for every straggler anew",
        (Edit(WORKER, "            self._patience /= 2\n", "            pass\n"),),
        units=(f"{WORKER_TESTS}::test_stragglers_of_many_tasks_are_waited_for_less_than_a_second",),
    ),
    Mutant(
        "does not report a message that is given up",
        (
            Edit(
                WORKER, '        logs.write_metrics("given up", {"given_up": recipients}, message_id=message_id)\n', ""
            ),
        ),
        units=(f"{FIFO_TESTS}::test_a_message_that_is_given_up_is_an_error_a_metric_and_a_dead_letter",),
    ),
    Mutant(
        "deletes dead members before the last post",
        (
            Edit(
                WORKER,
                "        self._gone.append((task.message, gone))\n",
                "        DELIVERY.prune(task.message, gone, self.deadline)\n",
            ),
        ),
        units=(f"{WORKER_TESTS}::test_pruning_waits_until_the_last_task_is_served",),
    ),
    Mutant(
        "delays the room for one straggler",
        (Edit(WORKER, "STRAGGLER_SECONDS = 0.5", "STRAGGLER_SECONDS = 20.0"),),
        units=(f"{WORKER_TESTS}::test_stragglers_of_many_tasks_are_waited_for_less_than_a_second",),
    ),
    Mutant(
        "serves again what it had served before the table failed",
        (Edit(WORKER, "[job for job in jobs if job.key not in waiting.done] or jobs", "jobs"),),
        units=(
            f"{FIFO_TESTS}::TestTroubleWithTableAndQueue::test_what_was_served_to_the_last_member_before_the_trouble_is_not_served_again",
        ),
    ),
    Mutant(
        "does not tell of a straggler that stays apart",
        (Edit(WORKER, 'logs.write("WARNING", "a straggler stays apart", error=str(error))', "del error"),),
        units=(
            f"{FIFO_TESTS}::TestStragglers::test_one_that_stays_apart_because_the_table_fails_is_told_and_loses_nothing",
        ),
    ),
)
