"""The log of a room, step by step: numbers, voids, what ``recovered`` says, and messages that are sent again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from roomcast import history_items, protocol, replay, settled
from roomcast.frames import Ask, Position
from roomcast.history import ROUNDS, Draft, Sender
from roomcast.holes import Log
from tests.history_table import STEP, Died
from tests.logbook import FAR, START, Logbook, append_steps, finish
from tests.v1 import ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomcast.history import Kept
    from roomcast.replay import Replay
    from roomcast.steps import Steps

MINUTE = 60


@pytest.fixture
def book() -> Logbook:
    """The log of an empty room."""
    return Logbook()


def epoch_of(book: Logbook) -> str:
    """The name of the log's life."""
    return str(book.head()["epoch"]["S"])


def die_after(book: Logbook, operation: str) -> None:
    """Let a sender die after its first call of a kind."""
    seen: list[str] = []

    def fate(name: str) -> bool:
        if not name and operation in seen:
            seen.clear()
            raise Died
        seen.append(name)
        return False

    book.table.fate = fate
    with pytest.raises(Died):
        book.append("lost")
    book.table.fate = lambda _: False


def hole(book: Logbook) -> None:
    """Give out a number that no message will have."""
    die_after(book, "UpdateItem")


def asked(book: Logbook, seq: int) -> tuple[Replay, list[tuple[int, int]]]:
    """What a client with a position gets, and the numbers that were read for it."""
    book.table.calls.clear()
    answer = book.since(epoch_of(book), seq)
    queries = [request["ExpressionAttributeValues"] for operation, request in book.table.calls if operation == "Query"]
    return answer, [(int(values[":low"]["S"]), int(values[":high"]["S"])) for values in queries]


@pytest.fixture
def under_way(book: Logbook) -> Sequence[Steps[Kept]]:
    """Three senders that have numbers, in a room that was silent for longer than proofs last, above two messages."""
    for _ in range(2):
        book.append()
    book.clock.seconds += 40 * MINUTE
    senders = [append_steps(book.history, "new", book.clock) for _ in range(3)]
    for each in senders:
        next(each)
        next(each)
    return senders


def read_while(book: Logbook, senders: Iterable[Steps[Kept]], ask: Ask, until: float = FAR) -> tuple[Replay, float]:
    """What a client gets while senders store their messages in its first pause; also the seconds that it waits."""
    pauses = 0.0
    steps = book.history.since("lobby", ask, until, FAR)
    try:
        while True:
            wait = next(steps)
            if wait != STEP:
                seconds = wait.until - time.monotonic()
                pauses += seconds
                book.clock.seconds += seconds
                for each in senders:
                    finish(each)
                senders = ()
    except StopIteration as end:
        return end.value, pauses


class TestNumbers:
    """Numbering and storing."""

    def test_begin_at_one_and_grow(self, book: Logbook) -> None:
        kept = [book.append() for _ in range(3)]
        assert [each.seq for each in kept] == [1, 2, 3]
        assert {each.epoch for each in kept} == {epoch_of(book)}
        assert len(kept[0].epoch) == 8

    def test_a_message_takes_two_writes(self, book: Logbook) -> None:
        book.append()
        assert [operation for operation, _ in book.table.calls] == ["UpdateItem", "PutItem"]

    def test_a_message_with_an_id_takes_a_read_and_four_writes(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        finish(book.history.settle(kept, START))
        operations = [operation for operation, _ in book.table.calls]
        assert operations == ["GetItem", "UpdateItem", "PutItem", "PutItem", "UpdateItem"]

    def test_a_put_that_is_carried_out_twice_is_one_message(self, book: Logbook) -> None:
        book.table.fate = lambda operation: operation == "PutItem"
        assert book.append().seq == 1
        assert book.append().seq == 2

    def test_a_counter_that_is_carried_out_twice_wastes_a_number(self, book: Logbook) -> None:
        book.table.fate = lambda operation: operation == "UpdateItem"
        assert book.append().seq == 2

    def test_a_sealed_number_is_not_used(self, book: Logbook) -> None:
        steps = append_steps(book.history, "late", book.clock)
        next(steps)  # the counter's update is due
        next(steps)  # the put is
        book.clock.seconds += 2
        assert [each.is_void for each in book.first(0).slots] == []
        assert book.table.slots()[f"log#lobby#{epoch_of(book)}", 1]["void"]
        assert finish(steps).seq == 2

    def test_a_message_whose_numbers_are_all_sealed_is_refused(self, book: Logbook) -> None:
        def send() -> None:
            for number, _ in enumerate(append_steps(book.history, "late", book.clock)):
                if number % 2:
                    book.clock.seconds += 2
                    book.first()

        with pytest.raises(protocol.Refusal) as refusal:
            send()
        assert refusal.value.code == "unavailable"
        assert book.head()["seq"]["N"] == str(ROUNDS)

    def test_items_expire_with_their_retention_and_an_hour(self, book: Logbook) -> None:
        book.append()
        expiry = {
            key[0].partition("#")[0]: int(item["expires_at"]["N"]) - START for key, item in book.table.items.items()
        }
        assert expiry == {"log": 60 * MINUTE + 3600, "head": 90 * 24 * 3600}

    def test_the_head_knows_when_numbers_were_given_out(self, book: Logbook) -> None:
        book.append()
        book.clock.seconds += 5
        book.append()
        head = history_items.head(book.head())
        assert (head.at, head.previous, head.created_at) == ((START + 5) * 1000, START * 1000, START * 1000)


class TestGenerations:
    """Lives of a log."""

    def test_a_larger_one_begins_another_life(self, book: Logbook) -> None:
        first = book.append()
        book.history = book.environment(history_generation=2)
        second = book.append()
        assert second.seq == 1
        assert second.epoch != first.epoch

    def test_a_join_begins_it_as_well(self, book: Logbook) -> None:
        epoch = book.append().epoch
        book.history = book.environment(history_generation=2)
        answer = book.since(epoch, 1)
        assert (answer.is_recovered, answer.reason, answer.seq) == (False, "epoch_changed", 0)

    def test_functions_of_two_generations_number_one_log(self, book: Logbook) -> None:
        old, book.history = book.history, book.environment(history_generation=2)
        kept = book.append()
        book.history = old
        assert book.append()[:2] == (kept.epoch, 2)
        assert book.since(kept.epoch, 1).is_recovered

    def test_a_late_answer_of_the_beginning_begins_nothing_twice(self, book: Logbook) -> None:
        book.append()
        book.history = book.environment(history_generation=2)
        book.table.fate = lambda operation: operation == "UpdateItem"
        book.first()
        assert book.head()["generation"]["N"] == "2"
        assert book.head()["seq"]["N"] == "0"


class TestRecovery:
    """Clients that return with a position."""

    def test_a_client_at_the_head_needs_nothing(self, book: Logbook) -> None:
        kept = book.append()
        book.clock.seconds += 30 * 24 * 3600
        book.expire(1)
        calls = len(book.table.calls)
        answer = book.since(kept.epoch, 1)
        assert (answer.is_recovered, answer.seq, answer.slots) == (True, 1, ())
        assert [operation for operation, _ in book.table.calls[calls:]] == ["BatchGetItem"]

    def test_everything_above_the_position_comes(self, book: Logbook) -> None:
        for number in range(5):
            book.append(str(number))
        answer = book.since(epoch_of(book), 2)
        assert [(each.seq, each.data) for each in answer.slots] == [(3, "2"), (4, "3"), (5, "4")]
        assert (answer.is_recovered, answer.seq, answer.head, answer.has_more) == (True, 5, 5, False)

    def test_an_expired_message_is_not_recovered(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
            book.clock.seconds += 3600
        book.clock.seconds += 3600
        book.expire(2)
        answer = book.since(epoch_of(book), 1)
        assert (answer.is_recovered, answer.reason, answer.slots) == (False, "too_old", [])

    def test_nothing_is_replayed_where_something_is_missing_but_the_last_ones_asked_for(self, book: Logbook) -> None:
        for number in range(4):
            book.append(str(number))
        book.clock.seconds += 3 * 3600
        book.expire(2)
        answer = book.since(epoch_of(book), 1, last=1)
        assert (answer.is_recovered, answer.reason, [each.data for each in answer.slots]) == (False, "too_old", ["3"])

    def test_a_hole_is_sealed_and_sent_as_a_void(self, book: Logbook) -> None:
        book.append()
        hole(book)
        book.append()
        book.clock.seconds += 2
        answer = book.since(epoch_of(book), 1)
        assert [(each.seq, each.is_void) for each in answer.slots] == [(2, True), (3, False)]
        assert (answer.is_recovered, answer.seq) == (True, 3)

    def test_a_young_hole_is_left_and_what_is_above_it_comes(self, book: Logbook) -> None:
        book.append()
        hole(book)
        book.append()
        answer = book.since(epoch_of(book), 0)
        assert [each.seq for each in answer.slots] == [1, 3]
        assert (answer.is_recovered, answer.seq, answer.head, answer.has_more) == (True, 1, 3, False)

    def test_a_hole_that_was_seen_a_second_ago_is_old_whatever_the_clocks_say(self, book: Logbook) -> None:
        ahead = book.environment(offset=60)
        book.append()
        hole(book)
        finish(append_steps(ahead, "above", book.clock))
        book.table.items["log#lobby#" + epoch_of(book), f"{3:016}"]["at"] = {"N": str(int(START + 60) * 1000)}
        assert book.since(epoch_of(book), 0).seq == 1
        book.clock.seconds += 1.5
        assert book.since(epoch_of(book), 0).seq == 3

    def test_a_hole_at_the_top_is_sealed(self, book: Logbook) -> None:
        book.append()
        hole(book)
        book.clock.seconds += 2
        answer = book.since(epoch_of(book), 1)
        assert [(each.seq, each.is_void) for each in answer.slots] == [(2, True)]
        assert answer.seq == 2

    @pytest.mark.parametrize("holes", [1, 2])
    def test_a_fresh_hole_after_a_long_pause_is_proved_by_the_head(self, book: Logbook, holes: int) -> None:
        book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1)
        for _ in range(holes):
            hole(book)
        book.clock.seconds += 2
        answer = book.since(epoch_of(book), 1)
        assert (answer.is_recovered, answer.seq) == (True, 1 + holes)

    def test_three_dead_numbers_after_a_long_pause_may_have_expired(self, book: Logbook) -> None:
        book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1)
        for _ in range(3):
            hole(book)
        assert book.since(epoch_of(book), 1).reason == "too_old"

    def test_messages_that_several_senders_store_after_a_long_pause_are_waited_for(
        self, book: Logbook, under_way: Sequence[Steps[Kept]]
    ) -> None:
        answer, pauses = read_while(book, under_way, Ask(Position(epoch_of(book), 2)))
        assert (answer.is_recovered, [each.seq for each in answer.slots]) == (True, [3, 4, 5])
        assert 0 < pauses <= 0.3

    @pytest.mark.usefixtures("under_way")
    def test_they_are_waited_for_a_second(self, book: Logbook) -> None:
        answer, pauses = read_while(book, (), Ask(Position(epoch_of(book), 2)))
        assert (answer.is_recovered, answer.reason) == (False, "too_old")
        assert 0.8 < pauses < 1.5

    def test_they_are_not_waited_for_when_time_is_over(self, book: Logbook, under_way: Sequence[Steps[Kept]]) -> None:
        until = time.monotonic() + 0.2
        answer, pauses = read_while(book, under_way, Ask(Position(epoch_of(book), 2)), until)
        assert (answer.reason, pauses) == ("too_old", 0)

    def test_expired_numbers_are_not_waited_for(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1, 2, 3)
        book.append()
        answer, pauses = read_while(book, (), Ask(Position(epoch_of(book), 1)))
        assert (answer.reason, pauses) == ("too_old", 0)

    def test_a_hole_is_proved_by_the_message_just_above_it(self, book: Logbook) -> None:
        book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1)
        hole(book)
        for _ in range(3):
            book.append()
        book.clock.seconds += 2
        assert book.since(epoch_of(book), 1).is_recovered

    def test_a_message_below_the_position_proves_holes_above_it(self, book: Logbook) -> None:
        book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1)
        for _ in range(2):
            book.append()
        for _ in range(3):
            hole(book)
        assert book.since(epoch_of(book), 3).is_recovered

    def test_voids_prove_nothing(self, book: Logbook) -> None:
        book.append()
        hole(book)
        book.append()
        book.append()
        book.append()
        book.clock.seconds += 4 * 3600
        seal = history_items.void("lobby", epoch_of(book), 2, int(book.clock() * 1000), int(book.clock()) + 7200)
        finish(book.history._table.put(seal, START))
        book.expire(1, 3, 4, 5)
        assert book.since(epoch_of(book), 1).reason == "too_old"

    def test_young_is_half_an_hour_whatever_is_configured(self, book: Logbook) -> None:
        book = Logbook(history_retention_minutes=10)
        for _ in range(4):
            book.append()
        book.history = book.environment(history_retention_minutes=10_080)
        book.clock.seconds += 80 * MINUTE
        book.expire(2, 3)
        assert book.since(epoch_of(book), 1).reason == "too_old"

    def test_messages_that_are_there_come_at_any_age(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        book.clock.seconds += 10 * 24 * 3600
        assert [each.seq for each in book.since(epoch_of(book), 0).slots] == [1, 2, 3]

    def test_a_position_of_another_life(self, book: Logbook) -> None:
        book.append()
        assert book.since("another0", 0).reason == "epoch_changed"

    def test_a_position_above_the_head(self, book: Logbook) -> None:
        book.append()
        answer = book.since(epoch_of(book), 2)
        assert (answer.is_recovered, answer.reason, answer.seq) == (False, "ahead", 1)

    def test_a_position_below_the_floor(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        book.table.items["head#lobby", "head"]["floor"] = {"N": "2"}
        assert book.since(epoch_of(book), 1).reason == "too_old"
        assert book.since(epoch_of(book), 2).is_recovered
        assert [each.seq for each in book.first(3).slots] == [2, 3]

    def test_too_far_behind(self, book: Logbook) -> None:
        book.append()
        book.table.items["head#lobby", "head"]["seq"] = {"N": str(replay.MOST_BEHIND + 2)}
        assert book.since(epoch_of(book), 1).reason == "too_many"

    def test_more_than_a_replay_holds(self, book: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replay, "MOST_MESSAGES", 3)
        for _ in range(7):
            book.append()
        answers = [book.since(epoch_of(book), seq) for seq in (0, 3, 6)]
        assert [[each.seq for each in answer.slots] for answer in answers] == [[1, 2, 3], [4, 5, 6], [7]]
        assert [(answer.seq, answer.head, answer.has_more) for answer in answers] == [
            (3, 7, True),
            (6, 7, True),
            (7, 7, False),
        ]
        assert all(answer.is_recovered for answer in answers)

    def test_pages_for_which_time_is_over_come_with_the_next_replay(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(5):
            book.append()
        query = book.table._operations["Query"]
        short = {"Query": lambda parameters: query({**parameters, "Limit": 2})}
        monkeypatch.setattr(book.table, "_operations", {**book.table._operations, **short})
        answer = finish(book.history.since("lobby", Ask(Position(epoch_of(book), 0)), 0.0, FAR))
        assert ([each.seq for each in answer.slots], answer.seq, answer.has_more) == ([1, 2], 2, True)
        rest = book.since(epoch_of(book), answer.seq)
        assert ([each.seq for each in rest.slots], rest.seq, rest.has_more) == ([3, 4, 5], 5, False)

    def test_a_hole_at_the_end_of_a_replay_is_proved_by_the_next_one(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay, "MOST_MESSAGES", 3)
        for _ in range(3):
            book.append()
        book.clock.seconds += 40 * MINUTE
        hole(book)
        for _ in range(4):
            book.append()
        book.clock.seconds += 2
        answers = [book.since(epoch_of(book), seq) for seq in (0, 3)]
        assert [(each.is_recovered, each.seq, each.has_more) for each in answers] == [(True, 3, True), (True, 7, True)]

    def test_more_bytes_than_a_replay_holds(self, book: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(replay, "MOST_BYTES", 10)
        for _ in range(3):
            book.append("x" * 11)
        answer = book.since(epoch_of(book), 0)
        assert ([each.seq for each in answer.slots], answer.seq, answer.has_more) == ([1], 1, True)

    def test_a_young_hole_at_the_position_does_not_ask_for_more(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay, "MOST_MESSAGES", 2)
        hole(book)
        for _ in range(3):
            book.append()
        answer = book.since(epoch_of(book), 0)
        assert (answer.seq, answer.has_more, [each.seq for each in answer.slots]) == (0, False, [2, 3])


class TestReturningTogether:
    """What an execution environment has read for one client, it does not read for the next."""

    def test_a_log_is_read_once(self, book: Logbook) -> None:
        for number in range(40):
            book.append(str(number))
        first, again, later = (asked(book, seq) for seq in (3, 3, 25))
        assert [low for low, _ in (*first[1], *again[1], *later[1])] == [1]
        assert first[0] == again[0]
        assert [each.data for each in later[0].slots] == [str(number) for number in range(25, 40)]
        assert later[0].is_recovered

    def test_only_what_is_above_is_read(self, book: Logbook) -> None:
        for _ in range(40):
            book.append()
        asked(book, 20)
        book.append("new")
        answer, ranges = asked(book, 30)
        assert (ranges, len(answer.slots), answer.slots[-1].data) == ([(41, 41)], 11, "new")
        # The end grows, and what was below it stays.
        assert asked(book, 21)[1] == []
        assert asked(book, 3)[1] == [(1, 41)]
        assert asked(book, 3)[1] == []

    def test_what_is_above_a_hole_is_read_again(self, book: Logbook) -> None:
        book.append()
        late = append_steps(book.history, "late", book.clock)
        for _ in range(2):
            next(late)
        book.append()
        answer, _ = asked(book, 0)
        assert ([each.seq for each in answer.slots], answer.seq) == ([1, 3], 1)
        finish(late)
        answer, ranges = asked(book, 0)
        assert ([each.data for each in answer.slots], ranges) == (["hello", "late", "hello"], [(2, 3)])

    def test_what_is_withdrawn_is_gone_after_a_minute(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        asked(book, 0)
        epoch = epoch_of(book)
        book.table.items["log#lobby#" + epoch, f"{2:016}"] = history_items.void("lobby", epoch, 2, 1, 2**40)
        book.clock.seconds += 59
        book.append()
        assert not any(each.is_void for each in asked(book, 0)[0].slots)
        book.clock.seconds += 1
        answer, ranges = asked(book, 0)
        assert ([each.is_void for each in answer.slots], ranges) == ([False, True, False, False], [(1, 4)])

    def test_lives_of_a_log_do_not_mix(self, book: Logbook) -> None:
        book.append("old")
        asked(book, 0)
        book.history.heads = book.history.heads._replace(generation=2)
        book.append("new")
        assert [each.data for each in asked(book, 0)[0].slots] == ["new"]

    def test_a_replay_is_no_longer_than_from_the_table(self, book: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(6):
            book.append()
        asked(book, 0)
        monkeypatch.setattr(replay, "MOST_MESSAGES", 4)
        answer, ranges = asked(book, 0)
        assert (len(answer.slots), answer.seq, answer.has_more, ranges) == (4, 4, True, [])
        assert asked(book, 4)[1] == []

    def test_no_more_is_kept_than_memory_allows(self, book: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settled, "MOST_BYTES", 100)
        for _ in range(30):
            book.append("0123456789")
        asked(book, 16)
        # The ten last ones are kept, and a client needs some below its position.
        assert asked(book, 25)[1] == [(9, 30)]

    def test_no_more_logs_are_kept_than_memory_allows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settled, "MOST_LOGS", 2)
        tails = settled.Tails(lambda: 1)
        logs = [Log(room, history_items.Head("abcdefgh", 1, 1, 1, 1, 1)) for room in ("a", "b", "c")]
        slots = {1: history_items.Entry(1, 1)}
        for log in logs[:2]:
            tails.keep(log, slots, 1)
        tails.keep(logs[0], slots, 1)
        assert [len(tails.above(log, 1)) for log in logs] == [1, 1, 0]
        tails.keep(logs[2], slots, 1)
        assert [len(tails.above(log, 1)) for log in logs] == [0, 0, 1]

    def test_a_client_gets_nothing_above_the_head_that_was_read_for_it(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        head = history_items.head(book.head())
        book.append()
        asked(book, 0)
        ask = Ask(Position(head.epoch, 1), None)
        answer = finish(book.history.read(Log("lobby", head), ask, FAR, FAR))
        assert ([each.seq for each in answer.slots], answer.seq, answer.head) == ([2, 3], 3, 3)


class TestFirstJoin:
    """Clients without a position."""

    def test_of_an_empty_room_has_a_position(self, book: Logbook) -> None:
        answer = book.first()
        assert (answer.epoch, answer.seq, answer.head) == (epoch_of(book), 0, 0)
        assert answer.is_recovered is None

    def test_a_number_under_way_lies_above_it(self, book: Logbook) -> None:
        book.append()
        late = append_steps(book.history, "late", book.clock)
        next(late)
        next(late)
        book.append()
        answer = book.first()
        assert (answer.seq, [each.seq for each in answer.slots]) == (1, [3])
        assert finish(late).seq == 2
        assert [each.seq for each in book.since(answer.epoch, answer.seq).slots] == [2, 3]

    def test_numbers_of_several_senders_after_a_long_pause_lie_above_it(
        self, book: Logbook, under_way: Sequence[Steps[Kept]]
    ) -> None:
        answer, _ = read_while(book, under_way[:1], Ask())
        assert (answer.seq, [each.seq for each in answer.slots]) == (3, [])
        assert [finish(each).seq for each in under_way[1:]] == [4, 5]

    def test_an_old_hole_is_sealed(self, book: Logbook) -> None:
        hole(book)
        book.append()
        book.clock.seconds += 2
        assert book.first().seq == 2

    def test_expired_numbers_count_as_settled(self, book: Logbook) -> None:
        for _ in range(3):
            book.append()
        book.clock.seconds += 5 * 3600
        book.expire(1, 2, 3)
        assert book.first().seq == 3

    def test_the_last_ones_that_are_kept(self, book: Logbook) -> None:
        for number in range(30):
            book.append(str(number))
        assert [each.data for each in book.first(20).slots] == [str(number) for number in range(10, 30)]
        assert book.first(0).slots == []

    def test_the_last_ones_between_voids(self, book: Logbook) -> None:
        book.append("first")
        for _ in range(20):
            hole(book)
        book.append("last")
        book.clock.seconds += 2
        assert [each.data for each in book.first(2).slots] == ["first", "last"]

    def test_the_last_ones_are_no_more_than_a_replay_holds(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(replay, "MOST_BYTES", 100)
        for _ in range(40):
            book.append("x" * 40)
        assert [each.seq for each in book.first(100).slots] == [39, 40]


class TestSentAgain:
    """Messages with ids."""

    def test_a_delivered_message_is_a_duplicate(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        finish(book.history.settle(kept, START))
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate, again.is_sending) == (1, True, False)

    def test_a_message_under_way_is_not_posted_beside_the_first_try(self, book: Logbook) -> None:
        book.append(message_id=ID)
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate, again.is_sending) == (1, False, True)

    def test_the_work_of_a_dead_worker_is_finished_under_the_same_number(self, book: Logbook) -> None:
        first = book.append(message_id=ID)
        book.clock.seconds += 21
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate, again.is_sending, again.at) == (1, False, False, first.at)
        assert book.append(message_id=ID).is_sending

    def test_other_data_under_the_same_id(self, book: Logbook) -> None:
        book.append("one", message_id=ID)
        with pytest.raises(protocol.Refusal) as refusal:
            book.append("two", message_id=ID)
        assert refusal.value.code == "id_reused"

    def test_ids_belong_to_their_senders(self, book: Logbook) -> None:
        kept = [book.append(name, message_id=ID, name=name) for name in ("alice", "bob")]
        assert [each.seq for each in kept] == [1, 2]

    def test_an_empty_slot_is_sealed_because_members_may_have_passed_it(self, book: Logbook) -> None:
        first = append_steps(book.history, "hello", book.clock, message_id=ID)
        for _ in range(4):
            next(first)  # the put of the message is due
        again = book.append(message_id=ID)
        assert again.seq == 2
        assert book.table.slots()[f"log#lobby#{epoch_of(book)}", 1]["void"]
        late = finish(first)
        assert (late.seq, late.is_sending) == (2, True)
        assert len([item for item in book.table.slots().values() if "data" in item]) == 1

    def test_a_number_that_was_sealed_is_replaced(self, book: Logbook) -> None:
        first = append_steps(book.history, "hello", book.clock, message_id=ID)
        for _ in range(4):
            next(first)
        book.clock.seconds += 2
        book.first()
        assert finish(first).seq == 2

    def test_a_claim_that_is_carried_out_twice_is_its_own(self, book: Logbook) -> None:
        book.table.fate = lambda operation: operation == "PutItem"
        kept = book.append(message_id=ID)
        assert (kept.seq, kept.is_sending) == (1, False)

    def test_what_was_read_before_is_not_read_again(self, book: Logbook) -> None:
        sender = finish(book.history.look_up("lobby", Sender("client", "", ID), FAR))
        book.append(message_id=ID)
        draft = Draft("lobby", "c1", int(book.clock() * 1000), "hello", id=ID)
        assert finish(book.history.append(draft, sender, START)).is_sending
        reads = [operation for operation, _ in book.table.calls if operation == "GetItem"]
        assert len(reads) == 3  # of the id twice, and of the message

    def test_two_tries_at_once_store_one_message(self, book: Logbook) -> None:
        tries = [append_steps(book.history, "hello", book.clock, message_id=ID) for _ in range(2)]
        for each in tries:
            next(each)
        for each in tries:
            next(each)  # both have found nothing
        kept = [finish(each) for each in tries]
        assert kept[0][:2] == kept[1][:2]
        assert [each.is_sending for each in kept] == [False, True]
        assert len([item for item in book.table.slots().values() if "data" in item]) == 1

    def test_a_number_that_is_not_used_is_sealed_at_once(self, book: Logbook) -> None:
        tries = [append_steps(book.history, "hello", book.clock, message_id=ID) for _ in range(2)]
        for each in (*tries, *tries):
            next(each)  # both have found nothing
        for each in tries:
            finish(each)
        assert book.head()["seq"]["N"] == "2"
        assert book.table.slots()[f"log#lobby#{epoch_of(book)}", 2]["void"]

    def test_of_two_tries_one_finishes_the_work(self, book: Logbook) -> None:
        book.append(message_id=ID)
        book.clock.seconds += 21
        tries = [append_steps(book.history, "hello", book.clock, message_id=ID) for _ in range(2)]
        for each in (*tries, *tries, *tries):
            next(each)  # both have read that nothing is under way
        assert [finish(each).is_sending for each in tries] == [False, True]

    def test_a_message_that_was_withdrawn_after_its_delivery_is_not_sent_again(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        finish(book.history.settle(kept, START))
        book.expire(1)
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate) == (1, True)
        assert [item for item in book.table.slots().values() if "data" in item] == []

    def test_the_delivery_of_a_number_that_was_replaced_is_none_of_the_next_one(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        book.expire(1)
        assert book.append(message_id=ID).seq == 2
        finish(book.history.settle(kept, START))
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate, again.is_sending) == (2, False, True)

    def test_an_expired_id_counts_as_absent(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        finish(book.history.settle(kept, START))
        book.clock.seconds += 15 * MINUTE + 2
        again = book.append(message_id=ID)
        assert (again.seq, again.is_duplicate) == (2, False)

    def test_the_id_of_another_life_is_looked_up_there(self, book: Logbook) -> None:
        kept = book.append(message_id=ID)
        finish(book.history.settle(kept, START))
        book.history = book.environment(history_generation=2)
        again = book.append(message_id=ID)
        assert (again[:2], again.is_duplicate) == (kept[:2], True)

    def test_a_message_that_was_not_stored_in_another_life_is_stored_in_this_one(self, book: Logbook) -> None:
        first = append_steps(book.history, "hello", book.clock, message_id=ID)
        for _ in range(4):
            next(first)
        book.history = book.environment(history_generation=2)
        again = book.append(message_id=ID)
        assert (again.epoch, again.seq) == (epoch_of(book), 1)
        assert finish(first)[:2] == again[:2]
