"""Limits: messages of a connection, and members of a room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from roomcast import allowance, aws_json, headcount
from tests.fakes import FakeConnections, FakeContext, FakeTable, error_code, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.v1 import Clients

SEND = {"action": "sendmessage", "data": "hello"}


class Clock:
    """The wall clock, under the test's control."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(int(time.time()))
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class TestMessages:
    """``messages_per_second``."""

    @pytest.fixture
    def send(
        self, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, connections: FakeConnections
    ) -> Callable[..., str]:
        """Sends a message of Alice's; gives the error code, or nothing."""
        connect = load("connect")
        for name in ("alice=", "bob="):
            connect.handler(handshake(name, "lobby"), FakeContext())
        module = load("sendmessage")

        def sent(rate: float, sender: str = "alice=") -> str:
            monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(messages_per_second=rate))
            connections.posts.clear()
            module.handler(message(sender, SEND), FakeContext())
            [text] = connections.received(sender)
            return "" if text == "hello" else error_code(text)

        return sent

    def test_without_a_rate_the_sender_is_read(self, send: Callable[..., str], table: FakeTable) -> None:
        table.calls.clear()
        assert send(0) == ""
        assert [operation for operation, _ in table.calls] == ["GetItem", "Query"]

    def test_with_a_rate_an_update_takes_the_place_of_the_read(
        self, send: Callable[..., str], table: FakeTable, clock: Clock
    ) -> None:
        for _ in range(3):
            table.calls.clear()
            assert send(10) == ""
            assert [operation for operation, _ in table.calls] == ["UpdateItem", "Query"]
            clock.now += 0.101

    @pytest.mark.parametrize("rate", [0.1, 0.5, 1, 3, 10, 100])
    def test_a_flood_gets_the_bucket_and_then_the_rate(
        self, send: Callable[..., str], clock: Clock, rate: float
    ) -> None:
        capacity = max(1, round(rate * allowance.BUCKET_SECONDS))
        assert [send(rate) for _ in range(capacity + 3)] == [""] * capacity + ["rate_limited"] * 3
        clock.now += 5 / rate + 0.002
        refilled = min(5, capacity)
        assert [send(rate) for _ in range(refilled + 1)] == [""] * refilled + ["rate_limited"]

    def test_a_refused_message_costs_one_request_and_takes_no_token(
        self, send: Callable[..., str], table: FakeTable, clock: Clock
    ) -> None:
        assert [send(1) for _ in range(3)] == ["", "", "rate_limited"]
        table.calls.clear()
        assert send(1) == "rate_limited"
        assert [operation for operation, _ in table.calls] == ["UpdateItem"]
        clock.now += 1.01
        assert send(1) == ""

    @pytest.mark.usefixtures("clock")
    def test_the_question_who_is_there_counts_as_a_message(
        self, clients: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clients.join("alice", "lobby")
        module = clients.load("who")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(messages_per_second=1.0))
        monkeypatch.setattr(clients, "load", lambda _: module)
        answers = [frame for _ in range(3) for frame in clients.ask("alice", "who", room="lobby")]
        assert [each.get("code", each["type"]) for each in answers] == ["members", "members", "rate_limited"]

    @pytest.mark.usefixtures("clock")
    def test_each_connection_has_a_bucket_of_its_own(self, send: Callable[..., str]) -> None:
        assert [send(0.5) for _ in range(2)] == ["", "rate_limited"]
        assert send(0.5, "bob=") == ""

    def test_a_rest_adds_no_more_than_the_bucket(self, send: Callable[..., str], clock: Clock) -> None:
        clock.now += 3_600
        assert [send(1) for _ in range(3)] == ["", "", "rate_limited"]

    @pytest.mark.parametrize("gone", ["item", "tombstone"])
    def test_a_sender_without_items_is_told_so_and_gets_none(
        self, send: Callable[..., str], table: FakeTable, gone: str
    ) -> None:
        key = ("connection#alice=", "connection")
        if gone == "item":
            del table.items[key]
        else:
            del table.items[key]["rooms"]
        before = dict(table.items)

        assert send(1) == "not_joined"
        assert table.items == before

    def test_a_table_that_fails_is_told(self, send: Callable[..., str], table: FakeTable) -> None:
        table.failing.add("UpdateItem")
        assert send(1) == "unavailable"

    @given(st.floats(0.01, 1_000), st.lists(st.floats(0, 3), min_size=1, max_size=60))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_no_window_holds_more_than_the_bucket_and_the_rate(
        self, table: FakeTable, rate: float, pauses: list[float]
    ) -> None:
        key = {"partition_key": {"S": "connection#a"}, "sort_key": {"S": "connection"}}
        table.items["connection#a", "connection"] = {**key, "rooms": {"M": {}}}
        bucket = allowance.of_rate(rate)
        accepted: list[float] = []
        now = 1_000_000.0
        for pause in pauses:
            now += pause
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(time, "time", lambda now=now: now)
                try:
                    allowance.take(table, "connections", key, bucket, 0)  # type: ignore[arg-type]
                except allowance.SpentError:
                    continue
            accepted.append(now)
        assert accepted, "the first one always goes"
        for index, start in enumerate(accepted):
            for number, end in enumerate(accepted[index:], 1):
                # Milliseconds are whole, and so is the time for a token.
                allowed = (
                    bucket.tolerance / bucket.interval + 1 + (1_000 * (end - start) + number + 2) / bucket.interval
                )
                assert number <= allowed


class TestMembers:
    """``maximum_room_members``."""

    @pytest.fixture
    def limit(self, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        """Sets the limit in every handler; gives the function that connects a client."""

        def limited(maximum: int, shards: int = 1, since: str = "") -> Callable[[str], int]:
            for name in ("connect", "disconnect", "leave", "sendmessage"):
                table = load(name).ROOMS
                monkeypatch.setattr(table, "headcount", headcount.Headcount("connections", maximum, shards, since))
                monkeypatch.setattr(table, "shards_per_room", shards)
                monkeypatch.setattr(table, "shards_read", shards)
            module = load("connect")
            return lambda client: module.handler(handshake(client, "lobby"), FakeContext())["statusCode"]

        return limited

    @staticmethod
    def members(table: FakeTable) -> set[str]:
        return {member for key, member in table.items if key.startswith("room#lobby#")}

    @staticmethod
    def numbers(table: FakeTable) -> dict[str, int]:
        return {key: int(item["members"]["N"]) for (key, _), item in table.items.items() if key.startswith("members#")}

    def test_without_a_limit_nothing_is_counted(self, load: Callable[[str], Any], table: FakeTable) -> None:
        load("connect").handler(handshake("a=", "lobby"), FakeContext())
        load("disconnect").handler(event("DISCONNECT", "a="), FakeContext())

        assert [operation for operation, _ in table.calls] == ["TransactWriteItems", "GetItem", "TransactWriteItems"]
        assert [len(each["TransactItems"]) for _, each in table.calls if "TransactItems" in each] == [2, 2]
        assert table.items == {}

    @pytest.mark.parametrize("shards", [1, 3, 8])
    @pytest.mark.parametrize("maximum", [1, 2, 5, 20])
    def test_so_many_join_and_no_more(
        self, limit: Callable[..., Any], table: FakeTable, shards: int, maximum: int
    ) -> None:
        connect = limit(maximum, shards)
        assert [connect(f"client-{number}") for number in range(maximum + 3)] == [200] * maximum + [429] * 3
        assert len(self.members(table)) == maximum == sum(self.numbers(table).values())
        assert table.halves() == set()

    def test_a_limit_leaves_members_spread_over_the_shards(self, limit: Callable[..., Any], table: FakeTable) -> None:
        """Where no share is full, a member is in the shard that it would have without a limit."""
        places = []
        for maximum in (0, 320):
            connect = limit(maximum, 8)
            assert {connect(f"client-{number}") for number in range(40)} == {200}
            places.append({member: key for key, member in table.items if key.startswith("room#lobby#")})
            table.items.clear()
        assert places[0] == places[1]
        assert len(set(places[0].values())) == 8

    def test_a_join_costs_no_further_request(self, limit: Callable[..., Any], table: FakeTable) -> None:
        connect = limit(10)
        connect("first")
        table.calls.clear()
        assert connect("second") == 200
        assert [operation for operation, _ in table.calls] == ["TransactWriteItems"]

    def test_a_number_counts_for_as_long_as_a_connection_lasts(
        self, limit: Callable[..., Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two hours, within which the members that it counts may all be there: so none of them is counted again."""
        connect = limit(10)
        connect("first")
        table.calls.clear()
        later = time.time() + 2 * 3600 - 60
        monkeypatch.setattr(time, "time", lambda: later)
        assert connect("second") == 200
        assert [operation for operation, _ in table.calls] == ["TransactWriteItems"]

    def test_who_leaves_makes_room(self, limit: Callable[..., Any], load: Callable[[str], Any]) -> None:
        connect = limit(2)
        assert [connect(name) for name in "abc"] == [200, 200, 429]
        for _ in range(3):
            load("disconnect").handler(event("DISCONNECT", "a"), FakeContext())
        assert [connect(name) for name in "cd"] == [200, 429]

    @pytest.mark.parametrize("shards", [3, 70])
    def test_so_does_one_who_is_pruned(
        self,
        limit: Callable[..., Any],
        load: Callable[[str], Any],
        table: FakeTable,
        connections: FakeConnections,
        *,
        shards: int,
    ) -> None:
        connect = limit(80, shards)
        names = [f"client-{number}" for number in range(80)]
        assert {connect(name) for name in names} == {200}
        connections.gone.update(names[1:61])
        del table.items["room#lobby#0", next(each for key, each in table.items if key == "room#lobby#0")]
        for _ in range(2):
            load("sendmessage").handler(message("client-0", SEND), FakeContext())

        left = len(self.members(table))
        assert left in {19, 20}
        assert [connect(f"late-{number}") for number in range(81 - left)] == [200] * (80 - left) + [429]

    @pytest.mark.parametrize("count", [1, 32, 33, 34, 66, 67, 99, 120])
    def test_all_who_are_pruned_at_once_go_and_are_subtracted(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable, count: int
    ) -> None:
        connect = limit(150)
        assert {connect(f"client-{number}") for number in range(count + 3)} == {200}
        members = load("sendmessage").ROOMS
        soon = time.monotonic() + 60
        members.prune("lobby", list(members.members("lobby", soon))[:count], soon)

        assert len(self.members(table)) == sum(self.numbers(table).values()) == 3
        assert table.halves() == set()

    def test_who_is_pruned_goes_also_when_the_number_cannot_be_changed_in_time(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect = limit(10)
        assert {connect(name) for name in "abc"} == {200}
        call, waited_until = table.call, [0.0]

        def slow(operation: str, parameters: Any, deadline: float) -> Any:
            is_counted = any("Update" in action for action in parameters.get("TransactItems", []))
            if is_counted or deadline <= waited_until[0]:
                waited_until[0] = max(deadline, waited_until[0])
                raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
            return call(operation, parameters, deadline)

        members, soon = load("sendmessage").ROOMS, time.monotonic() + 60
        found = list(members.members("lobby", soon))
        monkeypatch.setattr(table, "call", slow)
        members.prune("lobby", found[:2], soon)

        assert len(self.members(table)) == 1

    @pytest.mark.parametrize("gone", ["expired", "deleted"])
    def test_members_that_expired_are_not_counted(self, limit: Callable[..., Any], table: FakeTable, gone: str) -> None:
        connect = limit(2)
        assert [connect(name) for name in "ab"] == [200, 200]
        for key in (("connection#a", "connection"), ("room#lobby#0", "a")):
            if gone == "deleted":
                del table.items[key]
            else:
                table.items[key]["expires_at"] = {"N": str(int(time.time()) - 1)}

        assert [connect(name) for name in "cd"] == [200, 429]
        assert self.numbers(table) == {"members#lobby#0": 2}

    @pytest.mark.parametrize("ending", ["disconnect", "prune"])
    def test_members_that_leave_after_they_expired_are_not_subtracted(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable, ending: str
    ) -> None:
        connect = limit(3)
        assert [connect(name) for name in "abc"] == [200] * 3
        senders = load("sendmessage").ROOMS
        found = [each for each in senders.members("lobby", time.monotonic() + 9) if each.connection_id in "ab"]
        for key in [(f"connection#{name}", "connection") for name in "ab"] + [("room#lobby#0", name) for name in "ab"]:
            table.items[key]["expires_at"] = {"N": str(int(time.time()) - 1)}
        # The number is full, so the members are counted: c and d.
        assert connect("d") == 200

        if ending == "prune":
            senders.prune("lobby", found, time.monotonic() + 9)
        else:
            for name in "ab":
                load("disconnect").handler(event("DISCONNECT", name), FakeContext())

        assert self.members(table) == {"c", "d"}
        assert table.halves() == set()
        assert [connect(name) for name in "efg"] == [200, 429, 429]

    def test_members_from_before_the_limit_count(self, limit: Callable[..., Any]) -> None:
        assert {limit(0)(name) for name in "ab"} == {200}
        connect = limit(3)
        assert [connect(name) for name in "cd"] == [200, 429]

    def test_members_who_joined_while_the_limit_was_off_count(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable
    ) -> None:
        """Although the number from before is less than two hours old."""
        connect = limit(3, since="first")
        assert [connect(name) for name in "ab"] == [200, 200]
        assert {limit(0)(name) for name in "cd"} == {200}
        load("disconnect").handler(event("DISCONNECT", "a"), FakeContext())

        connect = limit(4, since="second")
        assert [connect(name) for name in "ef"] == [200, 429]
        assert self.numbers(table) == {"members#lobby#0": 4}

    @pytest.mark.parametrize("ending", ["disconnect", "leave"])
    def test_who_joined_uncounted_takes_a_place_only_until_it_leaves(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable, clients: Clients, ending: str
    ) -> None:
        """Through a function that did not know the limit yet, after the members were counted."""
        connect = limit(3)
        assert connect("a") == 200
        limit(0)
        assert [clients.connect(name, "lobby")["statusCode"] for name in "bc"] == [200, 200]
        connect = limit(3)
        assert [connect(name) for name in "def"] == [200, 200, 429]
        for name in "bc":
            if ending == "leave":
                assert clients.ask(name, "leave", room="lobby") == [{"type": "left", "room": "lobby"}]
            else:
                load("disconnect").handler(event("DISCONNECT", name), FakeContext())
        assert [connect(name) for name in "gh"] == [429, 429]
        assert self.members(table) == {"a", "d", "e"}
        assert self.numbers(table) == {"members#lobby#0": 3}

    def test_a_number_of_a_release_that_did_not_note_since_when_is_corrected(
        self, limit: Callable[..., Any], table: FakeTable
    ) -> None:
        connect = limit(3)
        connect("a")
        del table.items["members#lobby#0", "members"]["counted_since"]
        assert {limit(0)(name) for name in "b"} == {200}
        assert [limit(3)(name) for name in "cd"] == [200, 429]

    def test_an_old_number_does_not_count(self, limit: Callable[..., Any], table: FakeTable) -> None:
        connect = limit(2)
        connect("a")
        item = table.items["members#lobby#0", "members"]
        table.items["members#lobby#0", "members"] = {
            **item,
            "members": {"N": "-5"},
            "expires_at": {"N": str(int(time.time()) - 1)},
        }
        assert [connect(name) for name in "bc"] == [200, 429]

    @pytest.mark.parametrize("is_counted", [False, True])
    def test_a_join_between_count_and_correction_is_not_lost(
        self, limit: Callable[..., Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch, *, is_counted: bool
    ) -> None:
        connect = limit(3)
        if is_counted:
            connect("x")
            table.items["members#lobby#0", "members"]["members"] = {"N": "3"}
            del table.items["connection#x", "connection"], table.items["room#lobby#0", "x"]
        call, waiting = table.call, ["b", "c"]

        def interleaved(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            answer = call(operation, parameters, deadline)
            if operation == "Query" and waiting:
                assert connect(waiting.pop()) == 200
            return answer

        monkeypatch.setattr(table, "call", interleaved)
        assert connect("a") == 200
        assert [connect(name) for name in "d"] == [429]
        assert self.numbers(table) == {"members#lobby#0": 3}
        assert self.members(table) == {"a", "b", "c"}

    def test_a_number_is_never_too_small(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable
    ) -> None:
        connect = limit(4)
        assert [connect(name) for name in "abcd"] == [200] * 4
        table_of_senders = load("sendmessage").ROOMS
        dead = [each for each in table_of_senders.members("lobby", time.monotonic() + 9) if each.connection_id in "ab"]
        for _ in range(3):
            table_of_senders.prune("lobby", dead, time.monotonic() + 9)

        assert self.members(table) == {"c", "d"}
        assert self.numbers(table) == {"members#lobby#0": 2}

    @pytest.mark.parametrize("times", [1, 30])
    def test_conflicts_with_other_transactions_are_no_refusal(
        self, limit: Callable[..., Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        connect = limit(3)
        connect("a")
        call, conflicts = table.call, [1] * times
        reasons = [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}]

        def conflicting(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            if operation == "TransactWriteItems" and conflicts:
                conflicts.pop()
                code = "TransactionCanceledException"
                raise aws_json.ServiceError(operation, code, {"CancellationReasons": reasons}, transient=True)
            return call(operation, parameters, deadline)

        monkeypatch.setattr(table, "call", conflicting)
        assert connect("b") == 200
        assert not conflicts

    def test_an_unknown_outcome_is_undone(self, limit: Callable[..., Any], table: FakeTable) -> None:
        connect = limit(2)
        connect("a")
        table.failing_after_write.add("TransactWriteItems")

        assert connect("b") == 500
        assert table.living() == {("connection#a", "connection"), ("room#lobby#0", "a")}
        assert [connect(name) for name in "cd"] == [200, 429]

    @pytest.mark.parametrize("reason", ["ConditionalCheckFailed", "TransactionConflict"])
    def test_a_join_that_may_still_arrive_is_refused_when_it_does(
        self, limit: Callable[..., Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch, reason: str
    ) -> None:
        connect = limit(3)
        connect("a")
        call = table.call
        late: list[Mapping[str, Any]] = []
        reasons = [{"Code": "None"}, {"Code": "None"}, {"Code": reason}]

        def slow(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            if operation == "TransactWriteItems" and not late:
                # The first attempt had no answer, and the second one this.
                late.append(parameters)
                details = {"CancellationReasons": reasons}
                raise aws_json.ServiceError(
                    operation, "TransactionCanceledException", details, transient=False, in_doubt=True
                )
            return call(operation, parameters, deadline)

        monkeypatch.setattr(table, "call", slow)
        assert connect("b") == 500
        with pytest.raises(aws_json.ServiceError):
            call("TransactWriteItems", late[0], 0.0)
        assert self.members(table) == {"a"}

    def test_a_number_that_is_gone_keeps_no_member(
        self, limit: Callable[..., Any], load: Callable[[str], Any], table: FakeTable
    ) -> None:
        limit(2)("a")
        del table.items["members#lobby#0", "members"]
        load("disconnect").handler(event("DISCONNECT", "a"), FakeContext())

        assert table.items == {}

    @given(st.integers(0, 500), st.integers(1, 50))
    def test_shares_make_the_whole(self, maximum: int, shards: int) -> None:
        parts = [headcount.share(maximum, shards, shard) for shard in range(shards)]
        assert sum(parts) == maximum
        assert max(parts) - min(parts) <= 1
