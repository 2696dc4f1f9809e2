"""The tables of variables and of drift name all variables and types that Terraform has."""

from __future__ import annotations

import pytest

from integration_tests.recover.drift import CHANGED, DELETED, NO_OBJECTS, UNSEEN
from integration_tests.recover.state import INTERNAL
from integration_tests.recover.variables import ROWS, Row
from scripts.hcl import read_blocks
from scripts.terraform import CONFIGURATION

BESIDE_THE_ROOT = {"account-logging", "custom-domain"}
"""Modules that a team calls beside a backend."""


def types_of_the_root() -> set[str]:
    """Return the types of all resources of the root's modules."""
    files = [file for file in (CONFIGURATION / "modules").glob("*/*.tf") if file.parent.name not in BESIDE_THE_ROOT]
    return {block.labels[0] for file in files for block in read_blocks(file) if block.kind == "resource"} - {INTERNAL}


def test_each_variable_of_the_root_has_a_row() -> None:
    blocks = read_blocks(CONFIGURATION / "variables.tf")
    assert {*ROWS} == {block.labels[0] for block in blocks if block.kind == "variable"}


@pytest.mark.parametrize(("name", "row"), ROWS.items())
def test_a_row_sets_its_variable_and_leaves_it_as_it_was(name: str, row: Row) -> None:
    assert any(name in step.values for step in row.steps)
    applied = [step for step in row.steps if step.refused is None]
    assert not applied or not applied[-1].values


def test_each_type_can_be_deleted_by_hand() -> None:
    assert DELETED.keys() | NO_OBJECTS.keys() == types_of_the_root()
    assert not DELETED.keys() & NO_OBJECTS.keys()


def test_each_type_can_be_changed_by_hand() -> None:
    assert CHANGED.keys() | UNSEEN.keys() == types_of_the_root()
