"""The results of the fan-out benchmark: a summary of each room, and its line."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from integration_tests.harness.latency import SATURATED_CPU
from integration_tests.harness.ledger import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integration_tests.harness.ledger import Verdict

WRONG = (*(finding for finding in FINDINGS if finding not in {"missing", "reordered"}), "broken")
"""Findings that a result counts; its ``lost`` includes the missing deliveries."""


class Flight(NamedTuple):
    """One acknowledged message that came to all members; times are in seconds from sending.

    Attributes:
        arrivals: When it came to each member, in order.
        receipt: When its receipt came.
        cpu: Share of one core that this process used meanwhile.
    """

    arrivals: Sequence[float]
    receipt: float
    cpu: float


def result_of(
    members: int, flights: Sequence[Flight], verdict: Verdict, refused: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Summarise a room; times are None where no message came to every member.

    Args:
        members: How many clients were to be in it.
        flights: Messages that came to all of them.
        verdict: The verdict of the ledger.
        refused: Refused handshakes by the reason; without all its members, a room is not measured.
    """
    total, cold, flights = asdict(verdict.total), flights[:1], flights[1:]
    last = [flight.arrivals[-1] for flight in flights]
    return {
        "members": members,
        "refused": dict(refused or {}),
        "messages": max(0, total["attempted"] - 1),
        "acknowledged": total["acknowledged"],
        **{name: total[name] for name in WRONG if name in total},
        "lost": total["lost"] + total["missing"],
        "broken": verdict.broken,
        "cold_ms": milliseconds(cold[0].arrivals[-1]) if cold else None,
        "first_ms": over_messages([flight.arrivals[0] for flight in flights]),
        "median_ms": over_messages([flight.arrivals[(members - 1) // 2] for flight in flights]),
        "last_ms": over_messages(last),
        "receipt_ms": over_messages([flight.receipt for flight in flights]),
        "deliveries_per_second": round(members / statistics.median(last), 1) if last else None,
        "client_saturated": bool(flights) and statistics.median(flight.cpu for flight in flights) >= SATURATED_CPU,
    }


def is_clean(result: dict[str, Any]) -> bool:
    """Whether every message of a room was acknowledged, and came to every member once and unaltered."""
    return result["last_ms"] is not None and not any(result[name] for name in WRONG)


def over_messages(seconds: Sequence[float]) -> dict[str, float] | None:
    """Return the median and the worst of some messages, in milliseconds."""
    if not seconds:
        return None
    return {"median": milliseconds(statistics.median(seconds)), "worst": milliseconds(max(seconds))}


def milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, with one digit after the point."""
    return round(seconds * 1_000, 1)


HEADING = (
    f"{'members':>8}{'first ms':>10}{'median ms':>11}{'last ms':>9}{'worst ms':>10}{'deliveries/s':>14}{'cold ms':>9}"
)


def line_of(result: dict[str, Any]) -> str:
    """Return a result as a line under the heading, with its findings."""
    wrong = ", ".join(f"{result[name]:,} {name.replace('_', ' ')}" for name in WRONG if result[name])
    if result["refused"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in result["refused"].items())
        return f"{result['members']:>8}  not measured: refused handshakes: {reasons}"
    if result["last_ms"] is None:
        return f"{result['members']:>8}  not measured: no message came to every member and was acknowledged: {wrong}"
    text = (
        f"{result['members']:>8}{result['first_ms']['median']:>10}{result['median_ms']['median']:>11}"
        f"{result['last_ms']['median']:>9}{result['last_ms']['worst']:>10}{result['deliveries_per_second']:>14}"
        f"{result['cold_ms'] or '-':>9}"
    )
    if result["client_saturated"]:
        text += "  the client was saturated"
    return f"{text}  WRONG: {wrong}" if wrong else text
