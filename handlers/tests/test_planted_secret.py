"""The secret that every handshake and message carries is found when it is printed."""

from __future__ import annotations

import json

import pytest
from roomcast import logs
from tests import conftest
from tests.fakes import PLANTED, handshake, message, spellings
from tests.issuers import token


def test_it_is_planted() -> None:
    for event in (handshake("alice="), handshake("alice=", "lobby"), message("alice=", {"action": "whoami"})):
        assert PLANTED in json.dumps(event)
    assert any(spelling in token() for spelling in spellings(PLANTED))


def test_lines_of_every_level_are_looked_through(capsys: pytest.CaptureFixture[str]) -> None:
    for level in logs.LEVELS:
        logs.write(level, "a line")
    assert [json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()] == list(logs.LEVELS)


@pytest.mark.parametrize(
    ("printed", "outcome"), [(f"a line with {PLANTED} in it", "failed"), ("another line", "passed"), ("", "passed")]
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_test_that_prints_it_fails(stream: str, printed: str, outcome: str) -> None:
    sections = [(f"Captured {stream} call", printed)]
    report = pytest.TestReport("test", ("test", 1, "test"), {}, "passed", None, "call", sections)
    hook = conftest.pytest_runtest_makereport()
    next(hook)
    with pytest.raises(StopIteration) as ended:
        hook.send(report)
    assert ended.value.value.outcome == outcome
