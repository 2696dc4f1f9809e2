"""A function of the release before may do with the role of today all that it might do with its own.

Terraform changes a function's policy, environment and code one after the other, so each right comes before the code
that uses it, and goes a release later. `rights/` holds the rights of an earlier release, which `granted.py` prints.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.contract.granted import KEPT_RUNS, granted, rights
from integration_tests.contract.kept import NEIGHBOUR
from integration_tests.security.tests import test_rights as modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.contract.granted import Rights

pytestmark = pytest.mark.without_target

KEPT: Mapping[str, Mapping[str, Rights]] = json.loads(
    Path(__file__).with_name("rights").joinpath(f"{NEIGHBOUR}.json").read_text(encoding="utf-8")
)


def lost(before: Rights, after: Rights) -> list[str]:
    """Return the rights that a function has lost, and the refusals that are new."""
    gone = [right for right in before if right.startswith("Allow ") and right not in after]
    return gone + [right for right in after if right.startswith("Deny ") and right not in before]


@pytest.mark.parametrize("run", KEPT_RUNS)
def test_functions_of_the_release_before_keep_their_rights(run: str) -> None:
    today = granted()[run]
    assert {name: lost(before, today[name]) for name, before in KEPT[run].items()} == {name: [] for name in KEPT[run]}


def test_the_modules_grant_what_the_table_of_the_release_before_has() -> None:
    """Without Terraform: a right that is gone from a policy alone is noticed here, too."""
    pairs = {
        (name, right.split()[1])
        for functions in KEPT.values()
        for name, kept in functions.items()
        for right in kept
        if right.startswith("Allow ")
    }
    assert pairs - modules.granted() == set()


def test_each_kind_of_loss_is_noticed() -> None:
    read: dict[str, Any] = {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": "table"}
    before = rights([read])
    for after, expected in (
        ([read, {**read, "Action": "dynamodb:PutItem"}], []),
        ([{**read, "Resource": ["table", "index"]}], []),
        ([{**read, "Action": "dynamodb:GetItem"}], ["Allow dynamodb:Query table {}"]),
        ([{**read, "Resource": "other"}], before),
        ([{**read, "Condition": {"Bool": {"a": "b"}}}], before),
        ([read, {"Effect": "Deny", "Action": "dynamodb:Query", "Resource": "*"}], ["Deny dynamodb:Query * {}"]),
    ):
        assert lost(before, rights(after)) == expected
