"""``roomcast`` as a terminal and a pipe show it: answers, exit statuses, closed pipes and Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import tomllib
from typing import TYPE_CHECKING

import pytest
import typer
from roomcast_cli.application import APP

from scripts.repository import REPOSITORY
from scripts.tests.command_line import COMMAND, WITHIN, environment, of_json, on_terminal, run
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

BUSY = ["--connections", "10000", "--room-size", "100", "--messages-per-second", "10"]
CALM = ["--connections", "100", "--room-size", "10", "--messages-per-second", "1"]
IDLE = ["--connections", "1000000", "--room-size", "1000", "--messages-per-second", "1"]


def test_cost_in_a_pipe_is_tab_separated_with_whole_cells() -> None:
    status, output, notes = run("cost", *BUSY)

    header, *rows = [line.split("\t") for line in output.splitlines()]
    assert status == 0
    assert header == ["item", "quantity", "usd"]
    assert {len(row) for row in rows} == {3}
    assert ["API Gateway messages", "2,810 M", "2,447.94"] in rows
    assert ["data transfer out", "1,909 GB", "171.85"] in rows
    assert rows[-1] == ["together", "", "2,878.56"]
    assert "alone: AppSync Events 2,652, Azure Web PubSub 2,782, Pusher 1,199, Ably 7,010" in notes
    assert "the largest term: API Gateway messages (85%), and of these deliveries (92%): smaller rooms" in notes
    assert "\x1b" not in output + notes


def test_cost_on_a_terminal_is_aligned() -> None:
    status, shown = on_terminal("cost", *BUSY)

    assert status == 0
    assert "\x1b[1m" in shown
    assert "API Gateway messages   2,810 M  2,447.94" in shown
    assert "together                        2,878.56" in shown


def test_colours_stay_away() -> None:
    for status, shown in (on_terminal("cost", *BUSY, "--no-color"), on_terminal("cost", *BUSY, NO_COLOR="1")):
        assert status == 0
        assert "\x1b" not in shown


def test_narrow_terminal_cuts_nothing() -> None:
    _, shown = on_terminal("capacity", *IDLE, COLUMNS="40", NO_COLOR="1")

    assert "…" not in shown
    assert "200,000" in shown
    assert "40,000%" in shown


def test_terminal_of_unknown_width_cuts_nothing() -> None:
    """Some programs start others with COLUMNS=0, as on a serial line."""
    expected = on_terminal("capacity", *IDLE, COLUMNS="80", NO_COLOR="1")

    assert on_terminal("capacity", *IDLE, COLUMNS="0", NO_COLOR="1") == expected
    assert len(expected[1].splitlines()) > 5


def test_cost_as_json() -> None:
    status, found = of_json("cost", *BUSY, "--bytes", "500")

    assert status == 0
    assert (found["v"], found["usd"], found["inputs"]["room_size"]) == (1, 2878.56, 100)
    assert sum(line["usd"] for line in found["lines"]) == pytest.approx(found["usd"], abs=0.1)
    for line in found["lines"]:
        assert line.keys() == {"service", "item", "quantity", "unit", "usd", "source", "date"}
    [messages] = [line for line in found["lines"] if line["item"] == "API Gateway messages"]
    assert (messages["quantity"], messages["usd"]) == (2_809_920_000, 2447.94)
    assert [other["usd"] for other in found["alternatives"]] == [2652, 2782, 1199, 7010]


@pytest.mark.parametrize("command", ["cost", "capacity"])
def test_order_needs_a_queue(command: str) -> None:
    [of_fifo, of_both] = [of_json(command, *CALM, "--fifo", *more)[1] for more in ([], ["--queued"])]

    assert of_fifo == of_both
    assert (of_fifo["inputs"]["queued"], of_fifo["inputs"]["fifo"]) == (True, True)


@pytest.mark.parametrize(("most", "status"), [("2878", 1), ("2879", 0)])
def test_cost_above_a_maximum(most: str, status: int) -> None:
    assert run("cost", *BUSY, "--max", most)[0] == status


def test_old_prices_are_told_on_stderr_alone() -> None:
    """Pusher's were read in May 2026, and no later reading is known."""
    _, output, notes = run("cost", *CALM, "--json")

    assert json.loads(output)
    assert "roomcast: prices older than 180 days" in notes
    assert "pusher_plans (2026-05)" in notes


def test_capacity_names_the_first_quota_and_what_to_do() -> None:
    status, output, _ = run("capacity", *IDLE, "--spread", "600")

    header, *rows = [line.split("\t") for line in output.splitlines()]
    assert status == 1
    assert header == ["quota", "used", "limit", "share", "remedy"]
    assert rows[0][:4] == ["handshakes, all return in 600 s", "1,667", "500", "333%"]
    assert rows[1:3] == [
        ["requests a second", "8,742", "10,000", "87%", "-> client_limits.heartbeat 480 s: 55%"],
        ["  of it heartbeat", "7,407", "", "", ""],
    ]
    assert rows[3] == ["concurrent executions", "67", "1,000", "7%", ""]


def test_capacity_on_a_terminal() -> None:
    status, shown = on_terminal("capacity", *CALM)

    assert status == 0
    assert "handshakes, all return in 5 s" in shown


def test_capacity_as_json() -> None:
    status, found = of_json("capacity", *IDLE)

    assert (status, found["first"], found["fits"]) == (1, "handshakes_per_second", False)
    [requests] = [quota for quota in found["quotas"] if quota["quota"] == "requests_per_second"]
    assert (round(requests["used"]), requests["limit"], requests["share"]) == (8742, 10_000, 0.8742)
    assert round(requests["parts"]["heartbeat"]) == 7_407

    status, found = of_json("capacity", *CALM)
    assert (status, found["fits"]) == (0, True)


def test_quotas_of_the_account(tmp_path: Path) -> None:
    file = tmp_path / "quotas.json"
    file.write_text('{"requests_per_second": 10}')

    status, found = of_json("capacity", *CALM, "--quotas", str(file))

    assert (status, found["first"]) == (1, "requests_per_second")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no JSON", "cannot be read as JSON"),
        ("[]", "must be an object"),
        ('{"requests": 1}', "requests_per_second"),
        ("[" * 100_000, "cannot be read as JSON"),
        *(
            (f'{{"requests_per_second": {number}}}', "must be a number from 0.001 to 1e+12")
            for number in ("0", "5e-324", '"many"', "NaN", "1e999", "9" * 400, "true")
        ),
    ],
    ids=lambda value: value[:40],
)
def test_quotas_that_are_none(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "quotas.json"
    file.write_text(text)

    status, output, errors = run("capacity", *CALM, "--quotas", str(file))

    assert (status, output) == (2, "")
    assert told in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "missing command"),
        (["no-such-command"], "no-such-command"),
        (["cost", *CALM, "--no-such-option"], "--no-such-option"),
        (["cost", *CALM, "--connections", "many"], "many"),
        (["cost", *CALM, "--connections", "nan"], "connections must be 1 to 1,000,000,000"),
        (["cost", *CALM, "--max", "nan"], "nan is no finite number"),
        (["cost", *CALM, "--max", "inf"], "inf is no finite number"),
        (["cost", *CALM, "--hours-a-day", "nan"], "hours-a-day must be 0.1 to 24"),
        (["capacity", *CALM, "--pace", "nan"], "pace must be 0 to 1,000,000,000"),
        (["capacity", *CALM, "--spread", "inf"], "spread must be 0 to 600"),
        (["doctor", "--within", "nan"], "nan is no finite number"),
        (["doctor", "--within", "inf"], "inf is not in the range"),
        (["cost", *CALM, "--room-size", "101"], "room-size must be connections at most"),
        (["cost", *CALM, "extra"], "extra"),
        (["capacity", *CALM, "--spread", "601"], "spread must be 0 to 600"),
        (["capacity", *CALM, "--quotas", "/no/such/file"], "/no/such/file"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_wrong_usage(arguments: list[str], told: str) -> None:
    status, output, errors = run(*arguments)

    assert (status, output) == (2, "")
    assert errors.startswith("roomcast: ")
    assert errors.count("\n") == 1
    assert told in errors


@pytest.mark.parametrize("command", ["cost", "capacity"])
def test_numbers_that_are_missing_are_asked_of_a_stage(command: str) -> None:
    status, output, errors = run(command, "--room-size", "10")

    assert (status, output) == (2, "")
    first, second = errors.splitlines()
    assert first == (
        "roomcast: not given, so taken from the stage's last 24 hours: --connections, --messages-per-second"
    )
    assert second == "roomcast: no Region is chosen; name one by --region or AWS_REGION"


@pytest.mark.parametrize("arguments", [["--help"], ["chat", "--help"], ["cost", "--help"], ["capacity", "--help"]])
def test_help(arguments: list[str]) -> None:
    status, output, errors = run(*arguments)

    assert (status, errors) == (0, "")
    assert output.startswith("Usage: roomcast")


def test_each_command_has_the_options_that_the_page_promises() -> None:
    commands = typer.main.get_command(APP).commands  # type: ignore[attr-defined] # of a group

    assert {
        name for name, each in commands.items() if "--debug" not in [o for p in each.params for o in p.opts]
    } == set()


def test_the_list_of_commands_cuts_no_sentence() -> None:
    assert "..." not in run("--help", COLUMNS="80")[1].partition("Commands:")[2]


def test_version() -> None:
    assert run("--version")[1].startswith("roomcast ")


@pytest.mark.parametrize("arguments", [["cost", *BUSY], ["capacity", *CALM, "--json"], ["--help"]])
def test_reader_that_is_gone_ends_a_command_as_it_ends_cat(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen([*COMMAND, *arguments], env=environment(), stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, errors = process.communicate(timeout=scaled(WITHIN))

    assert process.returncode == -signal.SIGPIPE  # a shell says 141
    assert b"Traceback" not in errors


def test_ctrl_c_ends_a_command_without_a_word(tmp_path: Path) -> None:
    """The command is held while it reads the quotas, from a pipe into which nothing is written."""
    held = tmp_path / "quotas.json"
    os.mkfifo(held)
    process = subprocess.Popen(
        [*COMMAND, "capacity", *CALM, "--quotas", str(held)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # It is ready as soon as this pipe opens for writing, which waits for a reader.
    opened: list[int] = []
    opening = threading.Thread(target=lambda: opened.append(os.open(held, os.O_WRONLY)), daemon=True)
    opening.start()
    opening.join(scaled(WITHIN))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=scaled(WITHIN))
    os.close(opened.pop())

    assert (process.returncode, output) == (130, b"")
    assert errors.strip() == b""


UNEXPECTED = """
import sys
from roomcast_cli import __main__, model
def fail(*_, **__): raise RuntimeError("a fault of ours")
model.capacity = fail
sys.exit(__main__.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("debug", [False, True])
def test_fault_of_ours_is_a_sentence_and_with_debug_a_traceback(*, debug: bool) -> None:
    command = [sys.executable, "-c", UNEXPECTED, "capacity", *CALM, *(["--debug"] if debug else [])]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert ("Traceback" in found.stderr) == debug
    assert debug or found.stderr == "roomcast: unexpected: RuntimeError: a fault of ours; --debug shows where\n"


def test_without_typer_a_sentence_says_what_to_install() -> None:
    hidden = "import sys; from importlib import util; util.find_spec = lambda name: None\n"
    hidden += "from roomcast_cli.__main__ import main; sys.exit(main(['cost']))"
    found = subprocess.run(
        [sys.executable, "-c", hidden], env=environment(), capture_output=True, text=True, check=False
    )

    assert found.returncode == 2
    assert found.stderr == "roomcast: the package typer is missing; install roomcast[cli]\n"


PAGE = (REPOSITORY / "scripts" / "cli" / "README.md").read_text("utf-8")
SESSIONS = re.findall(
    r"^\$ roomcast ((?:cost|capacity) .+?) *(?:# exit (\d))?\n((?:(?!\$ |```).*\n)*)", PAGE, re.MULTILINE
)
"""Arguments, exit status and output of each command that the page shows."""


@pytest.mark.parametrize(("line", "expected", "shown"), SESSIONS, ids=[session[0][:40] for session in SESSIONS])
def test_page_shows_what_a_terminal_does(line: str, expected: str, shown: str) -> None:
    status, found = on_terminal(*shlex.split(line), COLUMNS="120", NO_COLOR="1")
    # What is old depends on the day.
    kept = [each.rstrip() for each in found.splitlines() if "older than" not in each]

    assert kept == [each.rstrip() for each in shown.splitlines()]
    assert status == int(expected or 0)


def test_page_names_each_command() -> None:
    named = {
        name
        for row in re.findall(r"^\| (`roomcast .+?) \|", PAGE, re.MULTILINE)
        for name in re.findall(r"`(?:roomcast )?([a-z-]+)", row)
    }
    commands = re.findall(r"^  ([a-z-]+) ", run("--help")[1].partition("Commands:")[2], re.MULTILINE)

    assert named == {*commands}


def test_each_part_is_installed() -> None:
    tool = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folder = REPOSITORY / "scripts" / "cli"
    packages = {".".join(file.parent.relative_to(folder).parts) for file in folder.rglob("__init__.py")}

    assert packages <= set(tool["packages"])
    for package, place in tool["package-dir"].items():
        assert (REPOSITORY / place).is_dir(), package
    queries = REPOSITORY / tool["package-dir"]["roomcast_cli.queries_of_backend"]
    assert {file.suffix for file in queries.iterdir()} == {".txt"}
    assert tool["package-data"]["roomcast_cli"] == ["*.json"]
    assert {file.parent.name for file in folder.rglob("*.json")} == {"roomcast_cli"}


HALF_MADE = """
import sys
from roomcast_cli import __main__, application
class HalfMade:
    def __init__(self): self.socket = None
    def __del__(self): self.socket.close()
class Made(HalfMade):
    def __init__(self): {ends}
def command(*_, **__):
    object.__new__(HalfMade)
    Made()
application.APP = command
sys.exit(__main__.main([]))
"""


@pytest.mark.parametrize(
    ("ends", "status"),
    [("raise KeyboardInterrupt", 130), ("raise application.typer.Abort", 130), ("raise ValueError", 1)],
)
def test_an_object_that_ctrl_c_left_half_made_prints_nothing(ends: str, status: int) -> None:
    """Python deletes one before the interruption is on its way, and one after. Of any other end its words are told."""
    told = subprocess.run(
        [COMMAND[0], "-c", HALF_MADE.format(ends=ends)], env=environment(), capture_output=True, text=True, check=False
    )

    assert told.returncode == status
    assert (told.stderr == "") == (status == 130)
    assert told.stderr.count("Exception ignored") == (0 if status == 130 else 2)
