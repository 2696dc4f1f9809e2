"""``roomcast chat`` in a pipe and on a pseudo-terminal, against the fake server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from roomcast_cli import lines, sources
from roomcast_cli.chat import Chat, Options
from roomcast_cli.output import visible
from roomcast_client import Event, Message, Open, Presence, Waiting

from integration_tests.client_kit import virtual
from integration_tests.client_kit.server import Server
from scripts import clients
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REAL = 1.0
COMMAND = [sys.executable, "-m", "roomcast_cli", "chat"]
WITHIN = 60.0
ESCAPES = "\x1b[2J\x1b]0;title\x07\u202ereversed"
PROMPT = r"\x1b\[\?2004h"
"""A line can be edited."""
SHOWN = r"\x1b[2J\x1b]0;title\x07\u202ereversed"


@dataclass
class Shell:
    """Starts commands beside a fake server."""

    server: Server
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command finds."""
        paths = {"PYTHONPATH": os.pathsep.join(clients.FOLDERS), "XDG_STATE_HOME": str(self.home)}
        terminal = {
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "NO_PROXY": "127.0.0.1,localhost",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        return {**os.environ, **paths, **terminal, **self.variables}

    async def start(
        self, *options: str, stdin: Any = subprocess.PIPE, room: str = "lobby"
    ) -> asyncio.subprocess.Process:
        """Start a command in a pipe."""
        pipe, arguments = subprocess.PIPE, [*COMMAND, self.server.url, room, *options]
        return await asyncio.create_subprocess_exec(
            *arguments, stdin=stdin, stdout=pipe, stderr=pipe, env=self.environment
        )

    async def run(self, *options: str, given: bytes = b"") -> tuple[int | None, str, str]:
        """Run a command in a pipe; returns its status and what it printed."""
        process = await self.start(*options)
        async with asyncio.timeout(scaled(WITHIN)):
            output, errors = await process.communicate(given)
        return process.returncode, output.decode(), errors.decode()

    async def terminal(self, ready: str = PROMPT) -> Any:
        """Start a command on a pseudo-terminal of 80 columns, and wait until it is ready and in the room."""
        arguments = [*COMMAND[1:], self.server.url, "lobby", "--last", "0"]
        terminal = pexpect.spawn(
            COMMAND[0], arguments, env=self.environment, timeout=scaled(WITHIN), dimensions=(24, 80), encoding="utf-8"
        )
        await expect(terminal, ready)
        await members(self.server, 1)
        return terminal

    def stored(self) -> list[Any]:
        """Return the data that the command has sent to the room."""
        return [item["data"] for item in self.server.log("lobby").life.items.values() if item.get("from") == "me"]


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A shell, and a room with one message."""
    async with serving() as server:
        await server.say("lobby")
        yield Shell(server, tmp_path)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """A fake server in real time."""
    server = Server(1, REAL, lambda: None)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def members(server: Server, count: int) -> None:
    """Wait until so many are in the room."""

    async def present() -> int:
        return len([member for member in server.open() if "lobby" in member.rooms])

    await eventually(present, count, within=WITHIN, what="members of the room")


async def expect(terminal: Any, pattern: str) -> str:
    """Wait for a text on a terminal, while the server goes on; returns it."""
    await asyncio.to_thread(terminal.expect, pattern)
    return str(terminal.match.group(0))


async def end(terminal: Any) -> None:
    """Press Ctrl-D once the line can be edited again: while a message is printed, the terminal itself takes it."""
    await expect(terminal, PROMPT)
    terminal.sendeof()


async def ended(terminal: Any) -> int | None:
    """Wait for the end of a command on a terminal; returns its status."""
    await asyncio.to_thread(terminal.expect, pexpect.EOF)
    await asyncio.to_thread(terminal.close)
    return int(terminal.exitstatus) if terminal.exitstatus is not None else None


async def test_lines_of_a_pipe_are_stored_in_order(shell: Shell) -> None:
    given = "".join(f"line {number} ä\n" for number in range(300)).encode() + b"and the last"

    assert await shell.run("--send-only", given=given) == (0, "", "roomcast: connecting ...\nroomcast: connected\n")
    assert shell.stored() == [*(f"line {number} ä" for number in range(300)), "and the last"]


async def test_a_file_is_read_and_messages_are_lines(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text('hello\n{"x": 1}\n')
    with (tmp_path / "lines").open("rb") as file:
        process = await shell.start(stdin=file)
        output, _ = await process.communicate()

    assert process.returncode == 0
    assert output.decode().splitlines()[:2] == ["bob: m1", "me: hello"]
    assert shell.stored() == ["hello", '{"x": 1}']


async def test_json_in_and_out(shell: Shell) -> None:
    given = b'{"text": "hi", "n": 1}\nplain\n{"broken\n'

    status, output, errors = await shell.run("--json", "--last", "0", given=given)

    assert status == 1
    assert shell.stored() == [{"text": "hi", "n": 1}, "plain"]
    shown = [json.loads(line) for line in output.splitlines()]
    assert [(each["v"], each["sender"], each["own"]) for each in shown] == [(1, "me", True)] * len(shown)
    assert all(each["at"].endswith("Z") for each in shown)
    told = [json.loads(line) for line in errors.splitlines()]
    assert [each["state"] for each in told if "state" in each] == ["connecting", "open"]
    assert [each["error"] for each in told if "error" in each] == ["not_json"]


async def test_receiving_only_ends_quietly_with_ctrl_c(shell: Shell) -> None:
    process = await shell.start("--receive-only", "--json")
    assert process.stdout is not None
    assert json.loads(await process.stdout.readline())["data"] == "m1"
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()

    assert process.returncode == 130
    assert b"Traceback" not in errors


async def test_ctrl_c_ends_quietly_while_the_input_is_silent(shell: Shell) -> None:
    process = await shell.start()
    await members(shell.server, 1)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(scaled(WITHIN)):
        await process.wait()
    assert process.stderr is not None

    assert process.returncode == 130
    assert b"Traceback" not in await process.stderr.read()


async def test_closed_output_ends_quietly(shell: Shell) -> None:
    reading, writing = os.pipe()
    arguments = [*COMMAND, shell.server.url, "lobby", "--receive-only"]
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=writing, stderr=subprocess.PIPE, env=shell.environment
    )
    os.close(writing)
    await members(shell.server, 1)
    os.close(reading)
    await shell.server.say("lobby", 3)
    async with asyncio.timeout(scaled(WITHIN)):
        _, errors = await process.communicate()

    assert process.returncode == 141
    assert b"Traceback" not in errors


async def test_what_is_not_sent_is_told(shell: Shell) -> None:
    shell.server.faults.add("action", "error", code="not_allowed", where={"action": "sendmessage"})

    status, _, errors = await shell.run("--send-only", given=b"first\nsecond\n")

    assert status == 1
    assert "roomcast: not sent: not_allowed: first" in errors
    assert shell.stored() == ["second"]


async def test_json_that_is_nested_too_deep_is_not_sent_and_told(shell: Shell) -> None:
    status, _, errors = await shell.run("--send-only", "--json", given=b'{"a":' * 20_000 + b"\n{}\n")

    assert status == 1
    assert "not_json" in errors
    assert shell.stored() == [{}]


async def test_line_that_is_too_long_is_answered_with_a_sentence(shell: Shell) -> None:
    given = b"a" * (sources.LONGEST + 1) + b"\nshort\n" + b"b" * (2 * sources.LONGEST)

    status, _, errors = await shell.run("--send-only", given=given)

    assert status == 1
    assert errors.splitlines()[-2:] == [
        f"roomcast: not sent: a line has 1,000,000 bytes at most: {letter * 80}" for letter in "ab"
    ]
    assert shell.stored() == ["short"]


def test_input_without_a_line_break_takes_little_memory() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for _ in range(40):
                pipe.write(b"x" * 1_000_000)
            pipe.write(b"\r\nlast")

    writer = threading.Thread(target=write)
    writer.start()
    tracemalloc.start()
    found = list(sources._split(reading))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    writer.join()
    os.close(reading)

    assert [type(line) for line in found] == [sources.LongLine, str]
    assert [len(line) for line in found] == [sources.LONGEST, 4]
    assert most < 8 * sources.LONGEST


def chat(**options: Any) -> Chat:
    """Return a chat whose standard streams are no terminals."""
    given = Options(
        "ws://127.0.0.1/live", "lobby", None, None, 20, json=False, timeout=30.0, send_only=False, receive_only=False
    )
    return Chat(replace(given, **options))


@pytest.mark.parametrize("is_back", [True, False])
def test_pipe_waits_eight_minutes_for_a_lost_connection(*, is_back: bool) -> None:
    async def events() -> AsyncIterator[Event]:
        yield Open()
        for attempt in range(200):
            yield Waiting(5.0, attempt, "lost")
            await asyncio.sleep(5)
            if is_back and attempt == 90:
                yield Open()

    async def watch() -> float:
        try:
            await talk._watch(events())
        except TimeoutError:
            return asyncio.get_running_loop().time()
        return 0.0

    talk = chat()
    talk._sends_from_pipe = True

    assert round(virtual.run(watch())) == 455 + 480 if is_back else 480


def test_who_only_listens_waits_for_ever() -> None:
    async def events() -> AsyncIterator[Event]:
        yield Waiting(5.0, 1, "lost")
        await asyncio.sleep(100_000)

    virtual.run(chat(receive_only=True)._watch(events()))


async def test_comings_and_goings_are_json(shell: Shell) -> None:
    shell.server.settings.watched = ["lobby"]
    process = await shell.start("--receive-only", "--json")
    told: list[dict[str, Any]] = []

    async def next_presence() -> dict[str, Any]:
        assert process.stderr is not None
        facts: dict[str, Any] = {}
        while "presence" not in facts:
            facts = json.loads(await process.stderr.readline())
        return facts

    async with asyncio.timeout(scaled(WITHIN)):
        told.append(await next_presence())
        await shell.server.tell("lobby", shell.server.attendance("lobby").change(["carol"], ["bob"]))
        told.append(await next_presence())
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert told == [
        {"v": 1, "presence": "lobby", "joined": ["alice", "bob"], "left": [], "count": 2},
        {"v": 1, "presence": "lobby", "joined": ["carol"], "left": ["bob"], "count": 2},
    ]


async def test_comings_and_goings_are_not_told_in_a_pipe(shell: Shell) -> None:
    shell.server.settings.watched = ["lobby"]

    status, output, errors = await shell.run(given=b"hello\n")

    assert (status, output.splitlines()[-1]) == (0, "me: hello")
    assert errors == "roomcast: connecting ...\nroomcast: connected\n"


async def test_kicked(shell: Shell) -> None:
    process = await shell.start("--receive-only")
    await members(shell.server, 1)
    await shell.server.post(shell.server.open()[0], {"type": "kicked", "reason": "spam\x1b[2J"})
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert rb"roomcast: removed: spam\x1b[2J" in errors


async def test_room_that_is_not_allowed(shell: Shell) -> None:
    shell.server.settings.denied = ["lobby"]

    status, _, errors = await shell.run(given=b"hello\n")

    assert status == 4
    assert errors.splitlines()[-1] == "roomcast: no"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 4),
        (("--token-command", "printf bad"), 4),
        (("--token-command", "exit 3"), 4),
        (("--token-command", "printf 'good token'"), 4),
        (("--token-file", "/no/such/file"), 4),
        (("--token-command", "echo good"), 0),
    ],
)
async def test_tokens(shell: Shell, options: tuple[str, ...], status: int) -> None:
    shell.server.settings.token = "good"

    found, _, errors = await shell.run(*options, given=b"hello\n")

    assert found == status, errors
    assert "Traceback" not in errors
    assert "good token" not in errors


async def test_token_file(shell: Shell, tmp_path: Path) -> None:
    shell.server.settings.token = "good"
    (tmp_path / "token").write_text("good\n")

    assert (await shell.run("--token-file", str(tmp_path / "token"), given=b"hello\n"))[0] == 0


async def test_stage_that_is_not_there(shell: Shell) -> None:
    await shell.server.stop()

    status, _, errors = await shell.run("--timeout", "2", given=b"hello\n")

    assert status == 5
    assert errors.splitlines()[-1] == "roomcast: not reachable"
    assert "no connection (offline)" in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat"],
        ["chat", "ws://127.0.0.1/live"],
        ["chat", "http://127.0.0.1/live", "lobby"],
        ["chat", "ws://127.0.0.1/live", "lobby", "--last", "101"],
        ["chat", "ws://127.0.0.1/live", "lobby", "--timeout", "nan"],
        ["chat", "ws://127.0.0.1/live", "lobby", "--send-only", "--receive-only"],
        ["chat", "ws://127.0.0.1/live", "lobby", "--token", "secret"],
    ],
)
async def test_wrong_usage(shell: Shell, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "roomcast_cli", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE, env=shell.environment)
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"Traceback" not in errors


async def test_message_comes_while_a_line_is_half_typed(shell: Shell) -> None:
    terminal = await shell.terminal()
    terminal.send("half a li")
    await expect(terminal, "half a li")
    await shell.server.say("lobby")
    await expect(terminal, "bob.*: m2")
    await expect(terminal, "half a li")  # drawn again below the message
    terminal.send("ne\r")
    await expect(terminal, r"me.* \(you\): half a line")
    await end(terminal)

    assert await ended(terminal) == 0
    assert shell.stored() == ["half a line"]
    assert (shell.home / "roomcast" / "history").stat().st_mode & 0o777 == 0o600
    assert "half a line" in (shell.home / "roomcast" / "history").read_text()


async def test_comings_and_goings_stand_above_a_half_typed_line(shell: Shell) -> None:
    shell.server.settings.watched = ["lobby"]
    terminal = await shell.terminal()
    await expect(terminal, "roomcast: here: alice, bob")
    terminal.send("half a li")
    await expect(terminal, "half a li")
    await shell.server.tell("lobby", shell.server.attendance("lobby").change(["eve\x1b[2J"], ["bob"]))
    await expect(terminal, r"roomcast: came: eve\\x1b\[2J; left: bob; 2 here")
    await expect(terminal, "half a li")
    terminal.send("ne\r")
    await expect(terminal, r"\(you\): half a line")
    await end(terminal)

    assert await ended(terminal) == 0


async def test_terminal_of_another_size(shell: Shell) -> None:
    terminal = await shell.terminal()
    terminal.setwinsize(10, 20)
    terminal.send("typed after that\r")
    await expect(terminal, r"\(you\)")
    await end(terminal)

    assert await ended(terminal) == 0
    assert shell.stored() == ["typed after that"]


async def test_ctrl_c_on_a_terminal(shell: Shell) -> None:
    terminal = await shell.terminal()
    terminal.send("half")
    await expect(terminal, "half")
    terminal.sendintr()

    assert await ended(terminal) == 130
    assert shell.stored() == []


async def test_member_cannot_repaint_the_terminal(shell: Shell) -> None:
    terminal = await shell.terminal()
    item: dict[str, Any] = {"from": "eve\x1b[31m", "at": 0, "data": f"{ESCAPES}\nbob: fake"}
    frame = {"type": "message", "room": "lobby", "epoch": shell.server.log("lobby").life.epoch}
    await shell.server.post(shell.server.open()[0], {**frame, **shell.server.log("lobby").put(None, **item)})
    await expect(terminal, r"\\x07")
    shown = str(terminal.before)
    await end(terminal)

    assert await ended(terminal) == 0
    assert r"eve\x1b[31m" in shown
    assert r"\x1b[2J\x1b]0;title" in shown
    assert "\x1b]0;" not in shown


async def test_colours_stay_away(shell: Shell) -> None:
    shell.variables["NO_COLOR"] = "1"
    terminal = await shell.terminal()
    await shell.server.say("lobby")
    await expect(terminal, "bob: m2")
    await end(terminal)

    assert await ended(terminal) == 0


async def test_terminal_without_line_editing(shell: Shell) -> None:
    shell.variables["TERM"] = "dumb"
    terminal = await shell.terminal("no line editing here")
    terminal.sendline("hello")
    await expect(terminal, "hello")
    await expect(terminal, r"\(you\)[^\r]*: hello")
    terminal.sendeof()

    assert await ended(terminal) == 0
    assert shell.stored() == ["hello"]


def test_control_characters_are_shown() -> None:
    assert visible(ESCAPES) == SHOWN
    assert visible("a\nb\tc\x9b\ud800") == r"a\nb\tc\x9b\ud800"
    assert visible("ä 漢 👩‍👩‍👧 \\n") == "ä 漢 👩‍👩‍👧 \\n"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("x", "x"),
        ({"text": "x\x1b"}, r"x\x1b"),
        ({"n": [1, None]}, '{"n": [1, null]}'),
        (["\x1b"], r'["\u001b"]'),
        (5, "5"),
    ],
)
def test_text_of_a_message(data: Any, shown: str) -> None:
    assert lines.text_of(data) == shown


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Presence("lobby", ("alice", "bob"), (), 2), "here: alice, bob"),
        (Presence("lobby", ("alice",), (), 3), "came: alice; 3 here"),
        (Presence("lobby", (), ("bob",), 0), "left: bob; 0 here"),
        (Presence("lobby", ("a",), ("b",), 1), "came: a; left: b; 1 here"),
        (Presence("lobby", (), (), 12_345), "12,345 here"),
        (
            Presence("lobby", tuple(map(str, range(1_200))), (), 1_200),
            "here: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1,190 more",
        ),
    ],
)
def test_sentence_about_comings_and_goings(event: Presence, shown: str) -> None:
    assert lines.sentence(event) == shown


def test_numbers_that_are_none_are_null_in_json() -> None:
    data = {"a": [float("inf"), 1.5, {"b": float("-inf")}], "c": "x"}
    message = Message("lobby", "eve", 0, data)  # type: ignore[arg-type]

    assert json.loads(lines.json_of(message), parse_constant=pytest.fail)["data"] == {
        "a": [None, 1.5, {"b": None}],
        "c": "x",
    }


def test_deepest_message_of_a_stage_is_shown_as_json() -> None:
    data = json.loads("[" * 300 + "]" * 300)

    assert json.loads(lines.json_of(Message("lobby", "eve", 0, data)))["data"] == data


def test_impossible_times_are_shown_all_the_same() -> None:
    message = Message("lobby", "", 2**52, "x")

    assert lines.line_of(message, on_terminal=True, in_colour=False).endswith("-: x")
    assert json.loads(lines.json_of(message))["at"] == "1970-01-01T00:00:00.000Z"


def test_history_of_others_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = sources.history()
    assert file is not None
    file.chmod(0o644)

    assert sources.history() == file
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("home", ["/dev/null", None])
async def test_a_chat_goes_on_without_history_where_none_can_be_kept(shell: Shell, home: str | None) -> None:
    """Nothing can be made below a device. The other chat loses its file while it runs."""
    terminal = await replace(shell, variables={} if home is None else {"XDG_STATE_HOME": home}).terminal()
    if home is None:
        file = shell.home / "roomcast" / "history"
        file.unlink()
        file.mkdir()
    terminal.send("hello\r")
    await expect(terminal, r"me.* \(you\): hello")
    await end(terminal)

    assert await ended(terminal) == 0
    assert shell.stored() == ["hello"]


async def test_a_proxy_that_cannot_be_used_is_told_of(shell: Shell) -> None:
    proxied = replace(shell, variables={"NO_PROXY": "", "no_proxy": "", "https_proxy": "ftp://127.0.0.1:9"})

    status, _, told = await proxied.run("--timeout", "1", "--debug")

    assert status == 5
    assert "roomcast: the proxy in this machine's settings cannot be used: scheme ftp isn't supported\n" in told
    assert told.endswith("roomcast: not reachable\n")
