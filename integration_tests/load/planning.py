"""The plan that the options of a command line ask for."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from integration_tests.harness.faults.rules import NO_FAULTS, FaultPlan
from integration_tests.load.bounds import (
    OptionsError,
    check_length,
    check_lifetime,
    check_messages,
    check_processes,
    check_size,
    check_sockets,
)
from integration_tests.load.options import (
    CLIENTS_PER_ROOM,
    DEFAULT_MESSAGES,
    ROLLOVER_LIFETIME,
    ROOMS,
    SECONDS,
    SOAK_LIFETIME,
)
from integration_tests.load.plan import TEXT, V1, Plan
from integration_tests.load.scenarios import REDEPLOY, RESUME_STORM, SCENARIOS_OF_V1
from integration_tests.load.terms import LATE_AFTER, LATE_AFTER_ON_ONE_MACHINE
from integration_tests.targets.live import Live
from integration_tests.targets.local import Local

if TYPE_CHECKING:
    import argparse

CLIENTS_TO_SHOW_ANYTHING = 2
"""In each room: with one, nothing shows that a message reaches anyone but its sender."""

BENCH_RATE = 1.0
"""Messages per second for the benchmark's cost estimate; it sends one when the one before has arrived."""


def bench_plans_of(options: argparse.Namespace) -> list[Plan]:
    """Return one plan for each size of room, with a message more than is measured."""
    check_sockets(max(options.sizes))
    check_size(options.size)
    check_messages(options.messages)
    check_length("--patience", options.patience)
    check_length("--connect-rate", max(options.sizes) / options.connect_rate)
    return [
        Plan(
            scenario="steady",
            connections=size,
            rooms=1,
            messages=options.messages + 1,
            rate=BENCH_RATE,
            size=options.size,
            connect_rate=options.connect_rate,
            lifetime=math.inf,
            processes=1,
            patience=options.patience,
            late_after=options.patience,
        )
        for size in options.sizes
    ]


TAKEN_OVER = (
    *("scenario", "rate", "size", "connect_rate", "processes", "patience", "quiet", "ordered"),
    *("outage", "expired"),
)
"""Options that are parameters of the plan as they stand."""


def plan_of(options: argparse.Namespace, default_connections: int) -> Plan:
    """Return the plan that the options ask for.

    Args:
        options: As :func:`~integration_tests.load.options.add_run` has them.
        default_connections: The target's default.

    Raises:
        OptionsError: They ask for something impossible.
        OSError: The file of faults cannot be read.
        integration_tests.harness.faults.fields.RuleError: It is no file of faults.
    """
    faults = faults_of(options)
    check_processes(options.processes)
    for name in ("patience", "quiet", "outage"):
        check_length(f"--{name}", getattr(options, name))
    lifetime = options.lifetime or (ROLLOVER_LIFETIME if options.scenario == "rollover" else SOAK_LIFETIME)
    if options.scenario == "rollover":  # which waits for the ends of sockets; a soak may have clients that stay
        check_length("--lifetime", lifetime)
    check_lifetime(lifetime)
    connections = options.connections or default_connections
    check_length("--connect-rate", connections / options.connect_rate if options.connect_rate else 0.0)
    check_size(options.size)
    plan = Plan(
        **{name: getattr(options, name) for name in TAKEN_OVER},
        protocol=protocol_of(options),
        connections=connections,
        rooms=rooms_of(options, connections),
        lifetime=lifetime,
        messages=messages_of(options),
        faults=faults,
        late_after=late_after_of(options),
    )
    check_sockets(math.ceil(connections / options.processes))
    return plan


def faults_of(options: argparse.Namespace) -> FaultPlan:
    """Return the faults that the options name; errors as in :func:`plan_of`."""
    if not options.faults:
        return NO_FAULTS
    if options.target != Local.name:
        raise OptionsError(f"faults are injected into an emulator of our own, so not on {options.target}: use local")
    if options.scenario == REDEPLOY:
        raise OptionsError("a redeployment leads the functions past the faults again: choose another scenario")
    faults = FaultPlan.loads(options.faults.read_bytes())
    if not faults.rules:
        raise OptionsError(f"{options.faults.name} has no rule, so no fault would be injected: leave --faults out")
    return faults


def protocol_of(options: argparse.Namespace) -> str:
    """Return the protocol that the clients speak; errors as in :func:`plan_of`."""
    needs_v1 = options.scenario in SCENARIOS_OF_V1
    if needs_v1 and options.protocol == TEXT:
        raise OptionsError(f"{options.scenario} is about clients of roomcast.v1: leave --protocol out")
    if options.expired and (options.scenario, options.target) != (RESUME_STORM, Local.name):
        raise OptionsError(f"--expired deletes what a stage of our own keeps: use --scenario {RESUME_STORM} on local")
    return options.protocol or (V1 if needs_v1 else TEXT)


def rooms_of(options: argparse.Namespace, connections: int) -> int:
    """Return the number of rooms; errors as in :func:`plan_of`."""
    least = max(CLIENTS_TO_SHOW_ANYTHING, options.processes)
    usual = max(ROOMS, math.ceil(connections / CLIENTS_PER_ROOM))
    rooms: int = options.rooms or max(1, min(usual, connections // least))
    if connections < rooms * least:
        raise OptionsError(
            f"{connections} clients are too few for {rooms} rooms: each room needs one for each process "
            f"({options.processes}), and at least two, or nothing shows that a message reaches anyone but its sender"
        )
    return rooms


def messages_of(options: argparse.Namespace) -> int:
    """Return the number of messages; errors as in :func:`plan_of`."""
    duration = options.duration or (0.0 if options.messages else SECONDS.get(options.scenario, 0.0))
    check_length("--duration", duration)
    check_length("--rate", 1 / options.rate)
    due = math.ceil(min(duration * options.rate, sys.maxsize))
    messages: int = due or options.messages or DEFAULT_MESSAGES
    check_messages(messages)
    check_length("--rate", messages / options.rate)
    return messages


def late_after_of(options: argparse.Namespace) -> float:
    """Return when a delivery is late, in seconds; errors as in :func:`plan_of`."""
    usual = LATE_AFTER if options.target == Live.name else LATE_AFTER_ON_ONE_MACHINE
    late_after: float = options.late_after or min(usual, options.patience)
    if late_after > options.patience:
        raise OptionsError(
            f"what is late after {late_after:g} s cannot be seen in a run that waits for {options.patience:g} s: "
            "raise --patience or lower --late-after"
        )
    return late_after
