"""Messages of backends: to rooms and to clients, by invocation and through the queue."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, backends, delivery, fanout, frames, tasks
from tests.fakes import CONNECTED_AT, PLANTED, FakeContext, event, handshake, message
from tests.hostile_server import SCALE
from tests.v1 import Clients, context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakes import FakeTable
    from tests.history_table import HistoryTable

    Load = Callable[[str], Any]


def publish(people: Clients, *messages: object) -> list[dict[str, Any]]:
    """Invoke the function; gives the results."""
    people.connections.posts.clear()
    answer = people.load("publish").handler({"messages": [*messages]}, FakeContext())
    json.dumps(answer)
    results: list[dict[str, Any]] = answer["results"]
    assert len(results) == len(messages)
    return results


def code(result: Mapping[str, Any]) -> str:
    """The code of a result that is an error."""
    assert result == {"error": {"code": result["error"]["code"], "message": result["error"]["message"]}}
    text: str = result["error"]["code"]
    assert result["error"]["message"] == backends.MESSAGES[text]
    return text


def record(name: str, body: object) -> dict[str, Any]:
    """A message of the queue."""
    return {"messageId": name, "body": body if isinstance(body, str) else json.dumps(body)}


def from_queue(people: Clients, *records: object) -> list[str]:
    """Hand messages of the queue to the function; gives the ids that SQS redelivers."""
    people.connections.posts.clear()
    answer = people.load("publish").handler({"Records": [*records]}, FakeContext())
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


class TestRooms:
    """Messages to the members of a room."""

    def test_members_of_both_protocols_receive_it(self, people: Clients) -> None:
        [receipt] = publish(people, {"room": "lobby", "data": "hello", "id": "order-17", "from": "shop"})
        assert receipt == {"id": "order-17", "room": "lobby", "delivered": 3, "gone": 0, "failed": 0}
        assert people.connections.received("alice-2=") == ["hello"]
        [frame] = people.frames("bob=")
        assert frame.pop("mid") == people.frames("alice-1=")[0]["mid"]
        assert abs(frame.pop("at") - time.time() * 1000) < 60_000
        assert frame == {
            "type": "message",
            "room": "lobby",
            "id": "order-17",
            "from": "shop",
            "backend": True,
            "data": "hello",
        }

    def test_a_message_without_id_or_sender(self, people: Clients) -> None:
        [receipt] = publish(people, {"room": "lobby", "data": {"n": [1, 2.5, "ü"]}})
        assert receipt == {"room": "lobby", "delivered": 3, "gone": 0, "failed": 0}
        assert people.connections.received("alice-2=") == ['{"n":[1,2.5,"ü"]}']
        assert people.frames("bob=")[0]["from"] == "system"

    @pytest.mark.parametrize(
        ("number", "arrived"),
        [("1.10", "1.1"), ("12345678901234567.89", "1.2345678901234568e+16"), (f"1{'0' * 40}", f"1{'0' * 40}")],
    )
    def test_numbers_of_an_invocation_are_those_that_its_runtime_has_read(
        self, people: Clients, number: str, arrived: str
    ) -> None:
        text = f'{{"room":"lobby","data":[ {number} ]}}'
        publish(people, json.loads(text))
        assert people.connections.received("alice-2=") == [f"[{arrived}]"]
        # To the runtime, the body of a queue message is one string.
        assert from_queue(people, record("1", text)) == []
        assert people.connections.received("alice-2=") == [f"[ {number} ]"]

    def test_an_empty_room_is_no_error(self, people: Clients) -> None:
        assert publish(people, {"room": "attic", "data": "x"}) == [
            {"room": "attic", "delivered": 0, "gone": 0, "failed": 0}
        ]

    def test_no_client_can_look_like_a_backend(self, people: Clients) -> None:
        people.authorizer = context("bob")
        sent = people.ask(
            "bob=", "sendmessage", room="lobby", data="x", backend=True, id="1" * 16, **{"from": "system"}
        )
        assert "backend" not in sent[0]
        assert sent[0]["from"] == "bob"

    def test_a_copy_that_is_published_again_is_known_by_its_mid(self, people: Clients) -> None:
        mids = set()
        for sender in ("shop", "shop", "bob"):
            publish(people, {"room": "lobby", "data": "x", "id": "1" * 16, "from": sender})
            mids.add(people.frames("bob=")[0]["mid"])
        assert len(mids) == 2
        # A client of the sender's name chooses no mid of a backend, which would hide the backend's message.
        assert frames.mid_of("shop", "1" * 16) not in mids

    def test_messages_of_one_room_come_in_order(self, people: Clients) -> None:
        publish(people, *({"room": "lobby", "data": str(number)} for number in range(20)))
        assert people.connections.received("alice-2=") == [str(number) for number in range(20)]

    def test_a_member_that_does_not_read_holds_up_no_later_message(self, people: Clients) -> None:
        people.connections.failing = {"bob="}
        results = publish(people, *({"room": "lobby", "data": str(number)} for number in range(3)))
        assert results == [{"room": "lobby", "delivered": 2, "gone": 0, "failed": 1}] * 3
        assert people.connections.received("alice-2=") == ["0", "1", "2"]

    def test_dead_members_are_pruned(self, people: Clients, table: FakeTable) -> None:
        people.connections.gone = {"alice-1="}
        [receipt] = publish(people, {"room": "lobby", "data": "x"})
        assert (receipt["delivered"], receipt["gone"]) == (2, 1)
        assert not [key for key in table.items if "alice-1=" in "".join(key)]

    def test_a_room_that_cannot_be_read(self, people: Clients, table: FakeTable) -> None:
        table.failing = {"Query"}
        assert code(publish(people, {"room": "lobby", "data": "x"})[0]) == "unavailable"


class TestUsers:
    """Messages to the connections of a client."""

    def test_each_connection_of_the_client_receives_it(self, people: Clients) -> None:
        [receipt] = publish(people, {"user": "alice", "data": "for you", "id": "7", "from": "shop"})
        assert receipt == {"id": "7", "user": "alice", "delivered": 2, "gone": 0, "failed": 0}
        assert people.connections.received("alice-2=") == ["for you"]
        [frame] = people.frames("alice-1=")
        assert frame["direct"] is True
        assert frame["backend"] is True
        assert "room" not in frame
        assert people.connections.received("bob=") == []

    def test_a_client_that_is_not_there_is_no_error(self, people: Clients) -> None:
        assert publish(people, {"user": "carol", "data": "x"}) == [
            {"user": "carol", "delivered": 0, "gone": 0, "failed": 0}
        ]

    def test_dead_connections_lose_all_items(self, people: Clients, table: FakeTable) -> None:
        people.authorizer = context("alice")
        assert people.connect("alice-3=")["statusCode"] == 200  # in no room
        people.connections.gone = {"alice-1=", "alice-2=", "alice-3="}
        assert publish(people, {"user": "alice", "data": "x"})[0]["gone"] == 3
        assert not [key for key in table.items if "alice" in "".join(key)]
        assert {key for key, _ in table.items} == {"connection#bob=", "room#lobby#0", "user#bob"}

    def test_connections_whose_token_has_expired_do_not_count(self, people: Clients, table: FakeTable) -> None:
        table.items["user#alice", "alice-1="]["token_ends_at"] = {"N": str(int(time.time()) - 1)}
        assert publish(people, {"user": "alice", "data": "x"})[0]["delivered"] == 1

    def test_names_with_signs_of_keys_are_other_clients(self, people: Clients) -> None:
        people.authorizer = context("a#b")
        people.connect("odd=")
        assert publish(people, {"user": "a#b", "data": "x"}, {"user": "a%23b", "data": "x"}) == [
            {"user": "a#b", "delivered": 1, "gone": 0, "failed": 0},
            {"user": "a%23b", "delivered": 0, "gone": 0, "failed": 0},
        ]

    def test_a_table_that_fails(self, people: Clients, table: FakeTable) -> None:
        table.failing = {"Query"}
        results = publish(people, {"user": "alice", "data": "x"}, {"position": "lobby"})
        assert code(results[0]) == "unavailable"
        assert results[1] == {"position": "lobby"}


class TestLoggedRooms:
    """Messages to rooms that keep them."""

    def test_it_is_numbered_and_replayed(self, people: Clients) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        before, receipt, after = publish(
            people,
            {"position": "logged"},
            {"room": "logged", "data": {"total": 7}, "id": "order-17", "from": "shop"},
            {"position": "logged"},
        )
        assert (before["seq"], receipt["seq"], after["seq"]) == (0, 1, 1)
        assert before["epoch"] == receipt["epoch"] == after["epoch"]
        assert (receipt["delivered"], receipt["id"]) == (1, "order-17")
        [live] = people.frames("bob=")
        since = {"epoch": before["epoch"], "seq": before["seq"]}
        replayed, joined = people.ask("bob=", "join", room="logged", since=since)
        [again] = replayed["messages"]
        assert {**again, "type": "message", "room": "logged", "epoch": before["epoch"]} == live
        assert again["backend"] is True
        assert joined["recovered"] is True

    def test_published_again_it_is_stored_and_posted_once(self, people: Clients) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        one = {"room": "logged", "data": "x", "id": "order-17"}
        first, second = (publish(people, one)[0] for _ in range(2))
        assert second == {"id": "order-17", "room": "logged", "epoch": first["epoch"], "seq": 1, "duplicate": True}
        assert people.connections.posts == []
        assert code(publish(people, {**one, "data": "y"})[0]) == "id_reused"
        # Another sender's ids are its own.
        assert publish(people, {**one, "from": "shop"})[0]["seq"] == 2

    def test_a_client_has_ids_of_its_own(self, people: Clients) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        publish(people, {"room": "logged", "data": "x", "id": "1" * 16, "from": "bob"})
        own = people.ask("bob=", "sendmessage", room="logged", data="y", id="1" * 16)
        assert own[0]["seq"] == 2

    def test_members_are_read_after_it_is_stored(
        self, people: Clients, table: FakeTable, history_table: HistoryTable
    ) -> None:
        slots: list[int] = []
        call = table.call

        def watched(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            if operation == "Query":
                slots.append(len(history_table.slots()))
            return call(operation, parameters, deadline)

        table.call = watched  # type: ignore[method-assign, assignment]
        publish(people, {"room": "logged", "data": "x"}, {"room": "logged", "data": "y"})
        assert slots == [2, 2]

    def test_half_of_the_time_is_left_to_post_what_was_stored(
        self, people: Clients, history_table: HistoryTable
    ) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        function = people.load("publish")
        # Of the 3.5 s before the answer, a quarter is for what is left to do, and half of the rest is 1.3 s.
        half_is_over = time.monotonic() + 1.9 * SCALE

        def be_slow(_: str) -> bool:
            time.sleep(max(0.0, half_is_over - time.monotonic()))
            return False

        history_table.fate = be_slow
        messages = [{"room": "logged", "data": data} for data in "xy"]
        answer = function.handler({"messages": messages}, FakeContext(round(4_000 * SCALE)))
        stored, refused = answer["results"]
        assert (stored["seq"], stored["delivered"]) == (1, 1)
        assert code(refused) == "unavailable"
        assert len(history_table.slots()) == 1

    def test_what_was_not_delivered_is_delivered_with_the_next_try(self, people: Clients, table: FakeTable) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        one = {"room": "logged", "data": "x", "id": "order-17"}
        table.failing = {"Query"}
        assert code(publish(people, one)[0]) == "unavailable"
        table.failing = set()
        # The first try may still be posting.
        assert publish(people, one)[0]["sending"] is True

    @pytest.mark.parametrize(
        ("is_complete", "is_begun", "error"),
        [(False, True, None), (True, False, None), (True, True, RuntimeError("a callback"))],
        ids=["not read to its end", "its turn did not come", "a fault"],
    )
    def test_what_has_perhaps_not_reached_every_member_is_not_delivered(
        self,
        people: Clients,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception | None,
        *,
        is_complete: bool,
        is_begun: bool,
    ) -> None:
        """Its counts would say nothing of the members that were not reached."""
        report = fanout.Report()
        report.recipients = report.delivered = 2
        report.complete = is_complete
        with monkeypatch.context() as patch:
            patch.setattr(delivery.Delivery, "deliver_all", lambda *_: [fanout.Result(report, is_begun, error)])
            assert code(publish(people, {"room": "lobby", "data": "x"})[0]) == "unavailable"
            assert code(publish(people, {"room": "logged", "data": "x", "id": "order-17"})[0]) == "unavailable"
        assert "duplicate" not in publish(people, {"room": "logged", "data": "x", "id": "order-17"})[0]

    def test_a_position_below_a_number_that_may_still_come(self, people: Clients, history_table: HistoryTable) -> None:
        publish(people, {"room": "logged", "data": "x"})
        head = history_table.items["head#logged", "head"]
        head |= {"seq": {"N": "2"}, "previous": head["at"], "at": {"N": str(int(time.time() * 1000))}}
        assert publish(people, {"position": "logged"})[0]["seq"] == 1


class TestFaults:
    """Requests that are refused."""

    @pytest.mark.parametrize(
        ("request_", "expected"),
        [
            (None, "not_an_object"),
            ([], "not_an_object"),
            ({}, "room_required"),
            ({"data": "x"}, "room_required"),
            ({"room": "lobby", "user": "alice", "data": "x"}, "room_required"),
            ({"room": "a b", "data": "x"}, "invalid_room"),
            ({"room": ["lobby"], "data": "x"}, "invalid_room"),
            ({"position": 1}, "invalid_room"),
            ({"user": "", "data": "x"}, "invalid_user"),
            ({"user": "a\n", "data": "x"}, "invalid_user"),
            ({"user": "a" * 161, "data": "x"}, "invalid_user"),
            ({"room": "lobby"}, "missing_data"),
            ({"room": "lobby", "data": ""}, "missing_data"),
            ({"room": "lobby", "data": "\ud800"}, "not_unicode"),
            ({"room": "lobby", "data": ["\ud800"]}, "not_unicode"),
            ({"room": "lobby", "data": "x" * 131_073}, "too_large"),
            ({"room": "lobby", "data": "\x01" * 30_000}, "too_large"),
            ({"room": "logged", "data": "\x01" * 30_000}, "too_large"),
            ({"user": "alice", "data": "\x01" * 30_000}, "too_large"),
            ({"room": "lobby", "data": float("nan")}, "not_json"),
            (json.loads('{"room":"lobby","data":1e400}'), "not_json"),
            ({"room": "lobby", "data": "x", "id": ""}, "invalid_id"),
            ({"room": "lobby", "data": "x", "id": "i" * 65}, "invalid_id"),
            ({"room": "lobby", "data": "x", "id": 7}, "invalid_id"),
            ({"room": "lobby", "data": "x", "from": ""}, "invalid_from"),
            ({"room": "lobby", "data": "x", "from": "a" * 161}, "invalid_from"),
            ({"room": "lobby", "data": "x", "from": "a\u202e"}, "invalid_from"),
            ({"room": "lobby", "data": "x", "ephemeral": True}, "unsupported"),
            ({"room": "lobby", "data": "x", "meta": {}}, "unsupported"),
        ],
    )
    def test_one_bad_message_does_not_fail_the_others(self, people: Clients, request_: object, expected: str) -> None:
        good = {"room": "lobby", "data": "good"}
        first, bad, last = publish(people, good, request_, good)
        assert first["delivered"] == last["delivered"] == 3
        assert code(bad) == expected
        assert people.connections.received("bob=") != []

    @pytest.mark.parametrize("request_", [{}, {"messages": {}}, {"messages": None}, [], None, "x", 7])
    def test_other_input(self, people: Clients, request_: object) -> None:
        assert code(people.load("publish").handler(request_, FakeContext())) == "invalid_request"

    def test_an_event_of_a_route_publishes_nothing(self, people: Clients) -> None:
        for raw in (message("bob=", "x"), handshake("bob="), event("DISCONNECT", "bob=")):
            assert code(people.load("publish").handler(raw, FakeContext())) == "invalid_request"

    def test_a_hundred_messages_and_no_more(self, people: Clients) -> None:
        one = {"room": "attic", "data": "x"}
        assert len(publish(people, *[one] * 100)) == 100
        assert code(people.load("publish").handler({"messages": [one] * 101}, FakeContext())) == "too_many_messages"
        assert people.load("publish").handler({"messages": []}, FakeContext()) == {"results": []}

    def test_a_megabyte_and_no_more(self, people: Clients) -> None:
        one = {"room": "attic", "data": "x" * 104_800}
        assert len(publish(people, *[one] * 10)) == 10
        more = {"messages": [{"room": "attic", "data": "x" * 104_900}] * 10}
        assert code(people.load("publish").handler(more, FakeContext())) == "too_large"

    def test_time_is_over(self, people: Clients) -> None:
        answer = people.load("publish").handler({"messages": [{"room": "lobby", "data": "x"}]}, FakeContext(400))
        assert code(answer["results"][0]) == "unavailable"


class TestQueue:
    """Messages of the queue."""

    def test_the_id_of_the_queue_makes_a_message_once(self, people: Clients) -> None:
        people.authorizer = context("bob")
        people.ask("bob=", "join", room="logged")
        one = record("3f2a9c4e-0000-4000-8000-000000000001", {"room": "logged", "data": "x"})
        assert from_queue(people, one) == []
        [frame] = people.frames("bob=")
        assert frame["id"] == "3f2a9c4e-0000-4000-8000-000000000001"
        assert from_queue(people, one) == []
        assert people.connections.posts == []

    def test_an_id_of_the_backend_goes_before(self, people: Clients) -> None:
        assert from_queue(people, record("1", {"room": "lobby", "data": "x", "id": "order-17"})) == []
        assert people.frames("bob=")[0]["id"] == "order-17"

    def test_data_arrives_as_it_was_written(self, people: Clients) -> None:
        body = '{"room":"lobby","data":{"n":1.0000000000000000000000001,"n":2}}'
        assert from_queue(people, record("1", body)) == []
        assert people.connections.received("alice-2=") == ['{"n":1.0000000000000000000000001,"n":2}']

    @pytest.mark.parametrize("body", ["", "no JSON", "[]", '{"room":"a b","data":"x"}', '{"room":"lobby"}', None, 7])
    def test_bad_messages_alone_are_redelivered(self, people: Clients, body: Any) -> None:
        good = {"room": "lobby", "data": "good"}
        assert from_queue(people, record("1", good), {"messageId": "2", "body": body}, record("3", good)) == ["2"]
        assert people.connections.received("alice-2=") == ["good", "good"]

    def test_a_record_without_id_has_the_batch_redelivered(self, people: Clients) -> None:
        assert from_queue(people, None) == [""]
        assert from_queue(people) == []
        assert people.load("publish").handler({"Records": 7}, FakeContext()) == {"batchItemFailures": []}

    def test_a_message_that_is_perhaps_being_posted_comes_again(self, people: Clients, table: FakeTable) -> None:
        one = record("1", {"room": "logged", "data": "x"})
        table.failing = {"Query"}
        assert from_queue(people, one) == ["1"]
        table.failing = set()
        assert from_queue(people, one) == ["1"]

    @pytest.mark.parametrize("trouble", ["failing", "silent", "refusing"])
    @pytest.mark.parametrize("to", [{"room": "lobby"}, {"room": "logged"}, {"user": "alice"}])
    def test_one_that_has_reached_no_member_comes_again_and_is_delivered_then(
        self,
        people: Clients,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        to: Mapping[str, str],
        trouble: str,
    ) -> None:
        for name, subject in (("alice-1=", "alice"), ("bob=", "bob")):
            people.authorizer = context(subject)
            people.ask(name, "join", room="logged")
        one = record("1", {**to, "data": "x"})
        setattr(people.connections, trouble, {"alice-1=", "alice-2=", "bob="})
        capsys.readouterr()
        assert from_queue(people, one) == ["1"]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [line] = [each for each in lines if each["message"] == "a message was not published"]
        assert (line["level"], line["outcome"], line["task_id"]) == ("ERROR", "not_delivered", "1")

        setattr(people.connections, trouble, set())
        # Until the first try's time is over, it may still be posting.
        monkeypatch.setattr(people.load("publish").HISTORY._table, "now", lambda: int(time.time() * 1000) + 60_000)
        assert from_queue(people, one) == []
        assert people.connections.received("alice-1=") != []
        if "room" in to:
            assert people.connections.received("bob=") != []

    def test_one_that_has_reached_a_member_does_not_come_again(self, people: Clients) -> None:
        people.connections.refusing = {"alice-1=", "alice-2="}
        assert from_queue(people, record("1", {"room": "lobby", "data": "x"})) == []
        people.connections.gone = {"bob="}
        assert from_queue(people, record("1", {"room": "lobby", "data": "x"})) == []

    def test_one_for_an_empty_room_does_not_come_again(self, people: Clients) -> None:
        assert from_queue(people, record("1", {"room": "attic", "data": "x"})) == []
        assert from_queue(people, record("2", {"user": "carol", "data": "x"})) == []


class TestQueuedDelivery:
    """Messages that are handed to workers."""

    @pytest.fixture
    def queued(self, people: Clients, monkeypatch: pytest.MonkeyPatch) -> list[tasks.Task]:
        """Tasks that are handed to workers."""
        put: list[Any] = []

        class Queue:
            is_failing = False

            def put(self, given: list[tasks.Task], _deadline: float) -> None:
                if self.is_failing:
                    raise aws_json.ServiceError("SendMessageBatch", "it broke", {"message": PLANTED}, transient=True)
                put.extend(given)

        self.queue = Queue()
        monkeypatch.setattr(people.load("publish"), "QUEUE", self.queue)
        return put

    def test_rooms_are_served_by_workers_and_clients_at_once(self, people: Clients, queued: list[tasks.Task]) -> None:
        room, user = publish(people, {"room": "lobby", "data": "x", "id": "1"}, {"user": "bob", "data": "y"})
        assert room == {"id": "1", "room": "lobby", "queued": True}
        assert user["delivered"] == 1
        [task] = queued
        assert (task.message.room, task.message.data, task.shard) == ("lobby", "x", 0)
        read = tasks.parse(task.to_json())
        assert isinstance(read, tasks.Task)
        assert read.message.envelope == task.message.envelope
        assert read.message.envelope is not None
        assert read.message.envelope.is_backend

    def test_each_partition_that_is_read_has_a_task(
        self, people: Clients, queued: list[tasks.Task], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While their number changes, that is more than new members are spread over."""
        module = people.load("publish")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(shards_read=3))
        publish(people, {"room": "lobby", "data": "x"})
        assert [task.shard for task in queued] == [0, 1, 2]

    def test_a_kept_message_is_done_once_the_queue_has_it(self, people: Clients, queued: list[tasks.Task]) -> None:
        one = {"room": "logged", "data": "x", "id": "1"}
        assert publish(people, one)[0]["queued"] is True
        assert publish(people, one)[0]["duplicate"] is True
        assert len(queued) == 1

    def test_a_queue_that_fails(self, people: Clients, queued: list[tasks.Task]) -> None:
        self.queue.is_failing = True
        results = publish(people, {"room": "lobby", "data": "x"}, {"user": "bob", "data": "y"})
        assert (code(results[0]), results[1]["delivered"]) == ("unavailable", 1)
        assert queued == []


def test_a_task_of_a_client_has_no_mark_of_backends() -> None:
    assert "is_backend" not in tasks._fields_of(frames.Envelope("alice", 1, "m"))


def test_nothing_is_written_for_names_of_clients_by_default(
    clients: Clients, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = clients.load("connect")
    monkeypatch.setattr(connect, "SETTINGS", connect.SETTINGS._replace(authorization="JWT"))
    clients.authorizer = context("alice")
    clients.connect("alice=", "lobby")
    [(operation, parameters)] = table.calls
    assert operation == "TransactWriteItems"
    assert [[*action] for action in parameters["TransactItems"]] == [["Put"], ["Put"]]
    assert {key for key, _ in table.items} == {"connection#alice=", "room#lobby#0"}
    assert "listed" not in table.items["connection#alice=", "connection"]
    assert int(table.items["room#lobby#0", "alice="]["connected_at"]["N"]) == CONNECTED_AT
