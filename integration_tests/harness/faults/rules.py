"""Decide which fault strikes which request, without any input or output.

The faults are Toxiproxy's (https://github.com/Shopify/toxiproxy#toxics), with AWS's error answers added. A fault
strikes ``before`` the request reaches AWS, or ``after`` AWS has done the work, so that its answer is lost or replaced.
Only the latter can make a correct sender repeat work that was already done.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from integration_tests.harness.faults.fields import RuleError, build, check, unusual
from integration_tests.harness.faults.kinds import Fault
from scripts import finite_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.harness.faults.requests import Request

WHEN = ("before", "after")
SERVICES = ("management", "dynamodb", "sqs")


@dataclass(frozen=True)
class Rule:
    """One fault and the requests it strikes; an empty string matches everything.

    Attributes:
        name: Its name in reports; unique among the rules in force.
        fault: The fault.
        when: ``before`` the request reaches AWS, or ``after``. Faults of the answer are always ``after``.
        service: ``management``, ``dynamodb`` or ``sqs``.
        operation: AWS's name of the operation.
        connection_id: Connection of a management call.
        rate: Probability (0 to 1) that a matching request is struck.
        limit: Strikes after which the rule rests; 0 means none.
    """

    name: str
    fault: Fault
    when: str = "before"
    service: str = ""
    operation: str = ""
    connection_id: str = ""
    rate: float = 1.0
    limit: int = 0

    def __post_init__(self) -> None:
        check(self.when in WHEN, f"rule {self.name}: when must be one of {', '.join(WHEN)}")
        check(
            self.when == "after" or not self.fault.only_after,
            f'rule {self.name}: {self.fault.kind} is about the answer; write "when": "after"',
        )
        check(
            self.service in ("", *SERVICES), f"rule {self.name}: service must be empty or one of {', '.join(SERVICES)}"
        )
        check(0 <= self.rate <= 1, f"rule {self.name}: rate must be from 0 to 1")
        check(self.limit >= 0, f"rule {self.name}: limit must not be negative")

    def matches(self, request: Request) -> bool:
        """Whether the rule is about requests like this one."""
        return all(
            wanted in ("", actual)
            for wanted, actual in (
                (self.service, request.service),
                (self.operation, request.operation),
                (self.connection_id, request.connection_id),
            )
        )

    @staticmethod
    def read(description: Mapping[str, Any]) -> Rule:
        """Build a rule from its JSON form, the fields above with ``fault`` as :meth:`Fault.read` has it.

        Raises:
            RuleError: A field is unknown, missing or out of range.
        """
        wanted = dict(description)
        wanted["fault"] = Fault.read(wanted.get("fault", {}))
        return build(Rule, wanted, f"rule {description.get('name', 'without a name')}")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, which :meth:`read` takes."""
        return {**asdict(self), "fault": self.fault.to_json()}

    def __str__(self) -> str:
        """Return the name and all fields that differ from their defaults."""
        details = [*unusual(self.fault), *unusual(self, "name", "fault", "when")]
        return f"{self.name} ({', '.join([f'{self.fault.kind} {self.when}', *details])})"


@dataclass(frozen=True)
class FaultPlan:
    """The rules of a run.

    Attributes:
        rules: In the order in which they are tried; the first that strikes takes the request.
        seed: Of the dice; the same seed and the same order of requests strike the same requests.

    Raises:
        RuleError: Two rules have the same name.
    """

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check(len({rule.name for rule in self.rules}) == len(self.rules), "each rule needs a name of its own")

    @staticmethod
    def loads(text: str | bytes) -> FaultPlan:
        """Build a plan from JSON: ``{"seed": 7, "rules": [...]}``, its rules as :meth:`Rule.read` has them.

        Raises:
            RuleError: The text is no such JSON, a rule makes no sense, or two rules have the same name.
        """
        try:
            description = finite_json.loads(text)
            rules, seed = tuple(map(Rule.read, description["rules"])), int(description.get("seed", 0))
        except RuleError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RuleError('expected a JSON object {"seed": <number>, "rules": [<rule>, ...]}') from error
        return FaultPlan(rules, seed)

    def dumps(self) -> str:
        """Return the JSON form, which :meth:`loads` takes."""
        return json.dumps({"seed": self.seed, "rules": [rule.to_json() for rule in self.rules]})

    def __str__(self) -> str:
        """Name all rules."""
        return "; ".join(map(str, self.rules))


NO_FAULTS = FaultPlan()
