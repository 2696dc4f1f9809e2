"""The documentation agrees with the targets."""

from __future__ import annotations

import re

import pytest

from integration_tests.targets.interface import Capability, Caveat
from integration_tests.targets.matrix import BEGIN, COLUMNS, README, filled


def test_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")

    assert BEGIN in text
    assert filled(text) == text, "run `python -m integration_tests.targets.matrix`"


def test_every_reason_is_a_sentence() -> None:
    reasons = [reason for lacks in COLUMNS.values() for reason in lacks.values()]

    assert all(reason[0].isupper() and reason.endswith(".") for reason in reasons)


def test_every_capability_and_caveat_is_missing_somewhere() -> None:
    assert {each for lacks in COLUMNS.values() for each in lacks} == {*Capability, *Caveat}


@pytest.mark.parametrize("capability", Capability)
def test_every_capability_is_required_by_a_test(capability: Capability) -> None:
    places = {Capability.TABLE: "needs_table", Capability.DEPLOYMENT: "emulator_only"}
    marker = re.escape(f"requires(Capability.{capability.name})")
    if capability in places:
        marker += f"|{re.escape(f'pytest.mark.{places[capability]}')}"
    tests = [file for file in README.parent.rglob("test_*.py") if file.parent.name != "tests"]

    assert any(re.search(marker, file.read_text(encoding="utf-8")) for file in tests)
