"""MiniStack that cannot be installed, started or reached: a sentence, and nothing left."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.local import emulator, interpreters
from scripts.local.emulator import EmulatorError
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.local.emulator import Emulator

MUTE = [sys.executable, "-c", "print('last words', flush=True); input()"]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MiniStack that is installed already, as far as starting it is concerned."""
    monkeypatch.setattr(emulator, "ministack_python", lambda: Path(sys.executable))


@pytest.fixture
def mute() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that answer nothing, and end with the test."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.communicate()


@pytest.mark.usefixtures("installed")
def test_process_that_does_not_answer_is_given_up_once_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mute: list[subprocess.Popen[bytes]]
) -> None:
    monkeypatch.setattr(emulator, "START_SECONDS", 0.5)
    log = tmp_path / "log"

    def launch(_: Emulator, __: list[str]) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            mute.append(subprocess.Popen(MUTE, stdin=subprocess.PIPE, stdout=output))
        return mute[-1]

    with pytest.raises(
        EmulatorError, match=r"MiniStack \(process \d+\) runs, but http://127\.0\.0\.1:\d+ has not answer"
    ):
        emulator.start(launch, log)

    assert len(mute) == 1


@pytest.mark.usefixtures("installed")
def test_process_that_ends_at_once_is_started_on_other_ports_and_its_last_words_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ports = []

    def launch(started: Emulator, _: list[str]) -> subprocess.Popen[bytes]:
        ports.append(started.port)
        log.write_text("the port is taken\n")
        ended = subprocess.Popen(["true"])
        ended.wait()
        return ended

    with pytest.raises(EmulatorError, match=r"did not start; the end of .*:\nthe port is taken"):
        emulator.start(launch, log)

    assert len(ports) == emulator.PORT_ATTEMPTS


@pytest.mark.usefixtures("installed")
def test_too_few_open_files_are_a_sentence_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)

    with pytest.raises(
        EmulatorError, match=r"may open 256 files at once here, and 1000 are needed: raise the hard limit"
    ):
        emulator.start(lambda *_: pytest.fail("it was started"), tmp_path / "log")


@pytest.mark.parametrize("error", [EmulatorError("no network"), KeyboardInterrupt()])
def test_environment_that_cannot_be_completed_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def half(command: list[str]) -> None:
        if "venv" not in command:
            raise error
        Path(command[-1]).mkdir()

    monkeypatch.setattr(emulator, "BUILD", tmp_path)
    monkeypatch.setattr(emulator, "run", half)

    with pytest.raises(type(error)):
        emulator.ministack_python()

    assert [file.suffix for file in (tmp_path / "ministack").iterdir()] in ([], [".lock"])


def test_failed_step_on_a_full_disk_says_how_full_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "ENVIRONMENT_MEGABYTES", 2**40)
    monkeypatch.setattr(emulator, "BUILD", tmp_path)

    with pytest.raises(EmulatorError, match=r"^`false` failed \(\d+ MB of disk space are left in .*\):"):
        emulator.run(["false"])


def test_python_without_ensurepip_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian = tmp_path / "python3"
    debian.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; *) echo 3 13 ;; esac\n')
    debian.chmod(0o755)
    monkeypatch.setattr(interpreters, "LAMBDA_PYTHON", (3, 13))
    monkeypatch.setattr(interpreters, "python_candidates", lambda: iter([debian]))

    assert interpreters.version_of(debian) == (3, 13)
    assert interpreters.lambda_python.__wrapped__() == Path(sys.executable)


def test_troubles_are_found_among_all_other_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not emulator.troubles(log)
    bad = [
        "2026-11-30 03:22:44 WARNING [integrations] x-who failed on route who: Task timed out after 8.00 seconds",
        "2026-11-30 03:22:44 ERROR [ministack] no",
        '{"level":"WARNING","message":"a departure is not noted"}',
        '{"Backend":"x","level":"ERROR","message":"the table failed"}',
        "[ERROR] KeyError: 'Attributes'",
    ]
    good = ["2026-11-30 03:22:44 INFO [lambda] an ERROR is told", '{"level":"INFO","message":"WARNING"}']
    log.write_text("\n".join([*bad, *good * 40]), encoding="utf-8")

    assert emulator.troubles(log).splitlines() == bad
    assert emulator.troubles(log, 2).splitlines() == bad[-2:]
    assert emulator.troubles(log, since=len(bad[0])).splitlines() == bad[1:]
    assert not emulator.troubles(log, since=log.stat().st_size)


def test_zips_that_cannot_be_built_are_told_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = write_tree(tmp_path, {"python": "#!/bin/sh\necho no authorizer, because >&2\nexit 1\n"}) / "python"
    python.chmod(0o700)
    monkeypatch.setattr(emulator, "BUILD", tmp_path)
    monkeypatch.setattr(emulator, "lambda_python", lambda: python)

    with pytest.raises(EmulatorError, match=r"(?s)build_handlers.py --host .* failed.*no authorizer, because"):
        emulator.host_zips.__wrapped__()
