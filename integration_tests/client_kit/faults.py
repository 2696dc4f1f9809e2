"""Faults by script: the first rule that matches a moment says what goes wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random


@dataclass
class Rule:
    """One kind of fault.

    Attributes:
        at: The moment: ``handshake``, ``action`` (of the client), ``post`` (to a client).
        do: What goes wrong there.
        where: Facts of the moment that must be so.
        times: How often it still happens.
        skip: How many matching moments pass before the first one.
        chance: Probability with which it happens at a moment.
        details: What belongs to ``do``, such as ``seconds``.
    """

    at: str
    do: str
    where: dict[str, Any] = field(default_factory=dict)
    times: int = 1
    skip: int = 0
    chance: float = 1.0
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Faults:
    """The rules of a scenario."""

    random: random.Random
    rules: list[Rule] = field(default_factory=list)

    def add(self, at: str, do: str, **more: Any) -> None:  # noqa: ANN401 - values of a scenario
        """Add a rule."""
        own = {name: more.pop(name) for name in ("where", "times", "skip", "chance") if name in more}
        self.rules.append(Rule(at, do, **own, details=more))

    def strike(self, at: str, **facts: Any) -> Rule | None:  # noqa: ANN401 - values of a scenario
        """Return the rule for a moment, if one applies."""
        for rule in self.rules:
            if rule.at != at or rule.times < 1 or any(facts.get(name) != fact for name, fact in rule.where.items()):
                continue
            if rule.skip:
                rule.skip -= 1
            elif self.random.random() < rule.chance:
                rule.times -= 1
                return rule
        return None
