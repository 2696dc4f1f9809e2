"""What the documentation says about the targets is what the targets say."""

from __future__ import annotations

from integration_tests.targets.interface import Capability
from integration_tests.targets.matrix import BEGIN, COLUMNS, README, filled


def test_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")

    assert BEGIN in text
    assert filled(text) == text, "run `python -m integration_tests.targets.matrix`"


def test_every_reason_is_a_sentence() -> None:
    reasons = [reason for lacks in COLUMNS.values() for reason in lacks.values()]

    assert all(reason[0].isupper() and reason.endswith(".") for reason in reasons)


def test_every_capability_is_missing_somewhere() -> None:
    assert {capability for lacks in COLUMNS.values() for capability in lacks} == set(Capability)
