"""The command line of load runs."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from integration_tests.load.__main__ import main
from integration_tests.load.bounds import OptionsError
from integration_tests.load.options import add_run
from integration_tests.load.planning import plan_of, rooms_of
from integration_tests.load.redaction import without_secrets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["run", "--websocket-url", "wss://h.example/live?token=S3CRET"], "run --websocket-url wss://h.example/live"),
        (
            ["run", "--websocket-url=wss://h.example/live?a=b&token=S3CRET#S3CRET"],
            "run --websocket-url=wss://h.example/live",
        ),
        (["run", "--websocket-url", "wss://user:S3CRET@h.example/live"], "run --websocket-url wss://h.example/live"),
        (
            ["run", "--websocket-url", "wss://user:S3CRET@S3CRET@h.example/live"],
            "run --websocket-url wss://h.example/live",
        ),
        (["run", "--websocket-url", "user:S3CRET@h.example/live"], "run --websocket-url user:h.example/live"),
        (["run", "--websocket-url", "wss://h.example#S3CRET@/live"], "run --websocket-url wss://h.example"),
        (["run", "--previous", "https://user:S3CRET@h.example/?S3CRET"], "run --previous https://h.example/"),
        (["run", "--websocket-url", "h.example/live?token=S3CRET"], "run --websocket-url h.example/live"),
        (
            ["bench", "--websocket-url", "wss://h.example?S3CRET", "--sizes", "5"],
            "bench --websocket-url wss://h.example --sizes 5",
        ),
        (["run", "--rate", "2", "--previous", "a b.json"], "run --rate 2 --previous 'a b.json'"),
    ],
)
def test_command_in_the_report_holds_no_secret(arguments: list[str], written: str) -> None:
    assert without_secrets(arguments) == f"python -m integration_tests.load {written}"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("run --duration 1e308", "with this --duration the run would take more than 30 days"),
        ("run --duration 1e6 --rate 1e306", "messages"),
        ("run --messages 5 --rate 1e-300", "with this --rate the run would take more than 30 days"),
        ("run --messages 5 --rate 1e-320", "with this --rate the run would take more than 30 days"),
        ("run --connect-rate 1e-300", "with this --connect-rate the run would take more than 30 days"),
        ("bench --connect-rate 1e-300", "with this --connect-rate the run would take more than 30 days"),
        ("run --scenario resume-storm --protocol text", "resume-storm is about clients of roomcast.v1"),
        ("run --scenario rollover --protocol text", "rollover is about clients of roomcast.v1"),
        ("run --scenario retry-storm --protocol text", "retry-storm is about clients of roomcast.v1"),
        ("run --expired", "--expired deletes what a stage of our own keeps"),
        (
            "run --scenario resume-storm --expired --target live --websocket-url wss://h.example/live",
            "--expired deletes what a stage of our own keeps",
        ),
        (f"run --messages {10**9}", "1e+09 messages are more than the 100,000,000 that a run can account for"),
        (f"run --messages 1{'0' * 300}", "1e+300 messages are more than"),
        ("run --rate 1e300 --duration 600", "9e+18 messages are more than"),
        (f"bench --messages {10**9}", "1e+09 messages are more than"),
        ("run --processes 5000 --connections 5000 --rooms 1", "5,000 client processes are more than 64"),
        ("run --patience 1e300", "with this --patience the run would take more than 30 days"),
        ("bench --patience 1e300", "with this --patience the run would take more than 30 days"),
        ("run --quiet 1e300", "with this --quiet the run would take more than 30 days"),
        ("run --outage 1e300", "with this --outage the run would take more than 30 days"),
        ("run --scenario rollover --lifetime 1e300", "with this --lifetime the run would take more than 30 days"),
        ("run --scenario soak --lifetime 1e-300", "--lifetime must be at least 0.1 s"),
        ("run --size 10000000", "messages of 10,000,000 characters are more than the 131,072 that AWS takes"),
        ("bench --size 10000000", "messages of 10,000,000 characters are more than the 131,072 that AWS takes"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(
    options: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options.split(), "--target", "live", "--websocket-url", "ws://127.0.0.1:9/live"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "connections", "rooms"),
    [
        ("", 1, 0),
        ("", 2, 1),
        ("", 3, 1),
        ("", 4, 2),
        ("", 6, 3),
        ("", 300, 3),
        ("", 301, 4),
        ("--processes 5", 14, 2),
        ("--processes 5", 15, 3),
        ("--rooms 1", 2, 1),
        ("--rooms 1", 1, 0),
        ("--rooms 4", 8, 4),
        ("--rooms 4", 7, 0),
        ("--rooms 3 --processes 5", 14, 0),
        ("--rooms 3 --processes 5", 15, 3),
    ],
)
def test_each_room_has_two_members_at_least_and_one_in_each_process(asked: str, connections: int, rooms: int) -> None:
    """With one member, nothing shows that a message reaches anyone but its sender; 0 stands for a refusal."""
    parser = argparse.ArgumentParser()
    add_run(parser)
    options = parser.parse_args(asked.split())
    if rooms:
        assert rooms_of(options, connections) == rooms
    else:
        with pytest.raises(OptionsError, match=f"{connections} clients are too few"):
            rooms_of(options, connections)


@pytest.mark.parametrize("previous", [b"no JSON", b"[]", b'{"format": 1}'])
def test_an_unusable_previous_report_is_refused_before_the_run(
    previous: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "previous.json"
    file.write_bytes(previous)

    status = main(["run", "--target", "live", "--websocket-url", "ws://127.0.0.1:9/live", "--previous", str(file)])

    assert status == 2
    assert f"{file} is not " in capsys.readouterr().err


NUMBERS = {
    "run": [
        *("--size", "--patience", "--connections", "--rooms", "--rate", "--messages", "--duration", "--late-after"),
        *("--quiet", "--connect-rate", "--lifetime", "--outage", "--processes"),
    ],
    "bench": ["--size", "--patience", "--sizes", "--messages", "--connect-rate"],
    "sweep": ["--older-than"],
}


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "1e999", "nan", "inf"], ids=lambda number: number[:5])
@pytest.mark.parametrize(("command", "option"), [(name, each) for name, options in NUMBERS.items() for each in options])
def test_numbers_that_nothing_can_be_calculated_with_are_refused(
    command: str, option: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([command, option, number])

    assert f"argument {option}: " in capsys.readouterr().err


def outputs_file(folder: Path, **values: object) -> str:
    """Write what ``terraform output -json`` prints, and return where."""
    path = folder / "outputs.json"
    path.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    return str(path)


def test_sweep_of_a_stage_whose_table_is_not_named_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    outputs = outputs_file(tmp_path, websocket_url="wss://a.execute-api.eu-central-1.amazonaws.com/live")

    assert main(["sweep", "--outputs", outputs]) == 2

    expected = f"{outputs} does not hold the outputs connections_table_name, shards_per_room\n"
    assert capsys.readouterr().err == expected


def test_nothing_is_older_than_a_century(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", "--outputs", "x", "--older-than", "1e308"])

    assert "argument --older-than: must be greater than 0 and at most 1e+06, not 1e308" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        '{"seed": 1e999, "rules": []}',
        '{"seed": [7], "rules": []}',
        '{"rules": [{"name": ["a"], "fault": {"kind": "reset"}}]}',
        '{"rules": [{"name": "a", "fault": {"kind": ["reset"]}}]}',
        '{"rules": [{"name": "a", "fault": {"kind": "timeout", "seconds": NaN}}]}',
        '{"rules": [{"name": "a", "fault": {"kind": "reset"}, "limit": ' + "9" * 400 + "}]}",
        '{"rules": [{"name": "\\ud83d", "fault": {"kind": "reset"}}]}',
        "[" * 100_000,
        '{"rules": ' + "[" * 100_000,
    ],
    ids=lambda content: content[:60],
)
def test_faults_that_cannot_be_injected_are_refused_in_a_sentence(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content)

    assert main(["run", "--target", "local", "--faults", str(file), "--report-dir", str(tmp_path / "reports")]) == 2

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    "limit", ["{ at_most = " + "9" * 400 + " }", "{ at_most = inf }", "{ at_most = nan }", "[" * 10_000]
)
def test_limits_that_limit_nothing_are_refused_in_a_sentence(
    limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(f'[limits]\n"invariants.lost" = {limit}\n')
    target = ["--target", "live", "--websocket-url", "ws://127.0.0.1:9/live"]

    assert main(["run", *target, "--limits", str(file)]) == 2

    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", [["run", "--report-dir"], ["bench", "--output"]])
def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    status = main([*command, str(tmp_path / "file" / "x"), "--target", "live", "--websocket-url", "ws://127.0.0.1:9/l"])

    output = capsys.readouterr()
    assert status == 2
    assert "Not a directory" in output.err or "File exists" in output.err
    assert "clients in" not in output.out


@pytest.mark.parametrize(
    ("arguments", "protocol", "lifetime"),
    [
        ("", "text", 60.0),
        ("--protocol v1", "v1", 60.0),
        ("--scenario soak --lifetime 5", "text", 5.0),
        ("--scenario resume-storm", "v1", 60.0),
        ("--scenario retry-storm --protocol v1", "v1", 60.0),
        ("--scenario rollover", "v1", 20.0),
        ("--scenario rollover --lifetime 5", "v1", 5.0),
    ],
)
def test_scenarios_of_v1_speak_it_by_themselves(arguments: str, protocol: str, lifetime: float) -> None:
    parser = argparse.ArgumentParser()
    add_run(parser)

    plan = plan_of(parser.parse_args(arguments.split()), default_connections=20)

    assert (plan.protocol, plan.lifetime) == (protocol, lifetime)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ("", 200),
        ("--rate 2", 200),
        ("--duration 3", 30),
        ("--scenario soak", 6_000),
        ("--scenario join-storm", 600),
        ("--scenario reconnect-storm --rate 2", 120),
        ("--scenario reconnect-storm --messages 7", 7),
    ],
)
def test_scenarios_that_need_time_have_it_by_default(arguments: str, messages: int) -> None:
    parser = argparse.ArgumentParser()
    add_run(parser)

    assert plan_of(parser.parse_args(arguments.split()), default_connections=20).messages == messages
