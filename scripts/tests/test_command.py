"""A command ends with one sentence and the right exit status, also on signals and failing output."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import command, install_tox, loopback
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Return a function that gives the command line to run a program's text as make runs a module."""
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{tmp_path}")

    def write(text: str) -> list[str]:
        write_tree(tmp_path, {"program.py": text})
        return [sys.executable, "-m", "scripts.command", "program"]

    return write


def ended(command_line: list[str], **environment: str) -> tuple[int, str, str]:
    """Run a command line to its end; return status, output and errors."""
    result = subprocess.run(
        command_line, env={**os.environ, **environment}, check=False, capture_output=True, encoding="utf-8"
    )
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print('done')", (0, "done\n", "")),
        ("import sys; print(sys.argv[1:]); sys.exit(3)", (3, "[]\n", "")),
        ("import sys; sys.exit('a sentence')", (1, "", "a sentence\n")),
        ("raise KeyboardInterrupt", (130, "", "program: interrupted\n")),
        ("import sys; sys.exit(None)", (0, "", "")),
    ],
)
def test_status_of_a_program_is_handed_on(
    program: Callable[[str], list[str]], text: str, expected: tuple[int, str, str]
) -> None:
    assert ended(program(text)) == expected


@pytest.mark.parametrize("number", command.ENDING)
def test_signal_ends_a_program_with_a_sentence_even_while_it_imports(
    program: Callable[[str], list[str]], number: signal.Signals
) -> None:
    line = program("print('begun', flush=True)\nimport time\ntime.sleep(300)\n")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, error = process.communicate()

    assert (process.returncode, error) == (command.INTERRUPTED, "program: interrupted\n")


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_object_that_a_signal_left_half_made_prints_nothing(
    program: Callable[[str], list[str]], *, is_interrupted: bool
) -> None:
    text = f"""
class HalfMade:
    def __init__(self): self.socket = None
    def __del__(self): self.socket.close()
def end():
    half_made = object.__new__(HalfMade)
    if {is_interrupted}: raise KeyboardInterrupt
object.__new__(HalfMade)
end()
"""
    status, _, error = ended(program(text))

    assert status == (command.INTERRUPTED if is_interrupted else 0)
    assert error.count("Exception ignored") == (0 if is_interrupted else 2)
    assert (error == "program: interrupted\n") == is_interrupted


def test_signal_that_was_ignored_from_the_beginning_stays_ignored(program: Callable[[str], list[str]]) -> None:
    line = program("import os, signal; os.kill(os.getpid(), signal.SIGHUP); print('still here')")

    assert ended(["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *line]) == (0, "still here\n", "")


def test_signal_does_not_interrupt_what_cleans_up(program: Callable[[str], list[str]]) -> None:
    text = """
import os, signal
from scripts import command
with command.uninterrupted():
    for number in command.ENDING:
        os.kill(os.getpid(), number)
    print("cleaned up", flush=True)
os.kill(os.getpid(), signal.SIGINT)
"""
    assert ended(program(text)) == (command.INTERRUPTED, "cleaned up\n", "program: interrupted\n")


@needs_full_disk
def test_full_disk_is_a_sentence(program: Callable[[str], list[str]]) -> None:
    line = program("with open('/dev/full', 'w') as file:\n    file.write('x')\n")

    assert ended(line) == (1, "", "program: No space left on device\n")


@needs_full_disk
def test_output_that_cannot_be_written_is_a_sentence(program: Callable[[str], list[str]]) -> None:
    line = program("print('x')")

    assert ended(["sh", "-c", 'exec "$@" > /dev/full', "sh", *line]) == (1, "", "program: No space left on device\n")


def test_reader_that_has_gone_is_no_error(program: Callable[[str], list[str]]) -> None:
    line = program("import sys\nfor _ in range(10**6): print('x')\n")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        assert (process.stderr.read(), process.wait()) == (b"", command.READER_GONE)


def test_fault_of_the_program_keeps_its_traceback(program: Callable[[str], list[str]]) -> None:
    status, _, error = ended(program("1 / 0"))

    assert status == 1
    assert "ZeroDivisionError" in error


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "POSIX"},
    ],
)
def test_characters_that_a_terminal_lacks_are_replaced(
    program: Callable[[str], list[str]], environment: dict[str, str]
) -> None:
    status, output, error = ended(program("print('\\u2713 done')"), **environment)

    assert (status, error) == (0, "")
    assert output in {"? done\n", "\N{CHECK MARK} done\n"}


class TestProxies:
    """The variables that exclude this machine from proxies."""

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "All_Proxy", "ws_proxy"])
    def test_every_name_of_a_proxy_counts(self, name: str) -> None:
        assert loopback.uses_proxy({name: "http://proxy.example:3128"})

    @pytest.mark.parametrize("environment", [{}, {"NO_PROXY": "x"}, {"no_proxy": "x"}, {"PROXY": "x"}])
    def test_nothing_else_does(self, environment: dict[str, str]) -> None:
        assert not loopback.uses_proxy(environment)

    @pytest.mark.parametrize("given", [{}, {"NO_PROXY": "a.example, b.example"}, {"no_proxy": "127.0.0.1,a.example"}])
    def test_own_exceptions_stay(self, given: dict[str, str]) -> None:
        added = loopback.without_proxy(given)

        assert added["NO_PROXY"] == added["no_proxy"]
        hosts = added["no_proxy"].split(",")
        assert {host.strip() for value in given.values() for host in value.split(",")} <= set(hosts)
        assert set(loopback.LOOPBACK) <= set(hosts)
        assert len(hosts) == len(set(hosts))

    def test_lower_case_comes_first_as_in_urllib(self) -> None:
        assert "b.example" not in loopback.without_proxy({"NO_PROXY": "b.example", "no_proxy": "a.example"})["NO_PROXY"]

    def test_no_proxy_at_all_stays(self) -> None:
        assert loopback.without_proxy({"NO_PROXY": "*"}) == {"NO_PROXY": "*", "no_proxy": "*"}

    @pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "x.localhost:80", "[::1]:80", "::1"])
    def test_python_takes_them_at_their_word(self, host: str) -> None:
        program = (
            "import sys, urllib.request; from scripts import loopback; loopback.reach_directly(); "
            "sys.exit(not (urllib.request.proxy_bypass(sys.argv[1]) and not urllib.request.proxy_bypass('a.example')))"
        )
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

        result = subprocess.run(
            [sys.executable, "-c", program, host],
            cwd=REPOSITORY,
            env={**inherited, "HTTP_PROXY": "http://127.0.0.1:9"},
            check=False,
        )

        assert result.returncode == 0


def started(command_line: list[str]) -> subprocess.Popen[str]:
    """Start a command line in the repository, with pipes to it."""
    return subprocess.Popen(
        command_line,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestTakingTurns:
    """Two commands with one lock."""

    @pytest.fixture
    def line(self, tmp_path: Path) -> list[str]:
        """A command that prints a line when it begins, and runs until its input ends."""
        program = "print('begun', flush=True); input()"
        return [sys.executable, "-m", "scripts.alone", str(tmp_path / "build" / "lock"), sys.executable, "-c", program]

    @pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
    def test_second_waits_for_the_first_and_says_so(self, line: list[str], end: signal.Signals) -> None:
        with started(line) as first:
            assert first.stdout is not None
            assert first.stdout.readline() == "begun\n"
            with started(line) as second:
                assert second.stdout is not None
                assert second.stderr is not None
                said = second.stderr.readline()
                assert said.startswith("another make is at work in this clone: waiting for it to finish")
                first.send_signal(end)
                assert second.stdout.readline() == "begun\n"
                second.kill()

    def test_waiting_ends_with_a_sentence(self, line: list[str]) -> None:
        with started(line) as first:
            assert first.stdout is not None
            first.stdout.readline()
            with started(line) as second:
                assert second.stderr is not None
                second.stderr.readline()
                second.send_signal(signal.SIGINT)
                assert (second.stderr.read(), second.wait()) == ("make: interrupted\n", command.INTERRUPTED)
            first.kill()

    def test_status_is_the_commands_own(self, line: list[str]) -> None:
        assert subprocess.run([*line[:4], "sh", "-c", "exit 7"], cwd=REPOSITORY, check=False).returncode == 7

    def test_command_that_is_not_there_is_a_sentence(self, line: list[str]) -> None:
        result = subprocess.run(
            [*line[:4], "no-such-command"], cwd=REPOSITORY, check=False, capture_output=True, text=True
        )

        assert (result.returncode, result.stderr) == (1, "make: No such file or directory: no-such-command\n")


class TestInstallingTox:
    """Installs tox, or prints the reason why it cannot."""

    def test_python_without_ensurepip_is_told_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))

        assert install_tox.main(str(tmp_path / "tox")) == 1

        said = capsys.readouterr().err
        assert "it has no module ensurepip: install it (on Debian and Ubuntu: apt-get install python3-venv)" in said
        assert not (tmp_path / "tox").exists()


def test_children_of_a_background_job_can_be_interrupted() -> None:
    text = """
import signal, subprocess, sys
from scripts import command
signal.signal(signal.SIGINT, signal.SIG_IGN)
command.let_children_be_interrupted()
ask = "import signal; print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
subprocess.run([sys.executable, "-c", ask], check=True)
signal.raise_signal(signal.SIGINT)
"""
    assert ended([sys.executable, "-c", text]) == (0, "True\n", "")
