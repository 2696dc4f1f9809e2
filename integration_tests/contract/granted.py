"""What the table of a release grants its functions: ``PYTHONPATH=FOLDER python integration_tests/contract/granted.py``.

FOLDER is where the release is unpacked. Standard output is a JSON object: each run that :data:`KEPT_RUNS` names, with
each function's rights. ``python -m scripts.terraform check`` compares the table with what Terraform asks of AWS.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from scripts.asked_of_aws.functions import functions
from scripts.asked_of_aws.runs import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEPT_RUNS = ("everything_off", "everything_on", "standard_queue", "tokens_with_a_secret", "tokens_with_public_keys")
"""Runs that differ in rights."""

Rights = list[str]
"""Each as effect, action, resource and condition."""


def rights(statements: Iterable[Mapping[str, Any]]) -> Rights:
    """Return the rights in a policy's statements."""
    return sorted(
        f"{statement['Effect']} {action} {resource} {json.dumps(statement.get('Condition', {}), sort_keys=True)}"
        for statement in statements
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def granted() -> dict[str, dict[str, Rights]]:
    """Return the rights of each function in each run."""
    return {
        run: {name: rights(function.rights) for name, function in sorted(functions(RUNS[run]).items())}
        for run in KEPT_RUNS
    }


if __name__ == "__main__":
    json.dump(granted(), sys.stdout, indent=1)
    print()
