"""Past what one machine can do: Locust's distributed workers, driving the same clients as every other load run.

    python -m locust -f integration_tests/load/locustfile.py --host wss://... --users 20000 --spawn-rate 500

Each Locust worker starts one process with an event loop (``worker.py``) that holds the sockets of all its users and
keeps their ledger; a Locust user only says join, talk and leave. Locust replaces Python's sockets, threads and
``select`` by gevent's: an event loop on top of those would measure gevent, and one in a true thread would share the
interpreter's lock with all of Locust's greenlets. In a process of its own it measures as it does in all other runs.

A room never spans two workers, because a delivery is timed by one machine's clock. At the end of the test every worker
waits until its messages are answered and delivered, closes its clients, and tells the master what its ledger says. The
master prints the sum. Its exit status is 1 if anything went wrong (the ledger's findings), if nothing was acknowledged
or delivered, or if a worker says nothing.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from dataclasses import asdict, replace
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

from locust import User, events, task
from locust.runners import STATE_RUNNING, STATE_SPAWNING, MasterRunner, WorkerRunner

from integration_tests.harness.latency import Durations
from integration_tests.harness.ledger import Tally
from integration_tests.load.budget import CONNECTIONS_CEILING
from integration_tests.load.crew import NOT_CONNECTED, Arrival, Crew
from integration_tests.load.plan import new_run_name
from integration_tests.load.remote import RemoteCrew
from integration_tests.load.terms import PATIENCE, TERMS
from scripts.waiting import scaled

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from locust.env import Environment
    from locust.rpc import Message

    from integration_tests.load.recorder import ProcessResult

FINISH, VERDICT = "roomcast-finish", "roomcast-verdict"


class Company:
    """The clients of one Locust worker, from the start of a test to its end.

    Args:
        environment: Locust's; its host is the stage's WebSocket URL.
    """

    def __init__(self, environment: Environment) -> None:
        assert environment.host is not None
        assert environment.parsed_options is not None
        self.options = environment.parsed_options
        self.seats = itertools.count()
        self._run = new_run_name()
        self._began_at = time.monotonic()
        self.crew = RemoteCrew(environment.host, self._run, terms=replace(TERMS, patience=self.options.patience))
        self.crew.call(Crew.progress).result()  # its start is no part of the first handshakes

    def room_of(self, seat: int) -> str:
        """Return the room of a seat: one is filled before the next is opened."""
        return f"{self._run}-{seat // self.options.room_size}"

    def verdict(self) -> dict[str, Any]:
        """Wait for what is owed, end the process and return what it saw, as Locust can send it."""
        self.crew.call(Crew.wait_for_what_is_owed).result()
        ended_at = time.monotonic()
        self.crew.call(Crew.leave_all).result()
        share: ProcessResult = self.crew.call(Crew.finish).result()
        self.crew.stop()
        share.ledger.began_at, share.ledger.ended_at = self._began_at, ended_at
        verdict = share.ledger.verdict()
        return {
            "tally": asdict(verdict.total),
            "rooms": sum(tally.attempted > 0 for tally in verdict.rooms.values()),
            "broken": verdict.broken,
            "examples": verdict.examples,
            "deliveries": share.ledger.latency.total.encode(),
        }


class Member(User):
    """One client, which says something to its room every ``--talk-every`` seconds."""

    company: ClassVar[Company | None] = None

    def on_start(self) -> None:
        """Take a seat and connect."""
        assert self.company is not None
        self.seat = next(self.company.seats)
        self.join(self.company)
        time.sleep(random.uniform(0, self.company.options.talk_every))  # noqa: S311 - lest all talk at once
        self.due = time.monotonic()

    def join(self, company: Company) -> None:
        """Connect; Locust's request ``connect``."""
        due = time.monotonic()
        refused: dict[int, str] = company.crew.call(
            Crew.join, [Arrival(self.seat, company.room_of(self.seat), due)]
        ).result()
        self.note("connect", due, refused.get(self.seat))

    def wait_time(self) -> float:
        """Say how long to wait with the next message, which is due whatever became of the last one."""
        return max(0.0, self.due - time.monotonic())

    @task
    def say(self) -> None:
        """Say something; Locust's request ``message``, from when it was due until its receipt."""
        assert self.company is not None
        options, due = self.company.options, self.due
        self.due += options.talk_every
        problem: str | None = self.company.crew.call(Crew.say, self.seat, due, options.message_size).result()
        self.note("message", due, problem)
        if problem == NOT_CONNECTED:
            self.join(self.company)

    def on_stop(self) -> None:
        """Disconnect, unless the test is over: then all stay until what is owed to them has come."""
        assert self.company is not None
        assert self.environment.runner is not None
        if self.environment.runner.state in {STATE_RUNNING, STATE_SPAWNING}:
            self.company.crew.call(Crew.part, [self.seat])

    def note(self, name: str, due: float, problem: str | None) -> None:
        """Tell Locust about a request, timed from when it was due."""
        self.environment.events.request.fire(
            request_type="WebSocket",
            name=name,
            response_time=1_000 * (time.monotonic() - due),
            response_length=0,
            exception=RuntimeError(problem) if problem else None,
            context={},
        )


class Jury:
    """The master's collection of what its workers say."""

    def __init__(self) -> None:
        self._verdicts: dict[str, dict[str, Any]] = {}
        self._news = Event()

    def take(self, environment: Environment, msg: Message) -> None:  # noqa: ARG002 - Locust's names
        """Keep a worker's verdict."""
        self._verdicts[msg.node_id] = msg.data
        self._news.set()

    def ask(self, master: MasterRunner) -> list[dict[str, Any] | None]:
        """Ask the workers that have said nothing yet, and wait; None stands for one that says nothing."""
        workers = [worker.id for worker in master.clients.all]
        for worker in workers:
            if worker not in self._verdicts:
                master.send_message(FINISH, client_id=worker)
        deadline = time.monotonic() + scaled(2 * PATIENCE)
        while not {*workers} <= {*self._verdicts} and time.monotonic() < deadline:
            self._news.wait(1)
            self._news.clear()
        verdicts = [self._verdicts.pop(worker, None) for worker in workers]
        self._verdicts.clear()
        return verdicts


JURY = Jury()
CONCLUSIONS: list[int] = []
"""How many workers each test of this process had: if there was none, nothing was shown."""


def add_options(parser: ArgumentParser) -> None:
    """Add what the clients may be told."""
    parser.add_argument("--room-size", type=int, default=100, help="clients in a room (default: 100)")
    parser.add_argument(
        "--talk-every", type=float, default=10.0, help="seconds between a client's messages (default: 10)"
    )
    parser.add_argument("--i-accept-the-cost", action="store_true", help=f"for more than {CONNECTIONS_CEILING} users")
    parser.add_argument("--message-size", type=int, default=256, help="characters of a message (default: 256)")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds to wait for an answer or a delivery (default: 60)"
    )


def listen(environment: Environment, **_: object) -> None:
    """Spare the stage what nobody accepted, and let the master and its workers hear each other."""
    options = environment.parsed_options
    assert options is not None
    if (options.num_users or 0) > CONNECTIONS_CEILING and not options.i_accept_the_cost:
        sys.exit(f"more than {CONNECTIONS_CEILING} users cost money on a stage in use: add --i-accept-the-cost")
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        runner.register_message(VERDICT, JURY.take)
    elif isinstance(runner, WorkerRunner):
        runner.register_message(FINISH, lambda environment, msg: environment.runner.stop(), concurrent=True)  # noqa: ARG005


def open_company(environment: Environment, **_: object) -> None:
    """Start the process that holds the sockets."""
    if not isinstance(environment.runner, MasterRunner):
        Member.company = Company(environment)


def close_company(environment: Environment, **_: object) -> None:
    """Let the ledgers speak."""
    runner = environment.runner
    if isinstance(runner, MasterRunner):
        conclude(environment, JURY.ask(runner))
        return
    company, Member.company = Member.company, None
    if company is None:
        return
    if isinstance(runner, WorkerRunner):
        runner.send_message(VERDICT, company.verdict())
    else:
        conclude(environment, [company.verdict()])


def stop_first(environment: Environment, **_: object) -> None:
    """Let the ledgers speak before Locust decides on its exit status, also where it is told to quit at once."""
    if environment.runner is not None:
        environment.runner.stop()
    if not isinstance(environment.runner, WorkerRunner) and not CONCLUSIONS:
        conclude(environment, [])


def conclude(environment: Environment, verdicts: list[dict[str, Any] | None]) -> None:
    """Print what all ledgers say together, and let it decide the exit status."""
    CONCLUSIONS.append(len(verdicts))
    heard = [verdict for verdict in verdicts if verdict is not None]
    total = sum((Tally(**verdict["tally"]) for verdict in heard), Tally())
    deliveries = Durations()
    for verdict in heard:
        deliveries.add(Durations.decode(verdict["deliveries"]))
    broken = sum(verdict["broken"] for verdict in heard)
    rooms = sum(verdict["rooms"] for verdict in heard)
    lines = [
        f"{len(heard)} of {len(verdicts)} workers say:",
        ", ".join(f"{name} {count:,}" for name, count in asdict(total).items()),
        f"broken connections {broken:,}",
        "deliveries in ms: "
        + ", ".join(f"{name} {value:g}" for name, value in asdict(deliveries.percentiles()).items()),
        *(example for verdict in heard for example in verdict["examples"]),
    ]
    if total.empty:
        lines.append("nothing was acknowledged, or nothing was delivered: this run shows nothing")
    if rooms == 1:
        lines.append("not shown: a message that leaks into another room, because all clients were in one (--room-size)")
    sys.stdout.writelines(f"roomcast: {line}\n" for line in lines)
    sys.stdout.flush()
    if not total.clean or total.empty or broken or len(heard) < len(verdicts):
        environment.process_exit_code = 1


for hook, listener in (
    (events.init_command_line_parser, add_options),
    (events.init, listen),
    (events.test_start, open_company),
    (events.test_stop, close_company),
    (events.quitting, stop_first),
):
    hook.add_listener(listener)  # type: ignore[no-untyped-call] # Locust has no types there
