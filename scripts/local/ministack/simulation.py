"""Simulated rights: each action on each resource, and not on the first one alone."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from ministack.services import iam

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@replaces(iam, "_extract_simulate_params")
def extract_simulate_params(original: Callable[..., Any], parameters: Any) -> tuple[Sequence[str], Sequence[str]]:
    """Return the actions and all resources of a simulation."""
    actions, first = original(parameters)
    named = (iam._p(parameters, f"ResourceArns.member.{number}") for number in count(1))  # noqa: SLF001 - no other hook
    return actions, [*takewhile(bool, named)] or [first]


@replaces(iam, "_build_simulate_results_real")
def build_simulate_results(
    original: Callable[..., str], actions: Sequence[str], resources: Sequence[str], *principal: Any
) -> str:
    """Return the results of all actions on all resources."""
    return "".join(original([action], resource, *principal) for action in actions for resource in resources)
