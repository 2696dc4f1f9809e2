"""`make up`, `make plan`, `make down`: a local stack that keeps running until `make down`."""

from __future__ import annotations

import http.server
import json
import os
import shlex
import signal
import socketserver
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from integration_tests.harness.client import Client
from scripts import command as command_line
from scripts.local.emulator import Emulator
from scripts.local.stack import NOT_RUNNING, NOTHING_RUNS, console
from scripts.process_table import command_lines
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.without_target

PROGRAM = """
import pathlib, sys
from scripts.local.stack import Stack, main
sys.exit(main(sys.argv[2:], Stack(pathlib.Path(sys.argv[1]))))
"""
DEAD_PROXY = {
    name: "http://127.0.0.1:9"
    for each in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy")
    for name in (each, each.upper())
}
PROXIED = """
import asyncio, pathlib, sys
from integration_tests.harness.client import Client
from scripts import command
from scripts.local.stack import Stack
command.prepare()

async def talk():
    client = await Client.connect(sys.argv[2], "lobby")
    await client.say("hello again")
    print((await client.receive()).text)
    await client.close()

asyncio.run(talk())
stack = Stack(pathlib.Path(sys.argv[1]))
print("changes" if stack._instance(stack.emulator.running()).plan().changes else "no changes")
"""


async def test_stack_stays_between_commands_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    assert command(folder, "plan").returncode == NOT_RUNNING
    try:
        printed = command(folder, "up", expected=0).stdout
        environment = exports(folder / "env")
        url = environment["ROOMCAST_WEBSOCKET_URL"]
        assert console(f"{url}?room=lobby") in printed
        # Each step is told before it begins, because all of them together take minutes on a slow machine.
        assert [line.split()[0] for line in printed.splitlines() if line.endswith("...")] == [
            "building",
            "starting",
            "applying",
        ]
        assert "No changes" in command(folder, "plan", expected=0).stdout
        client = await Client.connect(url, "lobby")
        await client.say("hello world")
        await client.expect("hello world")
        await client.close()
        outputs = json.loads((folder / "outputs.json").read_text())
        assert outputs["api_id"]["value"] in environment["ROOMCAST_MANAGEMENT_ENDPOINT"]
        assert "Roomcast is up" in command(folder, "status", expected=0, **DEAD_PROXY).stdout
        assert run(PROXIED, folder, url, **DEAD_PROXY).stdout == "hello again\nno changes\n"

        os.kill(json.loads((folder / "process.json").read_text())["pid"], signal.SIGKILL)
        assert command(folder, "plan").returncode == NOT_RUNNING
    finally:
        command(folder, "down", expected=0, PATH=str(tmp_path))  # no `ps` there
    assert not folder.exists()
    assert processes_of(folder) == []
    assert command(folder, "status").returncode == NOT_RUNNING


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_start_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "stack"
    with start(PROGRAM, folder, "up") as process:
        until((folder / "process.json").exists)
        until(lambda: len(processes_of(folder)) == 1)
        process.send_signal(number)
        process.send_signal(number)  # a second signal must not interrupt the cleanup
        _, error = process.communicate()

    assert (process.returncode, error) == (command_line.INTERRUPTED, "stack: interrupted\n")
    assert not folder.exists()
    assert processes_of(folder) == []


@pytest.mark.parametrize("note", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "port": 1, "account": "1"}'])
def test_note_of_an_emulator_that_is_gone_counts_for_nothing(tmp_path: Path, note: str) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "process.json").write_text(note)

    assert command(folder, "status", expected=NOT_RUNNING).stdout == f"{NOTHING_RUNS}\n"
    assert command(folder, "down", expected=0).stdout == "The stack is gone.\n"
    assert not folder.exists()


def test_process_that_was_given_the_emulators_number_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    with start("input()", "scripts.local.ministack", f"roomcast_stack={folder}-of-another-clone") as other:
        (folder / "process.json").write_text(json.dumps({"pid": other.pid, "port": 1, "account": "1"}))

        command(folder, "down", expected=0)

        assert other.poll() is None
        other.communicate()
    assert other.returncode == 1  # the end of its input ended it, no signal


class Stranger(http.server.BaseHTTPRequestHandler):
    """A web server that answers every request with the same page."""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    do_POST = do_GET  # noqa: N815 - the name in the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Print nothing."""


class NoServer(socketserver.StreamRequestHandler):
    """A server that does not speak HTTP."""

    def handle(self) -> None:
        """Send a greeting that is not HTTP."""
        self.wfile.write(b"220 ready\r\n")


@pytest.mark.parametrize("stranger", [Stranger, NoServer])
def test_stranger_on_the_emulators_port_is_not_taken_for_it(stranger: type[socketserver.BaseRequestHandler]) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            assert not Emulator(server.server_address[1], "123456789012").is_running()
        finally:
            server.shutdown()
            thread.join()


def test_second_command_says_what_it_waits_for(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    with FileLock(folder.with_suffix(".lock")), start(PROGRAM, folder, "down") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate()

    assert said.startswith("another `make up`, `make plan` or `make down` is at work in this clone: waiting for it")
    assert process.returncode == command_line.INTERRUPTED


def test_without_npx_the_client_of_the_harness_is_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    program, *arguments = shlex.split(console("ws://127.0.0.1:1/live?room=lobby"))

    assert (REPOSITORY / program).samefile(sys.executable)
    assert arguments == ["-m", "websockets", "ws://127.0.0.1:1/live?room=lobby"]


def command(
    folder: Path, name: str, *options: str, expected: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of the commands in a subprocess, as `make` does, but on the given folder."""
    result = run(PROGRAM, folder, name, *options, **environment)
    assert expected in {None, result.returncode}, result.stdout + result.stderr
    return result


def run(program: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with environment variables besides this process's own."""
    with start(program, *arguments, **environment) as process:
        output, error = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


def start(program: str, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start a program with pipes for its input, output and errors."""
    inherited = {name: value for name, value in os.environ.items() if not (environment and is_about_proxies(name))}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**inherited, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_about_proxies(name: str) -> bool:
    """Whether an environment variable names a proxy, or exceptions from it."""
    return name.lower().endswith("_proxy")


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of a folder's emulator and of its functions."""
    return [line for line in command_lines().values() if f"{folder}" in line and "ministack" in line]


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + scaled(60)
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def exports(file: Path) -> dict[str, str]:
    """Read a file of `export NAME=value` lines as a shell does."""
    words = [shlex.split(line) for line in file.read_text().splitlines()]
    assert all(word[0] == "export" and len(word) == 2 for word in words)
    return dict(word[1].split("=", 1) for word in words)
