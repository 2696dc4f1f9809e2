"""Commands that find a stage and ask AWS about it: answers, exit statuses, closed pipes, Ctrl-C, missing rights."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from roomcast import logs
from roomcast_cli import stages as finding
from roomcast_cli.aws import Account

from scripts.repository import REPOSITORY
from scripts.tests import stages
from scripts.tests.command_line import (
    COMMAND,
    WITHIN,
    ended,
    environment,
    of_json,
    on_terminal,
    run,
    start,
    terminal_of,
)
from scripts.tests.fake_aws import ACCOUNT, REGION, WHO, FakeAws, Refusal, fake_aws
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = logs.room_hash(stages.TABLE, "lobby")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """An account with one stage, rooms and functions."""
    with fake_aws() as account:
        stages.serve(account)
        now = round(time.time())
        rows = [
            *stages.connection("a=", ["lobby", "kitchen"], (now - 6_720) * 1000, now + 900),
            *stages.connection("b=", ["lobby"], (now - 60) * 1000, now + 900),
        ]
        account.answers["dynamodb:DescribeTable"] = lambda _: {"Table": {"ItemCount": 5, "TableSizeBytes": 999}}
        account.answers["dynamodb:Scan"] = lambda _: {
            "Items": rows,
            "Count": len(rows),
            "ScannedCount": len(rows),
            "ConsumedCapacity": {"TableName": stages.TABLE, "CapacityUnits": 0.5},
        }
        account.answers["lambda:InvokeFunction"] = served
        yield account


RECEIPT = {"delivered": 40, "gone": 0, "failed": 0}


def served(invocation: dict[str, Any]) -> Any:
    """Answer as the functions publish and kick do."""
    request = invocation["request"]
    if invocation["function"].endswith("publish:live"):
        [message] = request["messages"]
        to = "user" if "user" in message else "room"
        number = {"epoch": "k3f", "seq": 42} if to == "room" else {}
        return {"results": [{to: message[to], **number, **RECEIPT}]}
    return {"stages": [{"endpoint": "https://x", "connections": 2, "closed": 2, "gone": 0, "failed": 0}]}


def test_stages_in_a_pipe_and_as_json(aws: FakeAws) -> None:
    stages.serve(aws, "roomcast/live", "chat/test")

    assert run("stages", **aws.variables) == (
        0,
        (
            f"stage\tregion\tapi\tconnections\trelease\nchat/test\t{REGION}\t768b2390\t-\t0.2.0\n"
            f"roomcast/live\t{REGION}\t768b2390\t-\t0.2.0\n"
        ),
        "",
    )
    status, found = of_json("stages", **aws.variables)
    assert (status, found["v"]) == (0, 1)
    assert found["stages"][1] == {
        "stage": "roomcast/live", "region": REGION, "account": ACCOUNT, "api_id": "768b2390", "connections": None,
        "release": "0.2.0",
    }  # fmt: skip
    assert aws.actions == {"ssm:GetParametersByPath"}


def test_stages_have_the_connections_of_their_youngest_census(aws: FakeAws) -> None:
    counting = dict.fromkeys([*stages.HANDLERS, "sweeper"], "")
    stages.serve(aws, "roomcast/live", "chat/test", functions=counting)
    asked: list[dict[str, Any]] = []

    def numbers(fields: dict[str, Any]) -> Any:
        asked.append(fields)
        return {"MetricDataResults": [{"Id": "m0", "Values": []}, {"Id": "m1", "Values": [1_412.0, 398.0]}]}

    aws.answers["cloudwatch:GetMetricData"] = numbers
    _, output, _ = run("stages", **aws.variables)
    assert [line.split("\t")[3] for line in output.splitlines()] == ["connections", "-", "1,412"]
    assert [each["connections"] for each in of_json("stages", **aws.variables)[1]["stages"]] == [None, 1_412]
    of = [each["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for each in asked[0]["MetricDataQueries"]]
    assert of == ["chat", "roomcast"]
    aws.withheld = {"cloudwatch:GetMetricData"}
    assert [line.split("\t")[3] for line in run("stages", **aws.variables)[1].splitlines()] == ["connections", "-", "-"]


def test_stages_on_a_terminal(aws: FakeAws) -> None:
    status, shown = on_terminal("stages", **aws.variables, NO_COLOR="1")

    assert status == 0
    assert shown.splitlines()[1].split() == ["roomcast/live", REGION, "768b2390", "-", "0.2.0"]


@pytest.mark.parametrize("arguments", [["stages"], ["outputs"], ["rooms", "--stage", "chat"]])
def test_no_such_stage(aws: FakeAws, arguments: list[str]) -> None:
    if arguments[-1] != "chat":
        aws.answers["ssm:GetParametersByPath"] = lambda _: {"Parameters": []}

    status, output, told = run(*arguments, **aws.variables)

    assert (status, output) == (3, "")
    what = "no stage chat" if "chat" in arguments else "no stage under /roomcast/"
    assert told == f"roomcast: {what} in {REGION} of account {ACCOUNT}; apply one, or name another --region\n"


def test_parameters_of_all_pages_are_read(aws: FakeAws) -> None:
    stages.serve(aws, "roomcast/live", "chat/test")
    [first, second] = aws.answers["ssm:GetParametersByPath"]({})["Parameters"]
    aws.answers["ssm:GetParametersByPath"] = lambda fields: (
        {"Parameters": [second]} if "NextToken" in fields else {"Parameters": [first], "NextToken": "t"}
    )
    assert len(of_json("stages", **aws.variables)[1]["stages"]) == 2


def test_region_is_the_stages_unless_another_is_named(
    aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**aws.variables, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    config = tmp_path / "config"
    config.write_text("[profile oncall]\naws_access_key_id = AKIA\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for region, expected in ((None, REGION), ("eu-west-1", "eu-west-1")):
        for profile in (None, "oncall"):
            _, account = finding.find(finding.Choice(stage="roomcast", region=region, profile=profile))
            assert account == Account(expected, profile)


def test_several_stages_are_listed(aws: FakeAws) -> None:
    stages.serve(aws, "chat/live", "chat/test", "roomcast/live")

    status, _, told = run("outputs", **aws.variables)
    assert (status, told) == (
        3,
        "roomcast: there are several stages: chat/live, chat/test, roomcast/live; name one by --stage\n",
    )
    assert run("outputs", "--stage", "chat", **aws.variables)[0] == 3
    assert of_json("outputs", "--stage", "chat/test", **aws.variables)[1]["stage"] == "chat/test"
    assert of_json("outputs", **aws.variables, ROOMCAST_STAGE="roomcast")[1]["stage"] == "roomcast/live"


def test_parameter_that_describes_no_stage(aws: FakeAws) -> None:
    aws.answers["ssm:GetParametersByPath"] = lambda _: {"Parameters": [{"Name": "/roomcast/a/b", "Value": "{}"}]}

    status, _, told = run("stages", **aws.variables)
    assert (status, told.startswith("roomcast: the parameter /roomcast/a/b describes no stage")) == (3, True)
    own = json.dumps(stages.parameter())
    aws.answers["ssm:GetParametersByPath"] = lambda _: {
        "Parameters": [
            {"Name": "/roomcast/a/b", "Value": "{}"},
            {"Name": "/roomcast/a/b/c", "Value": "x"},
            {"Name": "/roomcast/roomcast/live", "Value": own},
        ]
    }
    status, output, told = run("stages", **aws.variables)
    assert (status, output.splitlines()[1].split("\t")[0], told.count("describes no stage")) == (0, "roomcast/live", 2)


def test_outputs_have_the_names_of_terraforms(aws: FakeAws) -> None:
    status, found = of_json("outputs", **aws.variables)

    own = (REPOSITORY / "terraform" / "outputs.tf").read_text("utf-8")
    outputs = found["outputs"]
    assert status == 0
    assert [name for name in outputs if f'output "{name}"' not in own] == []
    assert outputs["log_group_names"]["connect"] == "/aws/lambda/roomcast-connect"
    assert outputs["alias_arns"]["kick"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:roomcast-kick:live"
    assert (outputs["api_id"], outputs["connections_table_name"]) == ("768b2390", stages.TABLE)


def test_outputs_in_a_pipe_and_on_a_terminal(aws: FakeAws) -> None:
    _, output, _ = run("outputs", **aws.variables)
    assert f"websocket_url\twss://768b2390.execute-api.{REGION}.amazonaws.com/live\n" in output

    status, shown = on_terminal("outputs", COLUMNS="120", **aws.variables)
    assert status == 0
    assert "768b2390" in shown


def test_file_of_outputs_needs_no_right(aws: FakeAws, tmp_path: Path) -> None:
    _, found = of_json("outputs", **aws.variables)
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in found["outputs"].items()}))
    aws.asked.clear()

    assert run("hash", "lobby", "--outputs", str(file))[:2] == (0, f"{HASH}\n")
    assert run("hash", "lobby", ROOMCAST_OUTPUTS=str(file))[:2] == (0, f"{HASH}\n")
    assert of_json("hash", "lobby", "--outputs", str(file)) == (
        0,
        {"v": 1, "stage": "roomcast/live", "room": "lobby", "hash": HASH},
    )
    assert aws.asked == []
    # What the command line names counts before the environment.
    assert run("hash", "lobby", "--stage", "chat", **aws.variables, ROOMCAST_OUTPUTS=str(file))[0] == 3
    assert run("hash", "lobby", "--stage", "chat", "--outputs", str(file))[0] == 2
    for text in ("{}", "[" * 100_000):
        file.write_text(text)
        assert run("hash", "lobby", "--outputs", str(file))[0] == 2


def test_file_with_only_some_outputs_lacks_what_a_command_needs(aws: FakeAws, tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    some = {"log_group_names": {"connect": "/aws/lambda/roomcast-connect"}, "stage_name": "live"}
    file.write_text(json.dumps({name: {"value": value} for name, value in some.items()}))

    status, output, errors = run("rooms", "--outputs", str(file), **aws.variables)

    assert (status, output) == (2, "")
    assert errors == "roomcast: the file of outputs lacks connections_table_arn, which this command needs\n"


def test_stack_of_make_up_below_the_working_directory_is_reached_without_a_proxy(aws: FakeAws, tmp_path: Path) -> None:
    _, found = of_json("outputs", **aws.variables)
    folder = tmp_path / "build" / "stack"
    folder.mkdir(parents=True)
    outputs = {name: {"value": value} for name, value in found["outputs"].items()}
    (folder / "outputs.json").write_text(json.dumps(outputs))
    (folder / "env").write_text("\n".join(f"export {name}='{value}'" for name, value in aws.variables.items()))

    shown = subprocess.run(
        [*COMMAND, "rooms", "--json"],
        cwd=tmp_path,
        env=environment(http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout)["connections"] == 2


@pytest.mark.parametrize("room", ["", "a room", "x" * 65])
def test_hash_of_what_is_no_room(aws: FakeAws, room: str) -> None:
    status, _, told = run("hash", room, **aws.variables)
    assert (status, told.startswith("roomcast: ")) == (2, True)


def test_rooms_in_a_pipe(aws: FakeAws) -> None:
    status, output, told = run("rooms", **aws.variables)

    assert status == 0
    assert re.sub("5[2-9] min", "age", output) == (
        "room\tmembers\tshards\toldest\nlobby\t2\t1\t1 h age\nkitchen\t1\t1\t1 h age\n"
    )
    assert told == "2 rooms, 2 connections; the scan read 0.5 units (0.0000001 USD)\n"


def test_rooms_on_a_terminal_and_as_json(aws: FakeAws) -> None:
    status, shown = on_terminal("rooms", "--limit", "1", **aws.variables, NO_COLOR="1")
    assert status == 0
    assert "lobby" in shown
    assert "kitchen" not in shown

    status, found = of_json("rooms", **aws.variables)
    assert (status, found["connections"], found["read_units"]) == (0, 2, 0.5)
    at = found["rooms"][0].pop("oldest_connected_at")
    assert found["rooms"][0] == {"room": "lobby", "members": 2, "shards": 1}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)


def test_members_of_a_room(aws: FakeAws) -> None:
    soon = round(time.time()) + 900
    named = {"subject": {"S": "alice"}, "protocol": {"S": "roomcast.v1"}}
    rows = [
        *stages.connection("later", ["lobby", "lobby-2"], 1_764_387_260_000, soon),
        *stages.connection("first", ["kitchen", "lobby"], 1_764_387_200_000, soon, **named),
    ]
    aws.answers["dynamodb:Scan"] = lambda _: {"Items": rows, "ConsumedCapacity": {"CapacityUnits": 0.5}}

    status, output, told = run("rooms", "lobby", **aws.variables)
    assert status == 0
    assert output == (
        "connection\tuser\tprotocol\tconnected at\n"
        "first\talice\troomcast.v1\t2025-11-29T03:33:20Z\n"
        "later\t-\ttext\t2025-11-29T03:34:20Z\n"
    )
    assert told == "2 members of lobby; the scan read 0.5 units (0.0000001 USD)\n"

    status, found = of_json("rooms", "lobby", "--limit", "1", **aws.variables)
    assert (status, found["room"], found["count"]) == (0, "lobby", 2)
    first = {"connection_id": "first", "user": "alice", "protocol": "roomcast.v1"}
    assert found["members"] == [{**first, "connected_at": "2025-11-29T03:33:20Z"}]

    assert run("rooms", "attic", **aws.variables)[1:] == (
        "connection\tuser\tprotocol\tconnected at\n",
        "0 members of attic; the scan read 0.5 units (0.0000001 USD)\n",
    )
    assert run("rooms", "a room", **aws.variables)[0] == 2


def test_cost_of_a_large_scan_is_said_first(aws: FakeAws) -> None:
    size = {"ItemCount": 2_000_000, "TableSizeBytes": 215_000_000}
    aws.answers["dynamodb:DescribeTable"] = lambda _: {"Table": size}

    _, _, told = run("rooms", **aws.variables)
    assert told.startswith("the table has 2,000,000 rows: the scan costs some 0.0033 USD\n2 rooms")


def test_send(aws: FakeAws) -> None:
    assert run("send", "lobby", "maintenance at 18:00", "--id", "m1", **aws.variables) == (
        0,
        "to\tseq\tdelivered\tgone\tfailed\tstate\nlobby\t42\t40\t0\t0\t\n",
        "",
    )
    asked = aws.asked[-1][1]
    assert asked["function"].endswith("function:roomcast-publish:live")
    assert asked["request"] == {"messages": [{"room": "lobby", "data": "maintenance at 18:00", "id": "m1"}]}
    assert on_terminal("send", "lobby", "hello", **aws.variables) == (
        0, "lobby  seq 42  delivered 40, gone 0, failed 0\n",
    )  # fmt: skip
    assert of_json("send", "--user", "alice", "hello", **aws.variables) == (
        0, {"v": 1, "stage": "roomcast/live", "receipts": [{"user": "alice", **RECEIPT}]},
    )  # fmt: skip


def test_send_of_lines(aws: FakeAws) -> None:
    status, output, _ = run("send", "lobby", "-", "--id", "m", given="one\ntwo\n", **aws.variables)

    assert (status, len(output.splitlines())) == (0, 3)
    sent = [fields["request"]["messages"][0] for action, fields in aws.asked if action == "lambda:InvokeFunction"]
    assert [(each["data"], each["id"]) for each in sent] == [("one", "m.0"), ("two", "m.1")]


@pytest.mark.parametrize("recipient", [["lobby"], ["--user", "alice"]])
def test_send_of_no_line_has_sent_nothing_and_says_so(aws: FakeAws, recipient: list[str]) -> None:
    told = "roomcast: the input has no line, so nothing was sent\n"

    assert run("send", *recipient, "-", **aws.variables) == (1, "to\tseq\tdelivered\tgone\tfailed\tstate\n", told)
    status, document = of_json("send", *recipient, "-", **aws.variables)
    assert (status, document["receipts"]) == (1, [])
    assert "lambda:InvokeFunction" not in aws.actions


def test_send_of_bytes_that_are_no_text(aws: FakeAws) -> None:
    given, variables = b"one\r\n\xff\nthree", environment(**aws.variables)
    result = subprocess.run(
        [*COMMAND, "send", "lobby", "-"], input=given, env=variables, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (2, b"roomcast: line 2: the input is not UTF-8\n")
    sent = [
        fields["request"]["messages"][0]["data"] for action, fields in aws.asked if action == "lambda:InvokeFunction"
    ]
    assert sent == ["one"]


def next_of(answers: Iterator[dict[str, Any]], _invocation: object) -> dict[str, Any]:
    """Return the next answer, whatever the invocation."""
    return next(answers)


def test_send_of_lines_that_is_refused_tells_what_was_sent(aws: FakeAws) -> None:
    answers: list[dict[str, Any]] = [{"results": [{"room": "lobby", **RECEIPT}]}] * 2
    answers.append({"results": [{"error": {"code": "rate_limited", "message": "wait"}}]})
    for as_json in (False, True):
        left = map(dict, answers)
        aws.answers["lambda:InvokeFunction"] = partial(next_of, left)
        options = ["--json"] if as_json else []
        status, output, told = run("send", "lobby", "-", *options, given="1\n2\n3\n4\n", **aws.variables)
        assert (status, told) == (2, "roomcast: line 3: rate_limited: wait\n")
        assert (len(json.loads(output)["receipts"]) if as_json else output.count("lobby\t\t40")) == 2


def test_receipt_of_a_line_is_shown_before_the_next_line_comes(aws: FakeAws) -> None:
    arguments = ["send", "lobby", "-"]
    with terminal_of(*arguments, **aws.variables) as (terminal, process):
        for text in ("one", "two"):
            terminal.send(f"{text}\n")
            terminal.expect_exact("lobby  seq 42  delivered 40, gone 0, failed 0\r\n")
        terminal.send("\x04")
        assert ended(process) == 0

    with subprocess.Popen(
        [*COMMAND, *arguments],
        bufsize=0,
        env=environment(**aws.variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as piped:
        assert piped.stdin
        assert piped.stdout
        for line in (b"to\tseq", b"lobby\t42"):
            piped.stdin.write(b"hello\n")
            assert piped.stdout.readline().startswith(line)
        piped.stdin.close()
        assert piped.wait(scaled(WITHIN)) == 0


@pytest.mark.parametrize(
    ("receipt", "status", "shown"),
    [
        ({"delivered": 0, "gone": 0, "failed": 0}, 1, "lobby  delivered 0 (the room is empty)"),
        ({"delivered": 3, "gone": 1, "failed": 2}, 1, "lobby  delivered 3, gone 1, failed 2"),
        ({"seq": 7, "queued": True}, 0, "lobby  seq 7  queued"),
        ({"seq": 7, "duplicate": True}, 0, "lobby  seq 7  duplicate"),
    ],
)
def test_outcomes_of_send(aws: FakeAws, receipt: dict[str, Any], status: int, shown: str) -> None:
    aws.answers["lambda:InvokeFunction"] = lambda _: {"results": [{"room": "lobby", **receipt}]}

    assert on_terminal("send", "lobby", "hello", **aws.variables) == (status, f"{shown}\n")


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        ({"results": [{"error": {"code": "invalid_room", "message": "no room"}}]}, 2, "invalid_room: no room"),
        ({"results": [{"error": {"code": "unavailable", "message": "again"}}]}, 5, "unavailable: again"),
        ({"headers": {"Function-Error": "Unhandled"}, "errorMessage": "boom"}, 5, "the function publish failed: boom"),
    ],
)
def test_send_that_is_refused(aws: FakeAws, answer: dict[str, Any], status: int, told: str) -> None:
    aws.answers["lambda:InvokeFunction"] = lambda _: dict(answer)

    found = run("send", "lobby", "hello", **aws.variables)
    assert found[:2] == (status, "")
    assert found[2].startswith(f"roomcast: {told}")


@pytest.mark.parametrize(("command", "variable"), [("send", "publish_enabled"), ("kick", "kick_enabled")])
def test_stage_without_the_function(aws: FakeAws, command: str, variable: str) -> None:
    stages.serve(aws, **{variable: False})
    arguments = ["lobby", "hello"] if command == "send" else ["--user", "alice", "--yes"]

    assert run(command, *arguments, **aws.variables) == (
        3, "", f"roomcast: roomcast/live cannot {command}: {variable} is false\n",
    )  # fmt: skip


def test_kick(aws: FakeAws) -> None:
    status, found = of_json("kick", "--user", "alice", "--for", "1h", "--reason", "spam", "--yes", **aws.variables)

    request = aws.asked[-1][1]["request"]
    assert (status, found["user"], found["closed"]) == (0, "alice", 2)
    assert (request["user"], request["reason"]) == ("alice", "spam")
    assert request["until"] / 1000 == pytest.approx(time.time() + 3_600, abs=scaled(60))
    assert found["until"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(request["until"] // 1000))


def test_kick_of_a_connection(aws: FakeAws) -> None:
    status, output, _ = run("kick", "abc=", "--yes", **aws.variables)

    assert (status, output) == (0, "kicked\tclosed\tgone\tfailed\tuntil\nabc=\t2\t0\t0\t\n")
    assert aws.asked[-1][1]["request"] == {"connection": "abc="}


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_kick_asks_on_a_terminal(aws: FakeAws, answer: str, status: int) -> None:
    with terminal_of("kick", "--user", "alice", "--for", "1h", **aws.variables) as (terminal, process):
        terminal.expect_exact("Kick alice from roomcast/live for 1 h? [y/N] ")
        terminal.write(f"{answer}\n")

        assert ended(process) == status
    assert ("lambda:InvokeFunction" in aws.actions) == (status == 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--user", "alice"], "kick asks before it acts; say --yes"),
        ([], "kick takes a connection or --user ID"),
        (["abc=", "--user", "alice"], "kick takes a connection or --user ID"),
        (["abc=", "--for", "1h", "--yes"], "--for needs --user"),
        (["--user", "alice", "--for", "soon"], "'soon' is no duration"),
    ],
)
def test_wrong_kick(aws: FakeAws, arguments: list[str], told: str) -> None:
    status, output, errors = run("kick", *arguments, **aws.variables)

    assert (status, output) == (2, "")
    assert told in errors
    assert "lambda:InvokeFunction" not in aws.actions


@pytest.mark.parametrize(
    ("closed", "failed", "arguments", "status"), [(0, 0, [], 3), (0, 0, ["--for", "1h"], 0), (1, 1, [], 1)]
)
def test_outcomes_of_kick(aws: FakeAws, closed: int, failed: int, arguments: list[str], status: int) -> None:
    outcome = {"endpoint": "x", "connections": closed + failed, "closed": closed, "gone": 0, "failed": failed}
    aws.answers["lambda:InvokeFunction"] = lambda _: {"stages": [outcome]}

    assert run("kick", "--user", "alice", "--yes", *arguments, **aws.variables)[0] == status


COMMANDS = {
    "stages": ["stages"],
    "outputs": ["outputs"],
    "hash": ["hash", "lobby"],
    "rooms": ["rooms"],
    "send": ["send", "lobby", "hello"],
    "kick": ["kick", "abc=", "--yes"],
}
RIGHTS = {
    "stages": {"ssm:GetParametersByPath"},
    "outputs": {"ssm:GetParametersByPath"},
    "hash": {"ssm:GetParametersByPath"},
    "rooms": {"ssm:GetParametersByPath", "dynamodb:Scan"},
    "send": {"ssm:GetParametersByPath", "lambda:InvokeFunction"},
    "kick": {"ssm:GetParametersByPath", "lambda:InvokeFunction"},
}
"""Rights that a command cannot do without."""
WITHOUT = {"rooms": {"dynamodb:DescribeTable"}}
"""Rights that it does without."""


@pytest.mark.parametrize("name", COMMANDS)
def test_command_needs_its_rights_and_no_other(aws: FakeAws, name: str) -> None:
    aws.withheld = WITHOUT.get(name, set())
    assert run(*COMMANDS[name], **aws.variables)[0] == 0
    assert aws.actions == RIGHTS[name] | WITHOUT.get(name, set())
    for action in RIGHTS[name]:
        aws.withheld = {action}
        kind = "operate" if action.startswith("lambda") else "read"
        advice = f"`roomcast policy {kind}` prints what these commands need"
        sentence = f"roomcast: {WHO} may not {action} on arn:aws:x:::it; {advice}\n"
        assert run(*COMMANDS[name], **aws.variables) == (4, "", sentence)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_credentials(aws: FakeAws, name: str) -> None:
    variables = {key: value for key, value in aws.variables.items() if "KEY" not in key}

    assert run(*COMMANDS[name], **variables) == (
        4, "", "roomcast: no AWS credentials found; set AWS_PROFILE, or run `aws sso login`\n",
    )  # fmt: skip
    assert aws.asked == []


def test_what_an_alarm_says_to_run_first_can_be_run(aws: FakeAws) -> None:
    variables = {key: value for key, value in aws.variables.items() if "KEY" not in key}
    text = (REPOSITORY / "terraform" / "modules" / "backend" / "alarms.tf").read_text()
    lines = re.findall(r"^ +command += (.+)$", text, re.MULTILINE)
    commands = {command for line in lines for command in re.findall(r'"roomcast ([^"]+)"', line)}
    assert all('"roomcast ' in line for line in lines)
    assert len(lines) == text.count(" command ") >= len(commands) > 2
    # Wrong usage ends with 2, before anything is looked for.
    assert {command: run(*command.split(), **variables)[0] for command in sorted(commands)} == dict.fromkeys(
        commands, 4
    )


@pytest.mark.parametrize(
    ("refusal", "status", "told"),
    [
        (Refusal("ExpiredTokenException"), 4, "the credentials have expired; run `aws sso login`"),
        (Refusal("UnrecognizedClientException"), 4, "AWS does not know these credentials"),
        (Refusal("AccessDeniedException", "in other words"), 4, "AWS refuses GetParametersByPath: in other words"),
        (Refusal("ThrottlingException"), 5, "AWS throttles or fails (GetParametersByPath: ThrottlingException)"),
        (Refusal("InternalServerError", status=500), 5, "AWS throttles or fails"),
        (Refusal("OutOfService", status=502), 5, "AWS throttles or fails"),
        (Refusal("ParameterNotFoundException", "none", status=404), 3, "GetParametersByPath: none"),
        (Refusal("ResourceNotFoundException", "no table"), 3, "GetParametersByPath: no table"),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)
def test_errors_of_aws(aws: FakeAws, refusal: Refusal, status: int, told: str) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise refusal

    aws.answers["ssm:GetParametersByPath"] = refuse
    found = run("rooms", **aws.variables)

    assert found[:2] == (status, "")
    assert found[2].startswith(f"roomcast: {told}")
    assert found[2].count("\n") == 1


def test_profile_is_named(aws: FakeAws, tmp_path: Path) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise Refusal("ExpiredTokenException")

    aws.answers["ssm:GetParametersByPath"] = refuse
    config = tmp_path / "config"
    config.write_text("[profile oncall]\naws_access_key_id = AKIA\naws_secret_access_key = s\n")
    told = run("rooms", "--profile", "oncall", **{**aws.variables, "AWS_CONFIG_FILE": str(config)})
    assert told == (
        4,
        "",
        "roomcast: the credentials of profile oncall have expired; run `aws sso login --profile oncall`\n",
    )

    assert run("rooms", "--profile", "other", **{**aws.variables, "AWS_CONFIG_FILE": str(config)})[0] == 4


def test_silent_network() -> None:
    variables = {**FakeAws().variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    assert run("stages", **variables) == (5, "", "roomcast: 127.0.0.1:9 does not answer (3 tries)\n")


def test_proxy_is_named() -> None:
    variables = {**FakeAws().variables, "AWS_ENDPOINT_URL": "https://aws.example", "HTTPS_PROXY": "http://127.0.0.1:9"}

    assert run("stages", **variables) == (5, "", "roomcast: the proxy http://127.0.0.1:9 cannot be used\n")


def test_certificate_is_named(tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        endpoint = f"localhost:{server.server_port}"
        status, _, told = run("stages", **{**FakeAws().variables, "AWS_ENDPOINT_URL": f"https://{endpoint}"})
        server.shutdown()
        thread.join()

    assert status == 5
    assert told.startswith(f"roomcast: there is no TLS connection to {endpoint}: ")
    assert "certificate verify failed" in told
    assert told.endswith("; AWS_CA_BUNDLE names a file of authorities\n")


def test_no_region(aws: FakeAws) -> None:
    variables = {name: value for name, value in aws.variables.items() if name != "AWS_REGION"}

    assert run("stages", **variables) == (2, "", "roomcast: no Region is chosen; name one by --region or AWS_REGION\n")
    assert run("stages", "--region", "eu_1", **variables)[0] == 2
    assert run("stages", "--region", REGION, **variables)[0] == 0


def last_request(name: str) -> str:
    """Return the last action of a command."""
    return max(RIGHTS[name], key=lambda action: action != "ssm:GetParametersByPath")


@pytest.mark.parametrize("name", COMMANDS)
def test_reader_that_is_gone(aws: FakeAws, name: str, tmp_path: Path) -> None:
    """It goes while the command waits for AWS."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    aws.held[last_request(name)] = threading.Event()
    errors = tmp_path / "errors"
    errors.touch()
    process = start(*COMMANDS[name], files=[os.devnull, str(pipe), str(errors)], **aws.variables)
    assert aws.arrived.wait(scaled(WITHIN))
    os.close(reading)
    aws.held[last_request(name)].set()

    assert ended(process) == 141
    assert errors.read_text() == (
        "2 rooms, 2 connections; the scan read 0.5 units (0.0000001 USD)\n" if name == "rooms" else ""
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c(aws: FakeAws, name: str, tmp_path: Path) -> None:
    """It comes while the command waits for AWS, and ends it without a word; what was asked for is told."""
    aws.held[last_request(name)] = threading.Event()
    output, errors = tmp_path / "output", tmp_path / "errors"
    output.touch()
    errors.touch()
    process = start(*COMMANDS[name], files=[os.devnull, str(output), str(errors)], **aws.variables)
    assert aws.arrived.wait(scaled(WITHIN))
    os.kill(process.pid or 0, signal.SIGINT)

    assert (ended(process), output.read_text().strip()) == (130, "")
    assert errors.read_text().strip() == (
        "roomcast: the kick was asked for and may be carried out; the same again does no harm" if name == "kick" else ""
    )


def test_without_botocore_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; from importlib import util; found = util.find_spec\n"
    hidden += "util.find_spec = lambda name: None if name == 'botocore' else found(name)\n"
    hidden += "from roomcast_cli.__main__ import main; sys.exit(main(['stages']))"
    command = [COMMAND[0], "-c", hidden]
    found = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stderr) == (
        2,
        "roomcast: the package botocore is missing; install roomcast[operate]\n",
    )
