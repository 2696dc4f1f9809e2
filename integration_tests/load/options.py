"""The command line of load runs."""

from __future__ import annotations

import argparse
import math
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.harness.faults.rules import NO_FAULTS, FaultPlan
from integration_tests.load.plan import Plan
from integration_tests.load.scenarios import REDEPLOY, SCENARIOS
from integration_tests.load.terms import LATE_AFTER, LATE_AFTER_ON_ONE_MACHINE, PATIENCE, QUIET
from integration_tests.report.write import HERE
from integration_tests.targets.catalogue import TARGETS, create_target
from integration_tests.targets.live import Live
from integration_tests.targets.local import Local
from scripts.descriptors import allow_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.targets.interface import Target

CLIENTS_PER_ROOM = 100
ROOMS = 3
"""At least so many by default: with one, a message that leaks into another room could not be seen."""
CLIENTS_TO_SHOW_ANYTHING = 2
"""In each room: with one, nothing shows that a message reaches anyone but its sender."""
DEFAULT_MESSAGES = 200
DEFAULT_SIZE = 256
SOAK_SECONDS = 600.0
BENCH_RATE = 1.0
"""Messages per second for the benchmark's cost estimate; it sends one when the one before has arrived."""
LONGEST_RUN = 30 * 86_400.0
"""Seconds, as far apart as messages and handshakes may be due: a month, longer than any sensible run."""
LARGEST_SIZE = 128 * 1024
"""Characters: a message on AWS has at most 128 KB, the JSON around its text included
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html)."""
AWS_CONNECT_RATE = 500.0
"""New connections per second that an account may open (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


class OptionsError(ValueError):
    """The options ask for something impossible; the message names the bounds."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of load run and benchmark: the target, as in the integration tests, and the messages."""
    parser.add_argument(
        "--target",
        choices=sorted(TARGETS),
        default=os.environ.get("TARGET", "local"),
        help="where Roomcast runs (default: environment variable TARGET, else local)",
    )
    parser.add_argument("--websocket-url", metavar="URL", help="live target: the stage's wss:// URL")
    parser.add_argument(
        "--outputs", type=Path, metavar="FILE", help="live target: what `terraform output -json` prints, as a file"
    )
    parser.add_argument(
        "--i-accept-the-cost", action="store_true", help="live target: run although the estimate is above the ceiling"
    )
    parser.add_argument(
        "--size", type=positive(int), default=DEFAULT_SIZE, metavar="N", help="characters of a message (default: 256)"
    )
    parser.add_argument(
        "--patience",
        type=positive(float),
        default=PATIENCE,
        metavar="SECONDS",
        help="how long to wait for a handshake, an answer or a delivery (default: 60)",
    )


def target_of(options: argparse.Namespace) -> Target:
    """Return the target that the options name, not yet entered.

    Raises:
        integration_tests.targets.interface.TargetError: The options do not fit it.
    """
    return create_target(options.target, options.websocket_url, options.outputs)


def without_secrets(arguments: Sequence[str]) -> str:
    """Return a command line for a report: of a stage's URL only scheme, host and path, since the rest may be secret."""
    written, is_url = [], False
    for argument in arguments:
        name, equals, value = argument.partition("=") if argument.startswith("--websocket-url=") else ("", "", argument)
        written.append(f"{name}{equals}{public(value)}" if equals or is_url or "://" in value else argument)
        is_url = argument == "--websocket-url"
    return shlex.join(["python", "-m", "integration_tests.load", *written])


def public(url: str) -> str:
    """Return a URL without its possibly secret parts: user, password, query and fragment."""
    match = re.match(r"([^/?#]*:)?(//)?([^?#]*)", url)
    scheme, slashes, rest = match.groups("") if match else ("", "", "")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the options of a load run."""
    add_common(parser)
    number, seconds = positive(int), positive(float)
    parser.add_argument("--scenario", choices=[*SCENARIOS, REDEPLOY], default="steady", help="default: steady")
    parser.add_argument(
        "--connections", type=number, metavar="N", help="clients at the same time (default: the target's)"
    )
    parser.add_argument(
        "--rooms", type=number, metavar="N", help=f"default: one for {CLIENTS_PER_ROOM} clients, {ROOMS} at least"
    )
    parser.add_argument("--rate", type=seconds, default=10.0, metavar="R", help="messages due per second (default: 10)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--messages", type=number, metavar="N", help=f"in all (default: {DEFAULT_MESSAGES})")
    length.add_argument(
        "--duration", type=seconds, metavar="SECONDS", help=f"of the messages (default in a soak: {SOAK_SECONDS:g})"
    )
    parser.add_argument(
        "--late-after",
        type=seconds,
        metavar="SECONDS",
        help="when a delivery or an answer is late, at most --patience (default: 5, on one machine 30)",
    )
    parser.add_argument(
        "--quiet",
        type=seconds,
        default=QUIET,
        metavar="SECONDS",
        help="end when nothing is owed and nothing has come for so long (default: 2)",
    )
    parser.add_argument(
        "--ordered",
        action="store_true",
        help="expect a message that was acknowledged before another was sent to come before it (FIFO queue)",
    )
    parser.add_argument(
        "--connect-rate",
        type=positive(float, or_zero=True),
        default=AWS_CONNECT_RATE,
        metavar="R",
        help="handshakes due per second, 0 for all at once (default: 500, what AWS admits to an account)",
    )
    parser.add_argument(
        "--lifetime",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="soak: mean life of a connection (default: 60)",
    )
    parser.add_argument("--processes", type=number, default=1, metavar="N", help="client processes (default: 1)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="local: JSON of faults to inject")
    parser.add_argument(
        "--limits", type=Path, default=HERE / "limits.toml", help="TOML file that decides the exit code"
    )
    parser.add_argument("--previous", type=Path, metavar="FILE", help="JSON report of an earlier run to compare with")
    parser.add_argument("--report-dir", type=Path, default=Path("build/reports"), help="default: build/reports")


def add_bench(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    add_common(parser)
    number = positive(int)
    parser.add_argument(
        "--sizes", type=number, nargs="+", default=[10, 100], metavar="N", help="members of each room (default: 10 100)"
    )
    parser.add_argument("--messages", type=number, default=20, metavar="N", help="in each room (default: 20)")
    parser.add_argument(
        "--connect-rate", type=positive(float), default=100.0, metavar="R", help="handshakes per second (default: 100)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: build/bench/fan-out-<target>.json")


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Add the options of the sweeper."""
    parser.add_argument(
        "--outputs", type=Path, required=True, metavar="FILE", help="what `terraform output -json` prints, as a file"
    )
    parser.add_argument(
        "--older-than", type=positive(float), default=24.0, metavar="HOURS", help="age of what is removed (default: 24)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def bench_plans_of(options: argparse.Namespace) -> list[Plan]:
    """Return one plan for each size of room, with a message more than is measured."""
    check_sockets(max(options.sizes))
    check_size(options.size)
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


TAKEN_OVER = ("scenario", "rate", "size", "connect_rate", "lifetime", "processes", "patience", "quiet", "ordered")
"""Options that are parameters of the plan as they stand."""


def plan_of(options: argparse.Namespace, default_connections: int) -> Plan:
    """Return the plan that the options ask for.

    Args:
        options: As :func:`add_run` has them.
        default_connections: The target's default.

    Raises:
        OptionsError: They ask for something impossible.
        OSError: The file of faults cannot be read.
        integration_tests.harness.faults.fields.RuleError: It is no file of faults.
    """
    faults = faults_of(options)
    connections = options.connections or default_connections
    check_length("--connect-rate", connections / options.connect_rate if options.connect_rate else 0.0)
    check_size(options.size)
    plan = Plan(
        **{name: getattr(options, name) for name in TAKEN_OVER},
        connections=connections,
        rooms=rooms_of(options, connections),
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
    return FaultPlan.loads(options.faults.read_bytes())


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
    duration = options.duration or (SOAK_SECONDS if options.scenario == "soak" and not options.messages else 0.0)
    check_length("--duration", duration)
    check_length("--rate", 1 / options.rate)
    due = math.ceil(min(duration * options.rate, sys.maxsize))
    messages: int = due or options.messages or DEFAULT_MESSAGES
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


def check_length(option: str, seconds: float) -> None:
    """Refuse a run of months.

    Raises:
        OptionsError: It would take months.
    """
    if seconds > LONGEST_RUN:
        raise OptionsError(f"with this {option} the run would take more than {LONGEST_RUN / 86_400:g} days")


def check_size(size: int) -> None:
    """Refuse messages that AWS refuses.

    Raises:
        OptionsError: They are too large, so that every stage would lose them.
    """
    if size > LARGEST_SIZE:
        raise OptionsError(f"messages of {size:,} characters are more than the {LARGEST_SIZE:,} that AWS takes")


def check_sockets(each: int) -> None:
    """Refuse more sockets in a process than the system allows.

    Raises:
        OptionsError: They are too many.
    """
    if each > (most := allow_sockets()):
        raise OptionsError(
            f"{each} sockets in one process are more than the {most} that its limit on open files leaves: "
            "use more processes or raise the limit (ulimit -n)"
        )


def positive(kind: type[float], *, or_zero: bool = False) -> Callable[[str], float]:
    """Return a type for argparse: a number of this kind, above zero."""

    def read(text: str) -> float:
        value = kind(text)
        if not math.isfinite(value) or value < 0 or (value == 0 and not or_zero):
            raise argparse.ArgumentTypeError(f"must be {'at least' if or_zero else 'greater than'} 0, not {text}")
        return value

    read.__name__ = kind.__name__  # argparse names it in its message
    return read
