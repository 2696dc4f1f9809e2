"""The rules in force, with their dice and counts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integration_tests.harness.faults.rules import FaultPlan, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.faults.requests import Request


@dataclass(frozen=True)
class Count:
    """The requests that a rule has matched so far, and those of them that it struck."""

    rule: str
    fault: str
    when: str
    matched: int
    struck: int


class RuleBook:
    """The rules in force, with their counts.

    Args:
        rules: In the order in which they are tried, with names of their own.
        seed: Of the dice.

    Raises:
        RuleError: Two rules have the same name.
    """

    def __init__(self, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self.rules = FaultPlan(tuple(rules), seed).rules
        self.dice = random.Random(seed)  # noqa: S311 - chance must be repeatable here
        self._matched = [0] * len(rules)
        self._struck = [0] * len(rules)

    def strike(self, request: Request) -> Rule | None:
        """Return the rule that strikes this request, if one does, and count it."""
        for number, rule in enumerate(self.rules):
            if not rule.matches(request):
                continue
            self._matched[number] += 1
            rests = 0 < rule.limit <= self._struck[number]
            if not rests and self.dice.random() < rule.rate:
                self._struck[number] += 1
                return rule
        return None

    def counts(self) -> list[Count]:
        """Return matches and strikes of each rule so far."""
        return [
            Count(rule.name, rule.fault.kind, rule.when, matched, struck)
            for rule, matched, struck in zip(self.rules, self._matched, self._struck, strict=True)
        ]
