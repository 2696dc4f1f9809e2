"""Handlers broken on purpose."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

CONNECT = "handlers/tests/test_connect.py"
DISCONNECT = "handlers/tests/test_disconnect.py"
ENGINE = "handlers/tests/test_fanout.py"
SENDMESSAGE = "handlers/tests/test_sendmessage.py"
WORKER = "handlers/tests/test_fanout_worker.py"

ROUTES = "integration_tests/routes"
CLEANUP = "integration_tests/guarantees/test_cleanup.py"
DELIVERY = "integration_tests/guarantees/test_delivery.py"
MODEL_TEST = "integration_tests/guarantees/test_model.py::test_everybody_receives_what_the_model_says"
PAGING = "integration_tests/guarantees/test_paging.py"
FAULTS = "integration_tests/faults"

MUTANTS = (
    Mutant(
        "prunes the sender",
        (
            Edit(
                "handlers/roomcast/delivery.py",
                "[recipient for recipient in gone if recipient.connection_id != message.sender]",
                "list(gone)",
            ),
        ),
        units=(f"{SENDMESSAGE}::test_the_senders_own_items_are_never_pruned",),
        sockets=(f"{FAULTS}/test_gone.py::test_sender_that_is_answered_with_410_stays",),
    ),
    Mutant(
        "prunes young members",
        (Edit("handlers/roomcast/verdicts.py", "MINIMUM_AGE_TO_PRUNE = 35.0", "MINIMUM_AGE_TO_PRUNE = 0.0"),),
        units=(
            f"{ENGINE}::TestAnswers::test_a_young_connection_that_is_not_open_yet_is_tried_again",
            f"{ENGINE}::TestAnswers::test_a_young_connection_is_never_handed_over_as_dead",
        ),
        sockets=(
            f"{CLEANUP}::test_member_that_may_still_be_connecting_is_kept",
            f"{FAULTS}/test_gone.py::test_member_that_is_not_open_yet_is_served_as_soon_as_it_is",
        ),
    ),
    Mutant(
        "prunes nobody",
        (Edit("handlers/roomcast/delivery.py", "for start in range(0, len(dead), PRUNE_BATCH):", "for start in ():"),),
        units=(f"{SENDMESSAGE}::test_a_dead_members_items_go_and_only_those",),
        sockets=(f"{FAULTS}/test_gone.py::test_next_message_removes_those_whose_disconnect_was_lost",),
    ),
    Mutant(
        "reads one page",
        (Edit("handlers/roomcast/rooms.py", 'if "LastEvaluatedKey" not in page:', "if True:"),),
        units=(f"{SENDMESSAGE}::test_every_page_of_a_room_is_read",),
        sockets=(
            f"{PAGING}::test_members_on_every_page_receive_the_message",
            f"{PAGING}::test_pages_without_anyone_to_reach_do_not_end_the_room",
        ),
    ),
    Mutant(
        "drops the last page",
        (
            Edit(
                "handlers/roomcast/rooms.py",
                'page = self._database.call("Query", query, deadline)\n',
                'page = self._database.call("Query", query, deadline)\n'
                '            if "ExclusiveStartKey" in query and "LastEvaluatedKey" not in page:\n'
                "                return\n",
            ),
        ),
        units=(f"{SENDMESSAGE}::test_every_page_of_a_room_is_read",),
        sockets=(f"{PAGING}::test_members_on_every_page_receive_the_message",),
    ),
    Mutant(
        "reads the room eventually consistently",
        (Edit("handlers/roomcast/rooms.py", '"ConsistentRead": True,\n', '"ConsistentRead": False,\n'),),
        units=(f"{SENDMESSAGE}::test_every_member_receives_it_once_and_nobody_else",),  # no emulator has replicas
    ),
    Mutant(
        "reads the sender eventually consistently",
        (Edit("handlers/roomcast/rooms.py", '"ConsistentRead": True},\n', '"ConsistentRead": False},\n'),),
        units=(f"{SENDMESSAGE}::test_every_member_receives_it_once_and_nobody_else",),
    ),
    Mutant(
        "delivers to members that have expired",
        (
            Edit(
                "handlers/roomcast/rooms.py",
                '"FilterExpression": "expires_at > :now",',
                '"FilterExpression": "expires_at > :now OR expires_at <= :now",',
            ),
        ),
        sockets=(f"{CLEANUP}::test_member_whose_item_has_expired_receives_nothing",),
    ),
    Mutant(
        "does not retry 429",
        (
            Edit(
                "handlers/roomcast/verdicts.py",
                "Row(Answer.THROTTLED, always, Outcome.AGAIN, backoff_or_asked)",
                "Row(Answer.THROTTLED, always, Outcome.FAILED)",
            ),
        ),
        units=(f"{ENGINE}::TestAnswers::test_what_may_pass_is_tried_again",),
        sockets=(f"{FAULTS}/test_retries.py::test_post_that_is_throttled_is_sent_again",),
    ),
    Mutant(
        "retries a member before the first post to the others",
        (
            Edit(
                "handlers/roomcast/posts.py",
                "        if self.fresh:\n            return Post(",
                "        if self.fresh and not (self.again and self.again[0][0] <= now):\n            return Post(",
            ),
        ),
        units=(f"{ENGINE}::TestAnswers::test_retries_come_after_the_first_try_of_every_member",),
    ),
    Mutant(
        "does not retry a throttled request to the table",
        (Edit("handlers/roomcast/aws_json.py", '        "ProvisionedThroughputExceededException",\n', ""),),
        units=("handlers/tests/test_aws_json.py::test_what_may_pass_is_tried_again",),
        sockets=(f"{FAULTS}/test_retries.py::test_table_that_is_throttled_is_asked_again",),
    ),
    Mutant(
        "delivers a direct message to another room",
        (Edit("handlers/sendmessage.py", "if member is None or member.room != sender.room:", "if member is None:"),),
        units=(f"{SENDMESSAGE}::test_bad_input_reaches_nobody_and_is_answered",),
        sockets=(f"{ROUTES}/test_sendmessage.py::test_member_of_another_room_cannot_be_addressed", MODEL_TEST),
    ),
    Mutant(
        "reads the first sender's room for every sender",
        (
            Edit(
                "handlers/sendmessage.py",
                "    return answer(command, report)\n",
                "    return answer(command, report)\n\n\nWARM = {}\n",
            ),
            Edit(
                "handlers/sendmessage.py",
                "return ROOMS.members(sender.room, deadline)",
                'return ROOMS.members(WARM.setdefault("room", sender.room), deadline)',
            ),
        ),
        sockets=(f"{DELIVERY}::test_many_senders_in_many_rooms_lose_and_repeat_nothing", MODEL_TEST),
    ),
    Mutant(
        "answers the handshake before the membership is written",
        (
            Edit("handlers/roomcast/rooms.py", "import binascii\n", "import binascii\nimport threading\n"),
            Edit(
                "handlers/roomcast/rooms.py",
                "self._write(puts, deadline - compensation, token=os.urandom(16).hex())",
                'threading.Timer(0.5, self._database.call, ("TransactWriteItems", {"TransactItems": puts}, deadline)'
                ").start()",
            ),
        ),
        units=(f"{CONNECT}::test_a_client_is_a_member_of_the_room_it_names",),
        sockets=(f"{ROUTES}/test_connect.py::test_every_client_has_both_items_when_its_handshake_ends", MODEL_TEST),
    ),
    Mutant(
        "does not wait for the last posts",
        (
            Edit(
                "handlers/roomcast/run.py",
                "if not posts.fresh and not posts.again and not pool.busy:",
                "if posts.exhausted and not posts.fresh and not posts.again:",
            ),
            Edit(
                "handlers/roomcast/run.py", "self._decide(line.post, Answer.SILENT, now)", "self._report.delivered += 1"
            ),
        ),
        units=(f"{ENGINE}::TestAnswers::test_a_refusal_is_reported_and_not_tried_again",),
        sockets=(f"{FAULTS}/test_retries.py::test_post_that_is_throttled_is_sent_again",),
    ),
    Mutant(
        "sends every message twice",
        (
            Edit(
                "handlers/roomcast/delivery.py",
                "                recipients,\n                message",
                "                [each for each in recipients for _ in range(2)],\n                message",
            ),
        ),
        units=(f"{SENDMESSAGE}::test_every_member_receives_it_once_and_nobody_else",),
        sockets=(f"{DELIVERY}::test_every_member_receives_a_message_once_and_nobody_elsewhere_anything",),
    ),
    Mutant(
        "counts failures as deliveries",
        (
            Edit(
                "handlers/roomcast/outcomes.py",
                "            report.failed += 1\n            self.failed.add",
                "            report.delivered += 1\n            self.failed.add",
            ),
        ),
        units=(f"{ENGINE}::TestAnswers::test_a_refusal_is_reported_and_not_tried_again",),
    ),
    Mutant(
        "never deletes on disconnect",
        (
            Edit(
                "handlers/disconnect.py",
                "ROOMS.leave(goodbye.connection_id, goodbye.connected_at, events.deadline(context))",
                "False",
            ),
        ),
        units=(f"{DISCONNECT}::test_only_the_leaving_clients_items_go",),
        sockets=(f"{ROUTES}/test_disconnect.py::test_abrupt_end_removes_both_items",),
    ),
    Mutant(
        "deletes a newer connection's items on disconnect",
        (
            Edit(
                "handlers/roomcast/rooms.py",
                "if membership is None or membership.connected_at > connected_at:",
                "if membership is None:",
            ),
        ),
        # No test over sockets: a late disconnect leaves no trace there to wait for.
        units=(f"{DISCONNECT}::test_a_newer_connection_of_the_same_id_stays",),
    ),
    Mutant(
        "deletes a newer connection's items with a dead one's",
        (
            Edit(
                "handlers/roomcast/rooms.py",
                "attribute_not_exists(partition_key) OR connected_at = :connected_at",
                "attribute_not_exists(partition_key) OR connected_at >= :connected_at",
            ),
        ),
        sockets=(f"{CLEANUP}::test_dead_members_id_may_be_a_living_connections_by_now",),
    ),
    Mutant(
        "forgets members that a worker had no time for",
        (Edit("handlers/roomcast/progress.py", "        if self.is_complete:\n", "        if True:\n"),),
        units=(
            f"{WORKER}::test_when_time_is_up_the_rest_is_handed_over",
            f"{WORKER}::test_a_table_that_fails_midway_hands_over_the_rest",
        ),
    ),
    Mutant(
        "acknowledges a message that is not queued",
        (
            Edit(
                "handlers/sendmessage.py",
                "        QUEUE.put([tasks.Task(message, shard) for shard in range(ROOMS.shards_read)], deadline)\n",
                "",
            ),
        ),
        units=(
            f"{WORKER}::test_sendmessage_queues_one_task_per_shard_and_acknowledges",
            f"{WORKER}::test_a_message_that_cannot_be_queued_is_not_acknowledged",
        ),
    ),
)
