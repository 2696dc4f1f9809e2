"""Bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress as RichProgress

from integration_tests.load.progress import Bars, Lines, columns, display_of
from integration_tests.load.tests.test_budget import PLAN
from integration_tests.load.user_group import Progress

if TYPE_CHECKING:
    import pytest

HALFWAY = Progress(connected=50, joined=51, refused=1, attempted=30, received=1_500, unanswered=2)


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with display_of(PLAN) as display:
        assert isinstance(display, Lines)
        display.say("hello")
        display.update(HALFWAY)

    hello, halfway = capsys.readouterr().out.splitlines()
    assert hello.endswith(" s  hello")
    assert "connected 50/100, refused 1, sent 30/60, unanswered 2, received 1,500" in halfway


def test_lines_are_not_repeated_while_nothing_changes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(PLAN)

    lines.update(HALFWAY)
    lines.update(HALFWAY)

    assert len(capsys.readouterr().out.splitlines()) == 1


def test_bars_show_the_same_numbers() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)

    with RichProgress(*columns(), console=console) as progress:
        bars = Bars(PLAN, progress)
        bars.say("hello")
        bars.update(HALFWAY)

    text = screen.getvalue()
    assert all(part in text for part in ("hello", "50/100", "1 refused", "30/60", "2 unanswered, 1,500 received"))
