"""The harness broken on purpose, so that a run that proves nothing passes."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

CONFTEST = "integration_tests/conftest.py"
JUDGEMENT = "integration_tests/report/judgement.py"
JUDGEMENT_TESTS = "integration_tests/report/tests/test_judgement.py"
JUDGE = "integration_tests/harness/ledger/judge.py"
LEDGER = "integration_tests/harness/ledger/ledger.py"
LEDGER_TESTS = "integration_tests/harness/tests/test_ledger.py"
CROWD = "integration_tests/harness/tests/test_crowd.py"
EXPECTATIONS = "integration_tests/harness/tests/test_expectations.py"
MERGING_TESTS = "integration_tests/report/tests/test_merging.py"
VERDICTS = "integration_tests/load/tests/test_verdicts.py"
REPLIES = "integration_tests/load/replies.py"
REPLY_TESTS = "integration_tests/load/tests/test_replies.py"
SCENARIO_TESTS = "integration_tests/load/tests/test_scenarios.py"
LIMITS = "integration_tests/report/limits.toml"
OWN_LIMITS = "integration_tests/report/tests/test_own_limits.py"
PROBE_TESTS = "integration_tests/targets/tests/test_probe.py"

MUTANTS = (
    Mutant(
        "does not check that a stage can be tested",
        (Edit(CONFTEST, "            target.check()\n", "            pass\n"),),
        units=(f"{PROBE_TESTS}::test_run_against_it_ends_at_once_with_one_sentence_and_status_4[refuse]",),
    ),
    Mutant(
        "passes a run that skipped every test",
        (
            Edit(
                CONFTEST,
                "        if not config.stash[MEASURED]:\n            session.exit",
                "        if False:\n            session.exit",
            ),
        ),
        units=(f"{PROBE_TESTS}::test_run_in_which_every_test_is_skipped_is_red",),
    ),
    Mutant(
        "counts tests that were skipped",
        (Edit(CONFTEST, 'if report.when == "call" and not report.skipped:', 'if report.when == "setup":'),),
        units=(f"{PROBE_TESTS}::test_run_in_which_every_test_is_skipped_is_red",),
    ),
    Mutant(
        "searches no log for the texts of messages",
        (
            Edit(
                "integration_tests/targets/privacy.py",
                "        if phrase in line\n",
                "        if phrase in line and False\n",
            ),
        ),
        units=(
            "integration_tests/targets/tests/test_privacy.py::test_run_that_writes_down_clients_data_is_red",
            "integration_tests/targets/tests/test_privacy.py::test_files_of_any_content_are_searched",
        ),
    ),
    Mutant(
        "passes a run that breaks a limit",
        (Edit(JUDGEMENT, '"passed": all(check["outcome"] != "failed" for check in checks)', '"passed": True'),),
        units=(f"{JUDGEMENT_TESTS}::test_a_broken_limit_fails_the_run",),
    ),
    Mutant(
        "exits with 0 although a limit is broken",
        (Edit("integration_tests/report/__main__.py", 'return 0 if document["passed"] else 1', "return 0"),),
        units=("integration_tests/report/tests/test_main.py::test_a_broken_limit_exits_1",),
    ),
    Mutant(
        "lets every limit be optional",
        (Edit(JUDGEMENT, '"unmeasured" if limit.optional else "failed"', '"unmeasured"'),),
        units=(f"{JUDGEMENT_TESTS}::test_an_unmeasured_metric_fails_unless_the_limit_is_optional",),
    ),
    Mutant(
        "fails a run at exactly its limit",
        (Edit(JUDGEMENT, "value <= self.at_most", "value < self.at_most"),),
        units=(f"{JUDGEMENT_TESTS}::test_our_own_limits_judge_a_good_and_a_bad_run",),
    ),
    Mutant(
        "counts a lost message only if it was acknowledged",
        (Edit(JUDGE, "if absent := owed & ~seen:", "if sender.acknowledged(sequence) and (absent := owed & ~seen):"),),
        units=(f"{LEDGER_TESTS}::test_an_unanswered_message_is_owed_to_members_that_stayed",),
    ),
    Mutant(
        "expects no message for clients that leave at the end",
        (
            Edit(
                JUDGE,
                "self.members.throughout(sent_at, min(settled_at, self.ended_at))",
                "self.members.throughout(sent_at, settled_at)",
            ),
        ),
        units=(f"{LEDGER_TESTS}::test_clients_that_depart_after_the_run_stopped_waiting_were_owed_every_message",),
    ),
    Mutant(
        "accepts every receipt",
        (Edit(JUDGE, "if untruth := self._untruth(sender, sequence):", 'if untruth := "":'),),
        units=(f"{LEDGER_TESTS}::test_counts_of_a_receipt_are_compared_with_the_deliveries",),
    ),
    Mutant(
        "does not compare the texts",
        (Edit(LEDGER, "if reading.difference:", "if False:"),),
        units=(f"{LEDGER_TESTS}::test_a_text_that_was_altered_is_delivered_and_altered",),
    ),
    Mutant(
        "counts a message in another room as delivered",
        (Edit(LEDGER, "if stamp.room != member.room:", "if False:"),),
        units=(f"{LEDGER_TESTS}::test_a_message_from_another_room_counts_where_it_arrived_and_where_it_came_from",),
    ),
    Mutant(
        "lets a limits file omit the limits that prove a run",
        (Edit(JUDGEMENT, "limits = {**WITHOUT_WHICH_NOTHING_IS_SHOWN, **_entries(", "limits = {**_entries("),),
        units=(f"{JUDGEMENT_TESTS}::test_run_that_shows_nothing_breaks_every_limits_file_that_does_not_say_otherwise",),
    ),
    Mutant(
        "passes a limit of all machines by the value of one",
        (Edit(JUDGEMENT, "if value is None or (partial and limit.holds(value)):", "if value is None:"),),
        units=(f"{MERGING_TESTS}::test_what_one_machine_did_not_measure_is_not_passed_and_hides_no_finding",),
    ),
    Mutant(
        "merges runs that did not overlap in time",
        (Edit("integration_tests/report/merging.py", "if common_seconds(documents) <= 0:", "if False:"),),
        units=(f"{MERGING_TESTS}::test_reports_that_are_not_of_one_load_are_refused",),
    ),
    Mutant(
        "has no limit for messages without an answer",
        (Edit("integration_tests/report/limits.toml", '"invariants.unanswered" = { at_most = 0 }\n', ""),),
        units=(f"{VERDICTS}::test_stage_breaks_exactly_these_limits[no-receipt --patience 5 --late-after 5]",),
    ),
    Mutant(
        "ends a wait in silence when the condition fails",
        (
            Edit(
                "scripts/waiting.py",
                'raise AssertionError(f"after',
                'return print(f"after',
            ),
        ),
        units=(
            f"{EXPECTATIONS}::test_condition_that_stays_false_is_an_error_that_shows_the_last_observation",
            f"{EXPECTATIONS}::test_items_left_in_the_table_are_an_error",
        ),
    ),
    Mutant(
        "accepts any message as the expected one",
        (Edit("integration_tests/harness/client.py", "assert message.text == text, ", "assert message.text, "),),
        units=(
            f"{EXPECTATIONS}::test_another_message_than_the_expected_one_is_an_error",
            f"{EXPECTATIONS}::test_one_member_that_hears_something_else_is_an_error",
        ),
    ),
    Mutant(
        "ignores messages that no test has taken",
        (Edit("integration_tests/harness/crowd.py", "        assert not unread, ", "        assert True, "),),
        units=(f"{CROWD}::test_unexpected_message_is_a_fault_even_if_its_client_has_left",),
    ),
    Mutant(
        "counts only the items of the first page",
        (
            Edit(
                "integration_tests/harness/table.py",
                'return sum(page["Count"] for page',
                'return next(page["Count"] for page',
            ),
        ),
        units=(f"{EXPECTATIONS}::test_every_page_of_every_shard_and_every_batch_is_read_consistently",),
    ),
    Mutant(
        "believes receipts for messages of another client",
        (Edit(REPLIES, "if name != self._sender.name or not", "if not"),),
        units=(f"{REPLY_TESTS}::test_a_receipt_for_a_message_that_was_never_sent_is_counted_as_such",),
    ),
    Mutant(
        "blames the newest message for an error",
        (Edit(REPLIES, "next(iter(self._waiting), None)", "next(reversed(self._waiting), None)"),),
        units=(f"{REPLY_TESTS}::test_an_error_answers_the_oldest_message_without_an_answer",),
    ),
    Mutant(
        "takes a receipt with two counts for one of a queue",
        (Edit(REPLIES, "and not receipt.keys() & {*Counts._fields}", ""),),
        units=(f"{REPLY_TESTS}::test_counts_are_three_numbers_or_wrong",),
    ),
    Mutant(
        "sends all messages at once with several processes",
        (Edit("integration_tests/load/workers.py", "count * interval, len(range", "interval, len(range"),),
        units=(f"{SCENARIO_TESTS}::test_all_processes_together_send_every_message_at_its_time",),
    ),
    Mutant(
        "reconnects clients that are connected",
        (Edit("integration_tests/load/scenarios.py", "workers.join(sorted(missing))", "workers.join(seats)"),),
        units=(f"{SCENARIO_TESTS}::test_who_is_refused_comes_again_after_pauses_that_double",),
    ),
    Mutant(
        "tolerates one altered delivery",
        (Edit(LIMITS, '"invariants.altered" = { at_most = 0 }', '"invariants.altered" = { at_most = 1 }'),),
        units=(f"{OWN_LIMITS}::test_the_least_fault_breaks_its_limit_and_no_other",),
    ),
    Mutant(
        "passes a run that could not count late handshakes",
        (Edit(LIMITS, '"connects.late" = { at_most = 0 }', '"connects.late" = { at_most = 0, optional = true }'),),
        units=(f"{OWN_LIMITS}::test_what_was_not_measured_has_not_passed",),
    ),
)
