"""The command line of load runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.load.plan import OUTAGE, PROTOCOLS
from integration_tests.load.scenarios import REDEPLOY, SCENARIOS
from integration_tests.load.terms import PATIENCE, QUIET
from integration_tests.report.write import HERE
from integration_tests.targets.catalogue import TARGETS, create_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.targets.interface import Target

CLIENTS_PER_ROOM = 100
ROOMS = 3
"""At least so many by default: with one, a message that leaks into another room could not be seen."""
DEFAULT_MESSAGES = 200
DEFAULT_SIZE = 256
STORM_SECONDS = 60.0
"""Clients must be in before the last message; 200 of them return to an emulator on a busy machine within 40 s."""
SECONDS = {"soak": 600.0, "join-storm": STORM_SECONDS, "reconnect-storm": STORM_SECONDS}
"""Default duration of the messages in scenarios that are about a time and not about a number of messages."""
SOAK_LIFETIME, ROLLOVER_LIFETIME = 60.0, 20.0
LARGEST = sys.float_info.max
"""Of a number, so that others can be calculated from it."""
OLDEST = 1e6
"""Hours: more than a century."""
LONGEST_SHOWN = 20
"""Characters of a number that is refused."""
AWS_CONNECT_RATE = 500.0
"""New connections per second that an account may open (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""


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
    parser.add_argument("--protocol", choices=PROTOCOLS, help="default: the scenario's, else text")
    parser.add_argument("--rate", type=seconds, default=10.0, metavar="R", help="messages due per second (default: 10)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--messages", type=number, metavar="N", help=f"in all (default: {DEFAULT_MESSAGES})")
    length.add_argument(
        "--duration",
        type=seconds,
        metavar="SECONDS",
        help=f"of the messages (default in a soak: {SECONDS['soak']:g}, join or reconnect storm: {STORM_SECONDS:g})",
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
        metavar="SECONDS",
        help=f"mean life of a connection in a soak (default: {SOAK_LIFETIME:g}), of a socket in a rollover (default: "
        f"{ROLLOVER_LIFETIME:g})",
    )
    parser.add_argument(
        "--outage",
        type=seconds,
        default=OUTAGE,
        metavar="SECONDS",
        help=f"resume-storm: how long clients are away at least (default: {OUTAGE:g})",
    )
    parser.add_argument(
        "--expired",
        action="store_true",
        help="resume-storm on local: delete what rooms keep while clients are away; every return must be told too_old",
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
        "--older-than",
        type=positive(float, most=OLDEST),
        default=24.0,
        metavar="HOURS",
        help="age of what is removed (default: 24)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def positive(kind: type[float], *, or_zero: bool = False, most: float = LARGEST) -> Callable[[str], float]:
    """Return a type for argparse: a number of this kind, above zero."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 <= value <= most or (value == 0 and not or_zero):  # which is true of what is no number
            least = f"must be {'at least' if or_zero else 'greater than'} 0"
            raise argparse.ArgumentTypeError(f"{least} and at most {most:g}, not {text[:LONGEST_SHOWN]}")
        return value

    read.__name__ = kind.__name__  # argparse names it in its message
    return read
