"""The benchmark of waiting: its servers, its arithmetic, and that nothing measured is a failure."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import authorities

from scripts.bench import __main__ as bench
from scripts.bench import processes
from scripts.bench.table import ROOM, V1_ROOM, member_id
from scripts.bench.waits import contenders, cpu_share, figures, modes, part, rows, stage, table
from scripts.bench.waits.figures import Call, Counts, NothingMeasuredError, Post
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDLERS = str(REPOSITORY / "handlers")
TICK = 0.001


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates and handlers of each test stand in its own folder."""
    monkeypatch.setattr(processes, "WORK", tmp_path)
    monkeypatch.setattr(processes, "AUTHORITY", tmp_path / "authority.pem")
    monkeypatch.setattr(processes, "CERTIFICATE", tmp_path / "certificate.pem")
    monkeypatch.setattr(contenders, "WORK", tmp_path / "waits")
    processes.prepare()


@pytest.fixture
def sink() -> Iterator[processes.Server]:
    with processes.server("sink", keeps=True) as server:
        yield server


@pytest.fixture
def database() -> Iterator[processes.Server]:
    with processes.server("table", members=25, shards=4) as server:
        yield server


def connection(server: processes.Server) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(processes.AUTHORITY))
    return http.client.HTTPSConnection("localhost", server.port, context=context, timeout=scaled(20))


def post(server: processes.Server, member: int, text: str = "hello") -> int:
    with closing(connection(server)) as client:
        client.request("POST", f"/live/@connections/{member_id(member).replace('=', '%3D')}", text)
        return client.getresponse().status


def call(server: processes.Server, operation: str, **parameters: Any) -> tuple[int, Any]:
    with closing(connection(server)) as client:
        client.request("POST", "/", json.dumps(parameters), {"X-Amz-Target": f"Service.{operation}"})
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())


def query(server: processes.Server, partition: str, **more: Any) -> tuple[int, Any]:
    return call(
        server,
        "Query",
        TableName="connections",
        KeyConditionExpression="partition_key = :key",
        ExpressionAttributeValues={":key": {"S": partition}},
        **more,
    )


# The contenders.


def test_a_cold_start_runs_compiled_code_and_reads_the_authorities_that_it_reads_on_aws() -> None:
    [ours] = contenders.ours([HANDLERS])
    folder = contenders.WORK / "handlers-0"
    tag = sys.implementation.cache_tag
    compiled = [folder / f"roomcast/__pycache__/fanout.{tag}.pyc", folder / f"__pycache__/sendmessage.{tag}.pyc"]
    assert [path.read_bytes()[4:8] for path in compiled] == [contenders.UNCHECKED] * 2
    bundle = ssl.create_default_context(cafile=ours.environment["SSL_CERT_FILE"])
    own = ssl.create_default_context(cafile=str(processes.AUTHORITY)).get_ca_certs()
    amazon = ssl.create_default_context(cadata=authorities.AMAZON).get_ca_certs()
    assert sorted(map(str, bundle.get_ca_certs())) == sorted(map(str, amazon + own))


def test_each_handler_that_takes_part_in_the_other_part_can_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "HANDLERS", tmp_path / "handlers")
    names = processes.unpack_handlers()
    assert {"sendmessage", "fanout_worker"} <= set(names)
    processes.run_process([sys.executable, "-c", f"import {', '.join(names)}"], {"ROOMCAST_QUEUE_URL": "https://q"})


# The servers.


def test_the_sink_keeps_each_accepted_post_with_the_time_of_its_last_byte(sink: processes.Server) -> None:
    context = ssl.create_default_context(cafile=str(processes.AUTHORITY))
    with (
        socket.create_connection(("localhost", sink.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        head = f"POST /live/@connections/{member_id(7)} HTTP/1.1\r\nContent-Length: 5\r\n\r\n"
        line.sendall(head.encode() + b"he")
        assert sink.ask("take")["posts"] == []
        before = time.monotonic()
        line.sendall(b"llo")
        assert line.recv(1000).startswith(b"HTTP/1.1 200 ")
        [(at, connection_id, text)] = sink.ask("take")["posts"]
    assert (connection_id, text) == (member_id(7), "hello")
    assert before <= at <= time.monotonic()


def test_the_sink_refuses_troubled_members_and_keeps_none_of_their_posts(sink: processes.Server) -> None:
    sink.ask("configure", full=[1], dead=[2])
    assert [post(sink, number) for number in (0, 1, 2)] == [200, 429, 410]
    taken = sink.ask("take")
    assert [connection_id for _, connection_id, _ in taken["posts"]] == [member_id(0)]
    assert taken["refusals"] == {"429": 1, "410": 1}
    assert taken["connections"] == taken["requests"] == 3


def test_the_sink_never_answers_a_silent_member(sink: processes.Server) -> None:
    sink.ask("configure", silent=[3])
    with closing(connection(sink)) as client:
        client.request("POST", f"/live/@connections/{member_id(3)}", "hello")
        assert post(sink, 4) == 200
        assert sink.ask("take")["refusals"] == {"silence": 1}
        # The server ends the connection when asked to, and not before.
        assert sink.ask("hang_up_all") >= 1
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()


def test_answers_and_handshakes_wait_as_configured(sink: processes.Server) -> None:
    sink.ask("configure", delay=0.05, greeting_seconds=0.03)
    began = time.monotonic()
    with closing(connection(sink)) as client:
        client.connect()
        connected = time.monotonic() - began
        client.request("POST", f"/live/@connections/{member_id(0)}", "hello")
        client.getresponse()
        assert connected >= 0.03 - TICK
        assert time.monotonic() - began >= connected + 0.05 - TICK
    [(at, _, _)] = sink.ask("take")["posts"]
    assert at < began + connected + 0.05 or at - began - connected < time.monotonic() - began - 0.05


def test_a_share_of_the_answers_takes_longer(sink: processes.Server) -> None:
    sink.ask("configure", delay=0.005, tail=1.0)
    began = time.monotonic()
    post(sink, 0)
    assert time.monotonic() - began >= 0.1 - TICK


def test_the_table_deals_the_room_out_to_its_partitions(database: processes.Server) -> None:
    pages = [query(database, f"room#{ROOM}#{shard}")[1]["Items"] for shard in range(4)]
    assert sorted(item["sort_key"]["S"] for page in pages for item in page) == [member_id(n) for n in range(25)]
    _, answer = call(
        database, "GetItem", Key={"partition_key": {"S": f"connection#{member_id(6)}"}, "sort_key": {"S": "connection"}}
    )
    assert answer["Item"]["rooms"] == {"M": {ROOM: {"N": "2"}}}


def test_the_members_of_the_other_room_speak_v1(database: processes.Server) -> None:
    protocols = [
        {item["protocol"]["S"] for shard in range(4) for item in query(database, f"room#{room}#{shard}")[1]["Items"]}
        for room in (ROOM, V1_ROOM)
    ]
    assert protocols == [{"text"}, {"roomcast.v1"}]
    member = {"partition_key": {"S": f"connection#{member_id(6, V1_ROOM)}"}, "sort_key": {"S": "connection"}}
    _, answer = call(database, "GetItem", Key=member)
    assert (answer["Item"]["rooms"], answer["Item"]["protocol"]) == ({"M": {V1_ROOM: {"N": "2"}}}, {"S": "roomcast.v1"})


def test_the_table_goes_on_after_any_key(database: processes.Server) -> None:
    database.ask("configure", shards=1)
    key = {"partition_key": {"S": f"room#{ROOM}#0"}}
    after = {**key, "sort_key": {"S": member_id(20) + "0"}}
    _, page = query(database, f"room#{ROOM}#0", Limit=3, ExclusiveStartKey=after, ProjectionExpression="sort_key")
    assert page["Items"] == [{"sort_key": {"S": member_id(number)}} for number in (21, 22, 23)]
    assert page["LastEvaluatedKey"] == {**key, "sort_key": {"S": member_id(23)}}
    _, page = query(database, f"room#{ROOM}#0", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert "LastEvaluatedKey" not in page
    assert page["Count"] == 1


def test_the_table_keeps_other_items_until_it_is_configured_again(database: processes.Server) -> None:
    keys = [{"partition_key": {"S": "backlog#x#0"}, "sort_key": {"S": name}} for name in "ab"]
    call(database, "TransactWriteItems", TransactItems=[{"Put": {"Item": {**key, "n": {"N": "1"}}}} for key in keys])
    call(database, "TransactWriteItems", TransactItems=[{"Delete": {"Key": keys[0]}}])
    assert query(database, "backlog#x#0")[1]["Items"] == [{**keys[1], "n": {"N": "1"}}]
    member = {"partition_key": {"S": f"room#{ROOM}#0"}, "sort_key": {"S": member_id(0)}}
    call(database, "DeleteItem", Key=member)
    assert query(database, f"room#{ROOM}#0")[1]["Items"][0]["sort_key"] == member["sort_key"]
    database.ask("configure")
    assert query(database, "backlog#x#0")[1]["Items"] == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("Scan", {}),
        ("Query", {"KeyConditionExpression": "partition_key = :a AND sort_key > :b"}),
        ("Query", {"IndexName": "other", "KeyConditionExpression": "partition_key = :a"}),
        ("TransactWriteItems", {"TransactItems": [{"Update": {"Key": {"partition_key": {"S": ""}}}}]}),
    ],
)
def test_the_table_refuses_and_reports_a_request_that_it_does_not_know(
    database: processes.Server, operation: str, parameters: dict[str, Any]
) -> None:
    status, _ = call(database, operation, ExpressionAttributeValues={":a": {"S": "x"}, ":b": {"S": ""}}, **parameters)
    assert status == 400
    [unknown] = database.ask("take")["unknown"]
    assert unknown.startswith(f"{operation}: ")


def test_the_history_table_stands_beside_the_other_one_until_it_is_configured_again() -> None:
    key = {"partition_key": {"S": "log#hall#abcdefgh"}, "sort_key": {"S": "0000000000000001"}}
    put = {
        "TableName": "history",
        "Item": {**key, "void": {"BOOL": True}},
        "ConditionExpression": "attribute_not_exists(partition_key)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with processes.server("history", members=5, delay=0.05) as server:
        assert call(server, "PutItem", **put) == (200, {})
        status, refusal = call(server, "PutItem", **put)
        assert (status, refusal["Item"]) == (400, put["Item"])
        assert refusal["__type"].endswith("#ConditionalCheckFailedException")
        assert call(server, "GetItem", TableName="history", Key=key, ConsistentRead=True)[1] == {"Item": put["Item"]}
        assert query(server, f"room#{ROOM}#0")[1]["Count"] == 5
        assert call(server, "GetItem", TableName="history", Key=key, ConsistentRead=False)[0] == 400
        taken = server.ask("take")
        assert [operation for operation, *_ in taken["calls"]] == ["PutItem", "PutItem", "GetItem", "Query", "GetItem"]
        assert len(taken["unknown"]) == 1
        first, *_, last = [Call(*each) for each in taken["calls"][:4]]
        assert first.answered - first.began < 0.05 - TICK < last.answered - last.began < 0.05
        assert server.ask("take")["calls"] == []
        server.ask("configure")
        assert call(server, "GetItem", TableName="history", Key=key, ConsistentRead=True)[1] == {}


def test_the_queue_keeps_messages_in_order_with_their_delays() -> None:
    with processes.server("sqs") as queue:
        entries = [{"Id": "0", "MessageBody": "a", "MessageGroupId": "g"}, {"Id": "1", "MessageBody": "b"}]
        _, answer = call(queue, "SendMessageBatch", Entries=entries)
        assert [each["Id"] for each in answer["Successful"]] == ["0", "1"]
        before = time.monotonic()
        call(queue, "SendMessage", MessageBody="c", DelaySeconds=7)
        assert call(queue, "ReceiveMessage")[0] == 400
        taken = queue.ask("take")
    assert [(each["body"], each["group"]) for each in taken["messages"]] == [("a", "g"), ("b", ""), ("c", "")]
    assert before + 7 <= taken["messages"][2]["due_at"] <= time.monotonic() + 7
    assert sorted(taken["messages"], key=lambda each: each["sequence"]) == taken["messages"]
    assert len(taken["unknown"]) == 1


# The arithmetic.


def test_arrivals_are_the_first_copies_that_living_members_got() -> None:
    posts = [
        Post(10.5, 1, "b"),
        Post(10.2, 0, "a"),
        Post(10.3, 1, "a"),
        Post(10.9, 0, "a"),  # a second copy
        Post(10.1, 2, "a"),  # not among the living
        Post(10.0, 0, '{"receipt": {}}'),
    ]
    found = figures.arrivals(posts, ["a", "b"], {0, 1}, began=10.0)
    assert found.waits == pytest.approx([0.2, 0.3, 0.5])
    assert found.members == [0, 1, 1]
    assert (found.missing, found.twice) == (1, 1)


@pytest.mark.parametrize("posts", [[], [Post(11.0, 5, "a")], [Post(11.0, 0, "b")], [Post(9.9, 0, "a")]])
def test_a_turn_without_a_possible_measurement_is_none(posts: list[Post]) -> None:
    with pytest.raises(NothingMeasuredError):
        figures.arrivals(posts, ["a"], {0}, began=10.0)


@pytest.mark.parametrize(
    ("count", "share", "rank"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (1000, 0.99, 990), (10, 0.99, 10)],
)
def test_a_percentile_is_a_value_of_the_nearest_rank(count: int, share: float, rank: int) -> None:
    assert figures.percentile(list(range(1, count + 1)), share) == rank


@pytest.mark.parametrize(
    ("spans", "before", "expected"),
    [
        ([], 9.0, 0),
        ([(1, 2), (2, 3), (3, 4)], 9.0, 3),
        ([(3, 4), (1, 2), (2, 3)], 4.0, 2),
        ([(1, 2), (1.1, 2.1), (1.2, 2.2)], 9.0, 1),
        # A long one beside two that follow each other.
        ([(1, 5), (1, 2), (2.5, 4)], 9.0, 2),
        ([(1, 2), (1.5, 3), (2.5, 4)], 9.0, 2),
    ],
)
def test_calls_in_a_row(spans: list[tuple[float, float]], before: float, expected: int) -> None:
    assert figures.in_a_row([Call("GetItem", *span) for span in spans], before) == expected


def waits(last: float, *members: int, **more: Any) -> figures.Waits:
    values = {"receipt": None, "sending": None, "cpu": None, "init": None, "missing": 0, "twice": 0, **more}
    return figures.Waits(first=0.1, p50=0.2, p99=0.3, last=last, invocation=1.0, last_members=members, **values)


def test_a_summary_holds_medians_and_sums() -> None:
    turns = [waits(0.4, 8, 9, missing=1), waits(0.9, 9, receipt=2.0), waits(0.6, 7, 9, twice=2)]
    found = figures.summary(turns, floor=0.01)
    assert found.times["last"] == 0.6
    assert found.times["receipt"] == 2.0
    assert found.times["init"] is None
    assert found.ratio == pytest.approx(60)
    assert (found.worst, found.missing, found.twice, found.most_often_last) == (0.9, 1, 2, 3)


def test_a_summary_holds_the_most_calls() -> None:
    turns = [waits(1, 0, counts=Counts(4, 3, None)), waits(1, 0, counts=Counts(5, 2, 7)), waits(1, 0)]
    assert figures.summary(turns, floor=0.01).counts == Counts(5, 3, 7)
    assert figures.summary(turns[2:], floor=0.01).counts is None


def test_no_turns_have_no_summary() -> None:
    with pytest.raises(NothingMeasuredError):
        figures.summary([], floor=0.01)


def test_the_last_part_is_a_tenth_and_at_least_one() -> None:
    assert figures.last_part(list(range(100))) == list(range(90, 100))
    assert figures.last_part([3, 1, 2]) == [2]


def test_the_table_compares_the_last_members() -> None:
    one, other = (contenders.Contender(name, {}, {}, is_ours=True) for name in ("one", "other"))
    quick, slow = rows.Row("quick", 10), rows.Row("slow", 10)
    lines = [
        table.line(quick, one, [waits(0.0123, 9, receipt=1.5, cpu=0.0041)], ""),
        table.line(quick, other, [waits(0.2, 9, missing=3)], ""),
        table.line(slow, one, [], "Traceback\nValueError: of a handler"),
    ]
    assert table.markdown(lines).splitlines() == [
        "| one, ms | first | p50 | p99 | last | / floor | receipt | invocation | CPU |  | other: last |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| quick | 100 | 200 | 300 | 12 | 1.2x | 1,500 | 1,000 | 4.1 |  | >200 (3 missing) |",
        "| slow | - | - | - | - | - | - | - | - | ValueError: of a handler |  |",
    ]


def test_modes_are_compared_in_a_table_of_their_own() -> None:
    row = rows.Row("modes", 10, compares=True)
    one, other = (contenders.Contender(name, {}, {}, is_ours=False) for name in ("one", "other"))
    lines = [
        table.line(row, one, [waits(0.2, 9, receipt=0.025, counts=Counts(7, 5, 6))], ""),
        table.line(row, other, [], "Traceback\nValueError: of a handler"),
    ]
    assert table.comparison(lines).splitlines() == [
        "| ms |  | p50 | p99 | receipt | calls | in a row before the first post | in a row before the receipt |  |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| modes | one | 200 | 300 | 25 | 7 | 5 | 6 |  |",
        "| modes | other | - | - | - | - | - | - | ValueError: of a handler |",
    ]
    assert [line.is_fault for line in lines] == [False, True]
    usual = table.line(rows.Row("warm", 10), other, [], "ValueError")
    assert not usual.is_fault
    assert [text.count("\n") for text in table.all_of([usual, *lines])] == [2, 3]


# Rows.


def test_a_mode_reads_messages_and_refuses_those_of_another_one() -> None:
    text, plain, kept, with_id = modes.MODES
    receipt = '{"type":"receipt","id":"1"}'
    assert text.text_of("hello") == "hello"
    assert [mode.text_of(receipt) for mode in modes.MODES] == [receipt] * 4
    numbered, unnumbered = '{"type":"message","data":"hello","seq":1}', '{"type":"message","data":"hello"}'
    assert plain.text_of(unnumbered) == kept.text_of(numbered) == with_id.text_of(numbered) == "hello"
    for mode, frame in ((plain, numbered), (kept, unnumbered), (with_id, unnumbered)):
        with pytest.raises(NothingMeasuredError, match="number"):
            mode.text_of(frame)


def test_rows_have_names_of_their_own_and_the_quick_ones_exist() -> None:
    names = [row.name for row in rows.ROWS]
    assert len(set(names)) == len(names)
    assert set(rows.QUICK) <= set(names)


@pytest.mark.parametrize(
    ("row", "floor"),
    [
        (rows.Row("", 10), 0.010),
        (rows.Row("", 5_000), 0.010),
        (rows.Row("", 10_000), 0.510),
        (rows.Row("", 100, queue="standard"), 0.005),
        (rows.Row("", 1_000, queue="fifo", messages=10), 0.505),
    ],
)
def test_the_floor_is_the_reads_and_the_rate_of_the_account(row: rows.Row, floor: float) -> None:
    assert row.floor == pytest.approx(floor)


def test_the_troubled_member_is_not_the_sender_and_not_waited_for() -> None:
    assert rows.Row("", 10, trouble="silent").troubled == [5]
    assert rows.Row("", 10, trouble="dead").troubled == [1, 3, 5, 7, 9]
    assert rows.Row("", 10, trouble="tails").troubled == []
    for row in rows.ROWS:
        assert 0 in row.living
        assert len(row.living) + len(row.troubled) == row.members


# All together.


def run(row: rows.Row, handlers: str = HANDLERS) -> table.Line:
    [line] = part.run([row], contenders.ours([handlers]), quick=False)
    return line


@pytest.mark.parametrize(
    "row",
    [
        rows.Row("warm", 12, rounds=2),
        rows.Row("shards", 12, shards=3, rounds=1),
        rows.Row("lukewarm", 12, state="lukewarm", rounds=1),
        rows.Row("cold", 12, state="cold", rounds=1),
        rows.Row("queue-cold", 12, queue="standard", state="cold", rounds=1),
        rows.Row("dead", 12, trouble="dead", rounds=1),
        rows.Row("queue", 12, shards=3, queue="standard", rounds=1),
        rows.Row("fifo", 12, queue="fifo", messages=3, rounds=1),
    ],
    ids=lambda row: row.name,
)
def test_each_kind_of_row_measures_every_living_member(row: rows.Row) -> None:
    line = run(row)
    assert not line.failure
    assert line.summary is not None
    times = {name: value for name, value in line.summary.times.items() if value is not None}
    # A function that has served the sender before reads it and the room side by side.
    reads = rows.DATABASE_SECONDS - 2 * TICK
    # The sender's own copy goes before the room is read.
    assert rows.DATABASE_SECONDS - 2 * TICK <= times["first"] <= times["p50"]
    assert reads <= times["p50"] <= times["p99"] <= times["last"] <= times["invocation"]
    assert times["receipt"] > 2 * rows.DATABASE_SECONDS - 2 * TICK
    assert ("init" in times) == (row.state == "cold")
    assert ("sending" in times) == bool(row.queue)
    assert (line.summary.missing, line.summary.twice, line.summary.turns) == (0, 0, row.rounds)
    assert len(line.cells()) == len(table.COLUMNS) + 1


ONE_AFTER_THE_OTHER = {
    "": {
        "Roomcast, text": Counts(2, 1, 1),
        "Roomcast, v1": Counts(2, 1, 1),
        "Roomcast, v1, kept": Counts(4, 4, None),
        "Roomcast, v1, kept, with id": Counts(7, 5, 6),
        "boto3, pool of 50": Counts(2, 2, 2),
        "boto3, loop": Counts(2, 2, 2),
    },
    "standard": {
        "Roomcast, text": Counts(3, 3, 2),
        "Roomcast, v1": Counts(3, 3, 2),
        "Roomcast, v1, kept": Counts(5, 5, None),
        "Roomcast, v1, kept, with id": Counts(8, 6, 6),
        "boto3, pool of 50": Counts(3, 3, 2),
    },
}
"""Calls of one message in each mode, without and with a queue. Without one, a function that has served the sender
before reads it and its room side by side; messages are kept before the members are read."""


@pytest.mark.parametrize("queue", ONE_AFTER_THE_OTHER)
def test_modes_take_turns_and_their_calls_are_counted(queue: str) -> None:
    everyone = [*contenders.ours([HANDLERS]), *contenders.boto3()]
    lines = part.run([rows.Row("modes", 5, queue=queue, rounds=2, compares=True)], everyone, quick=False)
    assert [line.failure for line in lines if line.failure] == []
    found = {line.contender.name: line.summary for line in lines if line.summary is not None}
    for name, summary in found.items():
        assert (summary.missing, summary.twice, summary.counts) == (0, 0, ONE_AFTER_THE_OTHER[queue][name]), name
        # A wait begins with the sender's event, also with a queue.
        assert summary.counts is not None
        assert (summary.times["p50"] or 0.0) > (rows.DATABASE_SECONDS - TICK) * summary.counts.before_posts
    ours = {name for name in ONE_AFTER_THE_OTHER[queue] if name.startswith("Roomcast")}
    assert ours <= found.keys()


def test_a_mode_that_measures_nothing_is_a_failure(tmp_path: Path) -> None:
    """Such as a room that shall keep messages, of handlers that know none."""
    folder = tmp_path / "mine"
    shutil.copytree(HANDLERS, folder)
    source = (folder / "roomcast" / "history.py").read_text()
    keeps = "return any(rights.matches(pattern, room) for pattern in self._patterns)"
    assert keeps in source
    (folder / "roomcast" / "history.py").write_text(source.replace(keeps, "return False"))
    with pytest.raises(SystemExit) as failure:
        part.main(["--ours", "--rows", "modes-10", "--quick", "--handlers", str(folder)])
    assert [line.partition(": ")[0] for line in str(failure.value).splitlines()] == [
        "modes-10, Roomcast, v1, kept",
        "modes-10, Roomcast, v1, kept, with id",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def handler(event, context):\n    pass\n", "no member got a message"),
        ("def handler(event, context):\n    1 / 0\n", "ZeroDivisionError"),
        ("raise ValueError('of the import')\n", "cannot be imported"),
    ],
)
def test_nothing_measured_is_a_failure(tmp_path: Path, source: str, reason: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("sendmessage", "fanout_worker"):
        (folder / f"{name}.py").write_text(source)
    with pytest.raises(SystemExit, match=reason):
        part.main(["--ours", "--rows", "warm-10", "--handlers", str(folder)])
    [line] = json.loads((tmp_path / "waits.json").read_text())
    assert reason in line["failure"]


def test_an_invocation_beyond_its_limit_is_ended_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stage.LIMITS, "sendmessage", 3.0)
    folder = tmp_path / "mine"
    shutil.copytree(HANDLERS, folder)
    served = "def handler(event, context):\n    serve(event, context)\n    threading.Event().wait()\n"
    with (folder / "sendmessage.py").open("a") as file:
        file.write(f"\nimport threading\nserve = handler\n\n{served}")
    line = run(rows.Row("stuck", 12, state="cold", rounds=1), str(folder))
    assert line.summary is not None
    assert line.summary.ended
    assert line.summary.missing == 0
    assert ">3,000" in line.cells()


@pytest.mark.parametrize(
    ("options", "reason"), [(["--rows", "cool-10"], "2"), (["--handlers", "no-such-thing"], "no-such")]
)
def test_wrong_options_are_refused(options: list[str], reason: str) -> None:
    with pytest.raises(SystemExit, match=reason):
        part.main(["--ours", *options])


@pytest.mark.parametrize("has_groups", [True, False])
def test_a_function_with_a_share_of_a_cpu_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_groups: bool
) -> None:
    if not has_groups:
        monkeypatch.setattr(cpu_share, "CGROUPS", tmp_path)
        assert cpu_share.means().startswith("signals")
    line = run(rows.Row("share", 12, cpu=0.5, state="cold", rounds=1))
    assert not line.failure
    assert line.summary is not None
    assert line.summary.missing == 0


def test_rows_are_listed_and_chosen_by_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["waits", "--list", "--rows", "cold-1*", "fifo-100"])
    listed = capsys.readouterr().out.split()
    assert "fifo-100" in listed
    assert "cold-10-cpu-0.29" in listed
    assert not [name for name in listed if name.startswith("warm")]


def test_a_share_of_a_cpu_limits_a_busy_process() -> None:
    code = (
        "import time; began = time.monotonic()\nwhile time.monotonic() - began < 0.5: pass\nprint(time.process_time())"
    )
    with cpu_share.group(0.25) as group:
        if group is None:
            pytest.skip("no control group can be made here")
        command = cpu_share.in_group(group, [sys.executable, "-c", code])
        used = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert used < 0.35


def test_signals_limit_a_busy_process_where_no_control_group_can_be_made() -> None:
    code = "import time; began = time.monotonic(); cpu = time.process_time()\nprint(flush=True)\n"
    code += "while time.monotonic() - began < 1.5: pass\nprint(time.process_time() - cpu)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with cpu_share.paused(process.pid, 0.25):
            used = float(process.stdout.readline())
    assert used < 1.0
