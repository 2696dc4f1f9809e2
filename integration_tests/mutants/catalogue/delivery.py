"""Delivery broken on purpose: protocol, engine, transport, queue."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

DELIVERY = "handlers/roomcast/delivery.py"
HTTP = "handlers/roomcast/aws_http.py"
OUTCOMES = "handlers/roomcast/outcomes.py"
PARSER = "handlers/roomcast/http_parser.py"
PROTOCOL = "handlers/roomcast/protocol.py"
ROOMS = "handlers/roomcast/rooms.py"
RUN = "handlers/roomcast/run.py"
SERVING = "handlers/roomcast/serving.py"
SIGNING = "handlers/roomcast/signing.py"
TASKS = "handlers/roomcast/tasks.py"
VERDICTS = "handlers/roomcast/verdicts.py"

CONFIGURATION = "handlers/tests/test_configuration.py"
CONNECT_TESTS = "handlers/tests/test_connect.py"
ENGINE_TESTS = "handlers/tests/test_fanout.py"
ENTRIES = "handlers/tests/test_queue_entries.py"
HTTP_TESTS = "handlers/tests/test_aws_http.py"
KEPT = "handlers/tests/test_kept_connections.py"
LATE_JOINS = "handlers/tests/test_late_joins.py"
ROOM_TESTS = "handlers/tests/test_rooms.py"
SERVING_TESTS = "handlers/tests/test_serving.py"
SENDMESSAGE = "handlers/tests/test_sendmessage.py"
VERDICT_TESTS = "handlers/tests/test_verdicts.py"

MUTANTS = (
    Mutant(
        "reserves no time for the answer",
        (Edit(SERVING, "ANSWER_SECONDS = 2.0", "ANSWER_SECONDS = 0.0"),),
        units=(f"{SERVING_TESTS}::test_a_table_that_hangs_leaves_time_for_the_answer",),
    ),
    Mutant(
        "repeats a post without an answer without limit",
        (Edit(VERDICTS, "MAXIMUM_COPIES = 2", "MAXIMUM_COPIES = 20"),),
        units=(f"{ENGINE_TESTS}::TestConnections::test_a_post_without_an_answer_is_repeated_once",),
    ),
    Mutant(
        "ignores the pause that an answer requests",
        (Edit(VERDICTS, "return max(case.asked, pause(case.tries))", "return pause(case.tries)"),),
        units=(f"{ENGINE_TESTS}::TestAnswers::test_the_server_may_ask_for_a_pause",),
    ),
    Mutant(
        "pauses before a retry when a kept connection was closed",
        (
            Edit(
                VERDICTS,
                "Row(Answer.CLOSED, always, Outcome.AGAIN, at_once)",
                "Row(Answer.CLOSED, always, Outcome.AGAIN, backoff)",
            ),
        ),
        units=(
            f"{ENGINE_TESTS}::TestConnections::test_one_that_dies_as_it_is_used_costs_no_pause",
            f"{VERDICT_TESTS}::test_a_lost_connection_has_its_consequence",
        ),
    ),
    Mutant(
        "prunes a room when API Gateway refuses the message",
        (
            Edit(
                VERDICTS,
                "Row(Answer.MALFORMED, always, Outcome.MALFORMED)",
                "Row(Answer.MALFORMED, always, Outcome.DEAD)",
            ),
        ),
        units=(f"{ENGINE_TESTS}::TestAnswers::test_a_message_that_is_refused_itself_does_not_empty_the_room",),
    ),
    Mutant(
        "hands members that were never posted to over as slow ones",
        (Edit(OUTCOMES, "            return self.untried\n", "            return self.late\n"),),
        units=(f"{ENGINE_TESTS}::TestAnswers::test_for_whom_the_pace_left_no_time_is_told_apart",),
    ),
    Mutant(
        "continues after the deadline",
        (Edit(RUN, "self._stop_at = deadline - self._reserve", "self._stop_at = deadline + 20"),),
        units=(f"{ENGINE_TESTS}::TestTime::test_what_is_left_at_the_deadline_has_failed",),
    ),
    Mutant(
        "posts to all members although all posts are refused",
        (Edit(RUN, "REFUSALS_TO_STOP = 150", "REFUSALS_TO_STOP = 150_000"),),
        units=(f"{ENGINE_TESTS}::TestAnswers::test_a_refusal_of_everybody_ends_the_fan_out",),
    ),
    Mutant(
        "rounds numbers",
        (Edit(PROTOCOL, 'else _text_of("data", body)\n', 'else _dump(json.loads(body)["data"])\n'),),
        units=("handlers/tests/test_protocol.py::test_nothing_of_a_value_changes",),
    ),
    Mutant(
        "takes the first of two equal keys of a message",
        (Edit(PROTOCOL, "            if key == name:\n", "            if key == name and not text:\n"),),
        units=("handlers/tests/test_protocol.py::test_a_value_is_the_text_that_came",),
    ),
    Mutant(
        "reports at most one dead member of a batch",
        (
            Edit(
                OUTCOMES,
                "recipients, self._recipients = self._recipients, []",
                "recipients, self._recipients = self._recipients[:1], []",
            ),
        ),
        units=(f"{ENGINE_TESTS}::TestAnswers::test_the_dead_are_handed_over_in_batches",),
    ),
    Mutant(
        "ignores the pace of sendmessage",
        (Edit("handlers/sendmessage.py", ", pace=SETTINGS.pace", ""),),
        units=(f"{CONFIGURATION}::test_messages_are_sent_at_the_given_pace",),
    ),
    Mutant(
        "ignores the pace of the worker",
        (Edit("handlers/fanout_worker.py", ", pace=SETTINGS.pace", ""),),
        units=(f"{CONFIGURATION}::test_messages_are_sent_at_the_given_pace",),
    ),
    Mutant(
        "gives equal messages the same deduplication id",
        (Edit(TASKS, "os.urandom(16).hex()", "f\"{binascii.crc32(entry['MessageBody'].encode()):08x}\""),),
        units=(f"{ENTRIES}::test_a_message_said_twice_is_queued_twice",),
    ),
    Mutant(
        "counts tasks that SQS refused as queued",
        (Edit(TASKS, 'for failure in answer.get("Failed", [])}', 'for failure in answer.get("Failed", [])[:0]}'),),
        units=(
            "handlers/tests/test_fanout_worker.py::test_entries_that_were_not_taken_are_sent_again",
            "handlers/tests/test_fanout_worker.py::test_entries_that_can_never_be_taken_are_an_error",
        ),
    ),
    Mutant(
        "sends SQS more than the limit of one request",
        (Edit(TASKS, "MAXIMUM_BATCH_ENTRIES = 10", "MAXIMUM_BATCH_ENTRIES = 12"),),
        units=("handlers/tests/test_fanout_worker.py::test_batches_fit_into_what_sqs_takes",),
    ),
    Mutant(
        "writes one of a member's two items",
        (
            Edit(
                ROOMS,
                "self._write(puts, deadline - compensation, token=os.urandom(16).hex())",
                "[self._write([put], deadline - compensation) for put in puts]",
            ),
        ),
        units=(f"{CONNECT_TESTS}::test_nobody_ever_sees_half_a_member",),
    ),
    Mutant(
        "deletes one of a member's two items",
        (
            Edit(
                ROOMS,
                "                self._write(actions, deadline)\n",
                "                for action in actions:\n                    self._write([action], deadline)\n",
            ),
        ),
        units=("handlers/tests/test_disconnect.py::test_nobody_ever_sees_half_a_member",),
    ),
    Mutant(
        "undoes no join",
        (Edit(ROOMS, "            self._bury(membership, deadline)\n            raise", "            raise"),),
        units=(
            f"{CONNECT_TESTS}::test_a_write_whose_answer_is_lost_leaves_nothing_visible",
            "handlers/tests/test_bounds.py::test_a_join_that_takes_all_its_time_is_undone",
        ),
    ),
    Mutant(
        "undoes a join and leaves no tombstone",
        (Edit(ROOMS, "self._bury(membership, deadline)", "self._delete([membership], deadline)"),),
        units=(f"{LATE_JOINS}::TestLateJoins::test_after_the_handler_gave_up",),
    ),
    Mutant(
        "lets a join pass a tombstone",
        (Edit(ROOMS, "connected_at = :connected_at AND attribute_exists(rooms)", "connected_at = :connected_at"),),
        units=(f"{LATE_JOINS}::TestLateJoins::test_after_the_handler_gave_up",),
    ),
    Mutant(
        "carries out a repeated join twice",
        (Edit(ROOMS, ", token=os.urandom(16).hex())", ")"),),
        units=(f"{LATE_JOINS}::TestLateJoins::test_twice_after_the_client_has_come_and_gone",),
    ),
    Mutant(
        "forgets a tombstone within seconds",
        (Edit(ROOMS, "TOMBSTONE_SECONDS = 15 * 60", "TOMBSTONE_SECONDS = 15"),),
        units=(f"{LATE_JOINS}::TestLateJoins::test_a_tombstone_outlives_every_signature_and_goes_by_itself",),
    ),
    Mutant(
        "deletes with a condition that is always true",
        (
            Edit(
                ROOMS,
                "attribute_not_exists(partition_key) OR connected_at = :connected_at",
                "attribute_not_exists(partition_key) OR connected_at > :connected_at OR connected_at <= :connected_at",
            ),
        ),
        units=(f"{ROOM_TESTS}::test_many_dead_are_deleted_but_for_those_that_are_someone_else_by_now",),
    ),
    Mutant(
        "deletes no dead member when one id has a new connection",
        (
            Edit(
                ROOMS,
                "                    raise\n                remaining = [",
                "                    raise\n                return\n                remaining = [",
            ),
        ),
        units=(f"{ROOM_TESTS}::test_many_dead_are_deleted_but_for_those_that_are_someone_else_by_now",),
    ),
    Mutant(
        "writes members into the shard after their own",
        (Edit(ROOMS, "% self.shards_per_room", "% self.shards_per_room + 1"),),
        units=(f"{ROOM_TESTS}::test_everyone_is_read_once_with_all_that_the_engine_needs",),
    ),
    Mutant(
        "starts a continued shard from its beginning",
        (
            Edit(
                ROOMS,
                '            query["ExclusiveStartKey"] = _membership_key(room, shard, after)\n',
                "            pass\n",
            ),
        ),
        units=(f"{ROOM_TESTS}::test_a_shard_is_read_in_order_after_a_given_member",),
    ),
    Mutant(
        "swaps the numbers of a receipt",
        (
            Edit(
                PROTOCOL,
                '"delivered": delivered, "gone": gone, "failed": failed',
                '"delivered": delivered, "gone": failed, "failed": gone',
            ),
        ),
        units=("handlers/tests/test_protocol.py::test_a_receipt_carries_the_callers_id_unchanged",),
    ),
    Mutant(
        "accepts one byte more than a post may have",
        (Edit(PROTOCOL, "if len(data.encode()) > MAXIMUM_DATA_BYTES", "if len(data) > MAXIMUM_DATA_BYTES"),),
        units=(f"{SENDMESSAGE}::test_bad_input_reaches_nobody_and_is_answered",),
    ),
    Mutant(
        "leaves the session token out of the signature",
        (Edit(SIGNING, "if credentials.session_token is not None", "if credentials.session_token is None"),),
        units=(f"{HTTP_TESTS}::test_credentials_may_change_between_calls",),
    ),
    Mutant(
        "gives up a member that is refused twice",
        (Edit(VERDICTS, "TRIES_ALONE = 10", "TRIES_ALONE = 2"),),
        units=("handlers/tests/test_bounds.py::test_a_member_that_does_not_read_for_a_moment_gets_its_message",),
    ),
    Mutant(
        "never gives up a member that does not read",
        (Edit(VERDICTS, "TRIES_ALONE = 10", "TRIES_ALONE = 1_000"),),
        units=("handlers/tests/test_bounds.py::test_a_member_that_never_reads_holds_up_the_receipt_for_seconds_only",),
    ),
    Mutant(
        "keeps using connections that the server closes",
        (Edit(PARSER, 'return "close" not in options and not', "return not"),),
        units=("handlers/tests/test_http_parser.py::test_an_answer_is_read_whatever_its_split",),
    ),
    Mutant(
        "leaves the socket of a failed connection open",
        (
            Edit(
                HTTP,
                "            connection.close()\n            # An address that had",
                "            # An address that had",
            ),
        ),
        units=(f"{KEPT}::TestDescriptors::test_what_fails_while_connecting_leaves_none",),
    ),
    Mutant(
        "deletes dead members for half a minute while the sender waits",
        (Edit(DELIVERY, "PRUNE_SECONDS = 2.0", "PRUNE_SECONDS = 30.0"),),
        units=("handlers/tests/test_bounds.py::test_the_dead_hold_up_the_sender_for_a_few_seconds_at_most",),
    ),
)
