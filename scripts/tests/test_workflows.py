"""Workflows run other people's code only by its commit."""

from __future__ import annotations

import re

from scripts.repository import REPOSITORY

WORKFLOWS = REPOSITORY / ".github" / "workflows"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+")


def test_every_action_is_named_by_its_commit_and_its_version() -> None:
    texts = {file.name: file.read_text(encoding="utf-8") for file in WORKFLOWS.iterdir()}
    uses = {(name, use) for name, text in texts.items() for use in re.findall(r"\buses:\s*(.*)", text)}

    assert uses
    assert {(name, use) for name, use in uses if not PINNED.fullmatch(use)} == set()


def test_secrets_are_environment_variables_of_single_steps() -> None:
    """A secret in a command would stand in the process list."""
    lines = [line for file in WORKFLOWS.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]
    used = [line for line in lines if "secrets." in line]

    assert used
    assert [line for line in used if not re.fullmatch(r" {10}([A-Z_]+): \$\{\{ secrets\.\1 \}\}", line)] == []


def test_one_action_has_one_commit_in_all_workflows() -> None:
    pins = {pin for file in WORKFLOWS.iterdir() for pin in re.findall(r"uses: (.*)", file.read_text(encoding="utf-8"))}

    assert len(pins) == len({pin.partition("@")[0] for pin in pins})
