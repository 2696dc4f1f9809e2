"""The sweeper: a census, questions at a pace, and items of connections that do not exist; the living are spared."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import fanout, items, pacing, questions, removal, rooms, sweep_table, sweeping
from roomcast.members import Connection
from roomcast.outcomes import Outcomes
from roomcast.protocol import V1
from tests.fakes import PLANTED, FakeContext, FakeQueue, FakeTable
from tests.hostile_server import HostileServer, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Load = Callable[[str], Any]

NOW = time.time()
HOUR_AGO = int((NOW - 3_600) * 1_000)
PACE = 200.0
KINDS = ("connection", "room", "user")
LEASE, STATE = ("sweeper", "lease"), ("sweeper", "state")


class Clock:
    """Time that passes while the sweeper waits, and when the test says so."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.waits: list[float] = []
        self.on_wait: Callable[[], object] = lambda: None

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.passed

    def monotonic(self) -> float:
        """Seconds of the machine's uptime."""
        return time.monotonic() + self.passed

    def sleep(self, seconds: float) -> None:
        """Wait, while others act."""
        self.waits.append(seconds)
        self.passed += seconds
        self.on_wait()


class Api:
    """Answers questions with the status that a connection has now; takes the place of the engine.

    Attributes:
        open: Connections that exist.
        statuses: What others, or these, are answered, by id, one after the other; the last one stays.
        general: What all are answered from the question of this number on; empty for nothing.
        asked: Ids, in the order of the questions.
        paces: The paces that were set.
        seconds: What an answer takes.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.open: set[str] = set()
        self.statuses: dict[str, list[int]] = {}
        self.general: dict[int, int] = {}
        self.asked: list[str] = []
        self.paces: list[float] = []
        self.seconds = 0.0
        self.on_question: Callable[[str], object] = lambda _: None

    def set_pace(self, pace: float) -> None:
        """As ``fanout.Engine.set_pace``."""
        self.paces.append(pace * (1 + questions.BURST_SECONDS))

    def _status(self, name: str) -> int:
        for number in sorted(self.general, reverse=True):
            if len(self.asked) > number:
                return self.general[number]
        if planted := self.statuses.get(name):
            return planted.pop(0) if len(planted) > 1 else planted[0]
        return 200 if name in self.open else 410

    def deliver_all(self, messages: Sequence[fanout.Message], *, deadline: float) -> list[fanout.Result]:
        """As ``fanout.Engine.deliver_all``."""
        [message] = messages
        assert deadline > self.clock.monotonic()
        assert message.data == b""
        outcomes = Outcomes(message.on_gone, message.on_failed, message.stragglers)
        report = outcomes.report
        for each in message.recipients:
            report.recipients += 1
            self.asked.append(each.connection_id)
            self.on_question(each.connection_id)
            self.clock.passed += self.seconds
            status = self._status(each.connection_id)
            if status == 200:
                report.delivered += 1
                continue
            report.throttled += status == 429
            report.refused += status in {403, 404}
            report.refused_status = report.refused_status or (status if status in {403, 404} else 0)
            gone = status in {400, 410}
            report.gone += gone
            report.failed += not gone
            (outcomes.gone if gone else outcomes.failed).add(each)
        assert outcomes.hand_back() is None
        return [fanout.Result(report)]


class World:
    """A table with the rows of connections, some of which exist.

    Attributes:
        table: The table.
        api: Answers questions.
        clock: The time.
        module: The function.
        lines: What it has printed.
    """

    def __init__(self, module: Any, table: FakeTable, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        self.table, self.clock, self.module = table, clock, module
        self.api = Api(clock)
        self._capsys = capsys
        self._runs = 0

    def row(self, name: str, *places: str, at: int = HOUR_AGO, version: int = 0, subject: str = "") -> Connection:
        """The connection of a client."""
        end = at // 1_000 + 7_800
        known = dict.fromkeys(places, 0)
        return Connection(name, at, known, version, end, None, V1, subject, is_listed=bool(subject))

    def plant(self, name: str, *places: str, **more: Any) -> Connection:
        """Write all items of a connection."""
        row = self.row(name, *places, **more)
        written = items.rows(row)
        if row.version:
            written[0]["version"] = {"N": str(row.version)}
        for item in [*written, *([items.user(row)] if row.is_listed else [])]:
            self.put(item)
        return row

    def live(self, name: str, *places: str, **more: Any) -> None:
        """The same of one that exists."""
        self.plant(name, *places, **more)
        self.api.open.add(name)

    def put(self, item: Mapping[str, Any]) -> None:
        """Write an item."""
        self.table.items[item["partition_key"]["S"], item["sort_key"]["S"]] = {**item}

    def run(self, *, holder: str = "", again: bool = False, remaining: int = 110_000) -> dict[str, Any]:
        """Let the function run, minutes after the last time; gives the last line that it printed."""
        self._runs += 1
        if self._runs > 1 and not again:
            self.clock.passed += 300
        context = FakeContext(remaining + int(self.clock.passed * 1_000))
        context.aws_request_id = holder or f"run-{self._runs}"
        self._capsys.readouterr()
        self.api.asked.clear()
        assert self.module.handler({}, context) is None
        self.lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        last: dict[str, Any] = self.lines[-1]
        return last

    def names(self) -> set[str]:
        """Ids of connections with any item."""
        parts = [(*first.partition("#"), second) for first, second in self.table.items]
        ids = {rest if kind == "connection" else second for kind, _, rest, second in parts if kind in KINDS}
        return {each.replace("%23", "#").replace("%25", "%") for each in ids}

    def operations(self) -> set[str]:
        """Calls of the table so far."""
        return {operation for operation, _ in self.table.calls}

    def calls_of(self, operation: str) -> list[Mapping[str, Any]]:
        """Parameters of the table's calls of one kind."""
        return [parameters for each, parameters in self.table.calls if each == operation]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that the sweeper sees."""
    clock = Clock()
    for module in (questions, sweep_table, sweeping, items, removal):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def world(
    load: Load, table: FakeTable, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> World:
    """An empty table and a sweeper that sweeps."""
    module = load("sweeper")
    made = World(module, table, clock, capsys)
    monkeypatch.setattr(module, "ENGINE", made.api)
    monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(sweep_pace=PACE))
    return made


def metrics(line: Mapping[str, Any]) -> dict[str, float]:
    """A line's metrics."""
    [definition] = line["_aws"]["CloudWatchMetrics"]
    return {each["Name"]: line[each["Name"]] for each in definition["Metrics"]}


class TestLease:
    """One run at a time."""

    def test_a_second_invocation_does_nothing(self, world: World) -> None:
        world.live("alive=", "lobby")
        assert world.run()["outcome"] == "served"
        world.table.calls.clear()
        line = world.run(again=True)
        assert (line["level"], line["outcome"]) == ("INFO", "another run has the lease")
        assert "_aws" not in line
        assert [operation for operation, _ in world.table.calls] == ["PutItem"]
        assert world.api.asked == []

    def test_it_ends_after_two_minutes(self, world: World, clock: Clock) -> None:
        world.run()
        passed = clock.passed
        clock.passed = passed + 119
        assert world.run(again=True)["outcome"] == "another run has the lease"
        clock.passed = passed + 121
        assert world.run(again=True)["outcome"] == "served"

    def test_lambdas_retry_of_the_same_invocation_has_it(self, world: World) -> None:
        world.run(holder="one")
        assert world.run(holder="one", again=True)["outcome"] == "served"

    def test_another_run_in_the_middle_of_this_one_does_nothing(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.plant("dead=", "lobby")
        before: list[int] = []

        def meanwhile() -> None:
            before.append(len(world.api.asked))
            context = FakeContext(10_000_000)
            context.aws_request_id = "another"
            world.module.handler({}, context)
            assert len(world.api.asked) == before[-1]

        world.clock.on_wait = meanwhile
        assert world.run()["outcome"] == "served"
        assert len(before) == 1
        assert world.names() == {"alive="}

    def test_the_sweepers_items_end_some_days_after_its_last_run(self, world: World) -> None:
        world.run()
        for key in (LEASE, STATE):
            assert 6 * 86_400 < int(world.table.items[key]["expires_at"]["N"]) - NOW < 8 * 86_400


class TestCensus:
    """The number of connections."""

    def test_connections_count_and_nothing_else(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world.module, "SETTINGS", world.module.SETTINGS._replace(sweep_pace=0.0))
        for number in range(7):
            world.plant(f"c{number}=", "lobby", "attic", subject="alice")
        world.plant("nowhere=")
        world.plant("old=", at=HOUR_AGO - 7_200_000)
        world.put(items.membership(world.row("half="), "lobby", 0))
        tombstone = {name: items.rows(world.row("t="))[0][name] for name in ("connected_at", "expires_at")}
        world.put({**items.connection_key("tomb="), **tombstone})
        world.table.page_items = 3

        before = dict(world.table.items)
        line = world.run()
        assert (line["message"], line["level"], line["outcome"]) == ("sweep", "INFO", "served")
        assert metrics(line) == {"connections": 8}
        assert world.api.asked == []
        assert world.operations() == {"PutItem", "Scan"}
        assert {**before, LEASE: world.table.items[LEASE]} == world.table.items

    def test_none_is_a_number_too(self, world: World) -> None:
        assert metrics(world.run()) == {"connections": 0, "stale_share": 0}


class TestSweep:
    """Items of connections that do not exist."""

    def test_the_dead_go_and_the_living_are_untouched(self, world: World) -> None:
        for number in range(30):
            world.live(f"alive-{number}=", "lobby", f"room-{number}", subject="alice")
        kept = dict(world.table.items)
        for number in range(60):
            world.plant(f"dead-{number}=", "lobby", *(["attic"] * (number % 2)), version=number % 2, subject="bob")
        for number in range(10):
            for place in ("lobby", "attic"):
                world.put(items.membership(world.row(f"half-{number}="), place, 0))

        line = world.run()
        assert {key: item for key, item in world.table.items.items() if key[0] != "sweeper"} == kept
        assert (line["level"], line["outcome"], line["checked"], line["open"]) == ("INFO", "served", 100, 30)
        assert metrics(line) == {"connections": 90, "swept": 70, "stale_share": 70}
        # Each connection once, and each that does not exist once more.
        assert line["calls"] == 170
        assert Counter(Counter(world.api.asked).values()) == {1: 30, 2: 70}

    def test_a_second_question_comes_20_seconds_later(self, world: World, clock: Clock) -> None:
        world.live("alive=", "lobby")
        world.plant("dead=", "lobby")
        asked: list[tuple[str, float]] = []
        world.api.on_question = lambda name: asked.append((name, clock.passed))
        clock.on_wait = lambda: world.names() == {"alive=", "dead="} or pytest.fail("deleted after one question")
        world.run()
        assert asked == [("alive=", 0), ("dead=", 0), ("dead=", 20)]
        assert clock.waits == [20]

    @pytest.mark.parametrize("first", [410, 400])
    @pytest.mark.parametrize("second", [200, 500, 503, 408])
    def test_one_that_answers_then_is_spared(self, world: World, first: int, second: int) -> None:
        world.live("alive=", "lobby")
        world.plant("back=", "lobby")
        world.api.statuses["back="] = [first, second]
        line = world.run()
        assert world.names() == {"alive=", "back="}
        assert (line["found"], "swept" in line, metrics(line)["stale_share"]) == (0, False, 0)

    @pytest.mark.parametrize("status", [500, 503, 408])
    def test_one_without_a_proper_answer_is_passed_over(self, world: World, status: int) -> None:
        world.live("alive=", "lobby")
        world.plant("odd=", "lobby")
        world.api.statuses["odd="] = [status]
        line = world.run()
        assert Counter(world.api.asked) == {"alive=": 1, "odd=": 1}
        assert (line["checked"], metrics(line)["stale_share"]) == (1, 0)
        assert world.names() == {"alive=", "odd="}

    def test_an_id_that_api_gateway_does_not_know_as_one(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.plant("50%#x", "lobby")
        world.api.statuses["50%#x"] = [400]
        assert metrics(world.run())["swept"] == 1
        assert world.names() == {"alive="}

    @pytest.mark.parametrize(("seconds", "is_asked"), [(0, False), (60, False), (110, False), (121, True)])
    def test_young_ones_are_spared(self, world: World, seconds: int, *, is_asked: bool) -> None:
        world.live("alive=", "lobby")
        at = int((time.time() - seconds) * 1_000)
        world.plant("young=", "lobby", at=at)
        world.put(items.membership(world.row("half=", at=at), "lobby", 0))
        world.run()
        assert ("young=" in world.api.asked, "half=" in world.api.asked) == (is_asked, is_asked)
        assert ("young=" in world.names(), "half=" in world.names()) == (not is_asked, not is_asked)

    def test_those_that_have_expired_are_left_to_time_to_live(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.plant("old=", "lobby", at=HOUR_AGO - 7_200_000)
        before = dict(world.table.items)
        world.run()
        assert world.api.asked == ["alive="]
        assert before.items() <= world.table.items.items()

    def test_a_room_with_a_limit_has_the_place_again(
        self, world: World, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chosen = world.module.SETTINGS._replace(maximum_room_members=2)
        limited = rooms.Rooms(chosen)
        monkeypatch.setattr(limited, "_database", table)
        monkeypatch.setattr(world.module, "ROOMS", limited)
        world.live("alive=", "attic")
        limited.join(world.row("dead=", subject="x")._replace(rooms={}), "lobby", time.monotonic() + 60)
        assert table.items["members#lobby#0", "members"]["members"] == {"N": "1"}
        world.run()
        assert table.items["members#lobby#0", "members"]["members"] == {"N": "0"}
        assert world.names() == {"alive="}

    def test_a_room_with_presence_is_marked(
        self, world: World, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(world.module.ROOMS.marks, "_patterns", ("lobby",))
        monkeypatch.setattr(world.module.ROOMS.marks, "_queue", looks)
        world.live("alive=", "lobby", "attic")
        world.plant("dead=", "lobby", "attic")
        world.run()
        assert [json.loads(body)["room"] for body, _ in looks.waiting] == ["lobby"]


class TestStops:
    """An address that is wrong, and an account that is short of requests."""

    @pytest.mark.parametrize("general", [410, 400])
    def test_without_any_connection_that_exists_nothing_is_deleted(self, world: World, general: int) -> None:
        for number in range(30):
            world.plant(f"c{number}=", "lobby")
        world.api.general = {0: general}
        before = dict(world.table.items)
        for _ in range(2):
            line = world.run()
            assert (line["level"], line["outcome"], line["found"]) == ("WARNING", "unsure", 30)
            assert metrics(line) == {"connections": 30, "stale_share": 100}
            assert before.items() <= world.table.items.items()

    def test_one_that_exists_in_the_second_round_is_enough(self, world: World) -> None:
        for number in range(3):
            world.plant(f"c{number}=", "lobby")
        world.api.statuses["c1="] = [410, 200]
        assert metrics(world.run())["swept"] == 2
        assert world.names() == {"c1="}

    def test_a_403_ends_the_run(self, world: World) -> None:
        for number in range(30):
            world.plant(f"c{number}=", "lobby")
        world.api.general = {0: 403}
        line = world.run()
        assert (line["level"], line["outcome"], line["status"]) == ("ERROR", "refused", 403)
        assert metrics(line) == {"connections": 30, "refused": 1}
        assert len(world.api.asked) == 1
        assert len(world.names()) == 30
        assert "after" not in world.table.items[STATE]

    @pytest.mark.parametrize("number", range(1, 70, 4))
    def test_a_403_at_any_moment_deletes_nothing(self, world: World, number: int) -> None:
        for each in range(20):
            world.live(f"alive-{each}=", "lobby")
        for each in range(25):
            world.plant(f"dead-{each}=", "lobby")
        world.api.general = {number: 403}
        line = world.run()
        assert (line["outcome"], metrics(line)) == ("refused", {"connections": 45, "refused": 1})
        assert len(world.names()) == 45
        # It is all done again once the address is right.
        world.api.general = {}
        assert metrics(world.run())["swept"] == 25
        assert len(world.names()) == 20

    def test_each_429_halves_the_pace_and_the_third_ends_the_run(self, world: World) -> None:
        for number in range(30):
            world.plant(f"c{number}=", "lobby")
        world.api.general = {0: 429}
        line = world.run()
        assert (line["level"], line["outcome"], line["throttled"]) == ("WARNING", "throttled", 3)
        assert world.api.paces == pytest.approx([PACE, PACE / 2, PACE / 4, PACE / 8])
        assert len(world.api.asked) == 3
        assert len(world.names()) == 30
        assert metrics(line) == {"connections": 30}
        # The next run begins at the pace that was chosen.
        world.api.paces.clear()
        world.api.general = {}
        world.run()
        assert world.api.paces == pytest.approx([PACE])

    def test_two_are_none_too_many(self, world: World) -> None:
        world.live("alive=", "lobby")
        for number in range(30):
            world.plant(f"dead-{number}=", "lobby")
        world.api.statuses |= {"dead-3=": [429], "dead-9=": [429]}
        line = world.run()
        assert (line["outcome"], line["throttled"], metrics(line)["swept"]) == ("served", 2, 28)
        assert world.api.paces[-1] == pytest.approx(PACE / 4)
        assert world.names() == {"alive=", "dead-3=", "dead-9="}

    def test_the_third_429_after_the_first_questions_keeps_the_rest_for_the_next_run(self, world: World) -> None:
        for each in range(20):
            world.live(f"alive-{each:02}=", "lobby")
        for each in range(30):
            world.plant(f"dead-{each:02}=", "lobby")
        world.api.general = {60: 429}
        line = world.run()
        assert (line["outcome"], line["throttled"] >= 3) == ("throttled", True)
        gone = metrics(line)["swept"]
        assert 0 < gone < 30
        assert len(world.names()) == 50 - gone
        assert "after" not in world.table.items[STATE]
        world.api.general = {}
        assert metrics(world.run())["swept"] == 30 - gone

    def test_once_short_the_questions_come_one_by_one(self, world: World) -> None:
        """So that an account that is short is asked three times, not three times and the rest of a delivery."""
        for each in range(100):
            world.live(f"alive-{each:02}=", "lobby")
        world.api.statuses["alive-05="] = [429]
        world.api.general = {50: 429}
        line = world.run()
        assert (line["outcome"], len(world.api.asked)) == ("throttled", 52)


class TestCycles:
    """A run goes on where the last one ended."""

    def test_many_small_pages_are_one_cycle(self, world: World) -> None:
        for number in range(40):
            (world.live if number % 4 else world.plant)(f"c{number}=", "lobby", "attic", f"room-{number % 5}")
        world.table.page_items = 7
        line = world.run()
        assert (line["checked"], line["calls"]) == (40, 50)
        assert metrics(line) == {"connections": 40, "swept": 10, "stale_share": 25}
        assert len(world.names()) == 30

    @pytest.mark.parametrize("page_items", [1, 2, 3, 7])
    def test_memberships_without_a_connection_that_lie_on_several_pages(self, world: World, page_items: int) -> None:
        world.live("alive=", "lobby")
        for place in "abcdef":
            world.put(items.membership(world.row("half="), place, 0))
        world.put(items.membership(world.row("half=", at=HOUR_AGO - 60_000), "g", 0))
        world.table.page_items = page_items
        assert metrics(world.run())["swept"] == 1
        assert Counter(world.api.asked) == {"alive=": 1, "half=": 2}
        # Those of two connections with one id are two cycles' work: no deletion of one has the time of the other.
        assert len(world.calls_of("TransactWriteItems")) == 1
        assert [key for key in world.table.items if key[1] == "half="] == [("room#g#0", "half=")]
        world.run()
        assert world.names() == {"alive="}

    def test_runs_share_a_cycle_when_time_is_over(self, world: World) -> None:
        world.api.seconds = 1.0
        world.table.page_items = 10
        for number in range(120):
            world.live(f"c{number:03}=", "lobby")
        seen: list[str] = []
        lines = [world.run() for _ in range(1)]
        seen += world.api.asked
        while "stale_share" not in lines[-1]:
            assert world.table.items[STATE]["begun"] == {"N": str(lines[0]["cycle_begun"])}
            lines.append(world.run())
            seen += world.api.asked
            assert len(lines) < 20
        assert len(lines) > 1
        assert sorted(seen) == sorted(world.api.open)
        assert lines[-1]["cycle_checked"] == 120
        assert int(world.table.items[STATE]["begun"]["N"]) == 0
        world.api.seconds = 0.0
        assert metrics(world.run())["stale_share"] == 0

    def test_there_is_time_to_keep_how_far_it_came(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """However slow the second answers are. Else the next run would begin where this one did."""
        world.live("alive=", "lobby")
        for number in range(400):
            world.put(items.rows(world.row(f"c{number:03}="))[0])
        monkeypatch.setattr(questions, "AT_ONCE", 1)
        world.clock.on_wait = lambda: setattr(world.api, "seconds", 0.3)
        assert world.run()["outcome"] == "out of time"
        assert 100 < world.clock.passed < 105.5
        assert STATE in world.table.items

    def test_memberships_without_a_connection_are_looked_up_a_hundred_at_a_time(self, world: World) -> None:
        for number in range(150):
            world.put(items.membership(world.row(f"half-{number:03}="), "lobby", 0))
        world.live("alive=", "lobby")
        assert metrics(world.run())["swept"] == 150
        assert world.names() == {"alive="}

    def test_a_slow_pace_reads_small_pages_and_gets_on(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(world.module, "SETTINGS", world.module.SETTINGS._replace(sweep_pace=0.5))
        world.api.seconds = 2.0
        world.live("alive=", "lobby")
        for number in range(40):
            world.plant(f"dead-{number:02}=", "lobby")
        runs = 0
        while len(world.names()) > 1:
            began = world.clock.passed
            world.run()
            assert world.clock.passed - began < 300 + sweep_table.LEASE_SECONDS
            runs += 1
            assert runs < 60
            assert all(each["Limit"] == 7 for each in world.calls_of("Scan") if "Limit" in each)

    def test_there_is_time_to_ask_again(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many are dead, none is asked for that this run could not ask for again and delete."""
        monkeypatch.setattr(world.module, "SETTINGS", world.module.SETTINGS._replace(sweep_pace=20.0))
        world.api.seconds = 1 / 20
        for number in range(1_500):
            world.put(items.rows(world.row(f"c{number:05}="))[0])
        world.live("alive=", "lobby")
        line = world.run()
        assert (line["outcome"], line["found"]) == ("served", line["checked"] - 1)
        assert 300 <= line["checked"] < 1_200
        assert world.clock.passed < 105


class TestRaces:
    """Others write while the sweeper reads, waits and deletes."""

    def test_a_room_that_was_joined_since(self, world: World) -> None:
        world.live("alive=", "lobby")
        dead = world.plant("dead=", "lobby")

        def join() -> None:
            joined = dead._replace(rooms={"lobby": 0, "attic": 0}, version=1)
            for item in items.rows(joined):
                world.put(item)
            world.table.items["connection#dead=", "connection"]["version"] = {"N": "1"}

        world.clock.on_wait = join
        assert metrics(world.run())["swept"] == 1
        assert world.names() == {"alive="}

    def test_an_id_that_is_used_again_is_another_connection(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.plant("again=", "lobby", "attic")
        world.clock.on_wait = lambda: world.plant("again=", "lobby", at=int(NOW * 1_000))
        world.run()
        now = int(NOW * 1_000)
        assert world.table.items["connection#again=", "connection"]["connected_at"] == {"N": str(now)}
        assert world.table.items["room#lobby#0", "again="]["connected_at"] == {"N": str(now)}

    def test_a_row_that_has_gone_since(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.plant("dead=", "lobby")

        def leave() -> None:
            for key in [key for key in world.table.items if "dead=" in "".join(key)]:
                del world.table.items[key]

        world.clock.on_wait = leave
        assert world.run()["outcome"] == "served"
        assert world.names() == {"alive="}

    def test_a_membership_of_an_older_connection_of_an_id_that_exists(self, world: World) -> None:
        world.live("alive=", "lobby")
        world.put(items.membership(world.row("alive=", at=HOUR_AGO - 60_000), "attic", 0))
        world.run()
        assert world.api.asked == ["alive="]


class End(BaseException):
    """The function ends at once."""


class TestFaults:
    """A table that fails, and a function that ends between two steps."""

    @pytest.mark.parametrize("operation", ["PutItem", "Scan", "BatchGetItem", "TransactWriteItems"])
    def test_a_table_that_fails(self, world: World, operation: str) -> None:
        world.live("alive=", "lobby")
        world.plant("dead=", "lobby")
        world.table.failing = {operation}
        line = world.run()
        assert (line["level"], line["outcome"]) == ("ERROR", "unavailable")
        assert metrics(world.lines[-2]) == {"unavailable": 1}
        assert PLANTED not in str(world.lines)
        assert ("connections" in line) == (operation in {"BatchGetItem", "TransactWriteItems"})
        world.table.failing = set()
        assert metrics(world.run())["swept"] == 1
        assert world.names() == {"alive="}

    def test_a_function_that_ends_between_any_two_steps(
        self, load: Load, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = 0
        while True:
            # Rows would expire.
            clock.passed = 0.0
            table = FakeTable()
            module = load("sweeper")
            for place in (module.ROOMS, module.ROOMS.marks):
                monkeypatch.setattr(place, "_database", table)
            world = World(module, table, clock, capsys)
            monkeypatch.setattr(module, "ENGINE", world.api)
            monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(sweep_pace=PACE))
            table.page_items = 4
            for number in range(4):
                world.live(f"alive-{number}=", "lobby")
                world.plant(f"dead-{number}=", "lobby", "attic")
            kept = world.names() - {f"dead-{number}=" for number in range(4)}
            left = [steps]
            whole = table.call

            def call(
                operation: str,
                parameters: Any,
                deadline: float,
                whole: Callable[..., dict[str, Any]] = whole,
                left: list[int] = left,
            ) -> dict[str, Any]:
                answer = whole(operation, parameters, deadline)
                left[0] -= 1
                if left[0] < 0:
                    raise End
                return answer

            table.call = call  # type: ignore[assignment, method-assign]
            ended = False
            try:
                world.run()
            except End:
                ended = True
            assert world.names() >= kept
            table.call = whole  # type: ignore[method-assign]
            for _ in range(2):
                world.run()
            assert (world.names(), table.halves()) == (kept, set())
            if not ended:
                return
            steps += 1
            assert steps < 100


class TestOverHttp:
    """Questions through the engine."""

    @pytest.fixture
    def asked(self) -> Iterator[Callable[[HostileServer, float], questions.Questions]]:
        """Makes questions for a server."""
        with contextlib.ExitStack() as stack:

            def make(server: HostileServer, pace: float) -> questions.Questions:
                engine = questions.engine_of(server.url, "eu-west-1", pace)
                stack.callback(engine.close)
                return questions.Questions(engine, pace)

            yield make

    @staticmethod
    def connections(count: int) -> list[Connection]:
        """Connections with ids like those of API Gateway."""
        return [Connection(f"BFHPhf{number:06}AM=", HOUR_AGO, {}) for number in range(count)]

    def test_answers_and_pace(self, asked: Any) -> None:
        """Of any second, at most the pace is used."""
        statuses = {0: 200, 1: 410, 2: 200, 3: 500, 4: 400}
        came: list[float] = []

        def reply(request: Any) -> Any:
            came.append(time.monotonic())
            number = int(request.connection_id[6:12])
            body = b'{"connectedAt":"2026-11-29T12:00:00Z"}' if statuses[number % 5] == 200 else b'{"message":"x"}'
            return say(statuses[number % 5], body)

        with HostileServer(reply) as server:
            some = asked(server, 50.0)
            answers = some.ask(self.connections(100), time.monotonic() + 60)
        assert [each.connection_id for each in answers.open] == [
            each.connection_id for number, each in enumerate(self.connections(100)) if number % 5 in {0, 2}
        ]
        assert {int(each.connection_id[6:12]) % 5 for each in answers.gone} == {1, 4}
        assert (len(answers.gone), answers.unasked, some.asked, some.opened) == (40, [], 100, 40)
        assert set(server.served().values()) == {1}
        assert {request.body for request in server.requests} == {b""}
        # Give or take the moment between a request and its answer.
        assert max(sum(start <= each < start + 1.0 for each in came) for start in came) <= 52

    def test_an_account_that_is_short_is_asked_three_times(self, asked: Any) -> None:
        with HostileServer(lambda _: say(429)) as server:
            some = asked(server, 1_000.0)
            answers = some.ask(self.connections(30), time.monotonic() + 60)
        assert len(server.requests) == 3
        assert (some.ended, some.pace, len(answers.unasked)) == ("throttled", 125.0, 27)

    def test_an_address_that_is_wrong_is_asked_once(self, asked: Any) -> None:
        with HostileServer(lambda _: say(403)) as server:
            some = asked(server, 1_000.0)
            some.ask(self.connections(30), time.monotonic() + 60)
        assert len(server.requests) == 1
        assert (some.ended, some.refused_status) == ("refused", 403)


def test_a_small_burst_keeps_each_second_within_the_pace() -> None:
    bucket = pacing.Bucket(100.0, burst=0.05)
    now, sent = time.monotonic(), []
    end = now + 10
    while now < end:
        if wait := bucket.wait(now):
            now += max(wait, 1e-6)
        else:
            bucket.take()
            sent.append(now)
    assert sum(each < sent[0] + 0.001 for each in sent) == 5
    assert max(sum(start <= each < start + 1 for each in sent) for start in sent) <= 106


def test_deletion_in_doubt_is_an_error_and_not_a_crash(world: World) -> None:
    world.live("alive=", "lobby")
    world.plant("dead=", "lobby")
    world.table.failing_after_write = {"TransactWriteItems"}
    assert world.run()["outcome"] == "unavailable"
    assert world.run()["outcome"] == "served"
    assert world.names() == {"alive="}
