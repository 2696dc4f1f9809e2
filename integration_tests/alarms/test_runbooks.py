"""Each kind of alarm has one page, and each page begins with the command that the alarm names."""

from __future__ import annotations

import re

import pytest

from integration_tests.alarms.runbooks import BACKEND, PAGES, SHOWS, SHOWS_NOTHING
from scripts.tests.command_line import run

pytestmark = pytest.mark.without_target

LONGEST = 45
"""Lines, so that a page is read in a minute."""
WRONG_USAGE = 2
KIND = re.compile(r'^      ([a-z-]+) = \{$|"([a-z-]+)-\$\{')
COMMAND = re.compile(r'"(roomcast [^"]+)"')
PAGE = re.compile(
    r"# `(?P<name>[a-z-]+)`\n\n.+?\n\n## First\n\n```\n\$ (?P<command>roomcast [^\n]+)\n(?P<shown>.+?)\n```\n\n.+?"
    r"\n\n## Causes\n\n(?P<causes>.+?)\n\n## Over\n\n.+?\n",
    re.DOTALL,
)
CALL = re.compile(r"`roomcast ([^`]+)`")


def commands() -> dict[str, list[str]]:
    """Return the commands of each kind of alarm, as ``alarms.tf`` has them: more than one where it depends."""
    found, kind = {}, ""
    for line in (BACKEND / "alarms.tf").read_text("utf-8").splitlines():
        if begins := KIND.search(line):
            kind = begins[1] or begins[2]
        if named := COMMAND.findall(line):
            found[kind] = named
    return found


def page_of(kind: str) -> re.Match[str]:
    """Return the parts of a page.

    Raises:
        AssertionError: It lacks one.
    """
    found = PAGE.fullmatch((PAGES / f"{kind}.md").read_text("utf-8"))
    assert found, kind
    return found


def test_each_kind_of_alarm_has_one_page() -> None:
    [names] = re.findall(r"contains\(\[([^\]]+)\], name\)", (BACKEND / "variables_alarms.tf").read_text("utf-8"))
    kinds = sorted(name.strip(' "') for name in names.split(","))
    assert sorted(file.stem for file in PAGES.iterdir()) == sorted(commands()) == kinds
    assert sorted([*SHOWS, *SHOWS_NOTHING]) == kinds


@pytest.mark.parametrize("kind", sorted(commands()))
def test_a_page_has_the_alarms_command_and_three_causes(kind: str) -> None:
    page = page_of(kind)
    assert page["name"] == kind
    assert page["command"] in commands()[kind]
    assert all(f"`{each}`" in page.string for each in commands()[kind] if each != page["command"])
    assert re.findall(r"^([0-9])\. ", page["causes"], re.MULTILINE) == ["1", "2", "3"]
    assert re.search(SHOWS.get(kind, ""), page["shown"])
    assert page.string.count("\n") <= LONGEST


def test_commands_on_pages_can_be_run() -> None:
    told = {call for kind in commands() for call in CALL.findall(page_of(kind).string)}
    assert len(told) > len(SHOWS)
    # Without an account they end before anything is looked for.
    wrong = {call for call in told if run(*call.split(), AWS_REGION="us-east-1")[0] == WRONG_USAGE}
    assert not wrong
