"""The alarms of a stage."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomcast_cli.stages import Stage

OK = "OK"
DIGITS = 6
"""Of a digest, in which the stage's parameter tells how an alarm was applied."""


def of(stage: Stage, applied: Iterable[str], found: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return those of CloudWatch's alarms that are the stage's: another stage's name may begin with this one's.

    Args:
        stage: The stage.
        applied: Names of its alarms, as its parameter tells them.
        found: Alarms whose names begin with its name and a hyphen.
    """
    names = {full_name(stage, each) for each in applied}
    return [each for each in found if each["AlarmName"] in names]


def full_name(stage: Stage, alarm: str) -> str:
    """Return the name of an alarm as CloudWatch has it."""
    return f"{stage.name}-{alarm}"


def digest(alarm: Mapping[str, Any]) -> str:
    """Return a digest of what an alarm looks at and when it rings, as ``stage_parameter.tf`` has it.

    Args:
        alarm: As CloudWatch describes it.
    """
    queries = {each["Id"]: each for each in alarm.get("Metrics", [])}
    stats = {name: each["MetricStat"] for name, each in sorted(queries.items()) if "MetricStat" in each}
    expression = "".join(each.get("Expression", "") for each in queries.values())
    periods = alarm.get("EvaluationPeriods")
    parts = [
        alarm["ComparisonOperator"],
        f"{alarm.get('Threshold', 0):.3f}",
        f"{alarm.get('DatapointsToAlarm', periods)}/{periods}",
        alarm.get("TreatMissingData", "missing"),
        expression,
        *(
            f"{name} {each['Metric']['Namespace']} {each['Metric']['MetricName']} {each['Stat']} {each['Period']}"
            for name, each in stats.items()
        ),
    ]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:DIGITS]
